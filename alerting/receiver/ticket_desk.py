"""Every firing incident gets exactly one open ticket, also when Jira's answer to the creation is lost.

An unanswered creation is never repeated at once: the incident's label is searched several times first, because
Jira's search finds a new ticket only after seconds to minutes. What a person does to a ticket is never undone: nothing
is rewritten, a change is a comment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from alerting.receiver.outbox import Item
from alerting.receiver.reports import Report
from alerting.receiver.text import Document, facts, paragraph, plain, restore
from alerting.receiver.ticket_mender import CLOCKS_DIFFER_S, SWEEP_AFTER_S, TicketMender, ours, say_once
from alerting.receiver.ticket_port import (
    Ambiguous,
    Draft,
    Full,
    Gone,
    Refused,
    Ticket,
    TicketPort,
    WebLink,
)
from alerting.receiver.ticket_records import Incident, TicketRecords, identity_of
from alerting.receiver.worker import Later, Permanent, Transient

# Seconds to wait before each search for a ticket whose creation was not answered.
SEARCH_AFTER_S = (5.0, 15.0, 60.0, 180.0)

_STILL_FIRING = (
    paragraph(
        "This incident still fires. A person has closed the ticket, so it stays closed and hears of no further change; "
        "it is opened again by itself only when the incident ends and comes back."
    ),
)


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known at the moment at which a ticket is written: a part of its text, and links."""

    document: Document = ()
    links: tuple[WebLink, ...] = ()


