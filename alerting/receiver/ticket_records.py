"""What is on disk about an incident's ticket: read before Jira is asked, written after it has answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine, Row, select, update

from alerting.receiver import audit, outbox
from alerting.receiver.outbox import Item
from alerting.receiver.schema import incidents
from alerting.receiver.text import Document, paragraph, restore
from alerting.receiver.ticket_port import Identity
from alerting.receiver.tickets import enqueue, put_beside, put_comment, put_mend, put_open
from alerting.receiver.worker import Permanent
from handrail.clock import Clock
from handrail.database import reading

Incident = Row[tuple[object, ...]]


def identity_of(incident: Incident) -> Identity:
    """What the incident's ticket is found by."""
    return Identity(str(incident.key), int(str(incident.episode)))


class TicketRecords:
    """Reads incidents, and finishes items in the transaction that records what was done. `count` is told what.

    `also` is called in the transaction that gives an incident a ticket to go on in, with the incident and the time.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        count: Callable[[str], None],
        also: Callable[[Connection, int, float], None] = lambda connection, incident_id, now: None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._count = count
        self._also = also

    def incident(self, item: Item) -> Incident:
        """The incident that the item is about."""
        with reading(self._engine).connect() as connection:
            return connection.execute(select(incidents).where(incidents.c.id == item.payload["incident"])).one()

    def ticketed(self, item: Item) -> Incident:
        """The same, if it has a ticket; else Permanent."""
        incident = self.incident(item)
        if not incident.ticket_key:
            raise Permanent("the incident has no ticket: the dead letter of its opening says why")
        return incident

    def former(self, incident: Incident) -> Incident | None:
        """The newest episode before this one that ended and had a ticket."""
        before = (incidents.c.key == incident.key) & (incidents.c.episode < incident.episode)
        ended = (incidents.c.state == "resolved") & incidents.c.ticket_key.is_not(None)
        query = select(incidents).where(before, ended).order_by(incidents.c.episode.desc()).limit(1)
        with reading(self._engine).connect() as connection:
            return connection.execute(query).first()

    def newest(self, incident: Incident) -> Incident:
        """The newest episode of the same incident."""
        query = select(incidents).where(incidents.c.key == incident.key).order_by(incidents.c.episode.desc()).limit(1)
        with reading(self._engine).connect() as connection:
            return connection.execute(query).one()

    def anchor(self) -> Document:
        """The end of the audit log at this moment, which a ticket keeps out of the database's reach."""
        head = audit.head(self._engine)
        return (paragraph(f"audit {head.short}"),) if head else ()

    def hold(self, item: Item) -> None:
        """Before every write to Jira: a worker that slept past its lease must not begin one."""
        with self._engine.begin() as connection:
            outbox.renew(connection, item, now=self._now())

    def opened(
        self,
        item: Item,
        key: str,
        how: str,
        *,
        beside: dict[str, object] | None = None,
        sweep_after_s: float = 0,
        **detail: str,
    ) -> None:
        """The incident has this ticket now. `beside` is to be put beside it, and its double sought after a time."""
        incident_id, now = item.payload["incident"], self._now()
        with self._engine.begin() as connection:
            connection.execute(update(incidents).where(incidents.c.id == incident_id).values(ticket_key=key))
            if beside:
                self._put_beside(connection, item, key, beside)
            if sweep_after_s:
                payload = {"incident": incident_id, "round": 0}
                enqueue(connection, "sweep", f"sweep/{key}", payload, now + sweep_after_s)
            if how != "not reopened":
                self._also(connection, incident_id, now)
            self._record(connection, item, how, key, **detail)

    def put_beside(self, item: Item, key: str, what: dict[str, object]) -> None:
        """Ask for what stands beside the ticket."""
        with self._engine.begin() as connection:
            self._put_beside(connection, item, key, what)

    def replace(self, item: Item, incident: Incident, *, instead_of: str | None = None) -> None:
        """While the incident lasts: ask for a new ticket, and for the same comment on that one."""
        incident_id, now = item.payload["incident"], self._now()
        with self._engine.begin() as connection:
            connection.execute(update(incidents).where(incidents.c.id == incident.id).values(ticket_key=None))
            if incident.state == "firing":
                put_open(connection, incident_id, now=now, instead_of=instead_of)
                put_comment(connection, incident_id, restore(item.payload["document"]), now=now, moved=True)
            self._record(connection, item, "full" if instead_of else "was deleted", str(incident.ticket_key))

    def mend(self, item: Item) -> None:
        """There is a second ticket: ask for one to be chosen, in the incident's turn."""
        with self._engine.begin() as connection:
            put_mend(connection, item.payload["incident"], now=self._now())
            outbox.finish(connection, item)

    def mend_later(self, item: Item, *, sweep_after_s: float | None) -> None:
        """The item was lost to another worker: ask for a look at what this one did, and for one when search knows."""
        incident_id, now = item.payload["incident"], self._now()
        with self._engine.begin() as connection:
            put_mend(connection, incident_id, now=now, late=item.payload.get("late", item.kind))
            if sweep_after_s is not None:
                payload = {"incident": incident_id, "round": 0}
                enqueue(connection, "sweep", f"sweep/item-{item.id}-{item.attempts}", payload, now + sweep_after_s)

    def merged(self, item: Item, incident: Incident, kept: str, others: Sequence[str]) -> None:
        """Every episode that went on in one of the others goes on in the one that was kept."""
        went_on = (incidents.c.key == incident.key) & incidents.c.ticket_key.in_(others)
        with self._engine.begin() as connection:
            connection.execute(update(incidents).where(went_on).values(ticket_key=kept))
            self._record(connection, item, "duplicate", kept, closed=", ".join(others))

    def finish(self, item: Item, what: str, key: str, **detail: str) -> None:
        """The item is done."""
        with self._engine.begin() as connection:
            self._record(connection, item, what, key, **detail)

    def _put_beside(self, connection: Connection, item: Item, key: str, what: dict[str, object]) -> None:
        put_beside(connection, item.payload["incident"], key, what, now=self._now())

    def _record(self, connection: Connection, item: Item, what: str, key: str, **detail: str) -> None:
        # After everything that was put into the outbox: who takes both locks takes them in this order.
        outbox.finish(connection, item)
        subject = f"incident/{item.payload['incident']}"
        audit.append(
            connection, self._now(), actor="handrail", action=f"ticket {what}", subject=subject, ticket=key, **detail
        )
        self._count(what.replace(" ", "_"))

    def _now(self) -> float:
        return self._clock.now().timestamp()
