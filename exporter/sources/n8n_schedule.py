"""How long a workflow with a schedule may be silent: the largest gap between two runs that its triggers plan. Pure.

Gaps are seconds of a day without a change of the clock. Several rules together run at least as often as the one with
the smallest gap, so that gap is an upper bound; what cannot be understood (an expression, another node) bounds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise, takewhile

from cronsim import CronSim, CronSimError

from exporter.sources.reading import Json, listing, mapping

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_WEEK = 7 * _DAY
_LONGEST_MONTH = 31
# A leap day and the one after it lie in these years, and every other pattern of days many times.
_BEGIN, _YEARS = datetime(2024, 1, 1), timedelta(days=9 * 366)  # noqa: DTZ001 - a calendar, not a moment
_FORTNIGHT = timedelta(days=15)


def schedule_interval(nodes: Iterable[object]) -> int | None:
    """The largest gap in seconds between two planned runs; None where nothing is planned or nobody can tell."""
    gaps = [gap for node in nodes for gap in gaps_of(mapping(node)) if gap]
    return min(gaps, default=None)


def gaps_of(node: Json) -> Iterator[int | None]:
    """The largest gap of each rule of a trigger; None for a rule that nobody understands."""
    parameters = mapping(node.get("parameters"))
    if node.get("disabled") is True:
        return
    match node.get("type"):
        case "n8n-nodes-base.scheduleTrigger":
            yield from (gap for _rule, gap in rules_of(node))
        case "n8n-nodes-base.cron":
            times = listing(mapping(parameters.get("triggerTimes")).get("item"))
            yield from (_time_gap(mapping(time)) for time in times)
        case "n8n-nodes-base.interval":
            unit = {"seconds": 1, "minutes": _MINUTE, "hours": _HOUR}.get(str(parameters.get("unit", "seconds")))
            count = schedule_number(parameters.get("interval", 1))
            yield count * unit if unit and count else None


def rules_of(node: Json) -> Iterator[tuple[Json, int | None]]:
    """The rules of a Schedule Trigger with the largest gap of each."""
    # n8n leaves out what has its default: the rule is then one run a day.
    rule = mapping(mapping(node.get("parameters")).get("rule", {"interval": [{}]}))
    yield from ((mapping(one), _rule_gap(mapping(one))) for one in listing(rule.get("interval")))


def _rule_gap(rule: Json) -> int | None:
    """A rule of the Schedule Trigger node."""
    field = rule.get("field", "days")
    if field == "cronExpression":
        return cron_gap(str(rule.get("expression", "")))
    every = schedule_number(rule.get(f"{field}Interval", {"seconds": 30, "minutes": 5}.get(str(field), 1)))
    if not every:
        return None
    match field:
        case "seconds" | "minutes":
            return every * (1 if field == "seconds" else _MINUTE)
        case "hours":
            return _in_cycle(every, 24) * _HOUR
        case "days":
            return every * _DAY
        case "weeks":
            days = [day for day in map(schedule_number, listing(rule.get("triggerAtDay", [0]))) if day is not None]
            return _days_gap(days or list(range(7)), every)
        case "months" if every < 12 and 12 % every == 0:
            return cron_gap(f"0 0 {rule.get('triggerAtDayOfMonth', 1)} */{every} *")
        case "months" if every < 12:
            return _in_cycle(every, 12) * _LONGEST_MONTH * _DAY
    return None


def _in_cycle(every: int, length: int) -> int:
    """n8n begins a day (a year) anew with its first hour (month), but not sooner than `every` after the last one."""
    left = length - every * ((length - 1) // every)
    return every if left >= every else left + every


def _days_gap(days: list[int], weeks: int) -> int:
    """Runs on these days (0 is Sunday, when n8n's week begins) of every so-manyth week."""
    ordered = sorted(set(days))
    within = max((later - earlier for earlier, later in pairwise(ordered)), default=0) * _DAY
    return max(within, weeks * _WEEK - (ordered[-1] - ordered[0]) * _DAY)


def _time_gap(time: Json) -> int | None:
    """A time of the older Cron node."""
    value = schedule_number(time.get("value", 2))
    match time.get("mode", "everyDay"):
        case "everyMinute":
            return _MINUTE
        case "everyHour":
            return _HOUR
        case "everyX" if value:
            return cron_gap(f"*/{value} * * * *" if time.get("unit", "hours") == "minutes" else f"0 */{value} * * *")
        case "everyDay":
            return _DAY
        case "everyWeek":
            return _WEEK
        case "everyMonth":
            return cron_gap(f"0 0 {time.get('dayOfMonth', 1)} * *")
        case "custom":
            return cron_gap(str(time.get("cronExpression", "")))
    return None


@lru_cache(maxsize=1024)
def cron_gap(expression: str) -> int | None:
    """The largest gap in seconds that a cron expression of five fields, or of six with seconds, leaves."""
    fields = expression.split()
    if len(fields) not in (5, 6):
        return None
    second, minute, hour, day, month, weekday = fields if len(fields) == 6 else ["0", *fields]
    horizon = _FORTNIGHT if (day, month) == ("*", "*") else _YEARS
    try:
        days = [time.toordinal() for time in _times(f"0 0 {day} {month} {weekday}", horizon)]
        minutes = [time.hour * 60 + time.minute for time in _times(f"{minute} {hour} * * *", timedelta(days=1))]
        # Seconds are written like minutes, and can be read as such.
        seconds = [time.minute for time in _times(f"{second} * * * *", timedelta(hours=1))]
    except CronSimError:
        return None
    if len(days) < 2 or not minutes or not seconds:
        return None
    in_a_minute = seconds[-1] - seconds[0]
    in_a_day = (minutes[-1] - minutes[0]) * _MINUTE + in_a_minute
    return max(
        _widest(seconds),
        _widest(minutes) * _MINUTE - in_a_minute,
        _widest(days) * _DAY - in_a_day,
    )


def _times(expression: str, horizon: timedelta) -> list[datetime]:
    # cronsim begins after the moment that it is given.
    times: Iterator[datetime] = CronSim(expression, _BEGIN - timedelta(minutes=1))
    return list(takewhile(lambda time: time < _BEGIN + horizon, times))


def _widest(places: list[int]) -> int:
    return max((later - earlier for earlier, later in pairwise(places)), default=0)


def schedule_number(value: object) -> int | None:
    """A whole number that n8n may have written as text; None for an expression, and for what is none."""
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10**6:
        return None
    return int(value)
