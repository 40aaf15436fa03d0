"""200 only when the notification is on disk; 503 when it is not, which Alertmanager tries again."""

from __future__ import annotations

from fastapi import FastAPI, Request, Security
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from alerting.receiver import payload
from alerting.receiver.api.access import WEBHOOK, Refused
from alerting.receiver.api.answers import Status, errors
from alerting.receiver.api.bodies import json_body
from alerting.receiver.api.body import read_body
from alerting.receiver.api.parts import Parts
from alerting.receiver.bodies import Malformed
from alerting.receiver.by_size import by_size
from alerting.receiver.group_commit import NotWritten
from alerting.receiver.inbox import Full
from alerting.receiver.payload import Notification

_OUTCOMES = {401: "unauthorized", 413: "too_large", 503: "limited"}


def routes(app: FastAPI, parts: Parts) -> None:
    """Mount the webhook."""

    @app.post(
        "/v1/alerts",
        tags=["alerts"],
        summary="Take a notification of Alertmanager, webhook version 4",
        response_model=Status,
        responses=errors(401, body=True),
        openapi_extra=json_body(Notification),
        dependencies=[Security(WEBHOOK)],
    )
    async def take_alerts(request: Request) -> Status:
        try:
            parts.access.alertmanager(request)
            body = await read_body(request, payload.MAX_BYTES)
        except Refused as error:
            parts.metrics.notification(_OUTCOMES.get(error.status, "malformed"))
            raise
        try:
            await _store(parts, body)
        except (SQLAlchemyError, Full, NotWritten) as error:
            parts.metrics.notification("unavailable")
            parts.log_once.failed("inbox", type(error).__name__)
            raise Refused(503, "the notification could not be stored; try again") from error
        parts.log_once.succeeded("inbox")
        return Status(status="accepted")


async def _store(parts: Parts, body: bytes) -> None:
    try:
        await by_size(payload.parse, body)
    except Malformed as error:
        await run_in_threadpool(parts.inbox.quarantine, body, str(error))
        parts.metrics.notification("malformed")
        raise Refused(400, f"not a notification of Alertmanager's webhook version 4: {error}") from error
    await parts.inbox.accept(body)
    parts.metrics.notification("accepted")
