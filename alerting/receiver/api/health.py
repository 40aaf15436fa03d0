"""Whether it runs, whether it can store, and its metrics."""

from __future__ import annotations

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from sqlalchemy.exc import SQLAlchemyError

from alerting.receiver.api.answers import Status
from alerting.receiver.api.parts import Parts
from handrail.database import reading


def routes(app: FastAPI, parts: Parts) -> None:
    """Mount the paths of Prometheus and of supervisors."""

    @app.get("/-/healthy", tags=["health"], summary="It runs", response_model=Status)
    def healthy() -> Status:
        return Status(status="healthy")

    @app.get(
        "/-/ready",
        tags=["health"],
        summary="It runs, and its database answers",
        response_model=Status,
        responses={503: {"model": Status, "description": "The database does not answer."}},
    )
    def ready() -> Response:
        try:
            with reading(parts.engine).connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            return JSONResponse({"status": "the database does not answer"}, status_code=503)
        return JSONResponse({"status": "ready"})

    @app.get("/metrics", tags=["health"], summary="Metrics for Prometheus", response_class=PlainTextResponse)
    def metrics() -> Response:
        return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)
