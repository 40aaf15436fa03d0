"""The past as series: the exporter's names and labels, counters that end at 0, and recorded sums that add up."""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from exporter.calls import Call, TokenUsage, ToolUse
from exporter.health import SourceHealth
from exporter.history.openmetrics import Kind, OpenMetricsFile, number, series
from exporter.history.spool import Spool
from exporter.history.write import STEP_S, Period, write_history
from exporter.label_sets import LabelSets
from exporter.ledger import Ledger
from exporter.metrics import LedgerCollector
from handrail.database import create_engine
from handrail.settings import Settings, parse
from tests.alerting.dashboards.boards import every_query
from tests.exporter.making import CONFIG, SOURCE, START, StandingClock, batch, call
from tests.thorough import examples

SETTINGS = parse(CONFIG)
Series = dict[str, list[tuple[int, float]]]
WRITTEN_BY_RULES = re.compile(r"^agent:")
# Gauges of what is now, which the past does not have.
OF_NOW = re.compile(
    r"handrail_(agent_enabled$|running_calls|oldest_running|execution_|source_|ledger_|handoffs_pending$)"
)


def past(folder: Path, calls: list[Call], *, until_s: int = 3600, config: Settings = SETTINGS) -> Series:
    """The samples of every series, read back from the file."""
    spool = Spool(folder / "spool.sqlite", identity="x")
    for each in calls:
        spool.store_read(each.source, [each.id], [each])
    period = Period("a", SOURCE, START - timedelta(days=1), START + timedelta(seconds=until_s))
    target = folder / "history.om"
    with OpenMetricsFile(target, step_s=STEP_S) as file:
        list(write_history(spool, config, [period], file, label_sets=LabelSets()))
        file.finish()
    spool.close()
    found: Series = defaultdict(list)
    for line in target.read_text().splitlines():
        if not line.startswith("#"):
            name, value, at = line.rsplit(" ", 2)
            found[name].append((int(at), float(value)))
    return found


def various() -> list[Call]:
    tools = (ToolUse("Search", 2, 1), ToolUse("Mail", 1))
    return [
        call(10, tokens=TokenUsage(100, 20, "actual"), model="gpt-4o", confidence=0.4, tool_calls=4, tools=tools),
        call(70, duration_s=6, outcome="error", error_reason="timeout", tokens=TokenUsage(8, None, "estimate")),
        call(700, duration_s=7, model='a"b\\c'),
        call(701, duration_s=8, retries=2, attempts=3),
        call(1800, duration_s=0.2, cached=True, confidence=1.0),
    ]


def test_series_are_named_and_labelled_as_the_exporter_does(tmp_path: Path) -> None:
    """The same calls in a ledger make the same series, with the labels that Prometheus adds; and the same growth."""
    engine, registry = create_engine(f"sqlite:///{tmp_path}/ledger.sqlite"), CollectorRegistry()
    ledger = Ledger(engine, SETTINGS, StandingClock())
    ledger.commit(SOURCE, batch(*various()))
    registry.register(LedgerCollector(SETTINGS, ledger, [SourceHealth(SOURCE)], peek=True))
    scraped = {
        series(sample.name, {**sample.labels, "instance": "127.0.0.1:9095", "job": "handrail-exporter"}): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not OF_NOW.match(sample.name)
    }
    engine.dispose()
    found = {name: samples for name, samples in past(tmp_path, various()).items() if not WRITTEN_BY_RULES.match(name)}
    assert {_sorted(name) for name in found} == {_sorted(name) for name in scraped}
    by_name = {_sorted(name): value for name, value in scraped.items()}
    for name, samples in found.items():
        if re.search(r"_(total|bucket|count|sum)\{", name):
            assert samples[-1][1] == 0, name
            assert -samples[0][1] == pytest.approx(by_name[_sorted(name)]), name


def test_what_the_weekly_review_looks_back_on_has_a_past(tmp_path: Path) -> None:
    """Or a figure would be made of a whole week of one series and of some hours of another."""
    weekly = [query.filled() for query in every_query() if re.search("weekly review (?!. annotation)", query.where)]
    asked = {name for expr in weekly for name in re.findall(r"([a-z0-9_:]+)\{[^}]*\}(?: offset|\[)", expr)}
    assert len(asked) > 5
    of_others = {"handrail_handoffs_total", "up"}
    assert asked - of_others <= {name.partition("{")[0] for name in past(tmp_path, various())}


