"""What one set of Cloudflare's analytics is to the source that reads it: a name, a way to read it, what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from exporter.sources import Count, Gauge, State
from exporter.sources.reading import Json
from exporter.sources.windows import Window

OTHER = "other"


class Ask(Protocol):
    """One query. Fields are written as paths, e.g. sum.requests; an optional one is absent where it is not offered."""

    def __call__(
        self, node: str, window: Window, *, required: Sequence[str], optional: Sequence[str] = (), whole: bool = False
    ) -> list[Json]:
        """The rows of a window. `whole` forbids to make the answer up from parts. Raises SourceDown."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a window held: `memory` is for the next one, `gap` are calls that were lost, `notes` go to the log."""

    memory: State
    counts: tuple[Count, ...] = ()
    gap: int = 0
    notes: tuple[str, ...] = ()


def _nothing(_memory: State, _now: datetime) -> tuple[Gauge, ...]:
    return ()


def _as_it_is(until: datetime) -> datetime:
    return until


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset. `node` is its name at Cloudflare, `name` the value of our label.

    `zeros` are counts known from the start; `ready` says up to when it can be read, given what the clock would allow;
    `newest_only` is for readings that are worth nothing once a newer one exists.
    """

    name: str
    node: str
    read: Callable[[State, Window, Ask], Reading]
    gauges: Callable[[State, datetime], tuple[Gauge, ...]] = _nothing
    zeros: tuple[Count, ...] = ()
    ready: Callable[[datetime], datetime] = _as_it_is
    newest_only: bool = False


class Names:
    """The first `limit` names that were ever seen; any further one is `other`, so that series stay few for good."""

    def __init__(self, seen: Iterable[str], limit: int) -> None:
        self._seen = dict.fromkeys(seen)
        self._limit = limit
        self.full = False

    def label(self, name: str) -> str:
        """The name, or `other`."""
        if name not in self._seen:
            if len(self._seen) >= self._limit:
                self.full = True
                return OTHER
            self._seen[name] = None
        return name

    @property
    def seen(self) -> list[str]:
        """The names in the order they were seen."""
        return list(self._seen)


def number(row: Json, group: str, field: str) -> float:
    """A number of a row; 0 where it is missing, never less than 0."""
    inner = row.get(group)
    value = inner.get(field) if isinstance(inner, dict) else None
    return max(0.0, float(value)) if isinstance(value, int | float) else 0.0


def text(row: Json, group: str, field: str) -> str:
    """A text of a row; empty where it is missing."""
    inner = row.get(group)
    value = inner.get(field) if isinstance(inner, dict) else None
    return value if isinstance(value, str) else ""
