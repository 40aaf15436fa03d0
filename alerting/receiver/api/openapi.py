"""The interface as an OpenAPI document, at `/openapi.json` and in `docs/openapi.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from alerting.receiver.api.switching import Switching
from alerting.receiver.drills import DrillReport
from alerting.receiver.handoff_request import HandoffRequest
from alerting.receiver.payload import Notification

_REF = "#/components/schemas/{model}"
_BODIES: Sequence[type[BaseModel]] = (Notification, HandoffRequest, Switching, DrillReport)
_ABOUT = (
    "Takes alerts and hand-offs, opens tickets and operates the switches of AI agents. "
    "See docs/receiver.md for what each path promises."
)


def publish(app: FastAPI) -> None:
    """Serve the document of `app`, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's own documentation extends it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
    schemas = document["components"]["schemas"]
    # Bodies are read by hand, within limits and as the bytes that were sent, so FastAPI does not know their models.
    _, bodies = models_json_schema([(model, "validation") for model in _BODIES], ref_template=_REF)
    schemas.update(bodies["$defs"])
    # Nothing is validated that can fail there: parameters are texts, and bodies are answered 400.
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document
