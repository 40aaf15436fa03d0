"""What a scrape costs beside rendering the same series from memory, and how that grows with agents.

Run it with `python -m bench.scrape [agents …]`. A scrape reads everything from the ledger; the baseline is a registry
of prometheus_client in which the same series are held as ordinary counters, gauges and histograms.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest

from bench.measure import Row, best_of, print_rows
from exporter.calls import Call, TokenUsage, ToolUse
from exporter.health import SourceHealth
from exporter.ledger import Ledger
from exporter.metrics import LedgerCollector
from exporter.sources import Batch, Running
from handrail.clock import SystemClock
from handrail.database import create_engine
from handrail.settings import Settings, parse

SOURCE = "n8n/main"
AGENTS = (10, 100, 1000)
GOAL = 2.0
_TURNS = 12
_CALLS = 5


def settings(agents: int) -> Settings:
    """So many configured agents."""
    listed = "".join(f"  - {{name: agent-{n}, from: {{n8n: main, workflow: W{n}}}}}\n" for n in range(agents))
    source = 'sources: {n8n: [{name: main, url: "http://n8n.test", api_key_env: KEY}]}\n'
    parsed: Settings = parse(f"{source}agents:\n{listed}")
    return parsed


def call(agent: str, number: int, ended: datetime) -> Call:
    """A call with everything that is counted; every fifth fails."""
    duration = timedelta(seconds=0.2 * (1 + number % 40))
    failed = number % 5 == 0
    return Call(
        source=SOURCE,
        id=f"{agent}/{number}",
        agent=agent,
        started_at=ended - duration,
        finished_at=ended,
        duration=duration,
        outcome="error" if failed else "success",
        error_reason="tool_error" if failed else None,
        model=("gpt-4o-mini", "gpt-4o")[number % 2],
        provider="openai",
        tokens=TokenUsage(120, 30, "actual"),
        confidence=0.05 * (number % 20),
        tool_calls=2,
        tool_errors=int(failed),
        tools=(ToolUse("search", 1, int(failed)), ToolUse("calculator", 1)),
        model_calls=2,
        attempts=2,
        execution=f"{agent}/{number}",
    )


@contextmanager
def filled(agents: int) -> Iterator[LedgerCollector]:
    """The collector of a ledger in which each agent has some calls, after a first scrape."""
    config = settings(agents)
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/ledger.sqlite")
        ledger = Ledger(engine, config, SystemClock())
        _fill(ledger, config)
        collector = LedgerCollector(config, ledger, [SourceHealth(SOURCE)])
        list(collector.collect())
        yield collector
        engine.dispose()


def _fill(ledger: Ledger, config: Settings) -> None:
    names = [agent.name for agent in config.agents]
    now = datetime.now(UTC)
    made = tuple(call(name, number, now - timedelta(seconds=number)) for name in names for number in range(_CALLS))
    running = {name: Running(1, now) for name in names}
    enabled = dict.fromkeys(names, True)
    ledger.commit(SOURCE, Batch(state={}, calls=made, running=running, enabled=enabled, visible_workflows=len(names)))


def held_in_memory(families: list[Metric]) -> CollectorRegistry:
    """The same series as ordinary metrics; what a gauge or a counter shows is what was shown."""
    prometheus_client.disable_created_metrics()
    registry = CollectorRegistry()
    for family in filter(lambda family: family.samples, families):
        if family.type == "histogram":
            _hold_histogram(family, registry)
            continue
        labels = list(family.samples[0].labels)
        kind = Counter if family.type == "counter" else Gauge
        metric = kind(family.name, family.documentation, labels, registry=registry)
        for sample in family.samples:
            child = metric.labels(**sample.labels) if labels else metric
            child.inc(sample.value)
    return registry


def _hold_histogram(family: Metric, registry: CollectorRegistry) -> None:
    bounds = list(dict.fromkeys(float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels))
    labels = [name for name in family.samples[0].labels if name != "le"]
    metric = Histogram(family.name, family.documentation, labels, buckets=bounds, registry=registry)
    for sample in family.samples:
        if sample.name.endswith("_sum"):
            metric.labels(**sample.labels).observe(sample.value)


def measure(agents: int) -> tuple[float, int]:
    """A scrape in multiples of the baseline, and how many series it has."""
    with filled(agents) as collector:
        scraped = CollectorRegistry()
        scraped.register(collector)
        held = held_in_memory(list(collector.collect()))
        series, others = _series(scraped), _series(held)
        if series != others:
            raise SystemExit(f"the scrape has {series} series, the baseline {others}")
        sides = {"scrape": partial(generate_latest, scraped), "held": partial(generate_latest, held)}
        best = best_of(_TURNS, sides)
    return best["scrape"] / best["held"], series


def _series(registry: CollectorRegistry) -> int:
    return sum(not line.startswith(b"#") for line in generate_latest(registry).splitlines())


def rows(agents: tuple[int, ...] = AGENTS) -> list[Row]:
    """One for each number of agents; the goal is that of the largest."""
    found = []
    for count in agents:
        ratio, series = measure(count)
        goal = GOAL if count == max(agents) else None
        found.append(Row(f"scrape: {count:,} agents", ratio, f"{series:,} series from memory", goal))
    return found


if __name__ == "__main__":
    print_rows(rows(tuple(map(int, sys.argv[1:])) or AGENTS))
