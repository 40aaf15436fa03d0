"""The simulated Prometheus: what its HTTP API answers about agents, their history and the alerts that fire."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from drill.simulators.wire import Faults, Request, Response, Router, answer, json_response
from handrail.clock import Clock

_AGENT = re.compile(r'agent="((?:[^"\\]|\\.)*)"')
# By what a query contains: the first that fits says which number of an agent it is about.
_ABOUT = (
    ("handrail_agent_info", "info"),
    ("handrail_slow_call_streak", "streak"),
    ("handrail_token_increase_ratio", "tokens"),
    ("handrail_call_error_ratio", "errors"),
    ("histogram_quantile(0.95", "p95"),
    ("handrail_call_duration_seconds_sum", "mean"),
)

Curve = Callable[[float], float | None]


def _nothing(_: float) -> float | None:
    return None


@dataclass
class WatchedAgent:
    """An agent as it is now, and its curves: the value some seconds ago, None where there was no call."""

    owner: str = ""
    source: str = "n8n/main"
    streak: float | None = 0
    errors: float | None = 0.0
    tokens: float | None = None
    mean: Curve = _nothing
    p95: Curve = _nothing
    error_curve: Curve = _nothing


@dataclass
class PrometheusSimulator:
    """A WSGI application; what it knows is set from outside. `asked` counts requests by path."""

    clock: Clock
    agents: dict[str, WatchedAgent] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._router = Router(json_response({"status": "error", "error": "page not found"}, 404))
        self._router.add("GET", "/api/v1/query", self._query)
        self._router.add("GET", "/api/v1/query_range", self._range)
        self._router.add("GET", "/api/v1/alerts", lambda _: _success({"alerts": self.alerts}))
        self.faults = Faults(lambda status: {"status": "error", "error": f"simulated HTTP {status}"})

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return answer(lambda request: self.faults.around(request, self._counted), environ, start_response)

    def fire(self, alertname: str, agent: str | None, *, severity: str, since: str, description: str = "") -> None:
        """Let an alert fire."""
        labels = {"alertname": alertname, "severity": severity} | ({"agent": agent} if agent else {})
        annotations = {"summary": f"{alertname} fires.", "description": description}
        alert = {"labels": labels, "annotations": annotations, "state": "firing", "activeAt": since, "value": "1e+00"}
        self.alerts.append(alert)

    def _counted(self, request: Request) -> Response:
        self.asked[request.path] = self.asked.get(request.path, 0) + 1
        return self._router(request)

    def _query(self, request: Request) -> Response:
        about = _about(request.query["query"])
        if about is None:
            return _bad_query()
        at = self.clock.now().timestamp()
        rows = []
        for name, agent in self.agents.items():
            value = 1 if about == "info" else getattr(agent, about)
            labels = {"agent": name, "sla": "default"} | ({"owner": agent.owner, "source": agent.source})
            if value is not None:
                rows.append({"metric": labels, "value": [at, str(value)]})
        return _success({"resultType": "vector", "result": rows})

    def _range(self, request: Request) -> Response:
        about = _about(request.query["query"])
        if about not in ("mean", "p95", "errors"):
            return _bad_query()
        only = _AGENT.search(request.query["query"])
        wanted = re.sub(r"\\(.)", r"\1", only[1]) if only else None
        start, end, step = (float(request.query[name]) for name in ("start", "end", "step"))
        times = [start + step * index for index in range(int((end - start) / step) + 1)]
        now, rows = self.clock.now().timestamp(), []
        for name, agent in self.agents.items():
            curve = agent.error_curve if about == "errors" else getattr(agent, about)
            values = [[at, str(value)] for at in times if (value := curve(now - at)) is not None]
            if values and wanted in (None, name):
                rows.append({"metric": {"agent": name}, "values": values})
        return _success({"resultType": "matrix", "result": rows})


def _about(query: str) -> str | None:
    return next((about for part, about in _ABOUT if part in query), None)


def _success(data: dict[str, Any]) -> Response:
    return json_response({"status": "success", "data": data})


def _bad_query() -> Response:
    return json_response({"status": "error", "errorType": "bad_data", "error": "this query is not simulated"}, 400)
