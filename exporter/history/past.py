"""What a source of the past offers, and the one place that decides when to ask again and when to give up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from exporter.history.spool import Spool
from exporter.sources import DownReason, SourceDown
from handrail.clock import Clock

# What may pass by itself. A wrong key or a wrong address does not.
_PASSING: frozenset[DownReason] = frozenset(
    {"unreachable", "timeout", "rate_limited", "budget", "server_error", "not_json"}
)
_TRIES = 5
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Reached:
    """How far reading has come: the moment in the past, how much of the period that is (0 to 1), and calls so far."""

    source: str
    at: datetime
    done: float
    calls: int


class Past(Protocol):
    """A source that can be asked for what ended before now."""

    @property
    def name(self) -> str:
        """As the label `source`."""
        ...

    def read(self, spool: Spool, since: datetime) -> Iterator[Reached]:
        """Put every call that ended at `since` or later into the spool, which may hold some. Raises SourceDown."""
        ...

    def kept_since(self, since: datetime) -> datetime | None:
        """Since when the source still knows its past, if that is later than `since`; None if it goes back so far."""
        ...


def read_patiently(
    past: Past, spool: Spool, since: datetime, clock: Clock, *, say: Callable[[str], None]
) -> Iterator[Reached]:
    """Read to the end through failures that pass; SourceDown for others, and when nothing more comes."""
    failures, furthest = 0, -1.0
    while True:
        try:
            for reached in past.read(spool, since):
                # What was read before is passed again on the way and is no sign of life.
                if reached.done > furthest:
                    failures, furthest = 0, reached.done
                yield reached
        except SourceDown as down:
            failures += 1
            if down.reason not in _PASSING or failures >= _TRIES:
                raise
            wait_s = min(down.retry_after_s or 2.0**failures, _LONGEST_WAIT_S)
            say(f"{past.name}: {down.text}; asking again in {wait_s:.0f} s")
            clock.sleep(wait_s)
        else:
            return
