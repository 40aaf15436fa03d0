"""What a scrape shows: every series from 0, every count in the end, and nothing that is not documented."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine, text

from exporter.calls import Call, TokenUsage
from exporter.errors import REASONS
from exporter.families import GAUGES, SOURCE_COUNTERS, Family
from exporter.health import FAILURE_REASONS, SourceHealth
from exporter.ledger import Ledger
from exporter.metrics import LedgerCollector
from exporter.sources import Batch, Count, Gauge, Running
from handrail.clock import Clock
from handrail.database import create_engine
from handrail.schedule import Every
from handrail.settings import Settings, parse

SOURCE = "n8n/main"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CONFIG = """
sources:
  n8n: [{name: main, url: "http://n8n.test", api_key_env: KEY, discover: true}]
slas: {default: {}, strict: {latency: {threshold: 3s}, handoff: {min_confidence: "85%"}}}
agents:
  - {name: a, from: {n8n: main, workflow: A}, sla: strict, owner: ops}
"""


def call(number: int, *, agent: str = "a", duration_s: float = 1.0, **fields: object) -> Call:
    took = timedelta(seconds=duration_s)
    values = {"source": SOURCE, "id": str(number), "agent": agent, "outcome": "success", "duration": took}
    return Call(**(values | {"started_at": NOW - took, "finished_at": NOW} | fields))  # type: ignore[arg-type]


class Exporter:
    """A ledger and what a scrape of it shows."""

    def __init__(self, engine: Engine, settings: Settings, clock: Clock) -> None:
        self.ledger = Ledger(engine, settings, clock)
        self.health = SourceHealth(SOURCE)
        self.registry = CollectorRegistry()
        self.registry.register(LedgerCollector(settings, self.ledger, [self.health]))

    def scrape(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        lines = generate_latest(self.registry).decode().splitlines()
        samples = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
        assert len({name for name, _ in samples}) == len(samples)
        return {name: float(value) for name, value in samples}

    def ingest(self, *calls: Call, **fields: object) -> None:
        self.ledger.commit(SOURCE, Batch(state={}, calls=calls, **fields))  # type: ignore[arg-type]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def exporter(engine: Engine, clock: Clock) -> Exporter:
    return Exporter(engine, parse(CONFIG), clock)


CALLS = 'handrail_calls_total{agent="a",model="m",outcome="error",source="n8n/main"}'


def test_a_configured_agent_is_at_zero_before_its_first_call(exporter: Exporter) -> None:
    """Both outcomes and every reason exist from the first scrape, so that a first failure is an increase."""
    shown = exporter.scrape()
    for outcome in ("success", "error"):
        assert shown[f'handrail_calls_total{{agent="a",model="unknown",outcome="{outcome}",source="n8n/main"}}'] == 0
    for reason in REASONS:
        assert shown[f'handrail_call_errors_total{{agent="a",reason="{reason}"}}'] == 0
    assert shown['handrail_agent_info{agent="a",owner="ops",sla="strict",source="n8n/main"}'] == 1
    assert shown['handrail_slow_call_streak{agent="a"}'] == 0
    assert shown['handrail_slow_streak_last_breach_timestamp_seconds{agent="a"}'] == 0
    assert shown['handrail_call_duration_seconds_count{agent="a"}'] == 0
    assert 'handrail_agent_enabled{agent="a"}' not in shown


def test_a_new_series_is_shown_at_zero_once(exporter: Exporter) -> None:
    """The first scrape after a model appears shows 0 and the second its count, so that increase() sees it."""
    exporter.scrape()
    tokens = 'handrail_tokens_total{agent="a",basis="actual",model="m",token_type="input"}'
    failed = call(1, outcome="error", error_reason="timeout", model="m", tokens=TokenUsage(7, 1, "actual"))
    exporter.ingest(failed)
    first = exporter.scrape()
    assert (first[CALLS], first[tokens]) == (0, 0)
    assert first['handrail_call_errors_total{agent="a",reason="timeout"}'] == 1
    second = exporter.scrape()
    assert (second[CALLS], second[tokens]) == (1, 7)


def test_calls_before_the_first_scrape_are_held_too(exporter: Exporter) -> None:
    """What was counted before anyone looked increases from 0 like everything else, histograms included."""
    exporter.ingest(call(1, duration_s=4.0, confidence=0.82))
    bucket = 'handrail_call_duration_seconds_bucket{agent="a",le="5.0"}'
    first, second = exporter.scrape(), exporter.scrape()
    assert (first[bucket], first['handrail_call_duration_seconds_sum{agent="a"}']) == (0, 0)
    assert (second[bucket], second['handrail_call_duration_seconds_sum{agent="a"}']) == (1, 4)
    assert second['handrail_call_duration_seconds_bucket{agent="a",le="3.0"}'] == 0
    assert second['handrail_call_confidence_ratio_bucket{agent="a",le="0.8"}'] == 0
    assert second['handrail_call_confidence_ratio_bucket{agent="a",le="0.85"}'] == 1
    assert second['handrail_call_confidence_ratio_bucket{agent="a",le="+Inf"}'] == 1


def test_a_restart_shows_no_known_series_at_zero_again(engine: Engine, exporter: Exporter, clock: Clock) -> None:
    """A counter that fell to 0 and came back would count everything twice."""
    exporter.ingest(call(1, outcome="error", error_reason="timeout", model="m"))
    exporter.scrape()
    again = Exporter(engine, parse(CONFIG), clock)
    assert again.scrape()[CALLS] == 1


def test_a_series_nobody_has_seen_is_held_after_a_restart(engine: Engine, exporter: Exporter, clock: Clock) -> None:
    """A call that was counted just before a restart still increases from 0."""
    exporter.scrape()
    exporter.ingest(call(1, outcome="error", error_reason="timeout", model="m"))
    again = Exporter(engine, parse(CONFIG), clock)
    assert again.scrape()[CALLS] == 0
    assert again.scrape()[CALLS] == 1


def test_a_scrape_works_while_the_ledger_cannot_be_written(engine: Engine, exporter: Exporter) -> None:
    """What was shown is then remembered by the process, and stored as soon as that works."""
    exporter.ingest(call(1, outcome="error", error_reason="timeout", model="m"))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE shown RENAME TO hidden"))
        connection.execute(text("CREATE VIEW shown AS SELECT * FROM hidden"))
    assert exporter.scrape()[CALLS] == 0
    assert exporter.scrape()[CALLS] == 1


def test_a_discovered_agent_comes_and_goes(exporter: Exporter) -> None:
    """It is there while its source names it, switched off too, and vanishes with all its series when it is gone."""
    exporter.ingest(call(1, agent="found"), agents=frozenset({"found"}), enabled={"found": False})
    shown = exporter.scrape()
    assert shown['handrail_agent_info{agent="found",owner="",sla="default",source="n8n/main"}'] == 1
    assert shown['handrail_agent_enabled{agent="found"}'] == 0
    exporter.ingest(call(2, agent="found"))
    assert not [name for name in exporter.scrape() if 'agent="found"' in name]


def test_a_streak_is_shown_as_it_is(exporter: Exporter) -> None:
    """The SLA of the agent decides: more than 3 s is slow here, and the gauges are not held."""
    exporter.scrape()
    exporter.ingest(*(call(n, duration_s=3.5) for n in range(4)))
    shown = exporter.scrape()
    assert shown['handrail_slow_call_streak{agent="a"}'] == 4
    assert shown['handrail_slow_streak_last_breach_timestamp_seconds{agent="a"}'] == NOW.timestamp()
    assert shown['handrail_slow_streak_breaches_total{agent="a"}'] == 1
    assert shown['handrail_last_call_timestamp_seconds{agent="a"}'] == NOW.timestamp()


def test_running_calls_are_shown(exporter: Exporter) -> None:
    """How many have not ended, and since when the oldest one runs."""
    exporter.ingest(enabled={"a": True}, running={"a": Running(2, NOW)})
    shown = exporter.scrape()
    assert (shown['handrail_agent_enabled{agent="a"}'], shown['handrail_running_calls{agent="a"}']) == (1, 2)
    assert shown['handrail_oldest_running_call_timestamp_seconds{agent="a"}'] == NOW.timestamp()


def test_a_source_shows_how_it_is(exporter: Exporter) -> None:
    """It is down until it was read; every reason to fail exists from the beginning."""
    shown = exporter.scrape()
    assert shown['handrail_source_up{source="n8n/main"}'] == 0
    for reason in FAILURE_REASONS:
        assert shown[f'handrail_source_errors_total{{reason="{reason}",source="n8n/main"}}'] == 0
    exporter.ingest(gap=3, visible_workflows=0)
    exporter.health.succeeded()
    exporter.health.count_request("200")
    shown = exporter.scrape()
    assert shown['handrail_source_up{source="n8n/main"}'] == 1
    assert shown['handrail_source_last_success_timestamp_seconds{source="n8n/main"}'] == NOW.timestamp()
    assert shown['handrail_source_coverage_gap_calls{source="n8n/main"}'] == 3
    assert shown['handrail_source_visible_workflows{source="n8n/main"}'] == 0
    assert shown['handrail_source_requests_total{source="n8n/main",status="200"}'] == 1


def test_a_changed_threshold_never_makes_a_histogram_fall(engine: Engine, clock: Clock) -> None:
    """New bounds show what is surely below them, and the count of all calls stays."""
    before = Exporter(engine, parse(CONFIG), clock)
    before.ingest(call(1, duration_s=2.7), call(2, duration_s=2.2))
    before.scrape()
    after = Exporter(engine, parse(CONFIG.replace("threshold: 3s", "threshold: 2600ms")), clock).scrape()
    assert after['handrail_call_duration_seconds_bucket{agent="a",le="2.6"}'] == 1
    assert after['handrail_call_duration_seconds_bucket{agent="a",le="5.0"}'] == 2
    assert after['handrail_call_duration_seconds_count{agent="a"}'] == 2


def _any_labels(family: Family) -> dict[str, str]:
    return {label: {"agent": "a", "source": SOURCE}.get(label, "x") for label in family.labels}


def full(exporter: Exporter) -> bytes:
    """A scrape with every metric that there is."""
    tokens = TokenUsage(7, 1, "estimate")
    exporter.ingest(
        call(1, model="m", tokens=tokens),
        enabled={"a": True},
        running={"a": Running(1, NOW)},
        visible_workflows=1,
        counts=tuple(Count(family.name, labels=_any_labels(family)) for family in SOURCE_COUNTERS),
        gauges=(
            *(Gauge(family.name, 1, _any_labels(family)) for family in GAUGES),
            Gauge("agent_schedule_interval_seconds", 900, {"agent": "a"}),
        ),
        plans={"a": (Every(timedelta(minutes=15)),)},
    )
    exporter.scrape()
    return generate_latest(exporter.registry)


def test_every_metric_is_documented(exporter: Exporter, root: Path) -> None:
    """docs/metrics.md names the metrics of a scrape, their types and their labels."""
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", full(exporter).decode(), re.MULTILINE))
    page = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(handrail_\w+)` \| (\w+) \|\s*([\w, ]*?)\s*\|", page, re.MULTILINE)
    of_exporter = {name: (kind, labels) for name, kind, labels in documented if name in families}
    assert {name: kind for name, (kind, _) in of_exporter.items()} == families
    samples = exporter.scrape()
    for name, (kind, labels) in of_exporter.items():
        suffix = "_count" if kind == "histogram" else ""
        shown = next(sample for sample in samples if re.fullmatch(rf"{name}{suffix}(\{{.*)?", sample))
        assert set(re.findall(r'(\w+)="', shown)) == set(labels.split(", ")) - {""}


def promtool(root: Path) -> Path | None:
    named = [Path(folder) for folder in os.environ.get("HANDRAIL_TOOLS", "").split(":") if folder]
    on_path = [Path(folder) for folder in os.environ.get("PATH", "").split(":") if folder]
    folders = [*named, *on_path, root / ".handrail" / "bin" / "usr" / "bin"]
    return next((folder / "promtool" for folder in folders if (folder / "promtool").is_file()), None)


@pytest.mark.tools
def test_promtool_finds_nothing_to_complain_about(exporter: Exporter, root: Path) -> None:
    """Names, types and help texts follow the conventions."""
    if (program := promtool(root)) is None:
        pytest.skip("no promtool found: name its folder in HANDRAIL_TOOLS, or run make up once")
    done = subprocess.run([program, "check", "metrics"], input=full(exporter), capture_output=True, timeout=30)
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")
