"""What is still to be handed over: on disk from the transaction that counts its call until the receiver has it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, select, update

from exporter.handoffs.wanted import Wanted
from exporter.tables import insert_or_ignore, pending_handoffs_table
from handrail.database import reading

_FIRST_S, _MOST_S = 5.0, 300.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A hand-off that the receiver has not taken yet."""

    key: str
    agent: str
    reason: str
    body: dict[str, object]
    attempts: int


def put(connection: Connection, handoffs: Iterable[Wanted], now: float) -> None:
    """Keep them, in the transaction that counts their calls."""
    rows = [
        {"key": each.key, "agent": each.agent, "reason": each.reason, "body": json.dumps(each.body)}
        | {"created_at": now, "run_at": now, "attempts": 0, "refused": None}
        for each in handoffs
    ]
    insert_or_ignore(connection, pending_handoffs_table, rows)


class HandoffQueue:
    """Gives out what is due, oldest first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due(self, now: float) -> Pending | None:
        """The oldest that is due; None when none is."""
        pending = pending_handoffs_table.c
        query = select(pending_handoffs_table).where(pending.refused.is_(None), pending.run_at <= now)
        with reading(self._engine).connect() as connection:
            row = connection.execute(query.order_by(pending.created_at, pending.key).limit(1)).first()
        return None if row is None else Pending(row.key, row.agent, row.reason, json.loads(row.body), row.attempts)

    def done(self, handoff: Pending) -> None:
        """The receiver has it."""
        with self._engine.begin() as connection:
            connection.execute(delete(pending_handoffs_table).where(pending_handoffs_table.c.key == handoff.key))

    def refused(self, handoff: Pending, why: str) -> None:
        """The receiver will never take it as it is: kept, with the reason, and not sent again."""
        self._change(handoff, refused=why)

    def put_off(self, handoff: Pending, now: float) -> None:
        """Try again, ever more slowly."""
        pause = min(_MOST_S, _FIRST_S * 2 ** min(handoff.attempts, 10))
        self._change(handoff, attempts=handoff.attempts + 1, run_at=now + pause)

    def _change(self, handoff: Pending, **values: object) -> None:
        with self._engine.begin() as connection:
            row = update(pending_handoffs_table).where(pending_handoffs_table.c.key == handoff.key)
            connection.execute(row.values(**values))


def waiting(connection: Connection) -> int:
    """How many the receiver has not taken yet; the refused ones are not waited for."""
    query = select(func.count()).where(pending_handoffs_table.c.refused.is_(None))
    return connection.scalar(query) or 0
