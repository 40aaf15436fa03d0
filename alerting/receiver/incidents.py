"""Incidents and their episodes: at most one is open per key, whatever order notifications come in."""

from __future__ import annotations

import json

from sqlalchemy import Connection, Row, insert, select, update

from alerting.receiver import tickets
from alerting.receiver.reports import Report
from alerting.receiver.schema import incidents

IncidentRow = Row[tuple[object, ...]]


def newest(connection: Connection, key: str) -> IncidentRow | None:
    """The newest episode of an incident."""
    query = select(incidents).where(incidents.c.key == key).order_by(incidents.c.episode.desc()).limit(1)
    return connection.execute(query).first()


def begin(
    connection: Connection,
    *,
    key: str,
    alertname: str,
    agent: str | None,
    digest: str,
    report: Report,
    now: float,
    with_ticket: bool,
) -> int:
    """A new episode, and the request for its ticket. The unique key stops a second one from being begun beside it."""
    before = newest(connection, key)
    values = {
        "key": key,
        "episode": before.episode + 1 if before else 1,
        "alertname": alertname,
        "agent": agent,
        "state": "firing",
        "digest": digest,
        "opened_at": now,
        "last_seen_at": now,
        "report": json.dumps(report.dump()),
    }
    incident_id = int(connection.execute(insert(incidents).values(**values).returning(incidents.c.id)).scalar_one())
    if with_ticket:
        tickets.put_open(connection, incident_id, now=now)
    return incident_id


def seen(connection: Connection, incident_id: int, *, digest: str, now: float) -> None:
    """The incident was reported again, perhaps in another state."""
    changed = update(incidents).where(incidents.c.id == incident_id)
    connection.execute(changed.values(digest=digest, last_seen_at=now))


def end(connection: Connection, incident_id: int, *, digest: str, now: float) -> None:
    """The incident is over."""
    changed = update(incidents).where(incidents.c.id == incident_id)
    connection.execute(changed.values(state="resolved", digest=digest, last_seen_at=now, resolved_at=now))