class TicketDesk:
    """The handlers of the ticket lane. `situation` tells what is known of an incident when its ticket is written."""

    def __init__(
        self,
        records: TicketRecords,
        port: TicketPort,
        *,
        reopen_within_s: float,
        situation: Callable[[Incident], Situation],
    ) -> None:
        self._records = records
        self._port = port
        self._reopen_within_s = reopen_within_s
        self._situation = situation
        self._mender = TicketMender(records, port)
        self.lost = self._mender.lost
        self.handlers = {
            "open": self.open,
            "comment": self.comment,
            "change": self.change,
            "close": self.close,
            "beside": self.beside,
            **self._mender.handlers,
        }

    def open(self, item: Item) -> None:
        """The ticket of before if it ended only just, the one of an unanswered attempt, or else a new one."""
        try:
            self._open(item, reclaimed=item.reclaimed or "reclaimed" in item.payload)
        except Transient as error:
            if not item.reclaimed:
                raise
            # Put off, it would no longer be known that the attempt before may have created a ticket.
            learnt = {**(error.payload or item.payload), "reclaimed": True}
            raise Transient(str(error), retry_after_s=error.retry_after_s, payload=learnt) from error

    def _open(self, item: Item, *, reclaimed: bool) -> None:
        incident = self._records.incident(item)
        if incident.ticket_key:
            self._records.finish(item, "opened before", incident.ticket_key)
            return
        former = self._records.former(incident)
        if former is not None and "unanswered" not in item.payload and self._take_up(item, incident, former):
            return
        unanswered = item.payload.get("unanswered", 0 if reclaimed else None)
        if unanswered is not None:
            if found := ours(self._port, identity_of(incident)):
                report = Report.restore(json.loads(str(incident.report)))
                links = [[link.name, link.title, link.url] for link in report.links]
                self._records.opened(
                    item, found[0].key, "adopted", beside={"links": links, "related": _related(item, former)}
                )
                return
            if unanswered < len(SEARCH_AFTER_S):
                raise Later(SEARCH_AFTER_S[unanswered], {**item.payload, "unanswered": unanswered + 1})
        self._create(item, incident, former, repeated=unanswered is not None)

    def _create(self, item: Item, incident: Incident, former: Incident | None, *, repeated: bool) -> None:
        report, situation = Report.restore(json.loads(str(incident.report))), self._situation(incident)
        related = _related(item, former)
        before = (facts(("Ticket before this one", related)),) if related else ()
        draft = Draft(
            identity=identity_of(incident),
            summary=report.summary,
            document=(*report.document, *before, *situation.document, *report.after, *self._records.anchor()),
            labels=report.labels,
            severity=report.severity,
            agent=report.agent,
            owner=report.owner,
        )
        self._records.hold(item)
        try:
            created = self._port.create(draft)
        except Ambiguous as error:
            raise Later(SEARCH_AFTER_S[0], {**item.payload, "unanswered": 1}) from error
        links = [[link.name, link.title, link.url] for link in (*report.links, *situation.links)]
        beside: dict[str, object] = {"links": links, "related": related}
        if created.cut:
            beside |= {"file": draft.identity.label, "content": plain(draft.document)}
        sweep_after_s = SWEEP_AFTER_S[0] if repeated else 0
        self._records.opened(item, created.key, "opened", beside=beside, sweep_after_s=sweep_after_s)

    def _take_up(self, item: Item, incident: Incident, former: Incident) -> bool:
        """Go on with the former episode's ticket, if that one ended only just and its ticket can be opened again."""
        ended = float(str(former.resolved_at or former.last_seen_at))
        if float(str(incident.opened_at)) - ended > self._reopen_within_s:
            return False
        try:
            ticket = self._port.read(str(former.ticket_key))
            if ticket.done and ticket.wont_fix:
                reason = f"fires again; its ticket was closed as {ticket.resolution}"
                self._records.opened(item, ticket.key, "not reopened", reason=reason)
                return True
            if not self._out_of_done(item, ticket):
                return False
            report, situation = Report.restore(json.loads(str(incident.report))), self._situation(incident)
            again = paragraph("Fires again. This ticket goes on, because it was closed only a short time ago.")
            with suppress(Full):  # that it is open again says as much
                self._comment_once(item, ticket.key, (again, *report.document, *situation.document))
            # Only now: a ticket that could not be taken up must not be found as this episode's.
            with suppress(Refused):
                self._port.adopt(ticket.key, identity_of(incident))
        except Gone:
            return False
        self._records.opened(item, ticket.key, "reopened")
        return True

    def _out_of_done(self, item: Item, ticket: Ticket) -> bool:
        try:
            return not ticket.done or self._port.reopen(ticket.key, lambda: self._records.hold(item))
        except Refused:
            return False  # every way back asks for something: a new ticket is better than none

    def comment(self, item: Item) -> None:
        """Add the comment once, whatever the ticket's state; a deleted or full ticket is replaced by another one."""
        incident = self._records.ticketed(item)
        try:
            self._comment_once(item, incident.ticket_key, restore(item.payload["document"]))
        except (Gone, Full) as error:
            if item.payload.get("moved"):
                raise Permanent(f"a new ticket could not take it either: {error}") from error
            self._records.replace(item, incident, instead_of=incident.ticket_key if isinstance(error, Full) else None)
            return
        self._records.finish(item, "commented", incident.ticket_key)

    def change(self, item: Item) -> None:
        """Say how the incident stands. On a ticket that a person has closed this is said once, and then no more."""
        incident = self._records.ticketed(item)
        try:
            ticket = self._port.read(incident.ticket_key)
            if not ticket.done:
                self._comment_once(item, ticket.key, restore(item.payload["document"]))
            elif not ticket.wont_fix:
                say_once(self._port, ticket.key, incident, "closed", _STILL_FIRING)
        except Gone:
            self._records.replace(item, incident)
            return
        except Full:
            self._records.finish(item, "full", incident.ticket_key)
            return
        self._records.finish(item, "left alone" if ticket.done else "commented", ticket.key)

    def close(self, item: Item) -> None:
        """Comment and close; a ticket that a person has closed or deleted is left alone."""
        incident = self._records.ticketed(item)
        try:
            ticket = self._port.read(incident.ticket_key)
            if ticket.done and ticket.wont_fix:
                self._records.finish(item, "left alone", ticket.key)
                return
            with suppress(Full):  # that it is closed says as much
                self._comment_once(item, ticket.key, restore(item.payload["document"]))
            self._port.close(ticket.key, lambda: self._records.hold(item))
        except Gone:
            self._records.finish(item, "was deleted", incident.ticket_key)
            return
        self._records.finish(item, "closed", ticket.key)

    def beside(self, item: Item) -> None:
        """What stands beside a ticket and not in it: links and the text that had no room. Nothing waits for it."""
        key, refused = item.payload["ticket"], []
        try:
            if (name := item.payload.get("file")) and f"{name}.txt" not in self._port.read(key).attachments:
                self._port.attach(key, f"{name}.txt", item.payload["content"])
            if (related := item.payload.get("related")) and not self._port.relate(key, related):
                refused.append(f"no link to {related}")
            self._port.link(key, [WebLink(*link) for link in item.payload.get("links", ())])
        except Ambiguous as error:
            raise Transient(str(error)) from error
        except (Gone, Full, Permanent) as error:
            # The links stand in the ticket's text as well, so that nothing is lost that a person would need.
            refused.append(str(error))
        self._records.finish(item, "completed", key, **({"refused": "; ".join(refused)} if refused else {}))

    def _comment_once(self, item: Item, key: str, document: Document) -> None:
        incident = self._records.incident(item)
        delivery = f"{identity_of(incident).label}-{item.id}"
        if item.attempts > 1 and self._port.has_comment(key, delivery, since=item.created_at - CLOCKS_DIFFER_S):
            return
        self._records.hold(item)
        self._say(key, document, delivery, item)

    def _say(self, key: str, document: Document, delivery: str, item: Item | None = None) -> None:
        try:
            cut = self._port.comment(key, document, delivery)
        except Ambiguous as error:
            raise Transient(str(error)) from error
        if cut and item is not None:
            self._records.put_beside(item, key, {"file": delivery, "content": plain(document)})


def _related(item: Item, former: Incident | None) -> str | None:
    """The ticket before this one."""
    instead_of = item.payload.get("instead_of")
    if instead_of is not None:
        return str(instead_of)
    return str(former.ticket_key) if former is not None else None
