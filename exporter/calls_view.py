"""The ledger's single calls for people: read beside the running exporter, without writing, migrating or waiting.

What is returned are values; what came from outside the ledger has lost its control characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from exporter.label_sets import printable
from exporter.migrations import MIGRATIONS
from exporter.tables import calls_table
from handrail.database import DatabaseMissing, open_to_read, schema_version
from handrail.database_trouble import said
from handrail.settings import Settings

# A batch is stamped before its transaction begins, so one that had to wait for another writer appears with an older
# stamp than what is there already. SQLite's writers wait 5 s for each other; this is many times that.
_LATE = timedelta(seconds=60)
_LONGEST = 512


class NoCalls(Exception):
    """The ledger cannot be shown; the text says why, and what to do."""


class NoLedger(NoCalls):
    """There is none yet: nothing was ever counted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls to show; all conditions hold together. `since` is about their end."""

    agent: str | None = None
    since: datetime | None = None
    errors: bool = False
    slow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """A call as the ledger has it. Times are aware, in UTC; `slow` is by the threshold of the agent's SLA today."""

    source: str
    id: str
    agent: str
    started_at: datetime
    finished_at: datetime
    duration: timedelta
    slow: bool
    outcome: str
    error_reason: str | None
    model: str
    provider: str
    tokens_in: int | None
    tokens_out: int | None
    token_basis: str
    cost_usd: float | None
    confidence: float | None
    model_calls: int
    tool_calls: int
    tool_errors: int
    attempts: int
    cached: bool
    execution: str
    url: str | None
    ingested_at: datetime


