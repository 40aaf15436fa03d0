"""What the drill can see and do, each through the same interface a person or program would use."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from handrail.http import HttpClient, NotJson, read_json


class ProbeFailed(Exception):
    """A part of the stack did not answer as it should; the text names the part and what it said."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Base URLs of the parts."""

    world: str
    prometheus: str
    alertmanager: str
    receiver: str


def planting(promtool: Path, prometheus_data: Path) -> Callable[[Path], None]:
    """How a file of OpenMetrics becomes history in a Prometheus of this machine."""

    def plant(openmetrics: Path) -> None:
        command = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(openmetrics), str(prometheus_data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
        if done.returncode:
            raise ProbeFailed(f"promtool could not write history: {done.stderr.strip()[-300:]}")

    return plant


class Probes:
    """Reads Prometheus, Alertmanager, the receiver, Slack and Jira; injects through the world's control API."""

    def __init__(
        self, client: HttpClient, addresses: Addresses, *, operator_token: str, plant_history: Callable[[Path], None]
    ) -> None:
        self._client = client
        self._at = addresses
        self._operator = {"authorization": f"Bearer {operator_token}"}
        self._plant_history = plant_history

    def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """The instant vector of a PromQL expression as (labels, value)."""
        answer = self._json("GET", f"{self._at.prometheus}/api/v1/query", params={"query": expression})
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]

    def value(self, expression: str) -> float | None:
        """The one value of an expression; None where there is no such series."""
        rows = self.query(expression)
        return rows[0][1] if rows else None

    def firing(self, alertname: str, agent: str) -> bool:
        """Is the alert firing in Prometheus?"""
        return bool(self.query(f'ALERTS{{alertname="{alertname}",agent="{agent}",alertstate="firing"}}'))

    def in_alertmanager(self, alertname: str, agent: str) -> bool:
        """Does Alertmanager hold the alert as active?"""
        filters = [f'alertname="{alertname}"', f'agent="{agent}"']
        return bool(self._json("GET", f"{self._at.alertmanager}/api/v2/alerts", params={"filter": filters}))

    def slack_message(self, alertname: str, agent: str) -> dict[str, Any] | None:
        """The newest Slack message about a firing alert of the agent."""
        messages = self._json("GET", f"{self._at.world}/slack/messages")
        found = [m for m in messages if alertname in str(m) and agent in str(m) and "FIRING" in str(m)]
        return found[-1] if found else None

    def open_tickets(self, alertname: str, agent: str) -> list[dict[str, Any]]:
        """Jira's issues about the alert that are not done."""
        return [t for t in self._tickets(agent) if alertname in t["summary"] and t["status"] != "Done"]

    def ticket(self, alertname: str, agent: str) -> str | None:
        """The key of the newest open ticket about the alert."""
        tickets = self.open_tickets(alertname, agent)
        return str(tickets[-1]["key"]) if tickets else None

    def slack_link(self, key: str) -> str | None:
        """Where the ticket's link to its message in Slack leads."""
        issues = self._json("GET", f"{self._at.world}/jira/issues")
        found = (issue["links"].get("handrail-slack") for issue in issues if issue["key"] == key)
        return next((str(link) for link in found if link), None)

    def ticket_done(self, key: str) -> bool:
        """Is that ticket closed?"""
        issues = self._json("GET", f"{self._at.world}/jira/issues")
        return any(issue["key"] == key and issue["status"] == "Done" for issue in issues)

    def _tickets(self, agent: str) -> list[dict[str, Any]]:
        issues = self._json("GET", f"{self._at.world}/jira/issues")
        return [issue for issue in issues if f"handrail-agent-{agent}" in issue["labels"]]

    def handoff(self, handoff_id: str) -> dict[str, Any]:
        """The receiver's status of a hand-off."""
        found: dict[str, Any] = self._json(
            "GET", f"{self._at.receiver}/v1/handoffs/{handoff_id}", headers=self._operator
        )
        return found

    def last_kill(self, agent: str) -> dict[str, Any] | None:
        """The newest kill operation of the agent."""
        kills = self._json("GET", f"{self._at.receiver}/v1/agents/{agent}/kills", headers=self._operator)
        return kills[0] if kills else None

    def enabled(self, agent: str) -> bool:
        """The flag an agent reads."""
        return bool(self._json("GET", f"{self._at.receiver}/v1/agents/{agent}/enabled")["enabled"])

    def enable(self, agent: str) -> None:
        """Switch the agent on again, as the operator."""
        body = {"reason": "end of the drill", "by": "drill"}
        self._json("POST", f"{self._at.receiver}/v1/agents/{agent}/enable", headers=self._operator, json=body)

    def report(self, drill_id: str, scenarios: Sequence[Mapping[str, object]]) -> None:
        """Tell the receiver how the scenarios ended; it keeps when each alert was last seen to work."""
        body = {"drill": drill_id, "scenarios": list(scenarios)}
        self._json("POST", f"{self._at.receiver}/v1/drills", headers=self._operator, json=body)

    def world(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """One call of the simulated world's control API."""
        return self._json(method, f"{self._at.world}{path}", json=body)

    def plant_history(self, openmetrics: Path) -> None:
        """Write history into Prometheus' storage with promtool, which is how anyone would backfill it."""
        self._plant_history(openmetrics)

    def forget_series(self, selector: str) -> None:
        """Delete planted series from Prometheus."""
        url = f"{self._at.prometheus}/api/v1/admin/tsdb/delete_series"
        response = self._request("POST", url, params={"match[]": selector})
        if response.status_code != 204:
            raise ProbeFailed(f"Prometheus did not delete {selector}: HTTP {response.status_code}")

    def _json(self, method: str, url: str, **arguments: Any) -> Any:
        response = self._request(method, url, **arguments)
        if response.status_code >= 400:
            raise ProbeFailed(f"{method} {url} answered HTTP {response.status_code}")
        if not response.content:
            return {}
        try:
            return read_json(response)
        except NotJson as error:
            raise ProbeFailed(f"{method} {url}: {error}") from error

    def _request(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        try:
            return self._client.request(method, url, **arguments)
        except httpx.HTTPError as error:
            raise ProbeFailed(f"{method} {url}: {type(error).__name__}: {error}") from error
