"""The simulated Workers Observability: telemetry events of the dataset `ai-gateway`, its keys and their values.

Cloudflare documents the frame of an event and not the names inside `source`; nobody of us has seen a real one. So the
simulation can write them in several spellings, and a reader has to take whatever it gets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from drill.simulators.wire import Refused, Request, Response, Router, json_response

DATASET = "ai-gateway"
VIEWS = ("traces", "events", "calculations", "invocations", "requests", "agents")
MOST_EVENTS = 2000
Spelling = Literal["row", "camel", "gen_ai", "text"]

_GEN_AI = {
    "model": "gen_ai.request.model",
    "provider": "gen_ai.provider.name",
    "tokens_in": "gen_ai.usage.input_tokens",
    "tokens_out": "gen_ai.usage.output_tokens",
    "cost": "gen_ai.usage.cost",
    "status_code": "http.response.status_code",
    "user_agent": "user_agent.original",
    "gateway": "cf.aig.gateway",
    "event_id": "cf.aig.event_id",
}


class TelemetrySimulator:
    """Answers for the rows of a gateway's log, each an event. `lacking` are names that events do not carry.

    The newest event comes first unless `newest_first` says otherwise: the order is another thing nobody documents.
    """

    def __init__(
        self,
        rows: Callable[[], list[dict[str, Any]]],
        *,
        check: Callable[[str], None],
        invalid: Callable[[str, str], Response],
    ) -> None:
        self._rows = rows
        self._check = check
        self._invalid = invalid
        self.spelling: Spelling = "row"
        self.lacking: frozenset[str] = frozenset()
        self.newest_first = True
        self.abr_level = 1.0
        self.sampled_beyond_s: float | None = None
        self.ignores_offset = False

    def add_routes(self, router: Router) -> None:
        """The three questions that telemetry answers."""
        base = "/client/v4/accounts/{account}/workers/observability/telemetry"
        router.add("POST", f"{base}/query", self._query)
        router.add("POST", f"{base}/keys", self._keys)
        router.add("POST", f"{base}/values", self._values)

    def event_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as telemetry tells it."""
        fields = {name: value for name, value in row.items() if name not in self.lacking}
        source: Any = fields
        if self.spelling == "camel":
            source = {_camel(name): value for name, value in fields.items()}
        elif self.spelling == "gen_ai":
            source = {_GEN_AI.get(name, name): value for name, value in fields.items() if name != "usage_metadata"}
            source |= json.loads(source.pop("metadata", None) or "{}")
        elif self.spelling == "text":
            source = json.dumps(fields)
        metadata = {"id": f"01J{row['id'][-20:].upper()}", "service": DATASET, "level": "info"}
        return {"$metadata": metadata, "dataset": DATASET, "source": source, "timestamp": _ms(row)}

    def _query(self, request: Request, account: str) -> Response:
        self._check(account)
        body = self._body(request, "queryId", "timeframe")
        since, until = self._timeframe(body)
        if body.get("view", "events") not in VIEWS or not isinstance(body.get("limit", 50), int):
            raise Refused(self._invalid("Invalid enum value", "view"))
        if not 0 < body.get("limit", 50) <= MOST_EVENTS:
            raise Refused(self._invalid("Number out of range", "limit"))
        parameters = body.get("parameters", {})
        events = [event for event in self._events(parameters) if since <= event["timestamp"] <= until]
        events.sort(key=lambda event: event["timestamp"], reverse=self.newest_first)
        found = len(events)
        if (offset := body.get("offset")) and not self.ignores_offset:
            names = [event["$metadata"]["id"] for event in events]
            if offset not in names:
                raise Refused(self._invalid("Invalid offset", "offset"))
            events = events[names.index(offset) + 1 :]
        level = self.abr_level
        if self.sampled_beyond_s is not None and until - since > self.sampled_beyond_s * 1000:
            level = 4.0
        page = events[: body.get("limit", 50)]
        statistics = {"bytes_read": 2048 * found, "elapsed": 0.01, "rows_read": found, "abr_level": level}
        answer = {"count": found, "events": page, "fields": _keys(page, lambda name, kind: {"key": name, "type": kind})}
        return _success({"run": _run(body, account), "statistics": statistics, "events": answer})

    def _events(self, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Those that the datasets and filters let through; only equality is simulated."""
        if DATASET not in (parameters.get("datasets") or [DATASET]):
            return []
        events = [self.event_of(row) for row in self._rows()]
        for one in parameters.get("filters", ()):
            if one.get("operation") not in ("eq", "=") or one.get("type") not in ("string", "number", "boolean"):
                raise Refused(self._invalid("this filter is not simulated", "filters"))
            events = [event for event in events if _flat(event).get(one["key"]) == one.get("value")]
        return events

    def _keys(self, request: Request, account: str) -> Response:
        self._check(account)
        body = self._body(request)
        seen = [
            event
            for event in self._events(body)
            if body.get("from", 0) <= event["timestamp"] <= body.get("to", event["timestamp"])
        ]
        newest = max((event["timestamp"] for event in seen), default=0)
        keys = _keys(seen, lambda name, kind: {"key": name, "type": kind, "lastSeenAt": newest})
        return _success(keys[: int(body.get("limit", 100))])

    def _values(self, request: Request, account: str) -> Response:
        self._check(account)
        body = self._body(request, "datasets", "key", "timeframe", "type")
        since, until = self._timeframe(body)
        events = [event for event in self._events(body) if since <= event["timestamp"] <= until]
        values = sorted({str(value) for event in events if (value := _flat(event).get(body["key"])) is not None})
        frame = {"dataset": DATASET, "key": body["key"], "type": body["type"]}
        return _success([frame | {"value": value} for value in values])

    def _body(self, request: Request, *required: str) -> dict[str, Any]:
        body = request.json
        for name in required:
            if not isinstance(body, dict) or name not in body:
                raise Refused(self._invalid("Required", name))
        return body if isinstance(body, dict) else {}

    def _timeframe(self, body: Mapping[str, Any]) -> tuple[int, int]:
        frame = body["timeframe"]
        since, until = frame.get("from"), frame.get("to")
        # The reference: whole milliseconds, the beginning before the end.
        if not isinstance(since, int) or not isinstance(until, int) or since >= until:
            raise Refused(self._invalid("from must be earlier than to", "timeframe"))
        return since, until


def _success(result: object) -> Response:
    return json_response({"success": True, "errors": [], "messages": [], "result": result})


def _run(body: Mapping[str, Any], account: str) -> dict[str, Any]:
    at = "2026-11-23T12:00:00Z"
    query = {
        "id": body["queryId"],
        "adhoc": True,
        "created": at,
        "createdBy": "f" * 32,
        "name": "",
        "parameters": body.get("parameters", {}),
        "updated": at,
        "updatedBy": "f" * 32,
    }
    return {
        "id": "01JRUN",
        "accountId": account,
        "dry": bool(body.get("dry")),
        "granularity": 0,
        "query": query,
        "status": "COMPLETED",
        "timeframe": body["timeframe"],
        "userId": "f" * 32,
    }


def _keys(events: Sequence[Mapping[str, Any]], made: Callable[[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    kinds: dict[str, str] = {}
    for event in events:
        for name, value in _flat(event).items():
            if isinstance(value, bool | str | int | float):
                kind = "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
                kinds[name] = kind
    return [made(name, kind) for name, kind in sorted(kinds.items())]


def _flat(event: Mapping[str, Any]) -> dict[str, Any]:
    source = event["source"]
    fields = source if isinstance(source, dict) else {"source": source}
    return fields | {f"$metadata.{name}": value for name, value in event["$metadata"].items()}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found.group(1).upper(), name)


def _ms(row: Mapping[str, Any]) -> int:
    return round(datetime.fromisoformat(row["created_at"]).astimezone(UTC).timestamp() * 1000)
