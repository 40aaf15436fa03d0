"""What arrives at about the same time is one transaction, and each is told only when it is on disk.

A transaction waits for the disk and for its turn to write. One for each request would be most of what a request costs,
and requests would stand in line for it. Those that wait are told by their event loop, without a thread for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

# Why each item is not on disk, in their order; None for one that is.
Outcomes = Sequence[BaseException | None]

# A request that has reached the socket is here after so many rounds of the loop. Whoever is alone waits no longer.
_QUIET_ROUNDS = 3
# As long as more arrive they are waited for, up to this: a group that is written late holds up all that are in it.
_GATHER_S = 0.02


class NotWritten(Exception):
    """The transaction ended in a way that nobody foresaw: the item counts as not stored."""


@dataclass(slots=True, eq=False)
class _Queue(Generic[T]):
    """Those of one event loop that wait, and the task that has them written."""

    waiting: list[tuple[T, asyncio.Future[None]]] = field(default_factory=list)
    writer: asyncio.Task[None] | None = None


class GroupCommit(Generic[T]):
    """`write` commits a group in one transaction; it is called by one thread at a time, with items as they came."""

    def __init__(self, write: Callable[[Sequence[T]], Outcomes]) -> None:
        self._write = write
        self._thread = ThreadPoolExecutor(1, "group-commit")
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue[T]] = WeakKeyDictionary()

    async def __call__(self, item: T) -> None:
        """Return when the item is on disk; raise why it is not."""
        loop = asyncio.get_running_loop()
        queue = self._queues.setdefault(loop, _Queue())
        told = loop.create_future()
        queue.waiting.append((item, told))
        if queue.writer is None:
            queue.writer = loop.create_task(self._write_all(queue))
        await told

    async def _write_all(self, queue: _Queue[T]) -> None:
        """Group after group, until nobody waits."""
        loop = asyncio.get_running_loop()
        try:
            while queue.waiting:
                await _gathered(queue)
                group, queue.waiting = queue.waiting, []
                written = loop.run_in_executor(self._thread, self._write, [item for item, _ in group])
                (outcomes,) = await asyncio.gather(written, return_exceptions=True)
                if isinstance(outcomes, BaseException):
                    outcomes = [outcomes, *[NotWritten("the transaction was given up")] * (len(group) - 1)]
                for (_, told), error in zip(group, outcomes, strict=True):
                    _tell(told, error)
        finally:
            queue.writer = None


async def _gathered(queue: _Queue[T]) -> None:
    """Until nobody else joins."""
    clock = asyncio.get_running_loop().time
    ends, quiet = clock() + _GATHER_S, 0
    while quiet < _QUIET_ROUNDS and clock() < ends:
        before = len(queue.waiting)
        await asyncio.sleep(0)
        quiet = quiet + 1 if len(queue.waiting) == before else 0


def _tell(told: asyncio.Future[None], error: BaseException | None) -> None:
    if told.done():  # whoever waited was cancelled
        return
    if error is None:
        told.set_result(None)
    else:
        told.set_exception(error)
