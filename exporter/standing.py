"""What a source says of itself and its agents, stored with its calls: cursor, agents that exist or run, readings."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from exporter.expectation import store_expectations
from exporter.sources import Batch
from exporter.tables import agents_table, gaps_table, gauges_table, insert_or_ignore, sources_table, upsert
from handrail.settings import Settings


def store_standing(connection: Connection, source: str, batch: Batch, settings: Settings, now: float) -> None:
    """Replace what the source said before."""
    _store_agents(connection, source, batch)
    _store_source(connection, source, batch, now)
    _store_gauges(connection, source, batch)
    store_expectations(connection, source, batch, settings, now)
    if batch.gap > 0:
        upsert(connection, gaps_table, [{"source": source, "last": now}], add=())


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
