"""Every firing incident gets exactly one open ticket, also when Jira's answer to the creation is lost.

An unanswered creation is never repeated at once: the incident's label is searched several times first, because
Jira's search finds a new ticket only after seconds to minutes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import Connection, Engine, Row, select, update

from alerting.receiver import audit, outbox
from alerting.receiver.outbox import Item
from alerting.receiver.reports import Report
from alerting.receiver.schema import incidents
from alerting.receiver.text import Document, dump, paragraph, restore
from alerting.receiver.worker import Later, Permanent, Transient
from handrail.clock import Clock
from handrail.database import reading

# Seconds to wait before each search for a ticket whose creation was not answered.
SEARCH_AFTER_S = (5.0, 15.0, 60.0, 180.0)


class Ambiguous(Exception):
    """The request may or may not have had its effect."""


class Gone(Exception):
    """The ticket does not exist any more."""


class TicketPort(Protocol):
    """What is needed of a ticket system. Raises Ambiguous, Gone, and the worker's Transient and Permanent."""

    def create(self, summary: str, description: Document, labels: tuple[str, ...]) -> str:
        """The key of a new ticket."""
        ...

    def find(self, label: str) -> str | None:
        """The key of the ticket that carries the label, as far as the search knows."""
        ...

    def comment(self, key: str, document: Document) -> None:
        """Add a comment."""
        ...

    def has_comment(self, key: str, marker: str) -> bool:
        """Does a comment of the ticket contain the marker?"""
        ...

    def close(self, key: str) -> bool:
        """Move the ticket to done; False when it already was."""
        ...


def put_open(connection: Connection, incident_id: int, *, now: float) -> None:
    """Ask for the incident's ticket, in the caller's transaction."""
    _put(connection, "open", incident_id, {}, now)


def put_comment(connection: Connection, incident_id: int, document: Document, *, now: float) -> None:
    """Ask for a comment on the incident's ticket, in the caller's transaction."""
    _put(connection, "comment", incident_id, {"document": dump(document)}, now)


def put_close(connection: Connection, incident_id: int, document: Document, *, now: float) -> None:
    """Ask for the incident's ticket to be closed with a comment, in the caller's transaction."""
    _put(connection, "close", incident_id, {"document": dump(document)}, now)


def _put(connection: Connection, kind: str, incident_id: int, payload: dict[str, object], now: float) -> None:
    # All episodes of an incident are one subject: the old ticket is closed before the next one is opened.
    key = connection.scalar(select(incidents.c.key).where(incidents.c.id == incident_id))
    outbox.put(
        connection,
        lane=outbox.TICKETS,
        kind=kind,
        subject=f"incident/{key}",
        payload={"incident": incident_id, **payload},
        run_at=now,
    )


def label_of(incident: Row[tuple[object, ...]]) -> str:
    """The label by which the ticket of this episode is found again."""
    return f"handrail-{incident.key}-{incident.episode}"


class TicketDesk:
    """The handlers of the ticket lane."""

    def __init__(self, engine: Engine, port: TicketPort, clock: Clock, count: Callable[[str], None]) -> None:
        self._engine = engine
        self._port = port
        self._clock = clock
        self._count = count
        self.handlers = {"open": self.open, "comment": self.comment, "close": self.close}

    def open(self, item: Item) -> None:
        """Create the ticket, or adopt the one that an unanswered attempt has created."""
        incident = self._incident(item)
        if incident.ticket_key:
            self._finish(item, "opened before", incident.ticket_key)
            return
        label = label_of(incident)
        unanswered = item.payload.get("unanswered", 0 if item.reclaimed else None)
        if unanswered is not None:
            if found := self._port.find(label):
                self._opened(item, found, "adopted")
                return
            if unanswered < len(SEARCH_AFTER_S):
                raise Later(SEARCH_AFTER_S[unanswered], {**item.payload, "unanswered": unanswered + 1})
        report = Report.restore(json.loads(incident.report))
        self._hold(item)
        try:
            key = self._port.create(report.summary, self._anchored(report.document), (*report.labels, label))
        except Ambiguous as error:
            raise Later(SEARCH_AFTER_S[0], {**item.payload, "unanswered": 1}) from error
        self._opened(item, key, "opened")

    def comment(self, item: Item) -> None:
        """Add the comment once; an attempt whose answer was lost is recognised by its marker."""
        incident = self._incident(item)
        if not incident.ticket_key:
            raise Permanent("the incident has no ticket to comment on")
        try:
            self._comment_once(item, incident.ticket_key)
        except Gone:
            self._reopen(item, incident)
            return
        self._finish(item, "commented", incident.ticket_key)

    def close(self, item: Item) -> None:
        """Comment and close; a ticket that a person has closed or deleted is left alone."""
        incident = self._incident(item)
        if not incident.ticket_key:
            raise Permanent("the incident has no ticket to close")
        try:
            self._comment_once(item, incident.ticket_key)
            self._hold(item)
            self._port.close(incident.ticket_key)
        except Gone:
            self._finish(item, "was deleted", incident.ticket_key)
            return
        self._finish(item, "closed", incident.ticket_key)

    def _anchored(self, document: Document) -> Document:
        """With the end of the audit log at this moment, out of the database's reach."""
        head = audit.head(self._engine)
        return (*document, paragraph(f"audit {head.short}")) if head else document

    def _comment_once(self, item: Item, key: str) -> None:
        marker = f"handrail-delivery-{item.id}"
        if item.attempts > 1 and self._port.has_comment(key, marker):
            return
        self._hold(item)
        try:
            self._port.comment(key, (*restore(item.payload["document"]), paragraph(marker)))
        except Ambiguous as error:
            raise Transient(str(error)) from error

    def _hold(self, item: Item) -> None:
        """Before every write to Jira: a worker that slept past its lease must not begin one."""
        with self._engine.begin() as connection:
            outbox.renew(connection, item, now=self._clock.now().timestamp())

    def _incident(self, item: Item) -> Row[tuple[object, ...]]:
        with reading(self._engine).connect() as connection:
            return connection.execute(select(incidents).where(incidents.c.id == item.payload["incident"])).one()

    def _opened(self, item: Item, key: str, how: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                update(incidents).where(incidents.c.id == item.payload["incident"]).values(ticket_key=key)
            )
            self._record(connection, item, how, key)

    def _reopen(self, item: Item, incident: Row[tuple[object, ...]]) -> None:
        """The ticket was deleted while the incident fires: ask for a new one and keep the comment for it."""
        with self._engine.begin() as connection:
            connection.execute(update(incidents).where(incidents.c.id == incident.id).values(ticket_key=None))
            if incident.state == "firing":
                put_open(connection, incident.id, now=self._clock.now().timestamp())
            self._record(connection, item, "was deleted", str(incident.ticket_key))

    def _finish(self, item: Item, what: str, key: str) -> None:
        with self._engine.begin() as connection:
            self._record(connection, item, what, key)

    def _record(self, connection: Connection, item: Item, what: str, key: str) -> None:
        outbox.finish(connection, item)
        now = self._clock.now().timestamp()
        audit.append(
            connection,
            now,
            actor="handrail",
            action=f"ticket {what}",
            subject=f"incident/{item.payload['incident']}",
            ticket=key,
        )
        self._count(what)
