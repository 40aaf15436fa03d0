"""Committed means on disk: SQLite in WAL mode with synchronous FULL, or PostgreSQL.

Each migration and its bookkeeping row are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, event, func, insert, inspect, select
from sqlalchemy import create_engine as sqlalchemy_create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from handrail.line import Line

Migration = Callable[[Connection], None]

_metadata = MetaData()
_migrations = Table("schema_migrations", _metadata, Column("version", Integer, primary_key=True))

_TURN = "handrail.turn"
# How long a writer of SQLite waits for those of its own process, and then for another process.
_PATIENCE_S = 5
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    f"busy_timeout={_PATIENCE_S * 1000}",
    "foreign_keys=ON",
    f"journal_size_limit={16 * 1024**2}",
)


# Between two statements of a transaction nothing waits. A program that is frozen there would hold up all others with
# its locks for as long as it sleeps; PostgreSQL ends its session instead, and with it the transaction.
IDLE_IN_TRANSACTION_S = 15.0


class DatabaseTooNew(Exception):
    """The file was written by a newer Handrail; running this one on it could lose what that one stored."""


class DatabaseMissing(Exception):
    """There is no such file, so nothing was stored yet."""


def create_engine(url: str) -> Engine:
    """An engine whose transactions are durable and, on SQLite, take the write lock when they begin.

    BEGIN IMMEDIATE avoids the upgrade deadlock of two readers that both want to write; busy_timeout makes
    the second writer wait 5 s instead of failing. Writers of one engine write in the order in which they came. A new
    file can give free pages back; the journal is cut to 16 MiB whenever it begins anew. On PostgreSQL a transaction in
    which nothing happens for IDLE_IN_TRANSACTION_S ends.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _bounded(sqlalchemy_create_engine(parsed, pool_pre_ping=True))
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy_create_engine(parsed, connect_args={"timeout": _PATIENCE_S})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            # Only a file without a page takes it; asking for it later would wait for whoever writes.
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    _line_up(engine)
    return engine


def _line_up(engine: Engine) -> None:
    """Writers of this engine write in the order in which they came; readers stand in no line."""
    line = Line()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("read_only", False):
            connection.exec_driver_sql("BEGIN")
            return
        holds = connection.connection.record_info
        # Whose turn does not come in time tries its luck, and SQLite says in the end that the database is locked.
        if holds is not None and _TURN not in holds and line.enter(_PATIENCE_S):
            holds[_TURN] = True
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "checkin")
    def _leave(_connection: Any, record: Any) -> None:
        # The transaction has ended for good only when its connection is given back.
        if record.record_info.pop(_TURN, False):
            line.leave()


def _bounded(engine: Engine) -> Engine:
    milliseconds = int(IDLE_IN_TRANSACTION_S * 1000)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # Set by a statement, because not every pooler takes it as an option of the connection.
        connection.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}")
        connection.commit()

    return engine


def open_to_read(url: str) -> Engine:
    """An engine that cannot change anything, beside a program that writes; DatabaseMissing when SQLite has no file.

    Every use opens the database anew, so that a file that was replaced meanwhile is seen.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        options = {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
        return sqlalchemy_create_engine(parsed, poolclass=NullPool, execution_options=options)
    path = Path(parsed.database or "")
    if not path.is_file():
        raise DatabaseMissing(str(path))
    read_only = parsed.set(database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})
    return sqlalchemy_create_engine(read_only, poolclass=NullPool, connect_args={"timeout": 5})


def schema_version(connection: Connection) -> int | None:
    """How many migrations the database has seen; None where there has never been one."""
    if not inspect(connection).has_table(_migrations.name):
        return None
    return connection.scalar(select(func.max(_migrations.c.version))) or 0


def reading(engine: Engine) -> Engine:
    """The same database for readers: on SQLite they take a snapshot and never wait for a writer."""
    return engine.execution_options(read_only=True)


def take_turns(connection: Connection, name: str) -> None:
    """On PostgreSQL, wait until no other transaction of this name is under way; SQLite's write lock does it anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(name))))


def migrate(engine: Engine, migrations: Sequence[Migration]) -> None:
    """Bring the schema to the newest version; each step and its bookkeeping row commit together or not at all.

    Several programs may start on one database at once: each waits for its turn and finds what is done already.
    """
    with engine.begin() as connection:
        take_turns(connection, _migrations.name)
        _metadata.create_all(connection)
    for version, migration in enumerate(migrations, start=1):
        with engine.begin() as connection:
            take_turns(connection, _migrations.name)
            applied = connection.scalar(select(func.max(_migrations.c.version))) or 0
            if applied > len(migrations):
                raise DatabaseTooNew(f"the database has schema {applied}, this version knows {len(migrations)}")
            if applied < version:
                migration(connection)
                connection.execute(insert(_migrations).values(version=version))
