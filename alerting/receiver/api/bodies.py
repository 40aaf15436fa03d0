"""How a path says in the OpenAPI document what it reads."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The same for every retry of one hand-off; another for the next.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[!-~]+$"},
}


def json_body(model: type[BaseModel], *, idempotent: bool = False) -> dict[str, Any]:
    """`openapi_extra` of a path that reads this model as JSON, perhaps with an Idempotency-Key."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
    return {**body, "parameters": [_KEY]} if idempotent else body
