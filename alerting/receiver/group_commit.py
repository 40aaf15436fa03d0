"""What several threads want to write at one moment is one transaction, and each returns only when it is on disk.

A transaction waits for the disk and for its turn to write. One for each request would be most of what a request costs,
and requests would stand in line for it; so those that come while one is under way share the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

# Why each item is not on disk, in their order; None for one that is.
Outcomes = Sequence[Exception | None]


class NotWritten(Exception):
    """The transaction ended in a way that nobody foresaw: the item counts as not stored."""


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T]):
    item: T
    done: bool = False
    error: Exception | None = None


class GroupCommit(Generic[T]):
    """`write` commits a group in one transaction; it is called by one thread at a time, with items as they came."""

    def __init__(self, write: Callable[[Sequence[T]], Outcomes]) -> None:
        self._write = write
        self._changed = threading.Condition()
        self._waiting: list[_Waiting[T]] = []
        self._writing = False

    def __call__(self, item: T) -> None:
        """Return when the item is on disk; raise why it is not."""
        mine = _Waiting(item)
        with self._changed:
            self._waiting.append(mine)
            while self._writing and not mine.done:
                self._changed.wait()
            if not mine.done:
                self._writing = True
                group, self._waiting = self._waiting, []
        if not mine.done:
            self._lead(group)
        if mine.error is not None:
            raise mine.error

    def _lead(self, group: list[_Waiting[T]]) -> None:
        """Whoever finds that nobody writes does so for all who wait, itself among them."""
        outcomes: Outcomes = [NotWritten("the transaction was given up")] * len(group)
        try:
            outcomes = self._write([each.item for each in group])
        finally:
            with self._changed:
                for each, error in zip(group, outcomes, strict=True):
                    each.error, each.done = error, True
                self._writing = False
                self._changed.notify_all()
