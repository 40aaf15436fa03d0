"""What waits and what was given up, for a person to look at, to try again or to drop; each of it is audited."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, select, update

from alerting.receiver import audit
from alerting.receiver.schema import incidents, kills, outbox

STATES = {"ready": "waits", "leased": "is being done", "done": "is done", "dropped": "was dropped"}


class NotDead(Exception):
    """Nothing was changed; the text says which items are not dead letters, and what they are."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One item that is not done. `about` is the alert or the operation, `due_s` when it is tried next, if at all."""

    id: int
    lane: str
    kind: str
    state: str
    incident: int | None
    agent: str | None
    about: str
    ticket: str | None
    age_s: float
    due_s: float | None
    attempts: int
    last_error: str | None


def undone(engine: Engine, *, now: float, dead_only: bool) -> list[Letter]:
    """Everything that waits or was given up, the oldest first."""
    states = ("dead",) if dead_only else ("ready", "leased", "dead")
    with engine.connect() as connection:
        rows = connection.execute(select(outbox).where(outbox.c.state.in_(states)).order_by(outbox.c.id)).all()
        return [_letter(connection, row, now) for row in rows]


def retry(connection: Connection, ids: Sequence[int], *, by: str, now: float) -> None:
    """Make dead letters due again, with another day until they are given up; NotDead if one of them is none."""
    _check(connection, ids)
    # The attempts stay: a comment that may have been written before is looked for only from the second one on.
    values = {"state": "ready", "run_at": now, "created_at": now, "lease_until": None}
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(**values))
    _audit(connection, ids, "retry asked for", by=by, now=now)


def drop(connection: Connection, ids: Sequence[int], *, by: str, reason: str, now: float) -> None:
    """Let dead letters go for good; NotDead if one of them is none."""
    _check(connection, ids)
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(state="dropped", run_at=now))
    _audit(connection, ids, "dropped", by=by, now=now, reason=reason)


def _check(connection: Connection, ids: Sequence[int]) -> None:
    query = select(outbox.c.id, outbox.c.state).where(outbox.c.id.in_(ids)).with_for_update()
    states = {row.id: row.state for row in connection.execute(query)}
    wrong = [
        f"{number} {STATES.get(states[number], states[number])}" if number in states else f"there is no item {number}"
        for number in ids
        if states.get(number) != "dead"
    ]
    if wrong:
        raise NotDead(f"{'; '.join(wrong)}. Nothing was changed")


def _audit(connection: Connection, ids: Sequence[int], action: str, *, by: str, now: float, **detail: str) -> None:
    for row in connection.execute(select(outbox).where(outbox.c.id.in_(ids)).order_by(outbox.c.id)):
        incident = json.loads(row.payload).get("incident")
        subject = f"incident/{incident}" if incident is not None else row.subject
        audit.append(
            connection,
            now,
            actor=by,
            action=f"{row.lane}/{row.kind} {action}",
            subject=subject,
            item=row.id,
            last_error=row.last_error,
            **detail,
        )


def _letter(connection: Connection, row: Row[tuple[object, ...]], now: float) -> Letter:
    payload = json.loads(row.payload)
    number, agent, about, ticket = payload.get("incident"), None, row.subject, None
    if "kill" in payload:
        kill = connection.execute(select(kills).where(kills.c.id == payload["kill"])).first()
        if kill is not None:
            number, agent, about = kill.incident_id, kill.agent, f"{kill.action}: {kill.reason}"
    elif number is not None:
        incident = connection.execute(select(incidents).where(incidents.c.id == number)).first()
        if incident is not None:
            agent, about, ticket = incident.agent, incident.alertname, incident.ticket_key
    return Letter(
        id=row.id,
        lane=row.lane,
        kind=row.kind,
        state=row.state,
        incident=number,
        agent=agent,
        about=about,
        ticket=ticket,
        age_s=max(0.0, now - row.created_at),
        due_s=max(0.0, row.run_at - now) if row.state == "ready" else None,
        attempts=row.attempts,
        last_error=row.last_error or None,
    )
