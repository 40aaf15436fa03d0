"""Which hand-offs there are, and which request was which: asked and written in the caller's transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, insert, select

from alerting.receiver.handoff_request import HandoffRequest
from alerting.receiver.schema import handoff_joins, handoff_windows, handoffs, incidents

JOINED_WITHIN_S = 24 * 3600.0


class Conflict(Exception):
    """The Idempotency-Key was used before with another body."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it is remembered: nothing of its text but hashes.

    `origin`: `agent` when the agent handed over itself, `exporter` when its execution was seen to need a person.
    """

    agent: str
    origin: str
    key: str
    keys: tuple[str, ...]
    body: str
    bodies: tuple[str, ...]
    run: str | None

    @classmethod
    def of(cls, agent: str, origin: str, key: str, body: bytes, request: HandoffRequest) -> Sent:
        """Older versions kept the key itself and the hash of the bytes; both still count as the same."""
        said = _hash(request.canonical.encode())
        run = None if request.run_id is None else _hash(request.run_id.encode())
        keyed = _hash(f"{origin}:{key}".encode() if origin == "exporter" else key.encode())
        return cls(agent, origin, keyed, (keyed, key), said, (said, _hash(body)), run)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def answered(connection: Connection, sent: Sent) -> str | None:
    """The hand-off that the same key began or joined before; Conflict when it said something else then."""
    for table, identifier in ((handoffs, handoffs.c.id), (handoff_joins, handoff_joins.c.handoff_id)):
        query = select(identifier.label("id"), table.c.body_hash).where(
            table.c.agent == sent.agent, table.c.idempotency_key.in_(sent.keys)
        )
        before = connection.execute(query).first()
        if before is not None:
            if before.body_hash not in sent.bodies:
                raise Conflict("this Idempotency-Key was used before with another body")
            return str(before.id)
    return None


def of_the_same_run(connection: Connection, sent: Sent, now: float) -> tuple[str, int] | None:
    """The hand-off of the same run from the other side, agent or exporter, and its incident."""
    if sent.run is None:
        return None
    same = and_(handoffs.c.agent == sent.agent, handoffs.c.run_hash == sent.run, handoffs.c.origin != sent.origin)
    recent = handoffs.c.received_at > now - JOINED_WITHIN_S
    row = connection.execute(select(handoffs).where(same, recent).order_by(handoffs.c.received_at).limit(1)).first()
    return None if row is None else (str(row.id), int(row.incident_id))


def begin(connection: Connection, sent: Sent, handoff_id: str, incident_id: int, reason: str, now: float) -> None:
    """Remember a new hand-off."""
    values = {"idempotency_key": sent.key, "body_hash": sent.body, "run_hash": sent.run, "origin": sent.origin}
    row = {"id": handoff_id, "agent": sent.agent, "incident_id": incident_id, "reason": reason, "received_at": now}
    connection.execute(insert(handoffs).values(**row, **values))


def join(connection: Connection, sent: Sent, handoff_id: str, now: float) -> None:
    """Remember a request that joined another one's hand-off."""
    values = {"agent": sent.agent, "idempotency_key": sent.key, "body_hash": sent.body, "received_at": now}
    connection.execute(insert(handoff_joins).values(**values, handoff_id=handoff_id))


def count(connection: Connection, incident_id: int) -> int:
    """How many hand-offs share the incident."""
    query = select(func.count()).select_from(handoffs).where(handoffs.c.incident_id == incident_id)
    return connection.scalar(query) or 0


def unsummarised(connection: Connection, *, more_than: int, opened_before: float) -> list[tuple[int, int]]:
    """Incidents whose window is over, with their number of hand-offs, that were never told how many there were."""
    number = func.count(handoffs.c.id)
    query = (
        select(incidents.c.id, number)
        .join(handoffs, handoffs.c.incident_id == incidents.c.id)
        .join(handoff_windows, handoff_windows.c.incident_id == incidents.c.id, isouter=True)
        .where(incidents.c.opened_at <= opened_before, handoff_windows.c.incident_id.is_(None))
        .group_by(incidents.c.id)
        .having(number > more_than)
    )
    return [(int(row[0]), int(row[1])) for row in connection.execute(query)]


def summarised(connection: Connection, incident_id: int, handed_over: int) -> None:
    """Remember that the incident was told."""
    connection.execute(insert(handoff_windows).values(incident_id=incident_id, handed_over=handed_over))
