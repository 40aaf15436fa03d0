"""What Prometheus and the exporter say about the agents, read at the moment somebody asks."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from alerting.receiver.worker import Transient
from handrail.clock import Clock
from handrail.http import HttpClient, NotJson, read_json

CALLS = "handrail_calls"
_QUERIES = {
    "info": "handrail_agent_info",
    "streak": "handrail_slow_call_streak",
    "errors": "agent:handrail_call_error_ratio:sla_window",
    "tokens": "agent:handrail_token_increase_ratio:sla_baseline",
}
# Fires always, to prove that alerting works.
WATCHDOG = "HandrailWatchdog"


class Unavailable(Exception):
    """Prometheus did not answer; the text says how."""


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """An alert that fires, in the words of its rule. `agent` is None for one about Handrail itself."""

    alertname: str
    severity: str
    agent: str | None
    since: datetime | None
    summary: str
    description: str


@dataclass
class Observed:
    """One agent as Prometheus knows it; None is "not known", which is not zero."""

    sla: str | None = None
    owner: str | None = None
    source: str | None = None
    slow_streak: int | None = None
    error_ratio: float | None = None
    token_increase: float | None = None


class PrometheusReader:
    """Reads the SLA state of every agent."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def agents(self) -> dict[str, Observed]:
        """Every agent by name; Unavailable when Prometheus does not answer."""
        found: dict[str, Observed] = defaultdict(Observed)
        for labels, _ in self._query(_QUERIES["info"]):
            observed = found[labels["agent"]]
            observed.sla, observed.owner = labels.get("sla"), labels.get("owner") or None
            observed.source = labels.get("source")
        for labels, value in self._query(_QUERIES["streak"]):
            found[labels["agent"]].slow_streak = None if value is None else int(value)
        for labels, value in self._query(_QUERIES["errors"]):
            found[labels["agent"]].error_ratio = value
        for labels, value in self._query(_QUERIES["tokens"]):
            found[labels["agent"]].token_increase = value
        return dict(found)

    def alerts(self) -> list[FiringAlert]:
        """All that fires but the watchdog; Unavailable when Prometheus does not answer."""
        answer = ask(self._client, "/api/v1/alerts", {})
        try:
            fires = [_firing(alert) for alert in answer["alerts"] if alert["state"] == "firing"]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Unavailable("Prometheus answered something else") from error
        return [alert for alert in fires if alert.alertname != WATCHDOG]

    def _query(self, expression: str) -> list[tuple[dict[str, str], float | None]]:
        """Each series about an agent with its value; None for one that is no number."""
        answer = ask(self._client, "/api/v1/query", {"query": expression})
        try:
            rows = [(row["metric"], float(row["value"][1])) for row in answer["result"] if row["metric"].get("agent")]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise Unavailable("Prometheus answered something else") from error
        return [(labels, value if math.isfinite(value) else None) for labels, value in rows]


def ask(client: HttpClient, path: str, params: dict[str, str]) -> dict[str, Any]:
    """The `data` of Prometheus' answer; Unavailable when there is none."""
    try:
        answer = read_json(client.get(path, params=params))
    except (httpx.HTTPError, NotJson) as error:
        raise Unavailable(f"Prometheus does not answer ({type(error).__name__})") from error
    if not isinstance(answer, dict) or answer.get("status") != "success" or not isinstance(answer.get("data"), dict):
        raise Unavailable("Prometheus refused a query")
    return dict(answer["data"])


def _firing(alert: dict[str, Any]) -> FiringAlert:
    labels, annotations = alert["labels"], alert.get("annotations") or {}
    since = alert.get("activeAt")
    return FiringAlert(
        alertname=str(labels["alertname"]),
        severity=str(labels.get("severity", "")),
        agent=labels.get("agent") or None,
        since=datetime.fromisoformat(since) if since else None,
        summary=str(annotations.get("summary", "")),
        description=str(annotations.get("description", "")),
    )


class CallCount:
    """How many calls of an agent its source has counted: equal counts show that a switched-off agent is silent."""

    def __init__(self, client: HttpClient, clock: Clock, *, max_age_s: float) -> None:
        self._client = client
        self._clock = clock
        self._max_age_s = max_age_s

    def of(self, agent: str) -> str:
        """The count; Transient when the exporter or the agent's source is not being read, which would prove nothing."""
        try:
            response = self._client.get("/metrics")
        except httpx.HTTPError as error:
            raise Transient(f"the exporter cannot be reached ({type(error).__name__})") from error
        if response.status_code != 200:
            raise Transient(f"the exporter answered HTTP {response.status_code}")
        count, sources, read_at = 0.0, set[str](), dict[str, float]()
        for family in text_string_to_metric_families(response.text):
            for sample in family.samples:
                if family.name == CALLS and sample.labels.get("agent") == agent:
                    count += sample.value
                    sources.add(sample.labels["source"])
                elif family.name == "handrail_source_last_success_timestamp_seconds":
                    read_at[sample.labels["source"]] = sample.value
        oldest = min((read_at.get(source, 0.0) for source in sources), default=0.0)
        if self._clock.now().timestamp() - oldest > self._max_age_s:
            raise Transient(f"the source of {agent} is not being read, so its silence proves nothing")
        return f"{count:.0f} calls counted"