def _sorted(name: str) -> str:
    """The series with its labels in one order."""
    metric, _, labels = name.partition("{")
    return metric + ",".join(sorted(re.findall(r'\w+="(?:[^"\\]|\\.)*"', labels)))


def test_what_is_recorded_has_a_rule_of_that_name(tmp_path: Path, root: Path) -> None:
    """A rule that is renamed must be renamed here, or its past is lost."""
    rules = (root / "alerting/rendered/rules/handrail.yml").read_text()
    recorded = set(re.findall(r"record: (\S+)", rules))
    names = {name.partition("{")[0] for name in past(tmp_path, various()) if WRITTEN_BY_RULES.match(name)}
    assert "agent:handrail_tokens:increase1h" in names
    assert names <= recorded


ends = st.lists(st.integers(0, 5000), min_size=1, max_size=12, unique=True)


@pytest.mark.property
@settings(max_examples=examples(10))
@given(ends)
def test_a_counter_grows_by_the_calls_that_ended_and_never_falls(
    tmp_path_factory: pytest.TempPathFactory, seconds: list[int]
) -> None:
    """Between any two samples; gaps between samples are never longer than what Prometheus bridges."""
    found = past(tmp_path_factory.mktemp("past"), [call(second) for second in seconds], until_s=6000)
    (name,) = [name for name in found if name.startswith("agent:handrail_calls:sum")]
    samples = found[name]
    start = START.timestamp()
    for at, value in samples:
        assert -value == sum(start + second > at for second in seconds)
    times = [at for at, _ in samples]
    assert all(STEP_S <= after - before < 300 for before, after in itertools.pairwise(times))
    assert times[-1] > start + 6000 - 300
    assert math.isclose(samples[0][1], -len(seconds))


def test_sums_that_are_looked_back_on_for_weeks_are_there_from_the_first_sample_on(tmp_path: Path) -> None:
    """Every five minutes, as the rules record them; the first is what a counter is compared with."""
    found = past(tmp_path, [call(600 * n) for n in range(12)], until_s=7200)
    sums, sparse = found['agent:handrail_calls:sum{agent="a"}'], found['agent:handrail_calls:every5m{agent="a"}']
    assert sparse[0] == sums[0]
    assert all(value == [held for since, held in sums if since <= at][-1] for at, value in sparse)
    assert all(after - before <= 300 for (before, _), (after, _) in itertools.pairwise(sparse))


def test_recorded_increases_begin_when_a_whole_window_is_known(tmp_path: Path) -> None:
    """An hour that is known in part would look like an hour of little use."""
    calls = [call(600 * n, tokens=TokenUsage(90, 10, "actual")) for n in range(12)]
    found = past(tmp_path, calls, until_s=7200)
    increase = dict(found['agent:handrail_tokens:increase1h{agent="a"}'])
    assert min(increase) == min(found['agent:handrail_tokens:sum{agent="a"}'])[0] + 3600
    assert set(increase.values()) <= {600.0, 500.0}


def test_calls_after_the_end_are_not_hinted_at(tmp_path: Path) -> None:
    """The counter is at 0 at the end, whatever ended later."""
    found = past(tmp_path, [call(10), call(3000), call(3700)], until_s=3600)
    samples = found['agent:handrail_calls:sum{agent="a"}']
    assert (samples[0][1], samples[-1][1]) == (-2, 0)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], OpenMetricsFile]]:
    yield lambda: OpenMetricsFile(tmp_path / "a.om", step_s=60)


def test_an_interrupted_file_is_no_file(opened: Callable[[], OpenMetricsFile], tmp_path: Path) -> None:
    """The one of before stays until the new one is whole."""
    (tmp_path / "a.om").write_text("before")
    with pytest.raises(KeyboardInterrupt), opened() as file:
        file.sample(Kind("x", "gauge", "x"), "x", 1, 0)
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a.om"]
    assert (tmp_path / "a.om").read_text() == "before"


def test_numbers_are_read_back_exactly() -> None:
    """Whole ones without a fraction."""
    assert [number(value) for value in (3.0, 0.1 + 0.2, -0.0, 1e20)] == [
        "3",
        "0.30000000000000004",
        "0",
        "1" + "0" * 20,
    ]
