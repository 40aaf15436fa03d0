"""When an agent should be called: `every 15m`, or a cron with an optional time zone; and when it is due next. Pure.

In an hour in which the clocks change nothing is due: some schedulers run a job of the hour that is skipped, or of the
one that comes twice, once, some twice and some not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from handrail.quantities import format_duration, parse_duration

_FIELDS = 5
_EXAMPLES = "write e.g. every 15m, or a cron of five fields with or without a time zone: 0 9 * * 1-5 Europe/Berlin"
# The clock of whoever calls may be so far ahead: a call that comes so early is the one that is due.
EARLY = timedelta(minutes=1)
_ANY_TIME = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Every:
    """Called at least every so often; `slack` is how much later than that is still in time."""

    interval: timedelta
    slack: timedelta = timedelta(0)

    def due_after(self, moment: datetime) -> datetime | None:
        """When the first call after `moment` is due."""
        return moment + self.interval + self.slack

    def __str__(self) -> str:
        return f"every {format_duration(self.interval)}"


@dataclass(frozen=True, slots=True)
class Cron:
    """Called at the times of a cron expression (as Debian's cron reads it) on the clocks of `timezone`.

    `slack` is how much later than that is still in time.
    """

    expression: str
    timezone: str = "UTC"
    slack: timedelta = timedelta(0)

    def due_after(self, moment: datetime) -> datetime | None:
        """When the first call after `moment` is due, in UTC; None if there is none."""
        zone = ZoneInfo(self.timezone)
        # On the clock on the wall: cronsim's own handling of changes would expect what some schedulers leave out.
        times: Iterator[datetime] = CronSim(self.expression, (moment + EARLY).astimezone(zone).replace(tzinfo=None))
        for wall in times:
            time = wall.replace(tzinfo=zone)
            if time.utcoffset() == time.replace(fold=1).utcoffset():
                return time.astimezone(UTC) + self.slack
        return None

    def __str__(self) -> str:
        return self.expression if self.timezone == "UTC" else f"{self.expression} {self.timezone}"


Schedule = Every | Cron


def parse_schedule(text: str) -> Schedule:
    """The schedule written as `every 15m` or as a cron with or without a time zone; ValueError says how to mend it."""
    words = text.split()
    if words[:1] == ["every"]:
        interval = parse_duration(" ".join(words[1:]))
        if not interval:
            raise ValueError(f"{text!r} is always; {_EXAMPLES}")
        return Every(interval)
    if len(words) not in (_FIELDS, _FIELDS + 1):
        raise ValueError(f"{text!r} is not a schedule; {_EXAMPLES}")
    expression, timezone = " ".join(words[:_FIELDS]), (*words[_FIELDS:], "UTC")[0]
    if not is_timezone(timezone):
        raise ValueError(f"{timezone!r} is not a time zone; write its name, e.g. Europe/Berlin or UTC")
    try:
        times = CronSim(expression, _ANY_TIME)
    except CronSimError as error:
        # cronsim speaks of a bad field also when no month has such a day.
        raise ValueError(
            f"{expression!r} is not a cron that ever runs ({str(error)[:1].lower()}{str(error)[1:]}); {_EXAMPLES}"
        ) from error
    if next(times, None) is None:
        raise ValueError(f"{expression!r} is not a cron that ever runs; {_EXAMPLES}")
    return Cron(expression, timezone)


def is_timezone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones, or a path out of them, is none
        return False
    return True
