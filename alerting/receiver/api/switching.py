"""A person switches an agent off or on: with the operator token, a name and a reason, all of which is audited."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Request, Security
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alerting.receiver import kills
from alerting.receiver.api.access import OPERATOR, Refused
from alerting.receiver.api.answers import Operation, OperationRequested, errors
from alerting.receiver.api.bodies import json_body
from alerting.receiver.api.body import read_body
from alerting.receiver.api.parts import Parts
from handrail.redact import clean

MAX_BYTES = 16_384
MAX_REASON = 500
MAX_NAME = 100


class Switching(BaseModel):
    """Who asks for it, and why."""

    model_config = ConfigDict(frozen=True)

    reason: Annotated[str, Field(min_length=1, description=f"Why; cut at {MAX_REASON} characters.")]
    by: Annotated[str, Field(min_length=1, description=f"The person's name; cut at {MAX_NAME} characters.")]


def switch_agent(
    parts: Parts, agent: str, action: kills.Action, *, reason: str, by: str, signed_in: str | None = None
) -> int:
    """Ask for an agent to be switched, as a named person with a reason; Refused says what is missing."""
    reason, by = clean(reason).strip()[:MAX_REASON], clean(by).strip()[:MAX_NAME]
    if not reason or not by:
        raise Refused(400, "say who you are (by) and why (reason): both go into the audit log")
    configured = parts.settings.agent(agent)
    if configured is None:
        raise Refused(404, "there is no such agent in handrail.yaml")
    if configured.kill_switch is None:
        raise Refused(404, f"{agent} has no kill_switch in handrail.yaml")
    now = parts.clock.now().timestamp()
    with parts.engine.begin() as connection:
        return kills.request(connection, agent, action, reason=reason, by=by, now=now, signed_in=signed_in)


def routes(app: FastAPI, parts: Parts) -> None:
    """Mount the paths that switch."""

    async def switch(agent: str, action: kills.Action, request: Request) -> OperationRequested:
        parts.access.operator(request)
        wanted = _parse(await read_body(request, MAX_BYTES))
        kill_id = await run_in_threadpool(switch_agent, parts, agent, action, reason=wanted.reason, by=wanted.by)
        return OperationRequested(id=kill_id, status_url=f"/v1/agents/{agent}/kills")

    common: dict[str, Any] = {
        "tags": ["switching"],
        "status_code": 202,
        "response_model": OperationRequested,
        "responses": errors(401, 404, 429, body=True),
        "openapi_extra": json_body(Switching),
        "dependencies": [Security(OPERATOR)],
    }

    @app.post("/v1/agents/{agent}/disable", summary="Switch an agent off", **common)
    async def disable_agent(agent: str, request: Request) -> OperationRequested:
        return await switch(agent, "disable", request)

    @app.post("/v1/agents/{agent}/enable", summary="Switch an agent on", **common)
    async def enable_agent(agent: str, request: Request) -> OperationRequested:
        return await switch(agent, "enable", request)

    @app.get(
        "/v1/agents/{agent}/kills",
        tags=["switching"],
        summary="The last operations on an agent's switch, newest first",
        response_model=list[Operation],
        responses=errors(401, 429),
        dependencies=[Security(OPERATOR)],
    )
    def list_operations(agent: str, request: Request) -> object:
        parts.access.operator(request)
        # A text that no agent can be called by is not looked for: PostgreSQL takes no NUL.
        return kills.of_agent(parts.engine, agent) if agent.isprintable() else []


def _parse(body: bytes) -> Switching:
    try:
        return Switching.model_validate_json(body)
    except ValidationError as error:
        raise Refused(400, 'send JSON such as {"reason": "why", "by": "your name"}') from error
