"""What the paths answer, as models: the published OpenAPI document is made of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class Error(BaseModel):
    """Every answer that is not a success."""

    error: str = Field(description="What is wrong, and how to mend it. Never a secret.")


class Status(BaseModel):
    """A word."""

    status: str


class NoHandoff(BaseModel):
    """Nobody has to look: the confidence is high enough."""

    handoff: Literal[False] = False


class HandoffAccepted(BaseModel):
    """A person must look; the hand-off is on disk."""

    handoff: Literal[True] = True
    id: str
    status_url: str


class HandoffStatus(BaseModel):
    """What became of a hand-off."""

    id: str
    state: Literal["accepted", "ticketed", "closed"]
    ticket: str | None


class Incident(BaseModel):
    """An incident that is open."""

    id: int
    alertname: str
    agent: str | None
    opened_at: str
    ticket: str | None
    ticket_url: str | None


class Check(BaseModel):
    """One SLA of one agent."""

    name: str
    state: Literal["ok", "breach", "unknown"]
    text: str


class Operation(BaseModel):
    """One operation on an agent's switch."""

    id: int
    action: Literal["disable", "enable"]
    state: Literal["requested", "acting", "confirmed", "not_confirmed"]
    reason: str
    requested_by: str
    proof: str | None
    requested_at: str
    acted_at: str | None
    confirmed_at: str | None


class Agent(BaseModel):
    """An agent as the overview shows it; `state` is the worst thing about it."""

    name: str
    state: Literal["ok", "breach", "off", "unknown"]
    owner: str | None
    source: str | None
    checks: list[Check]
    firing: list[str]
    incidents: list[Incident]
    enabled: bool
    switch: str | None
    last_kill: Operation | None


class Agents(BaseModel):
    """All agents; `problem` says why numbers are missing."""

    agents: list[Agent]
    problem: str | None


class Incidents(BaseModel):
    """The incidents that are open, the newest first, at most 100."""

    incidents: list[Incident]


class Enabled(BaseModel):
    """The flag that an agent reads before it works."""

    agent: str
    enabled: bool


class OperationRequested(BaseModel):
    """The operation is on disk; its proof appears under `status_url`."""

    id: int
    status_url: str


_TEXTS = {
    400: "The request cannot be understood; the text says what is wrong and where.",
    401: "The token is missing or wrong.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "The Idempotency-Key was used before with another body.",
    413: "The body is too large.",
    415: "The body is compressed.",
    429: "Too many requests with this token; `Retry-After` says how many seconds to wait.",
    503: "It could not be stored or read; try again.",
}
_BODY = (400, 408, 413, 415)


def errors(*statuses: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """The errors of a path, for its `responses`; with `body` also those of any body."""
    wanted = sorted({*statuses, 503, *(_BODY if body else ())})
    found: dict[int | str, dict[str, Any]] = {s: {"model": Error, "description": _TEXTS[s]} for s in wanted}
    if 429 in found:
        found[429]["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return found
