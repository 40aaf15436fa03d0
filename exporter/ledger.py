"""Every call is counted exactly once: calls, totals, streaks and the source's cursor commit in one transaction.

A source may report a call as often as it likes; (source, id) is inserted or ignored, and only what was inserted counts.
A restart loses nothing and resets nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from exporter.calls import Call
from exporter.sources import Batch, Count, State
from exporter.tables import (
    MIGRATIONS,
    agents_table,
    buckets_table,
    calls_table,
    dialect_insert,
    gauges_table,
    insert_or_ignore,
    shown_table,
    sources_table,
    streaks_table,
    totals_table,
    upsert,
)
from handrail.clock import Clock
from handrail.database import migrate, reading
from handrail.settings import Settings

KEEP_CALLS = timedelta(days=45)
_PRUNE_EVERY_S = 3600.0


INFINITY = float("inf")


@dataclass(frozen=True, slots=True)
class Streak:
    """How many calls in a row were slow, when that last went too far (0: never), how often; the last call's end."""

    length: int = 0
    last_breach: float = 0.0
    breaches: int = 0
    last_call: float = 0.0


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
    """What is stored about a source; `last_success` is 0 before its first."""

    last_success: float
    gap: int
    visible_workflows: int | None


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


class Ledger:
    """The store behind /metrics. One writer per source; readers never wait for writers."""

    def __init__(self, engine: Engine, settings: Settings, clock: Clock) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._pruned_at: float | None = None
        migrate(engine, MIGRATIONS)

    def state(self, source: str) -> State:
        """The cursor of a source; empty before its first batch."""
        with reading(self._engine).connect() as connection:
            text = connection.scalar(select(sources_table.c.state).where(sources_table.c.source == source))
        state: State = json.loads(text) if text else {}
        return state

    def commit(self, source: str, batch: Batch) -> int:
        """Store a batch whole or not at all; how many of its calls were new. Calls of another source are refused."""
        if any(call.source != source for call in batch.calls):
            raise ValueError(f"a batch of {source} holds a call of another source")
        now = self._clock.now().timestamp()
        with self._engine.begin() as connection:
            new = _insert_new(connection, batch.calls, now)
            counts = _Counts(self._settings)
            for call in new:
                counts.add(call)
            for count in batch.counts:
                counts.add_count(count)
            counts.store(connection)
            self._advance_streaks(connection, new, now)
            _store_agents(connection, source, batch)
            _store_source(connection, source, batch, now)
            _store_gauges(connection, source, batch)
        return len(new)

    def _advance_streaks(self, connection: Connection, new: Iterable[Call], now: float) -> None:
        by_agent: dict[str, list[Call]] = defaultdict(list)
        for call in new:
            by_agent[call.agent].append(call)
        for agent, calls in by_agent.items():
            sla = self._settings.sla_of(agent).latency
            before = _streaks_of(connection, agent)
            streak = before.get(agent, Streak())
            for call in calls:
                streak = advance(streak, call, sla.threshold, sla.consecutive_calls, now)
            values = {"streak": streak.length, "last_breach": streak.last_breach, "breaches": streak.breaches}
            upsert(connection, streaks_table, [{"agent": agent} | values | {"last_call": streak.last_call}], add=())

    def prune(self) -> int:
        """Forget calls that ended longer ago than any source reads back; at most once an hour. Totals stay."""
        started = self._clock.monotonic()
        if self._pruned_at is not None and started - self._pruned_at < _PRUNE_EVERY_S:
            return 0
        before = (self._clock.now() - KEEP_CALLS).timestamp()
        with self._engine.begin() as connection:
            removed = connection.execute(delete(calls_table).where(calls_table.c.finished_at < before)).rowcount
        self._pruned_at = started
        return removed

    def mark_shown(self, series: Iterable[str]) -> None:
        """Remember that these series have been scraped at 0, so that from now on their true value is shown."""
        with self._engine.begin() as connection:
            insert_or_ignore(connection, shown_table, [{"series": name} for name in series])

    def snapshot(self) -> Snapshot:
        """All that the metrics show, read in one transaction."""
        with reading(self._engine).connect() as connection:
            buckets: dict[tuple[str, str], dict[float, int]] = defaultdict(dict)
            for row in connection.execute(select(buckets_table)):
                buckets[row.metric, row.agent][row.le] = row.observations
            return Snapshot(
                totals={
                    (row.metric, row.agent, tuple(map(tuple, json.loads(row.labels)))): row.value
                    for row in connection.execute(select(totals_table))
                },
                buckets=buckets,
                streaks=_streaks_of(connection),
                agents={
                    row.agent: AgentState(row.source, row.discovered, row.enabled, row.running, row.oldest_running)
                    for row in connection.execute(select(agents_table))
                },
                sources={
                    row.source: SourceState(row.last_success, row.gap, row.visible_workflows)
                    for row in connection.execute(select(sources_table))
                },
                shown=frozenset(connection.scalars(select(shown_table.c.series))),
                gauges={
                    (row.metric, tuple(map(tuple, json.loads(row.labels)))): row.value
                    for row in connection.execute(select(gauges_table))
                },
            )


