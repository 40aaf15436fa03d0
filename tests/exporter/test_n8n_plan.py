"""What n8n's triggers plan, and what is due by it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exporter.sources.n8n_plan import plan_of, timezone_of
from handrail.schedule import Cron, Every

ZONE = "Europe/Berlin"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def node(*rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "n8n-nodes-base.scheduleTrigger", "parameters": {"rule": {"interval": list(rules)}}} | fields


@pytest.mark.parametrize(
    ("rule", "plan"),
    [
        ({"field": "minutes", "minutesInterval": 15}, Every(15 * MINUTE, MINUTE)),
        ({"field": "hours", "hoursInterval": 6}, Every(6 * HOUR, HOUR)),
        ({"field": "cronExpression", "expression": "*/15 8-17 * * 1-5"}, Cron("*/15 8-17 * * 1-5", ZONE, MINUTE)),
        ({"field": "cronExpression", "expression": "30 0 9 * * 1"}, Cron("0 9 * * 1", ZONE, MINUTE)),
        # Versions of n8n disagree about the number of a month.
        ({"field": "cronExpression", "expression": "0 9 * 3 *"}, Every(336 * DAY, HOUR)),
        ({"triggerAtHour": 9, "triggerAtMinute": 30}, Cron("30 9 * * *", ZONE, MINUTE)),
        # Without a minute n8n takes one of its own.
        ({"triggerAtHour": 9}, Cron("0 9 * * *", ZONE, HOUR)),
        ({}, Every(DAY, HOUR)),
        ({"triggerAtHour": 9, "daysInterval": 3}, Every(3 * DAY, HOUR)),
        ({"field": "weeks", "triggerAtDay": [1, 5], "triggerAtHour": 7}, Cron("0 7 * * 1,5", ZONE, HOUR)),
        ({"field": "weeks", "triggerAtDay": [], "triggerAtHour": 7}, Cron("0 7 * * *", ZONE, HOUR)),
        ({"field": "months", "triggerAtDayOfMonth": 31, "triggerAtHour": 0, "triggerAtMinute": 5},
         Cron("5 0 31 * *", ZONE, MINUTE)),
    ],
)  # fmt: skip
def test_a_rule_is_a_cron_where_one_can_say_it(rule: dict[str, Any], plan: Any) -> None:
    """Else its largest gap, and an hour for a change of the clock; what n8n chooses by itself is slack."""
    assert plan_of([node(rule)], ZONE) == (plan,)


@pytest.mark.parametrize("rule", [{"field": "cronExpression", "expression": "={{ $json.cron }}"}, {"field": "moons"}])
def test_what_nobody_can_tell_is_no_plan(rule: dict[str, Any]) -> None:
    """An expression, another kind of rule."""
    assert plan_of([node(rule)], ZONE) == ()


def test_without_a_time_zone_only_gaps_are_known() -> None:
    """Nine o'clock anywhere is a day after nine o'clock, or an hour more when the clocks go back."""
    nine = {"field": "cronExpression", "expression": "0 9 * * *"}
    assert plan_of([node(nine)], None) == (Every(DAY, HOUR),)


def test_every_trigger_of_a_workflow_plans() -> None:
    """The older nodes by their gaps; one that is switched off plans nothing, nor does a webhook."""
    interval = {"type": "n8n-nodes-base.interval", "parameters": {"interval": 10, "unit": "minutes"}}
    off = node({"field": "minutes"}, disabled=True)
    webhook = {"type": "n8n-nodes-base.webhook"}
    assert plan_of([interval, off, webhook, node({"field": "hours"})], ZONE) == (
        Every(10 * MINUTE, MINUTE),
        Every(HOUR, MINUTE),
    )


def test_a_run_at_any_moment_that_n8n_may_choose_is_in_time() -> None:
    """Of a rule for nine o'clock without a minute: run at 9:00:30 and at 9:59:30, the next day's is due by ten."""
    (plan,) = plan_of([node({"triggerAtHour": 9})], ZONE)
    day = datetime(2026, 11, 23, 9, tzinfo=ZoneInfo(ZONE))
    for run in (day + timedelta(seconds=30), day + timedelta(minutes=59, seconds=30)):
        assert plan.due_after(run) == day + DAY + HOUR


@pytest.mark.parametrize(
    ("settings", "instance", "zone"),
    [
        ({}, None, None),
        ({"timezone": "DEFAULT"}, ZONE, ZONE),
        ({}, ZONE, ZONE),
        ({"timezone": "Asia/Kolkata"}, ZONE, "Asia/Kolkata"),
        ({"timezone": "Mars/Base"}, ZONE, None),
        ({"timezone": 7}, ZONE, None),
    ],
)
def test_the_workflows_own_time_zone_goes_first(settings: Any, instance: str | None, zone: str | None) -> None:
    """One that is not known is not taken for another."""
    assert timezone_of(settings, instance) == zone
