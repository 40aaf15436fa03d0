"""A ledger of any release opens with every count it had; tables and migrations agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Connection, Engine, inspect, text

from exporter.ledger import Ledger
from exporter.metrics import LedgerCollector
from exporter.migrations import MIGRATIONS
from exporter.poller import SourceHealth
from exporter.tables import metadata
from handrail.clock import Clock
from handrail.database import create_engine, migrate
from handrail.settings import parse
from tests.exporter.making import CONFIG, SCHEMAS, SOURCE, batch, call, load


@pytest.fixture(params=SCHEMAS, ids=lambda path: f"schema-{path.stem}")
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A ledger as an earlier release left it."""
    engine = create_engine(f"sqlite:///{tmp_path}/old.sqlite")
    load(engine, request.param)
    yield engine
    engine.dispose()


def rows(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def totals(engine: Engine) -> dict[tuple[str, str, str], float]:
    """Every total; one of tools that had no name yet under the name it has now."""
    found = {(m, a, labels): value for m, a, labels, value in rows(engine, "SELECT * FROM totals")}
    nameless = json.dumps([["tool", "other"]])
    return {
        (m, a, nameless if m in ("tool_calls", "tool_errors") and labels == "[]" else labels): value
        for (m, a, labels), value in found.items()
    }


def test_every_earlier_schema_has_a_dump() -> None:
    """Whoever adds a migration also adds what it starts from."""
    assert [path.stem for path in SCHEMAS] == [str(number) for number in range(1, len(MIGRATIONS))]


def test_an_old_ledger_keeps_every_count(old: Engine, clock: Clock) -> None:
    """Totals, buckets, streaks and cursors stay as they were, and a call of before is not counted again."""
    kept = ("SELECT * FROM buckets ORDER BY 1, 2, 3", "SELECT * FROM streaks", "SELECT * FROM source_state")
    before = totals(old), [rows(old, statement) for statement in kept]
    ledger = Ledger(old, parse(CONFIG), clock)
    assert (totals(old), [rows(old, statement) for statement in kept]) == before
    assert ledger.commit(SOURCE, batch(call(1), state=ledger.state(SOURCE))) == 0
    assert ledger.commit(SOURCE, batch(call(99))) == 1


def test_no_series_of_an_old_ledger_begins_at_zero_again(old: Engine, clock: Clock) -> None:
    """The first scrape shows every total as it is: a 0 in between would be read as all its history happening now."""
    registry, config = CollectorRegistry(), parse(CONFIG)
    registry.register(LedgerCollector(config, Ledger(old, config, clock), [SourceHealth(SOURCE)]))
    shown = generate_latest(registry).decode()
    assert 'handrail_tool_calls_total{agent="a",tool="other"} 5.0' in shown
    assert 'handrail_tool_errors_total{agent="a",tool="other"} 1.0' in shown
    assert 'handrail_calls_total{agent="a",model="gpt-4.1-mini",outcome="error",source="n8n/main"} 1.0' in shown
    assert 'handrail_call_duration_seconds_count{agent="a"} 3.0' in shown


def shape(connection: Connection) -> set[str]:
    """Columns in their order, keys and indexes, a line for each, as the database tells them."""
    found, lines = inspect(connection), set()
    for table in set(found.get_table_names()) - {"schema_migrations"}:
        for number, column in enumerate(found.get_columns(table)):
            kind = f"{column['type']} null={column['nullable']} default={column['default']}"
            lines.add(f"{table}: column {number} {column['name']} {kind}")
        lines.add(f"{table}: key {found.get_pk_constraint(table)['constrained_columns']}")
        lines |= {f"{table}: index {i['name']} {i['column_names']} {i['unique']}" for i in found.get_indexes(table)}
    return lines


def test_the_migrations_make_exactly_the_tables(engine: Engine, second_engine: Engine) -> None:
    """Whoever changes a table without a migration, or the other way round, learns it here."""
    migrate(engine, MIGRATIONS)
    with second_engine.begin() as connection:
        metadata.create_all(connection)
        declared = shape(connection)
    with engine.connect() as connection:
        migrated = shape(connection)
    assert migrated == declared


def test_released_migrations_are_frozen(tmp_path: Path) -> None:
    """The first migration makes what the first release had, not what the tables are today."""
    of_migration, of_dump = (create_engine(f"sqlite:///{tmp_path}/{name}.sqlite") for name in ("migration", "dump"))
    migrate(of_migration, MIGRATIONS[:1])
    load(of_dump, SCHEMAS[0])
    with of_migration.connect() as one, of_dump.connect() as other:
        assert shape(one) == shape(other)
    of_migration.dispose()
    of_dump.dispose()
