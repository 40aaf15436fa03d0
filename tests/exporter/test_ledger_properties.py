"""Whatever a source repeats, whenever the process dies and wherever the clock jumps: each call counts once."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from exporter.calls import Call, TokenUsage, ToolUse
from exporter.ledger import Ledger
from exporter.metrics import LedgerCollector
from exporter.migrations import MIGRATIONS
from exporter.poller import SourceHealth
from exporter.storage import Storage
from exporter.streaks import Streak
from exporter.tables import metadata
from handrail.database import create_engine, migrate
from handrail.settings import parse
from tests.exporter.crashing import Mortal
from tests.exporter.making import CONFIG, SCHEMAS, SOURCE, StandingClock, batch, call, load
from tests.postgresql import NewDatabase
from tests.thorough import examples

AGENTS = ("a", "b")
TOTAL = 16
SETTINGS = parse(CONFIG)


def made(number: int, slow: bool) -> Call:
    """Every other agent's call; a third of them fail, every fourth uses a tool."""
    failed = number % 3 == 0
    return call(
        number,
        agent=AGENTS[number % 2],
        duration_s=6 if slow else 1,
        outcome="error" if failed else "success",
        error_reason="timeout" if failed else None,
        model=f"m{number % 3}",
        tokens=TokenUsage(number, 1, "actual"),
        attempts=number % 2 + 1,
        tool_calls=number % 4,
        tools=(ToolUse("search", 1),) if number % 4 else (),
        confidence=0.5,
    )


@dataclass
class Truth:
    """What a ledger must say after these calls arrived in this order: plain sums, and a walk for the streak."""

    arrived: list[tuple[Call, float]]

    def totals(self) -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = defaultdict(float)
        for one, _ in self.arrived:
            found["calls", one.agent] += 1
            found["call_errors", one.agent] += one.outcome == "error"
            found["tokens", one.agent] += (one.tokens.tokens_in or 0) + (one.tokens.tokens_out or 0)
            found["attempts", one.agent] += one.attempts
            found["tool_calls", one.agent] += one.tool_calls
            found["call_duration_seconds_sum", one.agent] += one.duration.total_seconds()
        return found

    def observations(self) -> dict[str, int]:
        return Counter(one.agent for one, _ in self.arrived)

    def streak(self, agent: str) -> tuple[int, int, float]:
        length, breaches, last_breach = 0, 0, 0.0
        for one, when in self.arrived:
            if one.agent == agent:
                length = length + 1 if one.duration.total_seconds() > 5 else 0
                breaches += length == 3
                last_breach = when if length >= 3 else last_breach
        return length, breaches, last_breach


class World:
    """A ledger that polls and scrapes reach, with what is true and what Prometheus has seen."""

    def __init__(self, mortal: Mortal, slow: list[bool]) -> None:
        mortal.empty(metadata)
        self.calls = [made(number, slow[number]) for number in range(TOTAL)]
        self.mortal = mortal
        self.clock = StandingClock()
        self.truth = Truth([])
        self.polls = itertools.count(1)
        self.seen: dict[str, float] = {}
        self._begin()

    def _begin(self) -> None:
        self.ledger = Ledger(self.mortal.engine, SETTINGS, self.clock)
        self.registry = CollectorRegistry()
        self.registry.register(LedgerCollector(SETTINGS, self.ledger, [SourceHealth(SOURCE)]))

    def restart(self) -> None:
        self.mortal.reopen()
        self._begin()

    def poll(self, numbers: list[int], dies_after: int | None) -> None:
        """A process that dies tells nobody how far it came; the cursor says whether its calls are in."""
        poll, when = next(self.polls), self.clock.time.timestamp()
        reported = batch(*(self.calls[number] for number in numbers), state={"poll": poll})
        if not self.mortal.survives(lambda: self.ledger.commit(SOURCE, reported), dies_after=dies_after):
            self.restart()
        if self.ledger.state(SOURCE) == {"poll": poll}:
            known = {one.id for one, _ in self.truth.arrived}
            new = {one.id: one for one in reported.calls if one.id not in known}
            self.truth.arrived += [(one, when) for one in sorted(new.values(), key=lambda one: one.finished_at)]

    def prune(self, dies_after: int | None) -> None:
        if not self.mortal.survives(self.ledger.prune, dies_after=dies_after):
            self.restart()

    def scrape(self, dies_after: int | None) -> None:
        """No counter is lower than what any earlier scrape saw."""
        shown: list[bytes] = []
        if not self.mortal.survives(lambda: shown.append(generate_latest(self.registry)), dies_after=dies_after):
            self.restart()
            return
        lines = [line for line in shown[0].decode().splitlines() if not line.startswith("#")]
        now = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
        counters = {name: value for name, value in now.items() if is_counter(name)}
        lower = {name for name, value in self.seen.items() if counters.get(name, 0.0) < value}
        assert not lower
        self.seen = counters

    def check(self) -> None:
        snapshot = self.ledger.snapshot()
        totals: dict[tuple[str, str], float] = defaultdict(float)
        for (metric, agent, _), value in snapshot.totals.items():
            totals[metric, agent] += value
        expected = self.truth.totals()
        assert {key: totals[key] for key in expected} == expected
        for agent in AGENTS:
            streak = snapshot.streaks.get(agent, Streak())
            assert (streak.length, streak.breaches, streak.last_breach) == self.truth.streak(agent)
            for histogram in ("call_duration_seconds", "call_confidence_ratio"):
                found = sum(snapshot.buckets.get((histogram, agent), {}).values())
                assert found == self.truth.observations().get(agent, 0)


