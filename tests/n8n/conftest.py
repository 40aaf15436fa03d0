"""The whole line in front of a real n8n: n8n, a model, Jira and Slack beside the real stack."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from drill.simulators.jira import JiraSimulator
from drill.simulators.llm import LlmSimulator
from drill.simulators.slack import SlackSimulator
from drill.simulators.wire import serve
from handrail.clock import SystemClock
from tests.n8n.instance import N8n, free_port
from tests.n8n.workflows import BROKEN_TOOL, PATIENT_TOOL, Shape, agent_workflow

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Each is the workflow "<Name> agent" with the webhook <name>; those that CONFIG does not name are discovered.
SHAPES: dict[str, Shape] = {
    "slow": Shape(),
    "failing": Shape(),
    "tooling": Shape(tool=BROKEN_TOOL),
    "unsure": Shape(),
    "doubtful": Shape(),
    "breaking": Shape(tool=BROKEN_TOOL),
    "steady": Shape(),
    "counted": Shape(),
    "crashing": Shape(),
    "stuck": Shape(),
    "hidden": Shape(settings=(("saveDataSuccessExecution", "none"),)),
    "trying": Shape(agent=(("retryOnFail", True), ("maxTries", 2), ("waitBetweenTries", 0))),
    "retried": Shape(),
    "circling": Shape(tool=PATIENT_TOOL, options=(("maxIterations", 2),)),
    "waiting": Shape(waits=True),
    "switched": Shape(),
    "renamed": Shape(),
    "archived": Shape(),
}

CONFIG = """
team: {{name: Real n8n}}
sources:
  n8n: [{{name: main, url: "{n8n}", api_key_file: {secrets}/n8n, discover: true, poll_interval: 1s,
         metrics_url: "{n8n}/metrics"}}]
slas:
  default:
    latency: {{threshold: 2s, consecutive_calls: 3, hold: 2m}}
agents:
  - name: slow
    from: {{n8n: main, workflow: Slow agent}}
    owner: finance-ops
    kill_switch: {{n8n: deactivate}}
    kill_on: [AgentSlowCallStreak]
  - {{name: failing, from: {{n8n: main, workflow: Failing agent}}}}
  - name: unsure
    from: {{n8n: main, workflow: Unsure agent}}
    confidence: $.confidence
    handoff_token_file: {secrets}/unsure
  - {{name: doubtful, from: {{n8n: main, workflow: Doubtful agent}}, confidence: $.confidence}}
  - {{name: breaking, from: {{n8n: main, workflow: Breaking agent}}, handoff: {{from_executions: true}}}}
notify:
  slack: {{webhook_url_file: {secrets}/slack}}
  group_wait: 1s
  group_interval: 10s
tickets: {{jira: {{url: "{jira}", project: OPS, user: handrail@example.com, token_file: {secrets}/jira}}}}
receiver:
  listen: 127.0.0.1:{receiver}
  public_url: http://127.0.0.1:{receiver}
  webhook_token_file: {secrets}/webhook
  operator_token_file: {secrets}/operator
  handoff_token_file: {secrets}/handoff
  database_url: sqlite:///{folder}/receiver.sqlite
  proof_window: 3s
