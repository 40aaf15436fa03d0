"""Calls that were read and not yet written, in a file of their own: what was read once is not read again.

Calls and the mark that says where they came from commit together, so that reading can be interrupted anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter
from sqlalchemy import Column, Connection, Float, Index, MetaData, Table, Text, delete, func, insert, select

from exporter.calls import Call
from exporter.sources import State
from exporter.tables import insert_or_ignore, upsert
from handrail.database import create_engine, reading

_metadata = MetaData()
_calls = Table(
    "calls",
    _metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("finished_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("calls_by_agent", "agent", "finished_at"),
)
_read = Table("read", _metadata, Column("source", Text, primary_key=True), Column("key", Text, primary_key=True))
_states = Table("states", _metadata, Column("source", Text, primary_key=True), Column("state", Text, nullable=False))
_CHUNK = 500


class Spool:
    """One file. Another `identity` than the one it was made for empties it: other settings make other calls."""

    def __init__(self, path: Path, *, identity: str) -> None:
        self._engine = create_engine(f"sqlite:///{path}")
        self._body: TypeAdapter[Call] = TypeAdapter(Call)
        _metadata.create_all(self._engine)
        if self.state("") != {"identity": identity}:
            with self._engine.begin() as connection:
                for table in (_calls, _read, _states):
                    connection.execute(delete(table))
                connection.execute(insert(_states).values(source="", state=json.dumps({"identity": identity})))

    def close(self) -> None:
        """Give the file back."""
        self._engine.dispose()

    def state(self, source: str) -> State:
        """Where reading a source stands; empty before it began."""
        with reading(self._engine).connect() as connection:
            text = connection.scalar(select(_states.c.state).where(_states.c.source == source))
        state: State = json.loads(text) if text else {}
        return state

    def store_state(self, source: str, calls: Iterable[Call], state: State) -> None:
        """Keep calls together with where reading stands."""
        with self._engine.begin() as connection:
            self._insert(connection, calls)
            upsert(connection, _states, [{"source": source, "state": json.dumps(state)}], add=())

    def was_read(self, source: str, keys: Sequence[str]) -> set[str]:
        """Which of these have been read."""
        with reading(self._engine).connect() as connection:
            statement = select(_read.c.key).where(_read.c.source == source, _read.c.key.in_(keys))
            return set(connection.scalars(statement))

    def store_read(self, source: str, keys: Iterable[str], calls: Iterable[Call]) -> None:
        """Keep the calls of what is called by these keys there, which has been read now."""
        with self._engine.begin() as connection:
            self._insert(connection, calls)
            insert_or_ignore(connection, _read, [{"source": source, "key": key} for key in keys])

    def count(self, source: str) -> int:
        """How many calls of a source there are."""
        with reading(self._engine).connect() as connection:
            return connection.scalar(select(func.count()).where(_calls.c.source == source)) or 0

    def agents(self) -> dict[str, str]:
        """Every agent with calls, and the source of one of them."""
        with reading(self._engine).connect() as connection:
            found = connection.execute(select(_calls.c.agent, func.min(_calls.c.source)).group_by(_calls.c.agent))
            return {agent: source for agent, source in found}

    def calls(self, agent: str, *, since: datetime, until: datetime) -> Iterator[Call]:
        """The agent's calls that ended in [since, until], in the order in which they ended."""
        period = _calls.c.finished_at.between(since.timestamp(), until.timestamp())
        order = (_calls.c.finished_at, _calls.c.source, _calls.c.id)
        statement = select(_calls.c.body).where(_calls.c.agent == agent, period).order_by(*order)
        with reading(self._engine).connect().execution_options(yield_per=_CHUNK) as connection:
            for body in connection.scalars(statement):
                yield self._body.validate_json(body)

    def span(self, agent: str, *, since: datetime, until: datetime) -> tuple[datetime, datetime, int] | None:
        """The ends of the first and the last of those calls and how many they are; None when there is none."""
        period = _calls.c.finished_at.between(since.timestamp(), until.timestamp())
        columns = (func.min(_calls.c.finished_at), func.max(_calls.c.finished_at), func.count())
        with reading(self._engine).connect() as connection:
            first, last, count = connection.execute(select(*columns).where(_calls.c.agent == agent, period)).one()
        return (datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC), count) if count else None

    def pieces(self) -> Iterator[list[tuple[str, str]]]:
        """(source, id) of every call, in pieces."""
        with reading(self._engine).connect().execution_options(yield_per=_CHUNK) as connection:
            for piece in connection.execute(select(_calls.c.source, _calls.c.id)).partitions():
                yield [(row.source, row.id) for row in piece]

    def remove(self, keys: Iterable[tuple[str, str]]) -> None:
        """Forget these calls; they count as read all the same."""
        with self._engine.begin() as connection:
            for source, identity in keys:
                connection.execute(delete(_calls).where(_calls.c.source == source, _calls.c.id == identity))

    def _insert(self, connection: Connection, calls: Iterable[Call]) -> None:
        rows = [
            {
                "source": call.source,
                "id": call.id,
                "agent": call.agent,
                "finished_at": call.finished_at.timestamp(),
                "body": self._body.dump_json(call).decode(),
            }
            for call in calls
        ]
        insert_or_ignore(connection, _calls, rows)