class CallsView:
    """Reads single calls of the ledger that `settings` names. NoCalls when there is none that can be read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def recent(self, wanted: Wanted, *, limit: int) -> list[CallRow]:
        """The `limit` calls that ended last, in the order in which they ended."""
        order = (calls_table.c.finished_at.desc(), calls_table.c.source.desc(), calls_table.c.id.desc())
        statement = select(calls_table).where(*self._conditions(wanted)).order_by(*order).limit(limit)
        with reading_ledger(self._settings) as connection:
            return [self._row(row) for row in reversed(connection.execute(statement).all())]

    def agents(self) -> list[str]:
        """Every agent with a call in the ledger."""
        with reading_ledger(self._settings) as connection:
            return list(connection.scalars(select(calls_table.c.agent).distinct().order_by(calls_table.c.agent)))

    def follow(self, wanted: Wanted) -> Follower:
        """What comes in from now on."""
        return Follower(self, wanted)

    def ingested_since(self, wanted: Wanted, stamp: float) -> list[CallRow]:
        """The calls that came in at `stamp` (epoch seconds) or later, in that order."""
        calls = calls_table.c
        order = (calls.ingested_at, calls.finished_at, calls.source, calls.id)
        statement = select(calls_table).where(calls.ingested_at >= stamp, *self._conditions(wanted)).order_by(*order)
        with reading_ledger(self._settings) as connection:
            return [self._row(row) for row in connection.execute(statement)]

    def last_ingested(self) -> float:
        """The newest stamp (epoch seconds); 0 while there is no call."""
        with reading_ledger(self._settings) as connection:
            return float(connection.scalar(select(func.max(calls_table.c.ingested_at))) or 0.0)

    def _conditions(self, wanted: Wanted) -> Iterator[ColumnElement[bool]]:
        calls = calls_table.c
        if wanted.agent is not None:
            yield calls.agent == wanted.agent
        if wanted.since is not None:
            yield calls.finished_at >= wanted.since.timestamp()
        if wanted.errors:
            yield calls.outcome == "error"
        if wanted.slow:
            yield self._is_slow()

    def _is_slow(self) -> ColumnElement[bool]:
        calls, configured = calls_table.c, [agent.name for agent in self._settings.agents]
        others = and_(calls.agent.not_in(configured), calls.duration_s > self._threshold("").total_seconds())
        named = (
            and_(calls.agent == name, calls.duration_s > self._threshold(name).total_seconds()) for name in configured
        )
        return or_(others, *named)

    def _threshold(self, agent: str) -> timedelta:
        return self._settings.sla_of(agent).latency.threshold

    def _row(self, row: Any) -> CallRow:
        duration = timedelta(seconds=row.duration_s)
        return CallRow(
            source=printable(row.source, _LONGEST),
            id=printable(row.id, _LONGEST),
            agent=row.agent,
            started_at=datetime.fromtimestamp(row.started_at, UTC),
            finished_at=datetime.fromtimestamp(row.finished_at, UTC),
            duration=duration,
            slow=duration > self._threshold(row.agent),
            outcome=row.outcome,
            error_reason=row.error_reason,
            model=printable(row.model, _LONGEST),
            provider=printable(row.provider, _LONGEST),
            tokens_in=row.tokens_in,
            tokens_out=row.tokens_out,
            token_basis=row.token_basis,
            cost_usd=row.cost_usd,
            confidence=row.confidence,
            model_calls=row.model_calls,
            tool_calls=row.tool_calls,
            tool_errors=row.tool_errors,
            attempts=row.attempts,
            cached=bool(row.cached),
            execution=printable(row.execution, _LONGEST),
            url=None if row.url is None else printable(row.url, _LONGEST),
            ingested_at=datetime.fromtimestamp(row.ingested_at, UTC),
        )


class Follower:
    """The calls that come in, in the order in which they come in: none twice, none left out.

    Those that are there when it is made count as seen.
    """

    def __init__(self, view: CallsView, wanted: Wanted) -> None:
        self._view = view
        self._wanted = wanted
        self._seen: dict[tuple[str, str, datetime], float] = {}
        self._newest = view.last_ingested()
        self.new()

    def saw(self, rows: Iterable[CallRow]) -> None:
        """These were shown already."""
        self._seen |= {_key(row): row.ingested_at.timestamp() for row in rows}

    def new(self) -> list[CallRow]:
        """What came in since this was asked last."""
        # Asked before the rows are, so that nothing can come in between that the next look would not reach.
        newest = self._view.last_ingested()
        found = self._view.ingested_since(self._wanted, self._newest - _LATE.total_seconds())
        rows = [row for row in found if _key(row) not in self._seen]
        self.saw(rows)
        # What is older than the next look reaches need not be known; a second more, as stamps are rounded on their way.
        oldest = newest - _LATE.total_seconds() - 1
        self._seen = {key: stamp for key, stamp in self._seen.items() if stamp >= oldest}
        self._newest = newest
        return rows


def _key(row: CallRow) -> tuple[str, str, datetime]:
    """With the stamp, as the simulated world's ids begin anew with every start."""
    return row.source, row.id, row.ingested_at


@contextmanager
def reading_ledger(settings: Settings) -> Iterator[Connection]:
    """A connection to the ledger that can change nothing; NoCalls when there is none that can be read."""
    engine = _open(settings)
    try:
        with engine.connect() as connection:
            _check_schema(connection)
            yield connection
    except SQLAlchemyError as error:
        raise NoCalls(f"the ledger cannot be read: {said(error)}") from error
    finally:
        engine.dispose()


def _open(settings: Settings) -> Engine:
    try:
        return open_to_read(settings.exporter.database_url)
    except DatabaseMissing as error:
        text = f"there is no ledger at {error} yet. The exporter writes it: make up, or handrail exporter"
        raise NoLedger(text) from None


def _check_schema(connection: Connection) -> None:
    version = schema_version(connection)
    if version is None:
        raise NoLedger("the database holds no ledger yet. The exporter makes it: make up, or handrail exporter")
    if version < len(MIGRATIONS):
        raise NoCalls(
            f"the ledger has schema {version} of an older Handrail, this one reads {len(MIGRATIONS)}. "
            "The exporter brings it up to date when it starts: make up, or handrail exporter"
        )
    if version > len(MIGRATIONS):
        raise NoCalls(
            f"the ledger has schema {version} of a newer Handrail, this one reads {len(MIGRATIONS)}. Update this one."
        )