def advance(streak: Streak, call: Call, threshold: timedelta, consecutive_calls: int, now: float) -> Streak:
    """The streak after one more call. A slow call is slow whatever its outcome; any other call ends the streak.

    A breach is counted once per streak; its time moves on with every further slow call, so that an alert on it holds.
    """
    last_call = max(streak.last_call, call.finished_at.timestamp())
    if call.duration <= threshold:
        return Streak(0, streak.last_breach, streak.breaches, last_call)
    length = streak.length + 1
    if length < consecutive_calls:
        return Streak(length, streak.last_breach, streak.breaches, last_call)
    return Streak(length, now, streak.breaches + (length == consecutive_calls), last_call)


def duration_bounds(settings: Settings) -> tuple[float, ...]:
    """Upper bounds of the duration histogram: a usual ladder and every latency threshold."""
    ladder = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
    thresholds = (sla.latency.threshold.total_seconds() for sla in settings.slas.values())
    return tuple(sorted({*ladder, *thresholds}))


def confidence_bounds(settings: Settings) -> tuple[float, ...]:
    """Upper bounds of the confidence histogram: tenths and every confidence below which work is handed off."""
    tenths = (step / 10 for step in range(1, 11))
    return tuple(sorted({*tenths, *(float(sla.handoff.min_confidence) for sla in settings.slas.values())}))


class _Counts:
    """What a set of calls adds to the totals; added up first, so that a batch costs few statements."""

    def __init__(self, settings: Settings) -> None:
        self._bounds = {
            "call_duration_seconds": duration_bounds(settings),
            "call_confidence_ratio": confidence_bounds(settings),
        }
        self._totals: dict[tuple[str, str, str], float] = defaultdict(float)
        self._buckets: dict[tuple[str, str, float], int] = defaultdict(int)

    def add(self, call: Call) -> None:
        model = call.model or "unknown"
        self._count("calls", call.agent, source=call.source, model=model, outcome=call.outcome)
        if call.error_reason:
            self._count("call_errors", call.agent, reason=call.error_reason)
        basis = call.tokens.basis
        if basis == "unknown":
            self._count("calls_without_usage", call.agent)
        for kind, tokens in (("input", call.tokens.tokens_in), ("output", call.tokens.tokens_out)):
            if tokens is not None:
                self._count("tokens", call.agent, tokens, model=model, token_type=kind, basis=basis)
        if call.cost_usd is not None:
            self._count("cost_usd", call.agent, float(call.cost_usd))
        self._count("tool_calls", call.agent, call.tool_calls)
        self._count("tool_errors", call.agent, call.tool_errors)
        self._observe("call_duration_seconds", call.agent, call.duration.total_seconds())
        if call.confidence is not None:
            self._observe("call_confidence_ratio", call.agent, call.confidence)

    def add_count(self, count: Count) -> None:
        self._count(count.metric, count.agent, count.amount, **count.labels)

    def _count(self, metric: str, agent: str, amount: float = 1, **labels: str) -> None:
        self._totals[metric, agent, json.dumps(sorted(labels.items()))] += amount

    def _observe(self, metric: str, agent: str, value: float) -> None:
        bound = next((bound for bound in self._bounds[metric] if value <= bound), INFINITY)
        self._buckets[metric, agent, bound] += 1
        self._count(f"{metric}_sum", agent, value)

    def store(self, connection: Connection) -> None:
        totals = [{"metric": m, "agent": a, "labels": lb, "value": v} for (m, a, lb), v in self._totals.items()]
        buckets = [{"metric": m, "agent": a, "le": le, "observations": n} for (m, a, le), n in self._buckets.items()]
        upsert(connection, totals_table, totals, add=("value",))
        upsert(connection, buckets_table, buckets, add=("observations",))


