"""A large body holds up nobody else; a small one is not worth a thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from alerting.receiver.by_size import SMALL_BYTES, by_size


def where(_: bytes) -> int:
    return threading.get_ident()


@pytest.mark.parametrize(("size", "at_once"), [(0, True), (SMALL_BYTES, True), (SMALL_BYTES + 1, False)])
def test_only_a_large_body_is_worked_on_in_a_thread(size, at_once):
    """The limit is exact."""
    assert (asyncio.run(by_size(where, b"x" * size)) == threading.get_ident()) is at_once


def test_the_loop_goes_on_meanwhile():
    """What works on a large body waits here for something that only the loop can do."""
    go_on = threading.Event()

    async def both() -> bool:
        asyncio.get_running_loop().call_soon(go_on.set)
        return await by_size(lambda _: go_on.wait(30), b"x" * (SMALL_BYTES + 1))

    assert asyncio.run(both())


@pytest.mark.parametrize("size", [1, SMALL_BYTES + 1])
def test_an_error_is_the_callers(size):
    """On either way."""

    def fail(_: bytes) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(by_size(fail, b"x" * size))
