"""A database whose process dies between two statements, and is opened again by the next one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import MetaData, delete, event

from handrail.database import create_engine


class Killed(BaseException):
    """The process ended here. Not an Exception, so that no code can take it for a failure it knows how to handle."""


class Mortal:
    """Opens the database, and dies at the statement or commit that it is told; what it did before stays counted."""

    def __init__(self, url: str) -> None:
        self.points = 0
        self.dies_at: int | None = None
        self.engine = create_engine(url)
        event.listen(self.engine, "before_cursor_execute", self._step)
        event.listen(self.engine, "commit", self._step)

    def _step(self, *_: Any) -> None:
        point, self.points = self.points, self.points + 1
        if point == self.dies_at:
            raise Killed

    def reopen(self) -> None:
        """Let go of every connection, as a process that ends does."""
        self.dies_at = None
        self.engine.dispose()

    def survives(self, act: Callable[[], object], *, dies_after: int | None) -> bool:
        """Do it, dying after so many statements and commits; whether it was done before that."""
        self.dies_at = None if dies_after is None else self.points + dies_after
        try:
            act()
        except Killed:
            return False
        self.dies_at = None
        return True

    def empty(self, metadata: MetaData) -> None:
        """Delete every row."""
        self.dies_at = None
        with self.engine.begin() as connection:
            for table in metadata.sorted_tables:
                connection.execute(delete(table))
