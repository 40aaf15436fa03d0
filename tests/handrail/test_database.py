"""Committed is on disk, one writer at a time, and a newer file is not touched by an older version."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from handrail.database import DatabaseTooNew, create_engine, migrate, reading

metadata = MetaData()
numbers = Table("numbers", metadata, Column("n", Integer))


def first(connection) -> None:
    metadata.create_all(connection)


def second(connection) -> None:
    connection.execute(insert(numbers).values(n=2))


@pytest.fixture
def url(tmp_path) -> str:
    """A file in a folder that does not exist yet."""
    return f"sqlite:///{tmp_path}/deep/file.sqlite"


def test_migrations_run_once_each(url):
    """Also when the engine is opened again, and only the new ones."""
    engine = create_engine(url)
    migrate(engine, [first])
    engine.dispose()
    again = create_engine(url)
    migrate(again, [first, second])
    migrate(again, [first, second])
    with again.connect() as connection:
        assert list(connection.scalars(select(numbers.c.n))) == [2]
    again.dispose()


def test_a_failed_migration_leaves_nothing_behind(url):
    """Neither its effect nor its bookkeeping."""
    engine = create_engine(url)

    def fails(connection) -> None:
        second(connection)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        migrate(engine, [first, fails])
    migrate(engine, [first])
    with engine.connect() as connection:
        assert list(connection.scalars(select(numbers.c.n))) == []
    engine.dispose()


def test_a_file_of_a_newer_version_is_refused(url):
    """Running on it could lose what the newer one stored."""
    engine = create_engine(url)
    migrate(engine, [first, second])
    with pytest.raises(DatabaseTooNew):
        migrate(engine, [first])
    engine.dispose()


def test_a_commit_is_synchronous_and_readers_do_not_wait(url):
    """WAL with synchronous FULL; a reader sees the last commit while a writer is at work."""
    engine = create_engine(url)
    migrate(engine, [first])
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    with engine.begin() as writer:
        writer.execute(insert(numbers).values(n=1))
        with reading(engine).connect() as reader:
            assert list(reader.scalars(select(numbers.c.n))) == []
    engine.dispose()
