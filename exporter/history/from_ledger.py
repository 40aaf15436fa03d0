"""The ledger's own calls as history: what Prometheus would have, had the exporter counted by these settings.

The ledger is read beside the running exporter and never changed. Samples are a minute apart, as those of any past.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from exporter.calls import Call, TokenUsage
from exporter.calls_view import reading_ledger
from exporter.history.counted import counted
from exporter.history.openmetrics import OpenMetricsFile
from exporter.history.spool import Spool
from exporter.history.write import STEP_S, Period, Written, write_history
from exporter.label_sets import LabelSets
from exporter.tables import calls_table
from handrail.settings import Settings

# What is written of each agent, as far as alerts read it.
SERIES = frozenset(
    {
        "agent:handrail_agent_info:bridged",
        "agent:handrail_calls:sum",
        "agent:handrail_call_errors:sum",
        "agent:handrail_tokens:increase1h",
        "handrail_call_confidence_ratio_count",
        "handrail_low_confidence_calls_total",
        "handrail_slow_streak_last_breach_timestamp_seconds",
    }
)
# What the exporter counts by numbers of an SLA: a series, and the numbers it depends on.
COUNTED_BY = {
    "handrail_low_confidence_calls_total": ("handoff.min_confidence",),
    "handrail_slow_streak_last_breach_timestamp_seconds": ("latency.threshold", "latency.consecutive_calls"),
}


def first_calls(settings: Settings) -> dict[str, datetime]:
    """By agent, when the oldest call that the ledger still has ended. NoCalls when it cannot be read."""
    first = select(calls_table.c.agent, func.min(calls_table.c.finished_at)).group_by(calls_table.c.agent)
    with reading_ledger(settings) as connection:
        return {agent: datetime.fromtimestamp(stamp, UTC) for agent, stamp in connection.execute(first)}


def gather(settings: Settings, spool: Spool, agents: Iterable[str]) -> int:
    """Copy the calls of these agents into the spool; how many. NoCalls when the ledger cannot be read."""
    wanted = calls_table.c.agent.in_(list(agents))
    count = 0
    with reading_ledger(settings) as connection:
        rows = connection.execution_options(yield_per=1000).execute(select(calls_table).where(wanted))
        for piece in rows.partitions():
            spool.store_read("", (), [_call(row) for row in piece])
            count += len(piece)
    return count


def write(settings: Settings, spool: Spool, target: Path, *, until: datetime) -> Iterator[Written]:
    """Write all that was gathered, counted by `settings`, as one OpenMetrics file."""
    periods = [Period(agent, source, datetime.fromtimestamp(0, UTC), until) for agent, source in spool.agents().items()]
    label_sets = LabelSets(counted(settings).labels)
    with OpenMetricsFile(target, step_s=STEP_S) as file:
        yield from write_history(spool, settings, periods, file, label_sets=label_sets, only=SERIES)
        file.finish()


def _call(row: Any) -> Call:
    return Call(
        source=row.source,
        id=row.id,
        agent=row.agent,
        started_at=datetime.fromtimestamp(row.started_at, UTC),
        finished_at=datetime.fromtimestamp(row.finished_at, UTC),
        duration=timedelta(seconds=row.duration_s),
        outcome=row.outcome,
        error_reason=row.error_reason,
        model=row.model,
        provider=row.provider,
        tokens=TokenUsage(row.tokens_in, row.tokens_out, row.token_basis),
        cost_usd=None if row.cost_usd is None else Decimal(str(row.cost_usd)),
        confidence=row.confidence,
        tool_calls=row.tool_calls,
        tool_errors=row.tool_errors,
        model_calls=row.model_calls,
        attempts=row.attempts,
        cached=bool(row.cached),
        url=row.url,
        execution=row.execution,
        # The ledger does not keep which calls had no duration; all but crashed ones have one.
        timed=row.error_reason != "crashed",
    )
