"""An agent hands its work to a person, once, whoever asks how often: it becomes a ticket or joins one.

Accepted means on disk. The same Idempotency-Key gives the same answer; what an agent hands over itself and what the
exporter saw of the same run are one hand-off; one broken tool opens one ticket and comments on it, not a thousand.
"""

from __future__ import annotations

import re
import threading
import uuid
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from alerting.receiver import audit, handoff_records, incidents, tickets
from alerting.receiver.handoff_records import Sent
from alerting.receiver.handoff_request import HandoffRequest, failed_tool
from alerting.receiver.payload import incident_key
from alerting.receiver.reports import HandoffText, Reporter
from alerting.receiver.schema import handoffs
from alerting.receiver.schema import incidents as incidents_table
from alerting.receiver.text import Document, paragraph
from alerting.receiver.ticket_port import Ambiguous, Gone, TicketPort
from alerting.receiver.worker import Permanent, Transient
from handrail.clock import Clock
from handrail.database import reading, take_turns
from handrail.logs import LogOnce

# Hand-offs of one agent for the same reason within this time share a ticket, which then gets comments up to a number.
AGGREGATE_S = 3600.0
MAX_COMMENTS = 20
_SUMMARISE_EVERY_S = 30.0
_JOINED = {
    "agent": "The agent handed the same run over itself.",
    "exporter": "What the execution shows of the same run.",
}


