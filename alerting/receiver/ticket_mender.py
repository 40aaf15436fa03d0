"""Two tickets become one again, and what was done too late is undone, in the order of the incident's other work.

Nothing stops Jira from doing what a receiver asked for that fell asleep just before it sent the request: it may create,
close or open a ticket when another receiver has long gone on. It learns so when it wants to record it, and asks for
this. What a person does to a ticket is told apart by that alone: nothing is mended that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from alerting.receiver.outbox import Item
from alerting.receiver.text import Document, paragraph
from alerting.receiver.ticket_port import Ambiguous, Full, Gone, Identity, Refused, Ticket, TicketPort
from alerting.receiver.ticket_records import Incident, TicketRecords, identity_of
from alerting.receiver.worker import Later, Transient

# Seconds until each look for the ticket of a creation that was repeated without having been found.
SWEEP_AFTER_S = (600.0, 3600.0, 6 * 3600.0)
# Jira's clock and ours may differ by so much when a comment's age is judged.
CLOCKS_DIFFER_S = 600.0

_LATE = "A receiver that had been frozen did this too late; it is undone."


class TicketMender:
    """The handlers that bring tickets back in line with their incident."""

    def __init__(self, records: TicketRecords, port: TicketPort) -> None:
        self._records = records
        self._port = port
        self.handlers = {"sweep": self.sweep, "mend": self.mend}

    def lost(self, item: Item) -> None:
        """Another worker had taken the item over: what this one did meanwhile is looked into."""
        if item.kind in ("open", "close", "mend"):
            self._records.mend_later(item, sweep_after_s=SWEEP_AFTER_S[0] if item.kind == "open" else None)

    def sweep(self, item: Item) -> None:
        """Look for a second ticket. Which of them stays is decided in the incident's turn, not beside it."""
        incident, round_ = self._records.incident(item), item.payload["round"]
        if len(ours(self._port, identity_of(incident))) > 1:
            self._records.mend(item)
        elif round_ + 1 < len(SWEEP_AFTER_S):
            raise Later(SWEEP_AFTER_S[round_ + 1], {**item.payload, "round": round_ + 1})
        else:
            self._records.finish(item, "single", str(incident.ticket_key))

    def mend(self, item: Item) -> None:
        """One ticket of the episode stays; if something came too late, the newest one is as its incident is."""
        incident = self._records.incident(item)
        newest = self._records.newest(incident)
        found = _kept_first(ours(self._port, identity_of(incident)), incident, newest)
        if len(found) > 1:
            kept, *others = found
            for ticket in others:
                self._merge(item, incident, ticket, kept)
            self._records.merged(item, incident, kept.key, [ticket.key for ticket in others])
            return
        late, said = item.payload.get("late"), "in order"
        if late and newest.ticket_key:
            said = self._undo(item, newest, late)
        self._records.finish(item, said, str(newest.ticket_key))

    def _undo(self, item: Item, newest: Incident, late: str) -> str:
        """What was done to the ticket of the newest episode."""
        key, fires = str(newest.ticket_key), newest.state == "firing"
        try:
            ticket = self._port.read(key)
            if late == "close" and fires and ticket.done and not ticket.wont_fix:
                self._port.reopen(key, lambda: self._records.hold(item))
            elif late == "open" and not fires and not ticket.done:
                self._port.close(key, lambda: self._records.hold(item))
            else:
                return "in order"
            say_once(self._port, key, newest, f"late-{item.id}", (paragraph(_LATE),))
        except (Gone, Full, Refused):
            return "in order"
        return "mended"

    def _merge(self, item: Item, incident: Incident, ticket: Ticket, kept: Ticket) -> None:
        said = paragraph(
            f"A duplicate of {kept.key}: an answer of Jira was lost, or a receiver was frozen, when they were created. "
            f"Everything goes on in {kept.key}."
        )
        try:
            self._records.hold(item)
            say_once(self._port, ticket.key, incident, f"duplicate-{kept.key}", (said,))
            self._port.relate(ticket.key, kept.key, duplicate=True)
            self._port.close(ticket.key, lambda: self._records.hold(item))
        except (Gone, Full):
            pass  # then it does not disturb anybody


def _kept_first(found: Sequence[Ticket], incident: Incident, newest: Incident) -> list[Ticket]:
    """The elder stays while its episode lasts. Afterwards the one in which the incident ended or goes on does."""
    if newest.id == incident.id and incident.state == "firing":
        return list(found)
    return sorted(found, key=lambda ticket: ticket.key != newest.ticket_key)


def ours(port: TicketPort, identity: Identity) -> list[Ticket]:
    """The tickets of this episode that we made: open ones first, then the oldest. A clone is none of them."""
    found = []
    for key in port.find(identity.label):
        try:
            ticket = port.read(key)
        except Gone:
            continue
        if ticket.incident == identity.incident and identity.label in ticket.labels:
            found.append(ticket)
    return sorted(found, key=lambda ticket: (ticket.done, ticket.number))


def say_once(port: TicketPort, key: str, incident: Incident, what: str, document: Document) -> None:
    """Say it, if it was not said since the incident began."""
    delivery = f"{identity_of(incident).label}-{what}"
    if port.has_comment(key, delivery, since=float(str(incident.opened_at)) - CLOCKS_DIFFER_S):
        return
    try:
        port.comment(key, document, delivery)
    except Ambiguous as error:
        raise Transient(str(error)) from error
