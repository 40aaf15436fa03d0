"""How much room the ledger takes, and how rooms that deleted calls left are given back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select, text

from exporter.tables import calls_table, metadata

# Free pages that stay for the next calls, as a part of the file: a file that shrinks and grows all the time is busy.
_KEPT_FREE = 10
_PAGES_AT_ONCE = 1000
_INCREMENTAL = 2


@dataclass(frozen=True, slots=True)
class Storage:
    """The size of the database, and when the oldest call that it still holds ended; 0 when it holds none."""

    size_bytes: int = 0
    oldest_call: float = 0.0


def measure(connection: Connection) -> Storage:
    """SQLite's file without its journal; on PostgreSQL the ledger's tables with their indexes."""
    oldest = connection.scalar(select(func.min(calls_table.c.finished_at)))
    return Storage(_size(connection), oldest or 0.0)


def _size(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        tables = (func.pg_total_relation_size(table.name) for table in metadata.sorted_tables)
        return sum(connection.execute(select(*tables)).one())
    return _pragma(connection, "page_count") * _pragma(connection, "page_size")


def used(connection: Connection) -> int:
    """The bytes that are in use. Deleting calls makes it smaller at once, unlike the size of the file.

    PostgreSQL tells only the rows themselves: what autovacuum has freed is not to be had without extensions.
    """
    if connection.dialect.name == "postgresql":
        return int(connection.scalar(text("SELECT coalesce(sum(pg_column_size(calls.*)), 0) FROM calls")) or 0)
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages * _pragma(connection, "page_size")


def give_back(engine: Engine) -> None:
    """Cut most free pages off a SQLite file, few at a time; a file that was made without that choice keeps them."""
    while engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            surplus = _pragma(connection, "freelist_count") - _pragma(connection, "page_count") // _KEPT_FREE
            if surplus <= 0 or _pragma(connection, "auto_vacuum") != _INCREMENTAL:
                return
            for _ in range(min(surplus, _PAGES_AT_ONCE)):
                # The driver takes one step of a statement that gives no rows, and each step frees one page.
                connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
