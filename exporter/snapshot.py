"""What the ledger holds, as values for the metrics."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import Connection, select

from exporter.executions import Heaviest, heaviest
from exporter.expectation import Expected, expectations_of
from exporter.handoffs.queue import waiting
from exporter.storage import Storage, measure
from exporter.streaks import Streak, streaks_of
from exporter.tables import (
    agents_table,
    buckets_table,
    gaps_table,
    gauges_table,
    shown_table,
    sources_table,
    totals_table,
)

# An execution that ended longer ago says nothing about a loop that runs now.
RECENT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class AgentState:
    """What a source last said about an agent."""

    source: str
    discovered: bool
    enabled: bool | None
    running: int
    oldest_running: float | None


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is stored about a source; `last_success` and `last_gap` are 0 before the first."""

    last_success: float
    gap: int
    visible_workflows: int | None
    last_gap: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the metrics show, as of one moment. Labels of totals are sorted pairs without the agent."""

    totals: Mapping[tuple[str, str, tuple[tuple[str, str], ...]], float]
    buckets: Mapping[tuple[str, str], Mapping[float, int]]
    streaks: Mapping[str, Streak]
    agents: Mapping[str, AgentState]
    sources: Mapping[str, SourceState]
    shown: frozenset[str]
    gauges: Mapping[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)
    heaviest: Mapping[str, Heaviest] = field(default_factory=dict)
    storage: Storage = field(default_factory=Storage)
    pending_handoffs: int = 0
    expected: Mapping[str, Expected] = field(default_factory=dict)


def take(connection: Connection, now: datetime) -> Snapshot:
    """Read everything; consistent when the connection is in one transaction."""
    buckets: dict[tuple[str, str], dict[float, int]] = defaultdict(dict)
    for metric, agent, le, observations in connection.execute(select(buckets_table)):
        buckets[metric, agent][le] = observations
    last_gaps: dict[str, float] = {row.source: row.last for row in connection.execute(select(gaps_table))}
    return Snapshot(
        totals={
            (metric, agent, _pairs(labels)): value
            for metric, agent, labels, value in connection.execute(select(totals_table))
        },
        buckets=buckets,
        streaks=streaks_of(connection),
        agents={
            row.agent: AgentState(row.source, row.discovered, row.enabled, row.running, row.oldest_running)
            for row in connection.execute(select(agents_table))
        },
        sources={
            row.source: SourceState(row.last_success, row.gap, row.visible_workflows, last_gaps.get(row.source, 0.0))
            for row in connection.execute(select(sources_table))
        },
        pending_handoffs=waiting(connection),
        shown=frozenset(connection.scalars(select(shown_table.c.series))),
        gauges={(row.metric, _pairs(row.labels)): row.value for row in connection.execute(select(gauges_table))},
        heaviest=heaviest(connection, (now - RECENT).timestamp()),
        storage=measure(connection),
        expected=expectations_of(connection),
    )


@lru_cache(maxsize=4096)
def _pairs(labels: str) -> tuple[tuple[str, str], ...]:
    """Stored labels, of which all agents together have few."""
    return tuple((name, value) for name, value in json.loads(labels))
