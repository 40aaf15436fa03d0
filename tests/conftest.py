"""What every test may ask for."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings

from tests.postgresql import NewDatabase, Unavailable, server

ROOT = pathlib.Path(__file__).resolve().parents[1]
# How long an example takes says something about the machine, and what else it does just then.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


class FakeClock:
    """Time that moves only when told; `sleep` moves it."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) -> None:
        self.time = start
        self.elapsed = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.elapsed += seconds


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until it is advanced."""
    return FakeClock()


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def contracts() -> Iterator[pathlib.Path]:
    """The folder of recorded answers and schemas, which is not part of this repository."""
    folder = ROOT.parent / "shared" / "contracts"
    if not folder.is_dir():
        pytest.skip("no ../shared/contracts beside this checkout: recordings and schemas are not to be had")
    yield folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[NewDatabase]:
    """Makes empty databases of a PostgreSQL that runs for these tests."""
    with ExitStack() as stack:
        try:
            new_database = stack.enter_context(server())
        except Unavailable as reason:
            pytest.skip(f"no PostgreSQL: {reason}")
        yield new_database
