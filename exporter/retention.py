"""Single calls are forgotten by age and when the ledger grows too large; totals, streaks and cursors never are.

A call that is still stored is what keeps a source's report of it from being counted again. So no call is forgotten
that its source may report once more, whatever the limits say: sources read again what ended up to some minutes before
their cursor, and the cursor is never behind the newest call by more. Age is therefore measured for each source from
its own newest call: a source that was down for months reads on where it stopped, and a clock that jumps ahead forgets
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, and_, delete, func, or_, select

from exporter.storage import give_back, used
from exporter.tables import calls_table
from handrail.database import reading
from handrail.settings import Retention

# Many times what any source reads again, which is minutes.
READ_AGAIN = timedelta(days=1)
# When it has to shrink it shrinks by more, so that the next hour's calls find room.
_ROOM = 0.9
# At once, so that no poll waits long for the write lock.
_CALLS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many calls were forgotten; whether what must be kept is larger than the limit."""

    calls: int
    too_large: bool


def prune(engine: Engine, retention: Retention, now: datetime) -> Pruned:
    """Forget what the limits say, oldest first, in many small transactions."""
    removed = _delete_oldest(engine, _ended_before(engine, max(retention.calls, READ_AGAIN), now))
    while (surplus := _surplus(engine, retention.size)) > 0:
        gone = _delete_oldest(engine, _ended_before(engine, READ_AGAIN, now), at_most=surplus)
        removed += gone
        if not gone:
            break
    if removed:
        give_back(engine)
    return Pruned(removed, surplus > 0)


def _ended_before(engine: Engine, age: timedelta, now: datetime) -> ColumnElement[bool]:
    """Calls that ended that long before their source's newest one, or before now when that is in the future."""
    calls = calls_table.c
    with reading(engine).connect() as connection:
        newest = connection.execute(select(calls.source, func.max(calls.finished_at)).group_by(calls.source)).all()
    of_sources = [
        and_(calls.source == source, calls.finished_at < min(end, now.timestamp()) - age.total_seconds())
        for source, end in newest
    ]
    return or_(*of_sources) if of_sources else calls.source.is_(None)


def _surplus(engine: Engine, limit: int) -> int:
    """How many calls are too many, judged by the room that the average one takes."""
    with reading(engine).connect() as connection:
        size = used(connection)
        if size <= limit:
            return 0
        count = connection.scalar(select(func.count()).select_from(calls_table)) or 0
    return math.ceil(count * (1 - _ROOM * limit / size))


def _delete_oldest(engine: Engine, which: ColumnElement[bool], at_most: int | None = None) -> int:
    removed = 0
    for size in _portions(at_most):
        with engine.begin() as connection:
            ends = select(calls_table.c.finished_at).where(which).order_by(calls_table.c.finished_at)
            last = connection.scalar(ends.offset(size - 1).limit(1))
            oldest = which if last is None else and_(which, calls_table.c.finished_at <= last)
            gone = connection.execute(delete(calls_table).where(oldest)).rowcount
        removed += gone
        if last is None or not gone:
            break
    return removed


def _portions(at_most: int | None) -> Iterator[int]:
    while at_most is None or at_most > 0:
        portion = _CALLS_AT_ONCE if at_most is None else min(at_most, _CALLS_AT_ONCE)
        at_most = None if at_most is None else at_most - portion
        yield portion
