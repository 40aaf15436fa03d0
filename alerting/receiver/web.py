"""The HTTP interface for programs: sizes are limited before anything is parsed, tokens compared in constant time."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from alerting.receiver import drills, flags, handoffs, kills, payload
from alerting.receiver.drills import DrillLog
from alerting.receiver.handoffs import Conflict, HandoffDesk
from alerting.receiver.inbox import Full, Inbox
from alerting.receiver.metrics import ReceiverMetrics
from alerting.receiver.overview import Overview
from alerting.receiver.payload import Malformed
from handrail.clock import Clock
from handrail.database import reading
from handrail.logs import LogOnce
from handrail.secret import Secret, SecretError
from handrail.settings import Settings

MAX_REASON = 500


class Refused(Exception):
    """The request ends here, with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Parts:
    """What the interface stands in front of."""

    settings: Settings
    engine: Engine
    clock: Clock
    inbox: Inbox
    desk: HandoffDesk
    overview: Overview
    drill_log: DrillLog
    metrics: ReceiverMetrics
    log_once: LogOnce


async def read_body(request: Request, limit: int) -> bytes:
    """The body; Refused with 413 as soon as it is longer than `limit` bytes."""
    too_large = Refused(413, f"the body is larger than {limit} bytes")
    if int(request.headers.get("content-length") or 0) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def bearer_is(request: Request, secret: Secret) -> bool:
    """Does the request carry that token? Takes the same time wherever they differ."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    expected = secret.read()
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), expected.encode())


def switch_agent(parts: Parts, agent: str, action: kills.Action, *, reason: str, by: str) -> int:
    """Ask for an agent to be switched, as a named person with a reason; Refused says what is missing."""
    reason, by = reason.strip()[:MAX_REASON], by.strip()[:100]
    if not reason or not by:
        raise Refused(400, "say who you are (by) and why (reason): both go into the audit log")
    configured = parts.settings.agent(agent)
    if configured is None or configured.kill_switch is None:
        raise Refused(404, f"{agent} has no kill_switch in handrail.yaml")
    now = parts.clock.now().timestamp()
    with parts.engine.begin() as connection:
        return kills.request(connection, agent, action, reason=reason, by=by, now=now)


def routes(app: FastAPI, parts: Parts) -> None:
    """Mount the interface for programs."""
    _errors(app, parts)
    _health(app, parts)
    _alerts(app, parts)
    _handoffs(app, parts)
    _agents(app, parts)
    _switching(app, parts)
    _drills(app, parts)


def _errors(app: FastAPI, parts: Parts) -> None:
    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return JSONResponse({"error": str(error)}, status_code=error.status)

    @app.exception_handler(SecretError)
    async def no_secret(_: Request, error: SecretError) -> Response:
        parts.log_once.failed("secret", str(error))
        return JSONResponse({"error": "a secret cannot be read; see the receiver's log"}, status_code=503)


def _health(app: FastAPI, parts: Parts) -> None:
    @app.get("/-/healthy")
    def healthy() -> dict[str, str]:
        return {"status": "healthy"}

    @app.get("/-/ready")
    def ready() -> Response:
        try:
            with reading(parts.engine).connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            return JSONResponse({"status": "the database does not answer"}, status_code=503)
        return JSONResponse({"status": "ready"})

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _alerts(app: FastAPI, parts: Parts) -> None:
    def store(body: bytes) -> Response:
        try:
            payload.parse(body)
        except Malformed as error:
            parts.inbox.quarantine(body, str(error))
            parts.metrics.notification("malformed")
            raise Refused(400, f"not a notification of Alertmanager's webhook version 4: {error}") from error
        parts.inbox.accept(body)
        parts.metrics.notification("accepted")
        return JSONResponse({"status": "accepted"})

    @app.post("/v1/alerts")
    async def alerts(request: Request) -> Response:
        """200 only when the notification is on disk; 503 otherwise, which Alertmanager tries again."""
        if not bearer_is(request, parts.settings.receiver.webhook_token):
            parts.metrics.notification("unauthorized")
            raise Refused(401, "wrong or missing bearer token")
        try:
            body = await read_body(request, payload.MAX_BYTES)
        except Refused:
            parts.metrics.notification("too_large")
            raise
        try:
            answer = await run_in_threadpool(store, body)
        except (SQLAlchemyError, Full) as error:
            parts.metrics.notification("unavailable")
            parts.log_once.failed("inbox", type(error).__name__)
            raise Refused(503, "the notification could not be stored; try again") from error
        parts.log_once.succeeded("inbox")
        return answer


def _handoffs(app: FastAPI, parts: Parts) -> None:
    @app.post("/v1/handoffs")
    async def take(request: Request) -> Response:
        agent = _agent_of(parts, request)
        if agent is None:
            raise Refused(401, "wrong or missing hand-off token")
        key = request.headers.get("idempotency-key", "").strip()
        if not 1 <= len(key) <= 200:
            raise Refused(400, "send an Idempotency-Key header, 1 to 200 characters, the same for every retry")
        body = await read_body(request, handoffs.MAX_BYTES)
        return await run_in_threadpool(_store_handoff, parts, agent, key, body)

    @app.get("/v1/handoffs/{handoff_id}")
    def status(handoff_id: str, request: Request) -> dict[str, Any]:
        operator = bearer_is(request, parts.settings.receiver.operator_token)
        agent = _agent_of(parts, request)
        if not operator and agent is None:
            raise Refused(401, "wrong or missing token")
        found = parts.desk.status(handoff_id, None if operator else agent)
        if found is None:
            raise Refused(404, "there is no such hand-off")
        return found


def _agent_of(parts: Parts, request: Request) -> str | None:
    """The agent whose token the request carries. Every token is compared, so that time tells nothing."""
    found = None
    for agent in parts.settings.agents:
        if agent.handoff_token is not None and bearer_is(request, agent.handoff_token):
            found = agent.name
    return found


def _store_handoff(parts: Parts, agent: str, key: str, body: bytes) -> Response:
    try:
        wanted = handoffs.parse(body, agent)
    except Malformed as error:
        raise Refused(400, str(error)) from error
    reason = handoffs.reason_of(wanted, parts.settings.sla_of(agent).handoff.min_confidence)
    if reason is None:
        return JSONResponse({"handoff": False})
    try:
        handoff_id = parts.desk.accept(agent, key, body, wanted, reason)
    except Conflict as error:
        raise Refused(409, str(error)) from error
    except SQLAlchemyError as error:
        parts.log_once.failed("handoffs", type(error).__name__)
        raise Refused(503, "the hand-off could not be stored; try again") from error
    return JSONResponse({"handoff": True, "id": handoff_id, "status_url": f"/v1/handoffs/{handoff_id}"}, 202)


def _agents(app: FastAPI, parts: Parts) -> None:
    @app.get("/v1/agents")
    def agents() -> dict[str, Any]:
        view = parts.overview.read()
        return {"agents": [asdict(agent) | {"state": agent.state} for agent in view.agents], "problem": view.problem}

    @app.get("/v1/incidents")
    def incidents() -> dict[str, Any]:
        return {"incidents": list(parts.overview.read().incidents)}

    @app.get("/v1/agents/{agent}")
    def one(agent: str) -> dict[str, Any]:
        found = next((view for view in parts.overview.read().agents if view.name == agent), None)
        if found is None:
            raise Refused(404, f"there is no agent {agent}")
        return asdict(found) | {"state": found.state}

    @app.get("/v1/agents/{agent}/enabled")
    def enabled(agent: str, request: Request) -> Response:
        if not parts.overview.knows(agent):
            raise Refused(404, f"there is no agent {agent}")
        flag = flags.get(parts.engine, agent)
        etag = f'"{flag.revision}"'
        headers = {"etag": etag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return JSONResponse({"agent": agent, "enabled": flag.enabled}, headers=headers)


def _switching(app: FastAPI, parts: Parts) -> None:
    def authorised(request: Request) -> None:
        if not bearer_is(request, parts.settings.receiver.operator_token):
            raise Refused(401, "wrong or missing operator token")

    def switch(agent: str, action: kills.Action) -> Callable[[bytes], Response]:
        def act(body: bytes) -> Response:
            try:
                wanted = _Wanted.read(body)
            except ValueError as error:
                raise Refused(400, 'send JSON such as {"reason": "why", "by": "your name"}') from error
            kill_id = switch_agent(parts, agent, action, reason=wanted.reason, by=wanted.by)
            return JSONResponse({"id": kill_id, "status_url": f"/v1/agents/{agent}/kills"}, status_code=202)

        return act

    @app.post("/v1/agents/{agent}/disable")
    async def disable(agent: str, request: Request) -> Response:
        authorised(request)
        return await run_in_threadpool(switch(agent, "disable"), await read_body(request, 16_384))

    @app.post("/v1/agents/{agent}/enable")
    async def enable(agent: str, request: Request) -> Response:
        authorised(request)
        return await run_in_threadpool(switch(agent, "enable"), await read_body(request, 16_384))

    @app.get("/v1/agents/{agent}/kills")
    def history(agent: str, request: Request) -> list[dict[str, Any]]:
        authorised(request)
        return kills.of_agent(parts.engine, agent)


def _drills(app: FastAPI, parts: Parts) -> None:
    def store(body: bytes) -> Response:
        try:
            parts.drill_log.record(drills.parse(body), by="operator")
        except Malformed as error:
            raise Refused(400, f"not the report of a drill: {error}") from error
        return JSONResponse({"status": "recorded"})

    @app.post("/v1/drills")
    async def report(request: Request) -> Response:
        if not bearer_is(request, parts.settings.receiver.operator_token):
            raise Refused(401, "wrong or missing operator token")
        return await run_in_threadpool(store, await read_body(request, drills.MAX_BYTES))


@dataclass(frozen=True, slots=True)
class _Wanted:
    reason: str
    by: str

    @classmethod
    def read(cls, body: bytes) -> _Wanted:
        value = json.loads(body)
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return cls(reason=str(value.get("reason", "")), by=str(value.get("by", "")))
