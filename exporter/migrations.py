"""The steps that bring a ledger of any release to the newest schema, frozen: a step that was released never changes.

They are spelled in SQL that SQLite and PostgreSQL share and name no table of `exporter.tables`, which moves on.
A new step goes to the end of MIGRATIONS, and a dump of the schema before it to tests/exporter/schemas.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, text

from handrail.database import Migration

_SCHEMA_1 = (
    "CREATE TABLE calls (source TEXT NOT NULL, id TEXT NOT NULL, agent TEXT NOT NULL, started_at FLOAT NOT NULL, "
    "finished_at FLOAT NOT NULL, duration_s FLOAT NOT NULL, outcome TEXT NOT NULL, error_reason TEXT, "
    "model TEXT NOT NULL, provider TEXT NOT NULL, tokens_in INTEGER, tokens_out INTEGER, token_basis TEXT NOT NULL, "
    "cost_usd FLOAT, confidence FLOAT, tool_calls INTEGER NOT NULL, tool_errors INTEGER NOT NULL, url TEXT, "
    "ingested_at FLOAT NOT NULL, PRIMARY KEY (source, id))",
    "CREATE INDEX calls_by_end ON calls (finished_at)",
    "CREATE TABLE totals (metric TEXT NOT NULL, agent TEXT NOT NULL, labels TEXT NOT NULL, value FLOAT NOT NULL, "
    "PRIMARY KEY (metric, agent, labels))",
    "CREATE TABLE buckets (metric TEXT NOT NULL, agent TEXT NOT NULL, le FLOAT NOT NULL, "
    "observations INTEGER NOT NULL, PRIMARY KEY (metric, agent, le))",
    "CREATE TABLE streaks (agent TEXT NOT NULL, streak INTEGER NOT NULL, last_breach FLOAT NOT NULL, "
    "breaches INTEGER NOT NULL, last_call FLOAT NOT NULL, PRIMARY KEY (agent))",
    "CREATE TABLE source_state (source TEXT NOT NULL, state TEXT NOT NULL, last_success FLOAT NOT NULL, "
    "gap INTEGER NOT NULL, visible_workflows INTEGER, PRIMARY KEY (source))",
    "CREATE TABLE agents (source TEXT NOT NULL, agent TEXT NOT NULL, discovered BOOLEAN NOT NULL, enabled BOOLEAN, "
    "running INTEGER NOT NULL, oldest_running FLOAT, PRIMARY KEY (source, agent))",
    "CREATE TABLE gauges (source TEXT NOT NULL, metric TEXT NOT NULL, labels TEXT NOT NULL, value FLOAT NOT NULL, "
    "PRIMARY KEY (source, metric, labels))",
    "CREATE TABLE shown (series TEXT NOT NULL, PRIMARY KEY (series))",
)
_SCHEMA_2 = (
    "ALTER TABLE calls ADD COLUMN execution TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE calls ADD COLUMN model_calls INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE calls ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE calls ADD COLUMN cached BOOLEAN NOT NULL DEFAULT false",
    "CREATE INDEX calls_by_execution ON calls (source, execution)",
    "CREATE TABLE label_values (agent TEXT NOT NULL, label TEXT NOT NULL, value TEXT NOT NULL, "
    "PRIMARY KEY (agent, label, value))",
)


def _first(connection: Connection) -> None:
    for statement in _SCHEMA_1:
        connection.exec_driver_sql(statement)


def _tools_and_executions(connection: Connection) -> None:
    """Tools get names: what was counted without one becomes `other`, and was shown where its old series was."""
    for statement in _SCHEMA_2:
        connection.exec_driver_sql(statement)
    connection.execute(
        text("UPDATE totals SET labels = :new WHERE metric IN ('tool_calls', 'tool_errors') AND labels = '[]'"),
        {"new": json.dumps([["tool", "other"]])},
    )
    for series in connection.scalars(text("SELECT series FROM shown")).all():
        name, *labels = json.loads(series)
        if name in ("handrail_tool_calls", "handrail_tool_errors"):
            now = {"new": json.dumps([name, *labels, "other"]), "old": series}
            connection.execute(text("UPDATE shown SET series = :new WHERE series = :old"), now)
    counted = connection.execute(text("SELECT agent, labels FROM totals WHERE metric = 'calls'")).all()
    for agent, model in sorted({(row.agent, dict(json.loads(row.labels))["model"]) for row in counted}):
        known = {"agent": agent, "model": model}
        connection.execute(text("INSERT INTO label_values VALUES (:agent, 'model', :model)"), known)


def _order_of_ingestion(connection: Connection) -> None:
    """Calls are followed in the order in which they came in."""
    connection.exec_driver_sql("CREATE INDEX calls_by_ingestion ON calls (ingested_at)")


def _expectations(connection: Connection) -> None:
    """By which plan agents are expected to be called and since when, and when sources last had a gap."""
    connection.exec_driver_sql(
        "CREATE TABLE expectations (agent TEXT NOT NULL, source TEXT NOT NULL, basis TEXT NOT NULL, "
        "plan TEXT NOT NULL, enabled BOOLEAN NOT NULL, since FLOAT NOT NULL, PRIMARY KEY (agent))"
    )
    connection.exec_driver_sql("CREATE TABLE gaps (source TEXT NOT NULL, last FLOAT NOT NULL, PRIMARY KEY (source))")


def _pending_handoffs(connection: Connection) -> None:
    """What executions show that a person must look at, until the receiver has it."""
    connection.exec_driver_sql(
        "CREATE TABLE pending_handoffs (key TEXT NOT NULL, agent TEXT NOT NULL, reason TEXT NOT NULL, "
        "body TEXT NOT NULL, created_at FLOAT NOT NULL, run_at FLOAT NOT NULL, attempts INTEGER NOT NULL, "
        "refused TEXT, PRIMARY KEY (key))"
    )


MIGRATIONS: tuple[Migration, ...] = (
    _first,
    _tools_and_executions,
    _order_of_ingestion,
    _expectations,
    _pending_handoffs,
)
