"""When an agent's next call is due: by its plan, its last call and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine

from exporter.health import SourceHealth
from exporter.ledger import Ledger
from exporter.metrics import LedgerCollector
from exporter.sources import Gauge
from handrail.schedule import Cron, Every, Schedule
from handrail.settings import Settings, parse
from tests.exporter.making import CONFIG, SOURCE, START, StandingClock, batch, call

DECLARED = CONFIG.replace("workflow: A}", "workflow: A}, schedule: '30 12 * * 1-5'")
QUARTER = {"a": (Every(timedelta(minutes=15)),)}


class Watching:
    """A ledger, its clock, and what a scrape of it says."""

    def __init__(self, engine: Engine, config: str) -> None:
        self.clock = StandingClock()
        self.engine = engine
        self.use(config)

    def use(self, config: str) -> None:
        """Begin anew on the same ledger."""
        self.settings: Settings = parse(config, environ={})
        self.ledger = Ledger(self.engine, self.settings, self.clock)
        self.registry = CollectorRegistry()
        self.registry.register(LedgerCollector(self.settings, self.ledger, [SourceHealth(SOURCE)]))

    def due(self, agent: str = "a") -> tuple[str, datetime] | None:
        """Who says that the agent's next call is due, and when; None for no series."""
        begin = f'handrail_agent_next_call_due_timestamp_seconds{{agent="{agent}",basis="'
        for line in generate_latest(self.registry).decode().splitlines():
            if line.startswith(begin):
                basis, value = line.removeprefix(begin).split('"} ')
                return basis, datetime.fromtimestamp(float(value), UTC)
        return None

    def value(self, series: str) -> float | None:
        """The value of a series."""
        lines = generate_latest(self.registry).decode().splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{series} ")), None)

    def poll(self, *calls: Any, plans: Mapping[str, tuple[Schedule, ...]] = {}, **fields: Any) -> None:
        self.ledger.commit(SOURCE, batch(*calls, plans=plans, **fields))


@pytest.fixture
def watching(engine: Engine) -> Watching:
    return Watching(engine, CONFIG)


@pytest.fixture
def declared(engine: Engine) -> Watching:
    return Watching(engine, DECLARED)


def test_an_agent_without_a_plan_has_no_due_time(watching: Watching) -> None:
    """Nobody said when it is called."""
    watching.poll(call(1))
    assert watching.due() is None


def test_what_was_due_before_the_plan_was_known_is_not_asked_for(watching: Watching) -> None:
    """An agent that never made a call is due once after it was first seen."""
    watching.poll(plans=QUARTER)
    assert watching.due() == ("n8n", START + timedelta(minutes=15))


def test_a_call_moves_the_due_time_on(watching: Watching) -> None:
    """From the end of the last call, however late it was; time alone moves nothing."""
    watching.poll(plans=QUARTER)
    watching.clock.advance(7200)
    watching.poll(plans=QUARTER)
    assert watching.due() == ("n8n", START + timedelta(minutes=15))
    watching.poll(call(7200), plans=QUARTER)
    assert watching.due() == ("n8n", START + timedelta(seconds=7200, minutes=15))


def test_a_run_under_way_is_a_call(watching: Watching) -> None:
    """A run of hours is not silence: the start of the newest that runs or waits counts, too."""
    begun = START + timedelta(minutes=14)
    newest = Gauge("newest_running_call_timestamp_seconds", begun.timestamp(), {"agent": "a"})
    watching.poll(plans=QUARTER, gauges=(newest,))
    assert watching.due() == ("n8n", begun + timedelta(minutes=15))


def test_a_restart_changes_nothing(watching: Watching) -> None:
    """The plan and since when it holds are in the ledger."""
    watching.poll(call(1), plans=QUARTER)
    before = watching.due()
    watching.clock.advance(86_400)
    watching.use(CONFIG)
    assert watching.due() == before
    watching.poll(plans=QUARTER)
    assert watching.due() == before


def test_an_agent_that_is_switched_on_again_begins_anew(declared: Watching) -> None:
    """While it is off nothing is due; afterwards nothing that came due meanwhile."""
    declared.poll(enabled={"a": True})
    assert declared.due() == ("declared", START + timedelta(minutes=30))
    declared.poll(enabled={"a": False})
    assert declared.due() is None
    declared.clock.advance(3600)
    declared.poll(enabled={"a": True})
    assert declared.due() == ("declared", START + timedelta(days=1, minutes=30))


def test_a_changed_plan_begins_anew(watching: Watching) -> None:
    """A workflow that ran daily and now runs every minute is not late for the minutes of before."""
    watching.poll(plans={"a": (Cron("0 9 * * *"),)})
    watching.clock.advance(3600)
    watching.poll(plans={"a": (Every(timedelta(minutes=1)),)})
    assert watching.due() == ("n8n", START + timedelta(minutes=61))
    watching.poll()
    assert watching.due() is None


def test_what_is_declared_goes_before_the_workflows_own_plan(declared: Watching) -> None:
    """Also in the longest silence that is planned: from Friday to Monday."""
    gap = Gauge("agent_schedule_interval_seconds", 900, {"agent": "a"})
    declared.poll(plans=QUARTER, gauges=(gap,))
    assert declared.due() == ("declared", START + timedelta(minutes=30))
    assert declared.value('handrail_agent_schedule_interval_seconds{agent="a"}') == 3 * 86_400


def test_of_several_triggers_the_earliest_counts(watching: Watching) -> None:
    """Each of them should have run the agent."""
    watching.poll(plans={"a": (Cron("0 18 * * *"), Cron("0 13 * * *"))})
    assert watching.due() == ("n8n", START + timedelta(hours=1))


def test_a_discovered_agent_is_expected_as_long_as_it_is_there(engine: Engine) -> None:
    """Its series end with it."""
    watching = Watching(engine, CONFIG)
    watching.poll(plans={"b": QUARTER["a"]}, agents=frozenset({"b"}))
    assert watching.due("b") == ("n8n", START + timedelta(minutes=15))
    watching.poll()
    assert watching.due("b") is None


def test_the_time_of_the_last_gap_is_kept(watching: Watching) -> None:
    """0 before the first; polls without one leave it."""
    series = f'handrail_source_coverage_gap_last_timestamp_seconds{{source="{SOURCE}"}}'
    watching.poll()
    assert watching.value(series) == 0
    watching.poll(gap=2)
    watching.clock.advance(60)
    watching.poll()
    assert watching.value(series) == START.timestamp()