def _insert_new(connection: Connection, calls: Iterable[Call], now: float) -> list[Call]:
    """Insert or ignore; the calls that were not there before, in the order they ended."""
    ordered = sorted({call.id: call for call in calls}.values(), key=lambda call: (call.finished_at, call.id))
    if not ordered:
        return []
    statement = dialect_insert(connection, calls_table).on_conflict_do_nothing().returning(calls_table.c.id)
    inserted = set(connection.scalars(statement, [_row(call, now) for call in ordered]))
    return [call for call in ordered if call.id in inserted]


def _row(call: Call, now: float) -> dict[str, Any]:
    return {
        "source": call.source,
        "id": call.id,
        "agent": call.agent,
        "started_at": call.started_at.timestamp(),
        "finished_at": call.finished_at.timestamp(),
        "duration_s": call.duration.total_seconds(),
        "outcome": call.outcome,
        "error_reason": call.error_reason,
        "model": call.model,
        "provider": call.provider,
        "tokens_in": call.tokens.tokens_in,
        "tokens_out": call.tokens.tokens_out,
        "token_basis": call.tokens.basis,
        "cost_usd": None if call.cost_usd is None else float(call.cost_usd),
        "confidence": call.confidence,
        "tool_calls": call.tool_calls,
        "tool_errors": call.tool_errors,
        "url": call.url,
        "ingested_at": now,
    }


def _streaks_of(connection: Connection, agent: str | None = None) -> dict[str, Streak]:
    statement = select(streaks_table) if agent is None else select(streaks_table).where(streaks_table.c.agent == agent)
    return {
        row.agent: Streak(row.streak, row.last_breach, row.breaches, row.last_call)
        for row in connection.execute(statement)
    }


def _store_agents(connection: Connection, source: str, batch: Batch) -> None:
    """The source's agents become exactly those of the batch: what it no longer names is gone."""
    connection.execute(delete(agents_table).where(agents_table.c.source == source))
    rows: list[dict[str, Any]] = []
    for agent in sorted({*batch.agents, *batch.enabled, *batch.running}):
        running = batch.running.get(agent)
        oldest = running.oldest.timestamp() if running and running.oldest else None
        known = {"discovered": agent in batch.agents, "enabled": batch.enabled.get(agent)}
        now_running = {"running": running.count if running else 0, "oldest_running": oldest}
        rows.append({"source": source, "agent": agent} | known | now_running)
    if rows:
        connection.execute(insert(agents_table), rows)


def _store_source(connection: Connection, source: str, batch: Batch, now: float) -> None:
    row = {"source": source, "state": json.dumps(batch.state), "last_success": 0.0, "gap": 0, "visible_workflows": None}
    insert_or_ignore(connection, sources_table, [row])
    changes: dict[str, Any] = {"state": row["state"], "gap": sources_table.c.gap + batch.gap}
    if batch.trouble is None:
        changes["last_success"] = now
    if batch.visible_workflows is not None:
        changes["visible_workflows"] = batch.visible_workflows
    connection.execute(update(sources_table).where(sources_table.c.source == source).values(changes))


def _store_gauges(connection: Connection, source: str, batch: Batch) -> None:
    if batch.gauges is None:
        return
    connection.execute(delete(gauges_table).where(gauges_table.c.source == source))
    readings = {(g.metric, json.dumps(sorted(g.labels.items()))): g.value for g in batch.gauges}
    rows = [{"source": source, "metric": m, "labels": lb, "value": value} for (m, lb), value in readings.items()]
    if rows:
        connection.execute(insert(gauges_table), rows)
