"""Cron runs, and those that did not come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.exporter.analytics_reading import ALL_WORKERS, Reading, analytics_reading, minutes

CRON = "*/10 * * * *"


@pytest.fixture
def reading(clock: Any) -> Iterator[Reading]:
    with analytics_reading(clock) as opened:
        opened.poll()
        yield opened


def run(reading: Reading, *after: float, cron: str = CRON, **facts: Any) -> None:
    """Runs so many minutes after noon."""
    start = reading.clock.now()
    for each in after:
        reading.analytics.run_cron("support-bot", cron, start + minutes(each), **facts)


def finish(reading: Reading, hours: float = 3, step_s: int = 300) -> None:
    for _ in range(int(hours * 3600 / step_s)):
        reading.clock.advance(step_s)
        assert reading.poll().trouble is None


def missed(reading: Reading, cron: str = CRON) -> float:
    return reading.total("worker_cron_missed", worker="support-bot", cron=cron)


def runs(reading: Reading, cron: str = CRON, status: str = "success") -> float:
    return reading.total("worker_cron_runs", worker="support-bot", cron=cron, status=status)


def test_runs_are_counted_and_none_is_missed(reading: Reading) -> None:
    """Every run once, by status; a failed run did run."""
    run(reading, *range(10, 160, 10))
    run(reading, 160, status="exceededCpu")
    run(reading, *range(170, 240, 10))
    finish(reading)
    assert (runs(reading), runs(reading, status="exceededCpu")) == (15, 1)
    assert missed(reading) == 0


def test_a_run_that_does_not_come_is_missed_once(reading: Reading) -> None:
    """Also when windows end between its time and the next one."""
    run(reading, *[each for each in range(10, 240, 10) if each not in (50, 90)])
    finish(reading)
    assert missed(reading) == 2


@pytest.mark.parametrize(("late_s", "count"), [(9 * 60, 0), (15 * 60, 1)])
def test_a_late_run_is_not_missed_within_ten_minutes(reading: Reading, late_s: float, count: int) -> None:
    """A run belongs to the time it was planned for, not to the one it began at."""
    run(reading, 10, 20, *range(40, 240, 10))
    run(reading, 30, late_s=late_s)
    finish(reading)
    assert missed(reading) == count
    assert runs(reading) == 16


def test_missed_runs_begin_at_zero_with_the_first_run(reading: Reading) -> None:
    """A cron is known from its first run on."""
    run(reading, 10)
    reading.clock.advance(26 * 60)
    reading.poll()
    assert (
        "worker_cron_missed",
        (("cron", CRON), ("source", "cloudflare-analytics/main"), ("worker", "support-bot")),
    ) in (reading.totals)
    assert missed(reading) == 0


def test_a_cron_that_stopped_is_missed_until_it_is_taken_to_be_gone(reading: Reading) -> None:
    """A day after its last run nothing is expected any more, and a run makes it expected again."""
    hourly = "0 * * * *"
    run(reading, 60, 120, cron=hourly)
    finish(reading, 40, 1800)
    stopped = missed(reading, hourly)
    assert 24 <= stopped <= 26
    finish(reading, 10, 1800)
    assert missed(reading, hourly) == stopped
    start = reading.clock.now().replace(minute=0, second=0) + timedelta(hours=1)
    reading.analytics.run_cron("support-bot", hourly, start)
    finish(reading, 3.5, 1800)
    assert missed(reading, hourly) == stopped + 2


def test_a_rare_cron_is_not_taken_to_be_gone_after_a_day(reading: Reading) -> None:
    """Three runs must be missing."""
    daily = "0 0 * * *"
    run(reading, 12 * 60, cron=daily)
    finish(reading, 24 * 3, 1800)
    assert missed(reading, daily) == 2


def test_an_outage_of_the_api_misses_nothing(reading: Reading) -> None:
    """What ran meanwhile is found afterwards."""
    run(reading, *range(10, 600, 10))
    finish(reading, 1)
    reading.cloudflare.faults.set("unavailable")
    for _ in range(48):
        reading.clock.advance(300)
        reading.poll()
    reading.cloudflare.faults.clear()
    finish(reading, 4)
    assert missed(reading) == 0


def test_a_hole_in_what_can_be_read_is_no_missed_run(reading: Reading) -> None:
    """Time that Cloudflare no longer shows says nothing about runs."""
    reading.dataset("workersInvocationsScheduled").not_older_than = 3600
    run(reading, *range(10, 1200, 10))
    finish(reading, 1)
    reading.clock.advance(15 * 3600)
    finish(reading, 2)
    assert missed(reading) == 0
    assert reading.total("source_dataset_lost_seconds", dataset="worker_crons") > 13 * 3600


def test_an_expression_that_is_not_understood_is_counted_without_expectations(reading: Reading) -> None:
    """Its runs count; what it asks for is not guessed, and nothing piles up for it."""
    run(reading, 10, 20, 30, cron="0 9 15W * *")
    finish(reading)
    assert runs(reading, "0 9 15W * *") == 3
    assert missed(reading, "0 9 15W * *") == 0
    (cron,) = reading.state["datasets"]["worker_crons"]["memory"]["crons"].values()
    assert cron["ran"] == []


def test_crons_are_few_for_good(clock: Any) -> None:
    """The first hundred keep their labels, and the others add up."""
    with analytics_reading(clock, ALL_WORKERS) as reading:
        reading.poll()
        for number in range(130):
            reading.analytics.run_cron(f"script-{number}", "*/10 * * * *", clock.now() + minutes(10))
        finish(reading, 1)
        named = {key for (metric, key) in reading.totals if metric == "worker_cron_runs"}
        assert len(named) == 101
        assert reading.total("worker_cron_runs", worker="other", cron="other", status="success") == 30
