"""Which stretches of time are read next: closed windows on whole minutes that never overlap and leave nothing out.

What a service no longer shows is left out, and said to be. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` up to, and without, `until`; both on whole minutes."""

    since: datetime
    until: datetime

    def halves(self) -> tuple[Window, Window] | None:
        """Two windows that make up this one; None when it is a minute long and cannot be divided."""
        middle = whole_minute(self.since + (self.until - self.since) / 2)
        return None if middle <= self.since else (Window(self.since, middle), Window(middle, self.until))


@dataclass(frozen=True, slots=True)
class Plan:
    """The windows to read, oldest first, and how much time before them can no longer be read."""

    windows: tuple[Window, ...]
    lost: timedelta = timedelta(0)


def whole_minute(moment: datetime) -> datetime:
    """The moment, cut down to its minute."""
    return moment.replace(second=0, microsecond=0)


def next_minute(moment: datetime) -> datetime:
    """The first whole minute that is not before the moment."""
    cut = whole_minute(moment)
    return cut if cut == moment else cut + MINUTE


def plan(reached: datetime, until: datetime, *, oldest: datetime | None, longest: timedelta, pieces: int) -> Plan:
    """The next `pieces` windows of at most `longest` between what was reached and `until`, none before `oldest`."""
    since = reached
    if oldest is not None and reached < (begin := next_minute(oldest)):
        since = min(begin, max(until, reached))
    windows: list[Window] = []
    at = since
    while at < until and len(windows) < pieces:
        end = min(until, at + longest)
        windows.append(Window(at, end))
        at = end
    return Plan(tuple(windows), since - reached)


def newest(reached: datetime, until: datetime, *, longest: timedelta) -> Plan:
    """The last window before `until`, for readings of which only the newest one means anything."""
    since = max(reached, until - longest)
    return Plan((Window(since, until),) if since < until else ())
