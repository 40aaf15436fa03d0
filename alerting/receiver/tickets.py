"""Asks for what is to be done to tickets, in the transaction of what it follows from."""

from __future__ import annotations

from sqlalchemy import Connection, select

from alerting.receiver import outbox
from alerting.receiver.schema import incidents
from alerting.receiver.text import Document, dump


def put_open(connection: Connection, incident_id: int, *, now: float, instead_of: str | None = None) -> None:
    """Ask for the incident's ticket, in the caller's transaction; `instead_of` is one that cannot be used any more."""
    _put(connection, "open", incident_id, {"instead_of": instead_of} if instead_of else {}, now)


def put_comment(
    connection: Connection, incident_id: int, document: Document, *, now: float, moved: bool = False
) -> None:
    """Ask for a comment that must be on the incident's ticket whatever its state, in the caller's transaction.

    `moved`: the ticket it was for could not take it.
    """
    _put(connection, "comment", incident_id, {"document": dump(document), **({"moved": True} if moved else {})}, now)


def put_change(connection: Connection, incident_id: int, document: Document, *, now: float) -> None:
    """Ask for a comment about how the incident stands, which a closed ticket does not need; in the transaction."""
    _put(connection, "change", incident_id, {"document": dump(document)}, now)


def put_close(connection: Connection, incident_id: int, document: Document, *, now: float) -> None:
    """Ask for the incident's ticket to be closed with a comment, in the caller's transaction."""
    _put(connection, "close", incident_id, {"document": dump(document)}, now)


def put_mend(connection: Connection, incident_id: int, *, now: float, late: str | None = None) -> None:
    """Ask for the incident's tickets to be brought in line; `late` is the kind of work that was perhaps done late."""
    _put(connection, "mend", incident_id, {"late": late} if late else {}, now)


def put_beside(connection: Connection, incident_id: int, ticket: str, what: dict[str, object], *, now: float) -> None:
    """Ask for links, a file or a related ticket to be put beside the ticket, in the caller's transaction."""
    enqueue(connection, "beside", f"beside/{ticket}", {"incident": incident_id, "ticket": ticket, **what}, now)


def _put(connection: Connection, kind: str, incident_id: int, payload: dict[str, object], now: float) -> None:
    # All episodes of an incident are one subject: the old ticket is closed before the next one is opened.
    key = connection.scalar(select(incidents.c.key).where(incidents.c.id == incident_id))
    enqueue(connection, kind, f"incident/{key}", {"incident": incident_id, **payload}, now)


def enqueue(connection: Connection, kind: str, subject: str, payload: dict[str, object], run_at: float) -> None:
    """Put it into the lane of tickets, in the caller's transaction."""
    outbox.put(connection, lane=outbox.TICKETS, kind=kind, subject=subject, payload=payload, run_at=run_at)