def is_counter(sample: str) -> bool:
    """Counters of the ledger; those of this process begin anew with it."""
    name = sample.partition("{")[0]
    if name.startswith(("handrail_source_", "handrail_ledger_")):
        return False
    return name.endswith(("_total", "_bucket", "_count", "_sum"))


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def mortal(request: pytest.FixtureRequest) -> Iterator[Mortal]:
    """A migrated database. In memory where there is such a folder: examples are many."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        if request.param == "sqlite":
            mortal = Mortal(f"sqlite:///{folder}/ledger.sqlite")
        else:
            make: NewDatabase = request.getfixturevalue("postgresql")
            mortal = Mortal(make())
        migrate(mortal.engine, MIGRATIONS)
        yield mortal
        mortal.engine.dispose()


_dies = st.none() | st.integers(0, 20)
_poll = st.tuples(st.just("poll"), st.lists(st.integers(0, TOTAL - 1), max_size=12), _dies)
_steps = st.one_of(
    _poll,
    _poll,
    st.tuples(st.just("scrape"), _dies),
    st.tuples(st.just("prune"), _dies),
    st.tuples(st.just("clock"), st.sampled_from([-86_400 * 60, -3600, -1, 1, 3600, 86_400 * 60])),
    st.tuples(st.just("restart")),
)


def play(world: World, steps: list[tuple[object, ...]]) -> None:
    for name, *arguments in steps:
        if name == "clock":
            world.clock.advance(*arguments)  # type: ignore[arg-type]  # what _steps says
        else:
            getattr(world, str(name))(*arguments)
        if name != "clock":
            world.check()


@pytest.mark.property
@settings(max_examples=examples(15))
@given(steps=st.lists(_steps, max_size=10), slow=st.lists(st.booleans(), min_size=TOTAL, max_size=TOTAL))
def test_any_interleaving_counts_each_call_once(
    mortal: Mortal, steps: list[tuple[object, ...]], slow: list[bool]
) -> None:
    """Repeated, reordered, late, cut by crashes, with the clock set: totals are the calls', counters never fall."""
    world = World(mortal, slow)
    play(world, steps)
    world.poll([*range(TOTAL - 1, -1, -1), *range(TOTAL)], None)
    world.check()
    assert len(world.truth.arrived) == TOTAL
    for _ in range(2):  # the second scrape shows what the first one held at 0
        world.scrape(None)
    assert sum(value for name, value in world.seen.items() if name.startswith("handrail_attempts_total")) == sum(
        one.attempts for one in world.calls if one.agent == "a"
    )


@pytest.mark.property
@settings(max_examples=examples(8))
@given(data=st.data(), size=st.integers(2, 6))
def test_pages_that_shift_while_they_are_read_count_each_call_once(
    mortal: Mortal, data: st.DataObject, size: int
) -> None:
    """New calls push old ones to the next page between two requests; a page read twice or overlapping counts once."""
    world = World(mortal, [False] * TOTAL)
    newest = 0
    for _ in range(4):
        found: list[int] = []
        for page in range(TOTAL // size + 1):
            newest = min(TOTAL, newest + data.draw(st.integers(0, 2)))
            found += list(range(newest - 1, -1, -1))[page * size : (page + 1) * size]
        world.poll(found, None)
        world.check()


STEPS = (("poll", [0, 1, 2, 3]), ("scrape",), ("poll", [3, 2, 5, 7, 9, 11]), ("scrape",))


def played(mortal: Mortal, crash: tuple[int, int] | None) -> tuple[list[int], object]:
    """The points each step has, and how it all ended; the step that a crash cut short is done again."""
    world, points = World(mortal, [number % 5 != 0 for number in range(TOTAL)]), []
    for number, (name, *arguments) in enumerate(STEPS):
        if crash and crash[0] == number:
            getattr(world, name)(*arguments, crash[1])
        before = world.mortal.points
        getattr(world, name)(*arguments, None)
        points.append(world.mortal.points - before)
    world.check()
    world.scrape(None)
    return points, (world.seen, replace(world.ledger.snapshot(), storage=Storage()))


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_a_crash_before_any_statement_of_a_poll_or_scrape_changes_nothing(mortal: Mortal, step: int) -> None:
    """The same steps, killed once before each of their statements and commits, end the same as undisturbed."""
    points, expected = played(mortal, None)
    assert points[step] > 5
    for point in range(points[step]):
        assert played(mortal, (step, point))[1] == expected, point


def test_a_crash_before_any_statement_of_a_migration_changes_nothing(tmp_path: Path) -> None:
    """An upgrade that was killed goes on at the next start, and the ledger is as if it had never been."""

    def upgraded(name: str, dies_after: int | None) -> tuple[int, object]:
        engine = create_engine(f"sqlite:///{tmp_path}/{name}.sqlite")
        load(engine, SCHEMAS[0])
        engine.dispose()
        mortal = Mortal(f"sqlite:///{tmp_path}/{name}.sqlite")
        mortal.survives(lambda: migrate(mortal.engine, MIGRATIONS), dies_after=dies_after)
        points = mortal.points
        mortal.reopen()
        end = Ledger(mortal.engine, SETTINGS, StandingClock()).snapshot()
        mortal.engine.dispose()
        return points, end

    points, expected = upgraded("undisturbed", None)
    for point in range(points):
        assert upgraded(f"killed-{point}", point)[1] == expected, point
