"""How many rows of a gateway's log were read, minute by minute: the log's side of the cross-check. Pure.

A tally holds what was read of all agents, watched or not, because Cloudflare's own count does not know them. It has an
entry for every minute that was read as a whole, also for those without a row; a minute without an entry is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.sources.windows import MINUTE, Window, next_minute, whole_minute

KEEP = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Log:
    """What was read of a gateway's log; before `final` no row will be read that was not yet."""

    final: datetime
    tally: Mapping[str, int]

    def rows(self, window: Window) -> int | None:
        """How many rows were read of a window; None unless every minute of it was, for good, and is still known."""
        minutes = list(_minutes(window.since, window.until))
        if window.until > self.final or any(minute not in self.tally for minute in minutes):
            return None
        return sum(self.tally[minute] for minute in minutes)


def tallied(tally: Mapping[str, int], rows: Iterable[datetime], *, since: datetime, until: datetime) -> dict[str, int]:
    """The tally after all rows from `since` up to `until` were read again; `rows` are their times, each row once.

    A minute that was read in part is left as it was: a later window, which overlaps, reads it whole.
    """
    fresh = dict.fromkeys(_minutes(next_minute(since), whole_minute(until)), 0)
    fresh |= {minute: count for minute, count in Counter(map(_key, rows)).items() if minute in fresh}
    oldest = _key(until - KEEP)
    return {minute: count for minute, count in ({**tally} | fresh).items() if minute >= oldest}


def _minutes(since: datetime, until: datetime) -> Iterator[str]:
    at = since
    while at < until:
        yield _key(at)
        at += MINUTE


def _key(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")
