"""When a workflow's triggers plan to run it: what is due after any moment, and surely not sooner. Pure.

n8n adds a second to a rule, and to what a rule leaves open a minute or an hour, by a hash of its own; so a run comes
some time after the beginning of its minute (hour), which is the plan's slack. Times of day mean something only where
the time zone is known: the workflow's own, else what the settings say of this n8n. Everything else is planned no
further than its largest gap, and an hour later where a change of the clock may lie in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from exporter.sources.n8n_schedule import gaps_of, rules_of, schedule_number
from exporter.sources.reading import Json, listing, mapping
from handrail.schedule import Cron, Every, Schedule, is_timezone, parse_schedule

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_DEFAULT = "DEFAULT"
_FIELDS, _WITH_SECONDS = 5, 6


def plan_of(nodes: Iterable[object], timezone: str | None) -> tuple[Schedule, ...]:
    """What each trigger plans; the earliest of them is what is due. Empty where nothing is planned or can be told."""
    return tuple(schedule for node in nodes for schedule in _of_node(mapping(node), timezone))


def timezone_of(settings: Json, instance: str | None) -> str | None:
    """The time zone that the workflow is set to, else that of its n8n; None where nobody says."""
    own = settings.get("timezone", _DEFAULT)
    if own == _DEFAULT:
        return instance
    return own if isinstance(own, str) and is_timezone(own) else None


def _of_node(node: Json, timezone: str | None) -> Iterator[Schedule]:
    if node.get("disabled") is not True and node.get("type") == "n8n-nodes-base.scheduleTrigger":
        for rule, gap in rules_of(node):
            exact = _cron(rule) if timezone else None
            if exact:
                yield Cron(exact.expression, timezone or "UTC", exact.slack)
            elif gap:
                yield _bounded(gap)
        return
    yield from (_bounded(gap) for gap in gaps_of(node) if gap)


def _bounded(gap: int) -> Every:
    interval = timedelta(seconds=gap)
    return Every(interval, slack=_HOUR if interval > _HOUR else _MINUTE)


def _cron(rule: Json) -> Cron | None:
    """The rule as a cron whose slack covers what n8n chooses; None where a cron cannot say it."""
    field = rule.get("field", "days")
    if field == "cronExpression":
        return _expression(str(rule.get("expression", "")))
    minute, hour = schedule_number(rule.get("triggerAtMinute")), schedule_number(rule.get("triggerAtHour"))
    if hour is None or schedule_number(rule.get(f"{field}Interval", 1)) != 1:
        return None
    slack = _MINUTE if minute is not None else _HOUR
    days = [schedule_number(day) for day in listing(rule.get("triggerAtDay", [0]))]
    match field:
        case "days":
            return _known(f"{minute or 0} {hour} * * *", slack)
        case "weeks" if None not in days:
            return _known(f"{minute or 0} {hour} * * {','.join(map(str, days)) or '*'}", slack)
        case "months" if (day := schedule_number(rule.get("triggerAtDayOfMonth"))) is not None:
            return _known(f"{minute or 0} {hour} {day} * *", slack)
    return None


def _expression(text: str) -> Cron | None:
    """Of five fields, or of six with seconds, which are slack. Versions of n8n number the months from 0 or from 1."""
    fields = text.split()
    if len(fields) not in (_FIELDS, _WITH_SECONDS) or fields[-2] != "*":
        return None
    return _known(" ".join(fields[-_FIELDS:]), _MINUTE)


def _known(expression: str, slack: timedelta) -> Cron | None:
    try:
        schedule = parse_schedule(expression)
    except ValueError:
        return None
    return Cron(expression, slack=slack) if isinstance(schedule, Cron) else None
