"""Incidents and their episodes: at most one is open per key, whatever order notifications come in."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, Engine, Row, func, insert, select, update

from alerting.receiver import tickets
from alerting.receiver.decide import Known, Remembered
from alerting.receiver.payload import Notification
from alerting.receiver.reports import Report
from alerting.receiver.schema import alerts, incidents
from handrail.database import reading

IncidentRow = Row[tuple[object, ...]]


def newest(connection: Connection, key: str) -> IncidentRow | None:
    """The newest episode of an incident."""
    query = select(incidents).where(incidents.c.key == key).order_by(incidents.c.episode.desc()).limit(1)
    return connection.execute(query).first()


def about(connection: Connection, alertname: str, agent: str | None) -> IncidentRow | None:
    """The newest episode of any incident about the alert, and about the agent if one is named."""
    query = select(incidents).where(incidents.c.alertname == alertname)
    if agent is not None:
        query = query.where(incidents.c.agent == agent)
    return connection.execute(query.order_by(incidents.c.id.desc()).limit(1)).first()


def known(connection: Connection, key: str, row: IncidentRow | None) -> Known:
    """What is remembered of the incident whose newest episode is `row`."""
    found = {
        each.fingerprint: _remembered(each) for each in connection.execute(select(alerts).where(alerts.c.key == key))
    }
    if row is None:
        return Known(alerts=found)
    return Known(row.episode, row.state == "firing", found, row.sender or "", row.group_key or "")


def _remembered(row: Row[tuple[object, ...]]) -> Remembered:
    return Remembered(row.firing, row.starts_at, row.ends_at, row.ended_seen_at, row.held_at)


def remember(connection: Connection, key: str, changed: Mapping[str, Remembered]) -> None:
    """Keep what was understood of these alerts of an incident."""
    for fingerprint, alert in changed.items():
        values = {name: getattr(alert, name) for name in Remembered.__slots__}
        row = update(alerts).where(alerts.c.key == key, alerts.c.fingerprint == fingerprint)
        if connection.execute(row.values(**values)).rowcount == 0:
            connection.execute(insert(alerts).values(key=key, fingerprint=fingerprint, **values))


def told_by(connection: Connection, incident_id: int, notification: Notification) -> None:
    """Who told of the incident last, and in which group."""
    values = {"sender": notification.external_url, "group_key": notification.group_key}
    connection.execute(update(incidents).where(incidents.c.id == incident_id).values(**values))


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


def open_tickets(engine: Engine) -> dict[str, int]:
    """How many incidents that are not over have a ticket, by agent; those about no agent under an empty name."""
    agent = func.coalesce(incidents.c.agent, "")
    query = select(agent, func.count()).where(incidents.c.state == "firing", incidents.c.ticket_key.is_not(None))
    with reading(engine).connect() as connection:
        return {name: count for name, count in connection.execute(query.group_by(agent))}
