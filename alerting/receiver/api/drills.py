"""A drill reports how it ended."""

from __future__ import annotations

from fastapi import FastAPI, Request, Security
from fastapi.concurrency import run_in_threadpool

from alerting.receiver import drills
from alerting.receiver.api.access import OPERATOR, Refused
from alerting.receiver.api.answers import Status, errors
from alerting.receiver.api.bodies import json_body
from alerting.receiver.api.body import read_body
from alerting.receiver.api.parts import Parts
from alerting.receiver.bodies import Malformed


def routes(app: FastAPI, parts: Parts) -> None:
    """Mount the path of drills."""

    @app.post(
        "/v1/drills",
        tags=["drills"],
        summary="Report a drill",
        response_model=Status,
        responses=errors(401, 429, body=True),
        openapi_extra=json_body(drills.DrillReport),
        dependencies=[Security(OPERATOR)],
    )
    async def report_drill(request: Request) -> Status:
        parts.access.operator(request)
        await run_in_threadpool(_store, parts, await read_body(request, drills.MAX_BYTES))
        return Status(status="recorded")


def _store(parts: Parts, body: bytes) -> None:
    try:
        parts.drill_log.record(drills.parse(body), by="operator")
    except Malformed as error:
        raise Refused(400, f"not the report of a drill: {error}") from error
