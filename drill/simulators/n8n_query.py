"""The questions that lists of the simulated n8n take: limits, cursors and times, and how it refuses others."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

from drill.simulators.wire import Refused, Response, json_response

MAX_LIMIT = 250


def message(status: int, text: str) -> Response:
    """The only shape of an error of the public API."""
    return json_response({"message": text}, status)


def limit_of(query: dict[str, str]) -> int:
    """How many rows are asked for; 0 is all of them."""
    text = query.get("limit", "100")
    if not re.fullmatch(r"-?\d+", text):
        raise Refused(message(400, "request/query/limit Param `limit` must be a valid integer"))
    if int(text) < 0:
        raise Refused(message(400, "request/query/limit Param `limit` must be a non-negative integer"))
    return min(int(text), MAX_LIMIT)


def cursor_of(query: dict[str, str]) -> dict[str, Any]:
    """What the cursor holds; one of the wrong kind holds nothing that is asked for, so that page 1 comes again."""
    if not query.get("cursor"):
        return {}
    try:
        found = json.loads(base64.b64decode(query["cursor"], validate=True))
    except ValueError as error:
        raise Refused(message(400, "An invalid cursor was provided")) from error
    return found if isinstance(found, dict) else {}


def encoded(cursor: dict[str, Any]) -> str:
    """A cursor as it goes over the wire."""
    return base64.b64encode(json.dumps(cursor, separators=(",", ":")).encode()).decode()


def moment_of(query: dict[str, str], name: str) -> datetime | None:
    """A time that is asked for."""
    if name not in query:
        return None
    try:
        moment = datetime.fromisoformat(query[name])
    except ValueError:
        moment = datetime.min  # noqa: DTZ901 - naive, and so refused in the next line
    if moment.tzinfo is None:
        raise Refused(message(400, f"request/query/{name} must be a valid ISO 8601 date with a zone"))
    return moment.astimezone(UTC)
