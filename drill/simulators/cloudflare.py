"""The simulated Cloudflare: the AI Gateway's logs API, and the gateway itself in front of the simulated model."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx

from drill.simulators import cloudflare_tokens as tokens
from drill.simulators.cloudflare_graphql import AnalyticsSimulator
from drill.simulators.cloudflare_limits import RequestLimit
from drill.simulators.cloudflare_telemetry import TelemetrySimulator
from drill.simulators.wire import Faults, Refused, Request, Response, Router, answer, json_response
from handrail.clock import Clock
from handrail.http import build_client

MAX_PER_PAGE = 50
DEFAULT_TIMEOUT_S = 100.0
ORDERS = ("created_at", "provider", "model", "model_type", "success", "cached")
_PARAMETERS = frozenset({"start_date", "end_date", "order_by", "order_by_direction", "page", "per_page", "meta_info"})
_CODES = {401: (10000, "Authentication error"), 403: (9109, "Unauthorized to access requested resource")}
_CODES |= {404: (7002, "Not Found"), 429: (971, "Please wait and consider throttling your request speed")}


def envelope(result: Any, **more: Any) -> dict[str, Any]:
    """The frame of every successful answer of the REST API."""
    return {"success": True, "errors": [], "messages": [], "result": result} | more


def error_body(status: int, problem: str | None = None, path: str | None = None) -> dict[str, Any]:
    """The frame of every failed answer of the REST API."""
    code, text = (7001, "Input Validation Error") if status == 400 else _CODES.get(status, (1000, f"HTTP {status}"))
    error: dict[str, Any] = {"code": code, "message": problem or text}
    return {
        "success": False,
        "errors": [error | ({"path": ["query", path]} if path else {})],
        "messages": [],
        "result": None,
    }


class CloudflareSimulator:
    """A WSGI application with the log of one AI Gateway. Faults hit the REST API, not the gateway.

    A row can be read `delay_s` after its `created_at`, which is the end of the call. The gateway gives up on the model
    after the time in the header cf-aig-request-timeout (milliseconds), answers 408 and logs a failed call.

    `log_system` says where this account's logs are kept; the other place answers as if nothing had happened. `skew` is
    how far Cloudflare's clock is ahead, `dates` whether answers carry its time, `twist` makes something else of an
    answer of the REST API.
    """

    def __init__(
        self,
        clock: Clock,
        account_id: str = "0123456789abcdef0123456789abcdef",
        token: str = "cf-token",  # noqa: S107 - opens only this simulator
        gateway: str = "prod",
        *,
        llm_url: str = "http://127.0.0.1:18103",
        llm_transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._account, self._token, self._gateway = account_id, token, gateway
        self._lock = threading.RLock()
        self.token = tokens.Token()
        self.log_system: Literal["legacy", "observability"] = "legacy"
        self.telemetry = TelemetrySimulator(
            lambda: self._kept_in("observability"),
            check=self._check,
            invalid=lambda text, field: json_response(error_body(400, text, field), 400),
        )
        self.limit = RequestLimit(clock)
        self.settings: dict[str, Any] = {}
        self.skew = timedelta(0)
        self.dates = True
        self.twist: Callable[[Request, Response], Response] = lambda _request, response: response
        self.rows: list[dict[str, Any]] = []
        self.analytics = AnalyticsSimulator(self._now, account_id, self._logged)
        self._router = self._routes()
        self._model = build_client(base_url=llm_url, timeout_s=DEFAULT_TIMEOUT_S, transport=llm_transport)
        self.faults = Faults(error_body, scope="/client/")
        self.delay_s = 0.0

    def close(self) -> None:
        """Close the connection to the model."""
        self._model.close()

    def log(  # noqa: PLR0913 - one argument for each column of a row
        self,
        agent: str | None,
        *,
        duration_s: float = 1.0,
        success: bool = True,
        status_code: int = 200,
        tokens_in: int | None = None,
        tokens_out: int | None = None,
        model: str = "gpt-4o-mini",
        provider: str = "openai",
        created_at: datetime | None = None,
        cost: float | None = None,
        step: int = 0,
        event: str | None = None,
        cached: bool = False,
    ) -> str:
        """Write a row and return its id. `agent` stands in the metadata; None writes a row without metadata."""
        moment = created_at or self._now()
        row_id = _uuid7(moment)
        total = (tokens_in or 0) + (tokens_out or 0)
        row = {
            "id": row_id,
            "created_at": moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "duration": round(duration_s * 1000),
            "model": model,
            "provider": provider,
            "path": "chat/completions",
            "success": success,
            "cached": cached,
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "cost": cost,
            "custom_cost": False,
            "metadata": None if agent is None else json.dumps({"agent": agent}),
            "model_type": "chat",
            "request_type": "chat",
            "request_content_type": "application/json",
            "response_content_type": "application/json",
            "status_code": status_code,
            "step": step,
            "event_id": event or secrets.token_hex(16),
            "usage_metadata": {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": total},
            "timings": {"total": round(duration_s * 1000), "latency": round(duration_s * 1000)},
            "user_agent": "simulated-caller",
            "request": "",
            "response": "",
        }
        with self._lock:
            self.rows.append(row)
        return row_id

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return answer(self._dated, environ, start_response)

    def _dated(self, request: Request) -> Response:
        response = self.faults.around(request, self._handle)
        if request.path.startswith("/client/"):
            response = self.twist(request, response)
        date = format_datetime(self._now().replace(microsecond=0), usegmt=True)
        return replace(response, headers={"Date": date, **response.headers}) if self.dates else response

    def _now(self) -> datetime:
        """By Cloudflare's clock."""
        return self._clock.now().astimezone(UTC) + self.skew

    def _handle(self, request: Request) -> Response:
        if request.path.startswith("/client/"):
            if not request.path.endswith("/graphql") and (headers := self.limit.refusal()) is not None:
                return json_response(error_body(429), 429, headers)
            given, expected = request.headers.get("authorization", ""), f"Bearer {self._token}"
            if not hmac.compare_digest(given.encode(), expected.encode()):
                return json_response(error_body(401), 401)
        return self._router(request)

    def _routes(self) -> Router:
        router = Router(json_response(error_body(404), 404), json_response(error_body(405), 405))
        gateways = "/client/v4/accounts/{account}/ai-gateway/gateways"
        router.add("GET", f"{gateways}/{{gateway}}/logs", self._logs)
        router.add("GET", f"{gateways}/{{gateway}}", self._read_gateway)
        router.add("GET", gateways, self._list_gateways)
        self.telemetry.add_routes(router)
        tokens.add_routes(router, self.token, self._check)
        router.add("POST", "/client/v4/graphql", self.analytics.answer)
        router.add("POST", "/v1/{account}/{gateway}/openai/chat/completions", self._proxy)
        return router

    def _check(self, account: str, gateway: str | None = None) -> None:
        if account != self._account:
            raise Refused(json_response(error_body(403), 403))
        if gateway not in (None, self._gateway):
            raise Refused(json_response(error_body(404), 404))

    def _gateway_row(self) -> dict[str, Any]:
        flags = {"cache_invalidate_on_update": False, "cache_ttl": 0, "collect_logs": True, "authentication": False}
        limits = {"rate_limiting_interval": 0, "rate_limiting_limit": 0, "rate_limiting_technique": "fixed"}
        times = {"created_at": "2026-01-05T08:00:00Z", "modified_at": "2026-01-05T08:00:00Z"}
        management = {"log_management": 1_000_000, "log_management_strategy": "DELETE_OLDEST"}
        return {"id": self._gateway, "is_default": False} | flags | limits | times | management | self.settings

    def _list_gateways(self, _: Request, account: str) -> Response:
        self._check(account)
        page = {"page": 1, "per_page": 20, "count": 1, "total_count": 1}
        return json_response(envelope([self._gateway_row()], result_info=page))

    def _read_gateway(self, _: Request, account: str, gateway: str) -> Response:
        self._check(account, gateway)
        return json_response(envelope(self._gateway_row()))

    def _logs(self, request: Request, account: str, gateway: str) -> Response:
        self._check(account, gateway)
        query = request.query
        if unknown := sorted(set(query) - _PARAMETERS):
            return json_response(error_body(400, "this filter is not simulated", unknown[0]), 400)
        page, per_page = _number(query, "page", 1, None), _number(query, "per_page", 20, MAX_PER_PAGE)
        order = query.get("order_by", "created_at")
        direction = query.get("order_by_direction", "asc")
        if order not in ORDERS or direction not in ("asc", "desc"):
            wrong = "order_by" if order not in ORDERS else "order_by_direction"
            return json_response(error_body(400, "Invalid enum value", wrong), 400)
        start, end = _moment(query, "start_date"), _moment(query, "end_date")
        found = [row for row in self._kept_in("legacy") if _within(row["created_at"], start, end)]
        found.sort(key=lambda row: (row[order], row["created_at"]))
        if direction == "desc":
            found.reverse()
        rows = found[(page - 1) * per_page : page * per_page]
        info = {"page": page, "per_page": per_page, "count": len(rows), "total_count": len(found)}
        return json_response(envelope(rows, result_info=info))

    def _kept_in(self, system: str) -> list[dict[str, Any]]:
        """The rows that can be read there by now. Telemetry is the account's, so its rows name their gateway."""
        if self.log_system != system:
            return []
        readable = self._now() - timedelta(seconds=self.delay_s)
        more = {"gateway": self._gateway} if system == "observability" else {}
        with self._lock:
            return [more | row for row in self.rows if datetime.fromisoformat(row["created_at"]) <= readable]

    def _logged(self) -> list[dict[str, Any]]:
        with self._lock:
            return [{"gateway": self._gateway} | row for row in self.rows]

    def _proxy(self, request: Request, account: str, gateway: str) -> Response:
        self._check(account, gateway)
        metadata = _metadata(request.headers.get("cf-aig-metadata"))
        timeout_s = float(request.headers.get("cf-aig-request-timeout") or DEFAULT_TIMEOUT_S * 1000) / 1000
        began = self._clock.monotonic()
        usage: dict[str, Any] = {}
        try:
            upstream = self._model.post("/v1/chat/completions", content=request.body, timeout=timeout_s)
            status, body = upstream.status_code, upstream.content
            if upstream.is_success:
                usage = upstream.json().get("usage", {})
        except httpx.TimeoutException:
            status, body = 408, json.dumps({"error": "request timed out"}).encode()
        except (httpx.TransportError, ValueError):
            status, body = 502, json.dumps({"error": "the provider could not be reached"}).encode()
        row_id = self.log(
            metadata.get("agent"),
            duration_s=self._clock.monotonic() - began,
            success=200 <= status < 300,
            status_code=status,
            tokens_in=usage.get("prompt_tokens"),
            tokens_out=usage.get("completion_tokens"),
            model=str((request.json or {}).get("model", "")),
        )
        return Response(status, body, {"Content-Type": "application/json", "cf-aig-log-id": row_id})


def _metadata(header: str | None) -> dict[str, Any]:
    try:
        found = json.loads(header or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _within(created_at: str, start: datetime | None, end: datetime | None) -> bool:
    moment = datetime.fromisoformat(created_at)
    return (start is None or moment >= start) and (end is None or moment <= end)


def _number(query: dict[str, str], name: str, default: int, largest: int | None) -> int:
    text = query.get(name, str(default))
    if not text.isdigit() or int(text) < 1:
        raise Refused(json_response(error_body(400, "Number must be greater than or equal to 1", name), 400))
    if largest is not None and int(text) > largest:
        raise Refused(json_response(error_body(400, f"Number must be less than or equal to {largest}", name), 400))
    return int(text)


def _moment(query: dict[str, str], name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        moment = datetime.fromisoformat(query[name])
    except ValueError:
        raise Refused(json_response(error_body(400, "Invalid date", name), 400)) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _uuid7(moment: datetime) -> str:
    value = int(moment.timestamp() * 1000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(3 << 62) | 2 << 62
    return str(uuid.UUID(int=value))
