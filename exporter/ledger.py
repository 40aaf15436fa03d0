"""Every call is counted exactly once: calls, totals, streaks and the source's cursor commit in one transaction.

A source may report a call as often as it likes; (source, id) is inserted or ignored, and only what was inserted counts.
A restart loses nothing and resets nothing.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from exporter.calls import Call
from exporter.counts import Counts
from exporter.handoffs import queue
from exporter.handoffs.redacting import redactor_of
from exporter.handoffs.wanted import wanted
from exporter.label_sets import LabelSets
from exporter.ledger_health import LedgerHealth
from exporter.migrations import MIGRATIONS
from exporter.retention import prune
from exporter.snapshot import Snapshot, take
from exporter.sources import Batch, Count, State
from exporter.standing import store_standing
from exporter.streaks import advance_streaks
from exporter.tables import calls_table, insert_calls, insert_or_ignore, known_calls, shown_table, sources_table
from handrail.clock import Clock
from handrail.database import migrate, reading, take_turns
from handrail.logs import LogOnce, get_logger
from handrail.quantities import format_size
from handrail.settings import Settings

_PRUNE_EVERY_S = 3600.0


class Ledger:
    """The store behind /metrics. One writer per source; readers never wait for writers."""

    def __init__(self, engine: Engine, settings: Settings, clock: Clock) -> None:
        self._engine = engine
        self._settings = settings
        self._redact = redactor_of(settings)
        self._clock = clock
        self._pruned_at: float | None = None
        self._lock = threading.Lock()
        self._log_once = LogOnce(get_logger("ledger"))
        self.health = LedgerHealth()
        self.handoffs = queue.HandoffQueue(engine)
        migrate(engine, MIGRATIONS)
        with reading(engine).connect() as connection:
            self._stored_calls = connection.scalar(select(func.count()).select_from(calls_table)) or 0

    def reconfigure(self, settings: Settings) -> None:
        """Count by these settings from now on. No batch may be under way."""
        self._settings = settings
        self._redact = redactor_of(settings)

    def state(self, source: str) -> State:
        """The cursor of a source; empty before its first batch."""
        with self.health.reading(), reading(self._engine).connect() as connection:
            text = connection.scalar(select(sources_table.c.state).where(sources_table.c.source == source))
        state: State = json.loads(text) if text else {}
        return state

    def commit(self, source: str, batch: Batch) -> int:
        """Store a batch whole or not at all; how many of its calls were new. Calls of another source are refused."""
        if any(call.source != source for call in batch.calls):
            raise ValueError(f"a batch of {source} holds a call of another source")
        now = self._clock.now().timestamp()
        # Redacted before the transaction, in which every other source would wait for it.
        found = {call.id: handoff for call in batch.calls if (handoff := wanted(call, self._settings, self._redact))}
        with self.health.writing(), self._engine.begin() as connection:
            take_turns(connection, "handrail ledger")
            new = _insert_new(connection, source, batch.calls, now)
            agents = {call.agent for call in new} | {count.agent for count in batch.counts}
            counts = Counts(self._settings, LabelSets.of(connection, agents))
            for call in new:
                counts.add(call)
            handoffs = [found[call.id] for call in new if call.id in found]
            queue.put(connection, handoffs, now)
            for handoff in handoffs:
                counts.add_count(Count("handoffs_raised", 1, handoff.agent, {"reason": handoff.reason}))
            for count in batch.counts:
                counts.add_count(count)
            counts.store(connection)
            advance_streaks(connection, new, self._settings, now)
            store_standing(connection, source, batch, self._settings, now)
        self._count_stored(len(new))
        return len(new)

    def prune(self) -> int:
        """Forget what the settings' retention says; how many calls. At most once an hour. Totals stay."""
        started = self._clock.monotonic()
        if self._pruned_at is not None and started - self._pruned_at < _PRUNE_EVERY_S:
            return 0
        retention = self._settings.exporter.retention
        with self.health.writing():
            pruned = prune(self._engine, retention, self._clock.now())
        self._pruned_at = started
        self._count_stored(-pruned.calls)
        if pruned.too_large:
            text = "what sources may report again needs more than exporter.retention.size"
            self._log_once.failed("retention", "too_large", text=text, size=format_size(retention.size))
        else:
            self._log_once.succeeded("retention")
        return pruned.calls

    def mark_shown(self, series: Iterable[str]) -> None:
        """Remember that these series have been scraped at 0, so that from now on their true value is shown.

        Any scrape counts, so of two Prometheus only the one that comes first sees the 0. The other one sees the true
        value at once: it misses the first count of a series, and never sees one too many.
        """
        with self.health.writing(), self._engine.begin() as connection:
            insert_or_ignore(connection, shown_table, [{"series": name} for name in series])

    def snapshot(self) -> Snapshot:
        """All that the metrics show, read in one transaction."""
        with self.health.reading(), reading(self._engine).connect() as connection:
            return take(connection, self._clock.now())

    @property
    def stored_calls(self) -> int:
        """How many single calls are kept now."""
        return self._stored_calls

    def _count_stored(self, change: int) -> None:
        with self._lock:
            self._stored_calls += change


def _insert_new(connection: Connection, source: str, calls: Iterable[Call], now: float) -> list[Call]:
    """Insert what is not there yet, in the order the calls ended; no other transaction writes meanwhile."""
    ordered = sorted({call.id: call for call in calls}.values(), key=lambda call: (call.finished_at, call.id))
    known = known_calls(connection, source, [call.id for call in ordered])
    new = [call for call in ordered if call.id not in known] if known else ordered
    insert_calls(connection, [_row(call, now) for call in new])
    return new


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
        "execution": call.execution,
        "model_calls": call.model_calls,
        "attempts": call.attempts,
        "cached": call.cached,
        "ingested_at": now,
    }
