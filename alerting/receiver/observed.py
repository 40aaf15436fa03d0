"""What Prometheus and the exporter say about the agents, read at the moment somebody asks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
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
    "alerts": 'ALERTS{alertstate="firing",agent!=""}',
}


class Unavailable(Exception):
    """Prometheus did not answer; the text says how."""


@dataclass
class Observed:
    """One agent as Prometheus knows it; None is "not known", which is not zero."""

    sla: str | None = None
    owner: str | None = None
    source: str | None = None
    slow_streak: int | None = None
    error_ratio: float | None = None
    token_increase: float | None = None
    firing: list[str] = field(default_factory=list)


class PrometheusReader:
    """Reads the SLA state of every agent."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def agents(self) -> dict[str, Observed]:
        """Every agent by name; Unavailable when Prometheus does not answer."""
        found: dict[str, Observed] = defaultdict(Observed)
        for row in self._query(_QUERIES["info"]):
            labels = row["metric"]
            observed = found[labels["agent"]]
            observed.sla, observed.owner = labels.get("sla"), labels.get("owner") or None
            observed.source = labels.get("source")
        for row in self._query(_QUERIES["streak"]):
            found[row["metric"]["agent"]].slow_streak = int(float(row["value"][1]))
        for row in self._query(_QUERIES["errors"]):
            found[row["metric"]["agent"]].error_ratio = float(row["value"][1])
        for row in self._query(_QUERIES["tokens"]):
            found[row["metric"]["agent"]].token_increase = float(row["value"][1])
        for row in self._query(_QUERIES["alerts"]):
            found[row["metric"]["agent"]].firing.append(row["metric"]["alertname"])
        return dict(found)

    def _query(self, expression: str) -> list[dict[str, Any]]:
        try:
            answer = read_json(self._client.get("/api/v1/query", params={"query": expression}))
        except (httpx.HTTPError, NotJson) as error:
            raise Unavailable(f"Prometheus does not answer ({type(error).__name__})") from error
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise Unavailable("Prometheus refused a query")
        return list(answer["data"]["result"])


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
