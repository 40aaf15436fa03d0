"""How long a workflow may be silent by its own plan."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.sources.n8n_schedule import cron_gap, schedule_interval
from tests.exporter.n8n_recorded import recorded
from tests.thorough import examples

MINUTE, HOUR, DAY = 60, 3600, 86400


def node(*rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "n8n-nodes-base.scheduleTrigger", "parameters": {"rule": {"interval": list(rules)}}} | fields


def old_node(*times: dict[str, Any]) -> dict[str, Any]:
    return {"type": "n8n-nodes-base.cron", "parameters": {"triggerTimes": {"item": list(times)}}}


@pytest.mark.parametrize(
    ("rule", "gap"),
    [
        ({"field": "seconds", "secondsInterval": 5}, 5),
        ({"field": "seconds"}, 30),
        ({"field": "minutes", "minutesInterval": 15}, 15 * MINUTE),
        ({"field": "minutes"}, 5 * MINUTE),
        ({"field": "hours"}, HOUR),
        ({"field": "hours", "hoursInterval": 6}, 6 * HOUR),
        # 0, 5, 10, 15 and 20 o'clock; midnight is too soon after that, so the next run is at 5.
        ({"field": "hours", "hoursInterval": 5}, 9 * HOUR),
        ({}, DAY),
        ({"field": "days", "daysInterval": 3, "triggerAtHour": 9}, 3 * DAY),
        ({"field": "weeks"}, 7 * DAY),
        ({"field": "weeks", "triggerAtDay": [1, 2, 3, 4, 5]}, 3 * DAY),
        ({"field": "weeks", "weeksInterval": 2, "triggerAtDay": [1, 5]}, 10 * DAY),
        ({"field": "weeks", "triggerAtDay": []}, DAY),
        ({"field": "months"}, 31 * DAY),
        ({"field": "months", "triggerAtDayOfMonth": 31}, 61 * DAY),
        ({"field": "months", "monthsInterval": 3}, 92 * DAY),
        ({"field": "months", "monthsInterval": 5}, 7 * 31 * DAY),
        ({"field": "months", "monthsInterval": 12}, None),
        ({"field": "cronExpression", "expression": "0 9 * * 1-5"}, 3 * DAY),
        ({"field": "cronExpression", "expression": "={{ $json.cron }}"}, None),
        ({"field": "minutes", "minutesInterval": "={{ 5 }}"}, None),
        ({"field": "minutes", "minutesInterval": "10"}, 10 * MINUTE),
        ({"field": "minutes", "minutesInterval": 0}, None),
        ({"field": "fortnights"}, None),
    ],
)
def test_a_rule_of_the_schedule_trigger_bounds_the_silence(rule: dict[str, Any], gap: int | None) -> None:
    """Each unit with its defaults, as n8n's node plans them."""
    assert schedule_interval([node(rule)]) == gap


@pytest.mark.parametrize(
    ("time", "gap"),
    [
        ({"mode": "everyMinute"}, MINUTE),
        ({"mode": "everyHour", "minute": 7}, HOUR),
        ({}, DAY),
        ({"mode": "everyWeek", "weekday": "1"}, 7 * DAY),
        ({"mode": "everyMonth", "dayOfMonth": 15}, 31 * DAY),
        ({"mode": "everyX", "value": 10, "unit": "minutes"}, 10 * MINUTE),
        ({"mode": "everyX"}, 2 * HOUR),
        ({"mode": "custom", "cronExpression": "*/10 * * * * *"}, 10),
        ({"mode": "never"}, None),
    ],
)
def test_the_older_cron_node_is_understood(time: dict[str, Any], gap: int | None) -> None:
    """Workflows that were never touched since still have it."""
    assert schedule_interval([old_node(time)]) == gap


@pytest.mark.parametrize(
    ("expression", "gap"),
    [
        ("* * * * *", MINUTE),
        ("*/15 * * * *", 15 * MINUTE),
        ("30 8 * * *", DAY),
        ("0 9-17 * * *", 16 * HOUR),
        ("*/5 9-16 * * 1-5", 3 * DAY - (7 * 60 + 55) * MINUTE),
        ("* * * * * 1", 6 * DAY + 1),
        ("0 0 1 1 *", 366 * DAY),
        ("0 0 29 2 *", 1461 * DAY),
        ("15 30 6 * * *", DAY),
        ("0 0 30 2 *", None),
        ("61 * * * *", None),
        ("@daily", None),
        ("", None),
    ],
)
def test_a_cron_expression_has_a_largest_gap(expression: str, gap: int | None) -> None:
    """Five fields, or six with seconds; nights, weekends and short months are gaps."""
    assert cron_gap(expression) == gap


FIELD = st.sampled_from(["*", "*/7", "5", "3-20", "1,20"])


@pytest.mark.property
@settings(max_examples=examples(10))
@given(minute=FIELD, hour=FIELD, weekday=st.sampled_from(["*", "1-5", "0", "2,4"]))
def test_the_gap_is_the_one_that_counting_finds(minute: str, hour: str, weekday: str) -> None:
    """No two neighbouring runs of a fortnight lie further apart, and two do lie so far apart."""
    expression = f"{minute} {hour} * * {weekday}"
    times = islice(CronSim(expression, datetime(2026, 11, 1)), 15 * 24 * 60)  # noqa: DTZ001
    gaps = [later - earlier for earlier, later in pairwise(times) if later < datetime(2026, 11, 16)]  # noqa: DTZ001
    assert max(gaps) == timedelta(seconds=cron_gap(expression) or 0)


def test_several_rules_are_bounded_by_the_most_frequent() -> None:
    """Runs of one rule do not make those of another rarer; a rule that nobody understands takes nothing away."""
    rules = [{"field": "days"}, {"field": "minutes", "minutesInterval": 20}, {"field": "fortnights"}]
    assert schedule_interval([node(*rules), old_node({"mode": "everyHour"})]) == 20 * MINUTE


def test_without_a_schedule_there_is_no_gap() -> None:
    """Webhooks plan nothing, a node that is switched off plans nothing, and nonsense is no plan."""
    assert schedule_interval([]) is None
    assert schedule_interval([{"type": "n8n-nodes-base.webhook"}, None, node({}, disabled=True)]) is None
    assert schedule_interval([{"type": "n8n-nodes-base.scheduleTrigger", "parameters": {"rule": 7}}]) is None


def test_a_trigger_as_it_was_first_placed_runs_daily() -> None:
    """n8n leaves a parameter out while it has its default."""
    assert schedule_interval([{"type": "n8n-nodes-base.scheduleTrigger", "parameters": {}}]) == DAY


def test_a_recorded_workflow_has_its_interval(contracts: Path) -> None:
    """As a real n8n lists it: every five seconds."""
    assert schedule_interval(recorded(contracts, "publish_schedule")["nodes"]) == 5
