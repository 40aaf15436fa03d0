"""An agent hands over and asks what became of it; a request that is sent again gets the same answer."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from alerting.receiver import handoff_request
from alerting.receiver.api.access import AGENT, OPERATOR, Refused
from alerting.receiver.api.answers import HandoffAccepted, HandoffStatus, NoHandoff, errors
from alerting.receiver.api.bodies import json_body
from alerting.receiver.api.body import read_body
from alerting.receiver.api.parts import Parts
from alerting.receiver.bodies import Malformed
from alerting.receiver.handoff_records import Conflict, Sent
from alerting.receiver.handoff_request import HandoffRequest


def routes(app: FastAPI, parts: Parts) -> None:
    """Mount the paths of hand-offs."""

    @app.post(
        "/v1/handoffs",
        tags=["hand-offs"],
        summary="Hand work over to a person",
        response_model=NoHandoff,
        responses=errors(401, 409, 429, body=True)
        | {202: {"model": HandoffAccepted, "description": "On disk; a person is going to look."}},
        openapi_extra=json_body(HandoffRequest, idempotent=True),
        dependencies=[Security(AGENT)],
    )
    async def take_handoff(request: Request) -> Response:
        agent = parts.access.handing_over(request)
        key = request.headers.get("idempotency-key", "").strip()
        if not 1 <= len(key) <= 200:
            raise Refused(400, "send an Idempotency-Key header, 1 to 200 characters, the same for every retry")
        body = await read_body(request, handoff_request.MAX_BYTES)
        return await run_in_threadpool(_store, parts, agent, key, body)

    @app.get(
        "/v1/handoffs/{handoff_id}",
        tags=["hand-offs"],
        summary="What became of a hand-off",
        response_model=HandoffStatus,
        responses=errors(401, 404),
        dependencies=[Security(AGENT), Security(OPERATOR)],
    )
    def get_handoff(handoff_id: str, request: Request) -> object:
        agent = parts.access.agent_or_operator(request)
        found = parts.desk.status(handoff_id, agent) if handoff_id.isalnum() else None
        if found is None:
            raise Refused(404, "there is no such hand-off")
        return found


def _store(parts: Parts, token_of: str | None, key: str, body: bytes) -> Response:
    try:
        wanted = handoff_request.parse(body, token_of)
    except Malformed as error:
        raise Refused(400, str(error)) from error
    agent = token_of or str(wanted.agent)
    if parts.settings.agent(agent) is None:
        raise Refused(400, "agent: there is no such agent in handrail.yaml")
    reason = handoff_request.reason_of(wanted, parts.settings.sla_of(agent).handoff.min_confidence)
    if reason is None:
        return JSONResponse(NoHandoff().model_dump())
    try:
        sent = Sent.of(agent, "agent" if token_of else "exporter", key, body, wanted)
        handoff_id = parts.desk.accept(sent, wanted, reason)
    except Conflict as error:
        raise Refused(409, str(error)) from error
    except SQLAlchemyError as error:
        parts.log_once.failed("handoffs", type(error).__name__)
        raise Refused(503, "the hand-off could not be stored; try again") from error
    parts.log_once.succeeded("handoffs")
    accepted = HandoffAccepted(id=handoff_id, status_url=f"/v1/handoffs/{handoff_id}")
    return JSONResponse(accepted.model_dump(), status_code=202)
