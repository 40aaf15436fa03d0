"""The ledger's tables, as the migrations leave them, and the statements that SQLAlchemy has once for each dialect."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    select,
    text,
)
from sqlalchemy.dialects import sqlite

metadata = MetaData()

calls_table = Table(
    "calls",
    metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("finished_at", Float, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error_reason", Text),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("tokens_in", Integer),
    Column("tokens_out", Integer),
    Column("token_basis", Text, nullable=False),
    Column("cost_usd", Float),
    Column("confidence", Float),
    Column("tool_calls", Integer, nullable=False),
    Column("tool_errors", Integer, nullable=False),
    Column("url", Text),
    Column("ingested_at", Float, nullable=False),
    Column("execution", Text, nullable=False, server_default=text("''")),
    Column("model_calls", Integer, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    Column("cached", Boolean, nullable=False, server_default=text("false")),
    Index("calls_by_end", "finished_at"),
    Index("calls_by_execution", "source", "execution"),
    Index("calls_by_ingestion", "ingested_at"),
)
totals_table = Table(
    "totals",
    metadata,
    Column("metric", Text, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("labels", Text, primary_key=True),
    Column("value", Float, nullable=False),
)
buckets_table = Table(
    "buckets",
    metadata,
    Column("metric", Text, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("le", Float, primary_key=True),
    Column("observations", Integer, nullable=False),
)
streaks_table = Table(
    "streaks",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("streak", Integer, nullable=False),
    Column("last_breach", Float, nullable=False),
    Column("breaches", Integer, nullable=False),
    Column("last_call", Float, nullable=False),
)
sources_table = Table(
    "source_state",
    metadata,
    Column("source", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("last_success", Float, nullable=False),
    Column("gap", Integer, nullable=False),
    Column("visible_workflows", Integer),
)
agents_table = Table(
    "agents",
    metadata,
    Column("source", Text, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("discovered", Boolean, nullable=False),
    Column("enabled", Boolean),
    Column("running", Integer, nullable=False),
    Column("oldest_running", Float),
)
gauges_table = Table(
    "gauges",
    metadata,
    Column("source", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("labels", Text, primary_key=True),
    Column("value", Float, nullable=False),
)
expectations_table = Table(
    "expectations",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("since", Float, nullable=False),
)
gaps_table = Table(
    "gaps",
    metadata,
    Column("source", Text, primary_key=True),
    Column("last", Float, nullable=False),
)
shown_table = Table("shown", metadata, Column("series", Text, primary_key=True))
label_values_table = Table(
    "label_values",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("value", Text, primary_key=True),
)
pending_handoffs_table = Table(
    "pending_handoffs",
    metadata,
    Column("key", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("run_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("refused", Text),
)

_AT_ONCE = 500
_KNOWN_CALLS = select(calls_table.c.id).where(
    calls_table.c.source == bindparam("source"), calls_table.c.id.in_(bindparam("ids", expanding=True))
)


def dialect_insert(dialect: str, table: Table) -> Any:
    """INSERT with ON CONFLICT, which SQLite and PostgreSQL spell alike and SQLAlchemy has once for each."""
    if dialect != "postgresql":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # a seventh of the time that the exporter takes to start

    return postgresql.insert(table)


def insert_or_ignore(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose key is not there yet."""
    if rows:
        connection.execute(dialect_insert(connection.dialect.name, table).on_conflict_do_nothing(), rows)


def upsert(connection: Connection, table: Table, rows: list[dict[str, Any]], *, add: tuple[str, ...]) -> None:
    """Insert the rows; where one exists its columns are replaced, or increased for those in `add`."""
    if rows:
        connection.execute(_upsert(connection.dialect.name, table, add), rows)


@lru_cache(maxsize=64)
def _upsert(dialect: str, table: Table, add: tuple[str, ...]) -> Any:
    statement = dialect_insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    changes = {
        column.name: (column + statement.excluded[column.name])
        if column.name in add
        else statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)


def known_calls(connection: Connection, source: str, ids: Sequence[str]) -> set[str]:
    """Which of these calls of a source are stored."""
    found: set[str] = set()
    for start in range(0, len(ids), _AT_ONCE):
        values = {"source": source, "ids": ids[start : start + _AT_ONCE]}
        found.update(connection.scalars(_KNOWN_CALLS, values))
    return found


def insert_calls(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert calls that are not there. The driver takes the rows as they are; SQLAlchemy would look at each value."""
    if rows:
        connection.exec_driver_sql(_insert_call(connection.dialect.name), rows)


@lru_cache(maxsize=2)
def _insert_call(dialect: str) -> str:
    """The statement with names in the place of values."""
    if dialect != "postgresql":
        return str(calls_table.insert().compile(dialect=sqlite.dialect(paramstyle="named")))
    from sqlalchemy.dialects import postgresql

    return str(calls_table.insert().compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