class HandoffDesk:
    """Takes hand-offs and knows what became of them."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        scope: str,
        reporter: Reporter,
        port: TicketPort | None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._scope = scope
        self._reporter = reporter
        self._port = port
        self._with_tickets = port is not None

    def accept(self, sent: Sent, request: HandoffRequest, reason: str) -> str:
        """Commit the hand-off and return its id; Conflict when the key was used with another body."""
        now = self._clock.now().timestamp()
        with self._engine.begin() as connection:
            take_turns(connection, "handoffs")
            before = handoff_records.answered(connection, sent)
            if before is not None:
                return before
            handoff = _text(sent.agent, reason, request)
            known = handoff_records.of_the_same_run(connection, sent, now)
            if known is not None:
                self._join(connection, sent, handoff, known, now)
                return known[0]
            handoff_id = uuid.uuid4().hex
            incident_id = self._incident(connection, handoff, now)
            handoff_records.begin(connection, sent, handoff_id, incident_id, reason, now)
            self._record(connection, sent, "hand-off", incident_id, now, id=handoff_id, reason=reason)
        return handoff_id

    def summarise(self) -> None:
        """Tell each ticket whose hour is over how many hand-offs there were that it does not show."""
        now = self._clock.now().timestamp()
        with self._engine.begin() as connection:
            take_turns(connection, "handoffs")
            shown, over = MAX_COMMENTS + 1, now - AGGREGATE_S
            for incident_id, number in handoff_records.unsummarised(connection, more_than=shown, opened_before=over):
                handoff_records.summarised(connection, incident_id, number)
                said = f"And {number - shown} more hand-offs for the same reason: {number} in the hour."
                self._comment(connection, incident_id, (paragraph(said),), now)

    def run(self, stop: threading.Event, log_once: LogOnce) -> None:
        """Summarise until `stop` is set; a database that fails is tried again."""
        while not stop.wait(_SUMMARISE_EVERY_S):
            try:
                self.summarise()
                log_once.succeeded("handoffs")
            except SQLAlchemyError as error:
                log_once.failed("handoffs", type(error).__name__)

    def status(self, handoff_id: str, agent: str | None) -> dict[str, Any] | None:
        """{id, state, ticket} of a hand-off, if `agent` (None: anyone's) may see it; accepted, ticketed or closed."""
        query = (
            select(
                handoffs.c.id,
                handoffs.c.agent,
                handoffs.c.incident_id,
                incidents_table.c.ticket_key,
                incidents_table.c.state,
            )
            .join(incidents_table, incidents_table.c.id == handoffs.c.incident_id, isouter=True)
            .where(handoffs.c.id == handoff_id)
        )
        with reading(self._engine).connect() as connection:
            row = connection.execute(query).first()
        if row is None or agent not in (None, row.agent):
            return None
        closed = row.state == "resolved" or (row.ticket_key and self._was_closed(row.incident_id, row.ticket_key))
        state = "closed" if closed else "ticketed" if row.ticket_key else "accepted"
        return {"id": row.id, "state": state, "ticket": row.ticket_key}

    def _was_closed(self, incident_id: int, key: str) -> bool:
        """Whether a person has closed the ticket, as Jira says now; when it does not say, nobody has."""
        try:
            if self._port is None or not self._port.read(key).done:
                return False
        except Gone:
            pass
        except (Transient, Permanent, Ambiguous):
            return False
        now = self._clock.now().timestamp()
        with self._engine.begin() as connection:
            incidents.end(connection, incident_id, digest="", now=now)
            subject = f"incident/{incident_id}"
            audit.append(connection, now, actor="handrail", action="hand-off closed", subject=subject, ticket=key)
        return True

    def _incident(self, connection: Connection, handoff: HandoffText, now: float) -> int:
        key = incident_key(self._scope, "Handoff", {"agent": handoff.agent, "signature": _signature(handoff)})
        newest = incidents.newest(connection, key)
        report = self._reporter.handoff(handoff)
        if newest is None or newest.state != "firing" or now - newest.opened_at > AGGREGATE_S:
            return incidents.begin(
                connection,
                key=key,
                alertname="Handoff",
                agent=handoff.agent,
                digest="",
                report=report,
                now=now,
                with_ticket=self._with_tickets,
            )
        incidents.seen(connection, newest.id, digest="", now=now)
        if handoff_records.count(connection, newest.id) <= MAX_COMMENTS:
            said = (paragraph("Another hand-off for the same reason."), *report.document[1:])
            self._comment(connection, newest.id, said, now)
        return int(newest.id)

    def _join(
        self, connection: Connection, sent: Sent, handoff: HandoffText, known: tuple[str, int], now: float
    ) -> None:
        """What the one side says is added to what the other one said: an agent knows more than n8n keeps, or less."""
        handoff_id, incident_id = known
        handoff_records.join(connection, sent, handoff_id, now)
        self._record(connection, sent, "hand-off joined", incident_id, now, id=handoff_id, reason=handoff.reason)
        if handoff_records.count(connection, incident_id) <= MAX_COMMENTS:
            report = self._reporter.handoff(handoff)
            self._comment(connection, incident_id, (paragraph(_JOINED[sent.origin]), *report.document[1:]), now)

    def _comment(self, connection: Connection, incident_id: int, said: Document, now: float) -> None:
        if self._with_tickets:
            tickets.put_comment(connection, incident_id, said, now=now)

    def _record(
        self, connection: Connection, sent: Sent, action: str, incident_id: int, now: float, **detail: str
    ) -> None:
        actor = sent.agent if sent.origin == "agent" else "exporter"
        subject = f"incident/{incident_id}"
        audit.append(connection, now, actor=actor, action=action, subject=subject, agent=sent.agent, **detail)


def _text(agent: str, reason: str, request: HandoffRequest) -> HandoffText:
    return HandoffText(
        agent=agent,
        reason=reason,
        task=request.task,
        confidence=request.confidence,
        tool_error=failed_tool(request),
        prompt=request.prompt,
        response=request.response,
        run_id=request.run_id,
        model=" ".join(filter(None, (request.model, request.model_version))) or None,
        trace_id=request.trace_id,
        trace_url=request.trace_url,
        execution_id=request.execution_id,
        execution_url=request.execution_url,
        tools=tuple((tool.name, tool.error) for tool in request.tools),
        steps=request.steps,
        decision=request.decision,
        customer_impact=request.customer_impact,
    )


def _signature(handoff: HandoffText) -> str:
    """Equal for errors that differ only in numbers and identifiers."""
    first_line = (handoff.tool_error or "").strip().split("\n")[0][:200]
    return f"{handoff.reason}:{re.sub(r'[0-9a-f-]*[0-9][0-9a-f-]*', '#', first_line.lower())}"


def taken(engine: Engine) -> dict[tuple[str, str], int]:
    """How many hand-offs were ever taken, by agent and reason."""
    counted = select(handoffs.c.agent, handoffs.c.reason, func.count()).group_by(handoffs.c.agent, handoffs.c.reason)
    with reading(engine).connect() as connection:
        return {(agent, reason): count for agent, reason, count in connection.execute(counted)}