exporter: {{listen: "127.0.0.1:{exporter}", database_url: "sqlite:///{folder}/ledger.sqlite"}}
prometheus: {{listen: "127.0.0.1:{prometheus}", scrape_interval: 5s, evaluation_interval: 5s}}
alertmanager: {{listen: "127.0.0.1:{alertmanager}"}}
"""


@dataclass
class Line:
    """Everything a test may touch."""

    n8n: N8n
    llm: LlmSimulator
    jira: JiraSimulator
    slack: SlackSimulator
    workflows: dict[str, str]
    urls: dict[str, str]
    client: httpx.Client
    state: pathlib.Path

    def query(self, expression: str) -> float | None:
        """One value from Prometheus."""
        answer = self.client.get(f"{self.urls['prometheus']}/api/v1/query", params={"query": expression}).json()
        return float(answer["data"]["result"][0]["value"][1]) if answer["data"]["result"] else None

    def metrics(self) -> str:
        """What the exporter says."""
        return self.client.get(f"{self.urls['exporter']}/metrics").text

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the exporter's series of that name with these labels; None when there is none."""
        families = text_string_to_metric_families(self.metrics())
        found = [
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None

    def ended(self, agent: str) -> tuple[float | None, float | None]:
        """How many calls of an agent were counted as good and as failed; None while it is not watched."""
        good, failed = (
            self.value("handrail_calls_total", agent=agent, outcome=outcome) for outcome in ("success", "error")
        )
        return good, failed

    def kill_exporter(self) -> None:
        """End the exporter without a chance to say good-bye; the stack starts it again."""
        parts = json.loads((self.state / "state.json").read_text())["parts"]
        (exporter,) = (part for part in parts if part["name"] == "exporter")
        os.kill(exporter["identity"]["pid"], signal.SIGKILL)

    def receiver(self, path: str) -> Any:
        """What the receiver says to the operator."""
        return self.client.get(f"{self.urls['receiver']}{path}", headers={"authorization": "Bearer operator"}).json()

    def ticket(self, alertname: str, agent: str) -> Any:
        """The open ticket about an alert."""
        found = [issue for issue in self.jira.issues if issue.summary.startswith(f"{alertname} · {agent} ")]
        assert len(found) <= 1, "exactly one ticket"
        return found[0] if found else None


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """Waits for a condition, for at most so many seconds, and says what it waited for."""

    def wait(what: str, probe: Callable[[], Any], within_s: float = 60) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := probe()):
            assert time.monotonic() < deadline, f"not seen within {within_s} s: {what}"
            time.sleep(0.2)
        return found

    return wait


def _compared(line: Line) -> None:
    """Wait until Prometheus compares n8n's count with ours: what ends while it begins is on one side of it only."""
    deadline = time.monotonic() + 60
    while line.query('source:handrail_n8n_executions_ended:total{source="n8n/main"}') is None:
        assert time.monotonic() < deadline, "Prometheus does not compare"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def line(tmp_path_factory) -> Iterator[Line]:
    """A real n8n with published workflows, and the real stack watching it."""
    subprocess.run([ROOT / "tests" / "n8n" / "install.sh"], check=True, timeout=1500)
    folder = tmp_path_factory.mktemp("line")
    clock = SystemClock()
    llm, jira, slack = LlmSimulator(clock), JiraSimulator(clock), SlackSimulator(clock)
    n8n = N8n(folder / "n8n")
    try:
        with serve(llm) as model, serve(jira) as tickets, serve(slack) as chat, httpx.Client(timeout=30) as client:
            urls = _configure(folder, n8n, tickets.url, chat.url)
            workflows = _workflows(n8n, model.url, f"{urls['receiver']}/v1/handoffs")
            stack = [sys.executable, "-m", "cli", "stack"]
            state = ["--state", str(folder / "state")]
            try:
                up = [*stack, "up", "--config", str(folder / "handrail.yaml"), "--runtime", "native", *state]
                subprocess.run(up, cwd=ROOT, check=True, timeout=180)
                made = Line(n8n, llm, jira, slack, workflows, urls, client, folder / "state")
                _compared(made)
                yield made
            finally:
                subprocess.run([*stack, "logs", "-n", "40", *state], cwd=ROOT, check=False, timeout=60)
                subprocess.run([*stack, "down", *state], cwd=ROOT, check=False, timeout=60)
    finally:
        n8n.close()


def _workflows(n8n: N8n, model_url: str, handoff_url: str) -> dict[str, str]:
    credential = n8n.credential(f"{model_url}/v1")
    shapes = SHAPES | {"unsure": Shape(handoff=(handoff_url, "unsure-token"))}
    return {
        name: n8n.create(agent_workflow(f"{name.capitalize()} agent", name, credential, shape))
        for name, shape in shapes.items()
    }


def _configure(folder: pathlib.Path, n8n: N8n, jira: str, slack: str) -> dict[str, str]:
    secrets = folder / "secrets"
    secrets.mkdir()
    values = {
        "n8n": n8n.key,
        "jira": "jira-token",
        "webhook": "webhook",
        "operator": "operator",
        "handoff": "handoff-token",
        "unsure": "unsure-token",
    }
    for name, value in (values | {"slack": f"{slack}/services/T000/B000/simulated"}).items():
        (secrets / name).write_text(value)
    ports = {name: free_port() for name in ("receiver", "exporter", "prometheus", "alertmanager")}
    text = CONFIG.format(n8n=n8n.url, jira=jira, secrets=secrets, folder=folder, **ports)
    (folder / "handrail.yaml").write_text(text)
    return {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
