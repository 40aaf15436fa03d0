"""An agent hands its work to a person: confidence below the SLA's minimum, or a tool error, becomes a ticket.

Accepted means on disk. The same Idempotency-Key gives the same answer; one broken tool opens one ticket and comments
on it, not a thousand.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection, Engine, func, insert, select

from alerting.receiver import audit, incidents, tickets
from alerting.receiver.payload import Malformed, incident_key
from alerting.receiver.reports import HandoffText, Reporter
from alerting.receiver.schema import handoffs
from alerting.receiver.schema import incidents as incidents_table
from alerting.receiver.text import paragraph
from handrail.clock import Clock
from handrail.database import reading

MAX_BYTES = 256 * 1024
# Hand-offs of one agent for the same reason within this time share a ticket, which then gets comments up to a number.
AGGREGATE_S = 3600.0
MAX_COMMENTS = 20

Text = Annotated[str, Field(max_length=100_000)]


class Conflict(Exception):
    """The Idempotency-Key was used before with another body."""


class HandoffRequest(BaseModel):
    """What an agent sends. Unknown keys are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: str | None = None
    task: Annotated[str, Field(min_length=1, max_length=10_000)]
    reason: Literal["low_confidence", "tool_error"] | None = None
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    tool_error: Text | None = None
    prompt: Text | None = None
    response: Text | None = None
    run_id: Annotated[str, Field(max_length=200)] | None = None


def parse(body: bytes, agent: str) -> HandoffRequest:
    """The request of `agent`; Malformed says what is wrong. The agent is known by its token, never by the body."""
    try:
        request = HandoffRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Malformed(f"{where or 'the body'}: {first['msg']}") from error
    if request.agent not in (None, agent):
        raise Malformed("agent: the token belongs to another agent")
    if request.reason is None and request.confidence is None and request.tool_error is None:
        raise Malformed("confidence: give a confidence between 0 and 1, a tool_error, or a reason")
    return request


def reason_of(request: HandoffRequest, min_confidence: Decimal) -> str | None:
    """Why a person must look: tool_error or low_confidence; None when nobody has to. Exactly the minimum is enough."""
    if request.tool_error is not None or request.reason == "tool_error":
        return "tool_error"
    if request.confidence is not None:
        return "low_confidence" if Decimal(str(request.confidence)) < min_confidence else None
    return request.reason


class HandoffDesk:
    """Takes hand-offs and knows what became of them."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        scope: str,
        reporter: Reporter,
        with_tickets: bool,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._scope = scope
        self._reporter = reporter
        self._with_tickets = with_tickets

    def accept(self, agent: str, key: str, body: bytes, request: HandoffRequest, reason: str) -> str:
        """Commit the hand-off and return its id; Conflict when the key was used with another body."""
        body_hash, key_hash = hashlib.sha256(body).hexdigest(), hashlib.sha256(key.encode()).hexdigest()
        now = self._clock.now().timestamp()
        with self._engine.begin() as connection:
            # Older versions kept the key itself, which may name a customer.
            same = (handoffs.c.agent == agent) & handoffs.c.idempotency_key.in_((key_hash, key))
            before = connection.execute(select(handoffs).where(same)).first()
            if before is not None:
                if before.body_hash != body_hash:
                    raise Conflict("this Idempotency-Key was used before with another body")
                return str(before.id)
            handoff_id = uuid.uuid4().hex
            incident_id = self._incident(connection, _text(agent, reason, request), now)
            values = {"idempotency_key": key_hash, "body_hash": body_hash, "received_at": now, "reason": reason}
            connection.execute(insert(handoffs).values(id=handoff_id, agent=agent, incident_id=incident_id, **values))
            subject = f"incident/{incident_id}"
            audit.append(connection, now, actor=agent, action="hand-off", subject=subject, id=handoff_id, reason=reason)
        return handoff_id

    def status(self, handoff_id: str, agent: str | None) -> dict[str, Any] | None:
        """{id, state, ticket} of a hand-off, if `agent` (None: anyone's) may see it."""
        query = (
            select(handoffs.c.id, handoffs.c.agent, incidents_table.c.ticket_key)
            .join(incidents_table, incidents_table.c.id == handoffs.c.incident_id, isouter=True)
            .where(handoffs.c.id == handoff_id)
        )
        with reading(self._engine).connect() as connection:
            row = connection.execute(query).first()
        if row is None or agent not in (None, row.agent):
            return None
        return {"id": row.id, "state": "ticketed" if row.ticket_key else "accepted", "ticket": row.ticket_key}

    def _incident(self, connection: Connection, handoff: HandoffText, now: float) -> int:
        key = incident_key(self._scope, "Handoff", {"agent": handoff.agent, "signature": _signature(handoff)})
        newest = incidents.newest(connection, key)
        report = self._reporter.handoff(handoff)
        if newest is None or now - newest.opened_at > AGGREGATE_S:
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
        others = select(func.count()).select_from(handoffs).where(handoffs.c.incident_id == newest.id)
        if self._with_tickets and (connection.scalar(others) or 0) <= MAX_COMMENTS:
            quoted = [block for block in report.document if block.kind == "quote"]
            said = (paragraph("Another hand-off for the same reason."), *quoted)
            tickets.put_comment(connection, newest.id, said, now=now)
        return int(newest.id)


def _text(agent: str, reason: str, request: HandoffRequest) -> HandoffText:
    return HandoffText(
        agent=agent,
        reason=reason,
        task=request.task,
        confidence=request.confidence,
        tool_error=request.tool_error,
        prompt=request.prompt,
        response=request.response,
        run_id=request.run_id,
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
