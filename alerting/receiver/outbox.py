"""What must still happen outside is on disk until it has happened: leased, retried, and never dropped in silence.

Items of one subject are done in the order in which they were put; an item whose worker died is leased again
when its lease ends, and then says so, because its effect may already have happened. A worker that was only asleep
meanwhile records nothing: everything it writes holds the lease against the database first.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Engine,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from alerting.receiver.schema import outbox
from handrail.clock import Clock
from handrail.database import reading, take_turns

TICKETS, KILLS, SLACK = "tickets", "kills", "slack"
LANES = (TICKETS, KILLS, SLACK)
# Looks for a second ticket and for a message in Slack wait for their time by plan, up to hours: old is what is late.
PLANNED = ("sweep", "find")
# Longer than any single request to the world outside may take; a handler that makes several renews it in between.
LEASE_S = 60.0


class LeaseLost(Exception):
    """Somebody else holds the item now, or it is settled: what this worker did must not be recorded."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to do, under a lease that nobody else has had.

    `reclaimed`: an earlier attempt ended without a word, so its effect is unknown.
    """

    id: int
    lane: str
    kind: str
    subject: str
    payload: dict[str, Any]
    attempts: int
    created_at: float
    reclaimed: bool
    lease: str


def put(connection: Connection, *, lane: str, kind: str, subject: str, payload: dict[str, Any], run_at: float) -> None:
    """Add an item in the caller's transaction, due at `run_at`."""
    # Numbers are given out before the commit: without turns a later one could be seen, and done, first.
    take_turns(connection, subject)
    row = {"lane": lane, "kind": kind, "subject": subject, "payload": json.dumps(payload), "state": "ready"}
    connection.execute(insert(outbox).values(**row, run_at=run_at, attempts=0, created_at=run_at))


def finish(connection: Connection, item: Item) -> None:
    """Mark the item done, in the transaction that records its effect; LeaseLost undoes both."""
    _settle(connection, item, state="done", lease_until=None)


def renew(connection: Connection, item: Item, *, now: float) -> None:
    """Hold the lease for another LEASE_S from `now`; LeaseLost if it is somebody else's.

    Belongs before each effect outside, and into each transaction that records a step without finishing the item.
    """
    _settle(connection, item, lease_until=now + LEASE_S)


def _settle(connection: Connection, item: Item, **values: Any) -> None:
    if connection.execute(update(outbox).where(_held(item)).values(**values)).rowcount != 1:
        raise LeaseLost(f"{item.lane}/{item.kind} {item.id} is not held by this worker any more")


def _held(item: Item) -> ColumnElement[bool]:
    """The lease is told apart by its own name, never by its time: clocks of two machines differ."""
    return and_(
        outbox.c.id == item.id,
        outbox.c.state == "leased",
        outbox.c.lease_owner == item.lease,
        outbox.c.attempts == item.attempts,
    )


def _due_first() -> Select[Any]:
    """The item of a lane that is due first and for which no older one of its subject stands in the way."""
    now, older = bindparam("now", type_=Double), outbox.alias()
    due = or_(
        and_(outbox.c.state == "ready", outbox.c.run_at <= now),
        and_(outbox.c.state == "leased", outbox.c.lease_until < now),
    )
    waits = exists().where(
        older.c.subject == outbox.c.subject,
        older.c.lane == outbox.c.lane,
        older.c.id < outbox.c.id,
        older.c.state.in_(("ready", "leased")),
    )
    return (
        select(outbox)
        .where(outbox.c.lane == bindparam("of_lane"), due, ~waits)
        .order_by(outbox.c.run_at, outbox.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # SQLite drops it and needs none: the transaction is IMMEDIATE
    )


# Every lane asks this twice a second, and putting it together takes longer than answering it.
_DUE_FIRST = _due_first()


class Outbox:
    """Hands out what is due, one item at a time per worker."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def claim(self, lane: str) -> Item | None:
        """The item of the lane that is due first, leased to the caller; None when nothing is due."""
        now = self._clock.now().timestamp()
        lease = uuid.uuid4().hex
        with self._engine.begin() as connection:
            row = connection.execute(_DUE_FIRST, {"of_lane": lane, "now": now}).first()
            if row is None:
                return None
            connection.execute(
                update(outbox)
                .where(outbox.c.id == row.id)
                .values(state="leased", lease_until=now + LEASE_S, lease_owner=lease, attempts=outbox.c.attempts + 1)
            )
        return Item(
            id=row.id,
            lane=row.lane,
            kind=row.kind,
            subject=row.subject,
            payload=json.loads(row.payload),
            attempts=row.attempts + 1,
            created_at=row.created_at,
            reclaimed=row.state == "leased",
            lease=lease,
        )

    def put_off(self, item: Item, *, after_s: float, error: str, payload: dict[str, Any] | None = None) -> None:
        """Try again later, optionally with what was learnt in `payload`; LeaseLost if it is somebody else's."""
        values: dict[str, Any] = {
            "state": "ready",
            "run_at": self._clock.now().timestamp() + after_s,
            "lease_until": None,
            "last_error": error,
        }
        if payload is not None:
            values["payload"] = json.dumps(payload)
        with self._engine.begin() as connection:
            _settle(connection, item, **values)

    def bury(self, item: Item, *, error: str, also: Callable[[Connection], None]) -> None:
        """Give up: a dead letter, which is counted and kept for a person. `also` records what follows from it."""
        with self._engine.begin() as connection:
            _settle(connection, item, state="dead", lease_until=None, last_error=error)
            also(connection)

    def drop(self, lane: str) -> None:
        """Nobody serves the lane any more: what waits in it is left undone, and kept like what is done."""
        waiting = (outbox.c.lane == lane) & outbox.c.state.in_(("ready", "leased"))
        with self._engine.begin() as connection:
            connection.execute(update(outbox).where(waiting).values(state="dropped", lease_until=None))

    def pending(self) -> dict[str, tuple[int, float]]:
        """Per lane, how many items wait and the age of the oldest in seconds."""
        now = self._clock.now().timestamp()
        since = case((outbox.c.kind.in_(PLANNED), outbox.c.run_at), else_=outbox.c.created_at)
        query = (
            select(outbox.c.lane, func.count(), func.min(since))
            .where(outbox.c.state.in_(("ready", "leased")))
            .group_by(outbox.c.lane)
        )
        with reading(self._engine).connect() as connection:
            found = {row[0]: (row[1], max(0.0, now - row[2])) for row in connection.execute(query)}
        return {lane: found.get(lane, (0, 0.0)) for lane in LANES}

    def dead(self) -> dict[str, int]:
        """Per lane, how many items were given up."""
        query = select(outbox.c.lane, func.count()).where(outbox.c.state == "dead").group_by(outbox.c.lane)
        with reading(self._engine).connect() as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {lane: found.get(lane, 0) for lane in LANES}
