"""One exporter per ledger: two that read the same source would each count what the other has just missed.

The hold ends with the process, however it ends: a lock on a file beside SQLite, an advisory lock on PostgreSQL.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, func, select

_KEY = "handrail exporter"


class LedgerTaken(Exception):
    """Another exporter uses this ledger."""


@contextmanager
def sole_use(engine: Engine) -> Iterator[None]:
    """Hold the ledger while the block runs; LedgerTaken when another process does."""
    database = engine.url.database
    if engine.dialect.name == "postgresql":
        with _advisory(engine):
            yield
    elif database and database != ":memory:":
        with _file(Path(f"{database}.lock")):
            yield
    else:
        yield


@contextmanager
def _file(path: Path) -> Iterator[None]:
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            process = lock.read(20).strip() or "unknown"
            raise LedgerTaken(f"another exporter (process {process}) uses the ledger {path.with_suffix('')}") from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextmanager
def _advisory(engine: Engine) -> Iterator[None]:
    with engine.connect() as connection:
        taken = connection.scalar(select(func.pg_try_advisory_lock(func.hashtext(_KEY))))
        connection.commit()  # the lock belongs to the session; no transaction is left open for its sake
        if not taken:
            raise LedgerTaken("another exporter uses this PostgreSQL database")
        try:
            yield
        finally:
            # A pooled connection would keep the lock, so this one is thrown away.
            connection.invalidate()
