"""A receiver around a database of its own, in front of a simulated Jira and a Prometheus that is away at first."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from alerting.receiver.app import Receiver, assemble
from alerting.receiver.jira.tickets import JiraTickets
from alerting.receiver.schema import metadata
from alerting.receiver.switches import Switch
from alerting.receiver.switches.env_file import EnvFile
from drill.simulators.jira import JiraSimulator
from drill.simulators.prometheus import PrometheusSimulator
from drill.simulators.slack import SlackSimulator
from drill.simulators.wire import serve
from handrail import logs
from handrail.http import HttpClient, build_client
from handrail.settings import Settings, parse
from tests.alerting.receiver.alertmanager_wire import AlertmanagerWire
from tests.alerting.receiver.in_slack import InSlack
from tests.postgresql import NewDatabase

CONFIG = """
team: {{name: Test team, contact: {{name: On-call, slack: "#ops"}}}}
sources:
  n8n: [{{name: main, url: "http://127.0.0.1:1", api_key_file: {secrets}/n8n}}]
  cloudflare: [{{name: main, account_id: abc, api_token_file: {secrets}/cf, gateways: [prod]}}]
agents:
  - name: support-bot
    from: {{ai_gateway: main, metadata: {{agent: support-bot}}}}
    owner: support
    kill_switch: {{env_file: {folder}/agent.env}}
    kill_on: [AgentSlowCallStreak]
    handoff_token_file: {secrets}/support-bot
  - {{name: invoice, from: {{n8n: main, workflow: Invoice}}, handoff_token_file: {secrets}/invoice}}
tickets: {{jira: {{url: "{jira}", project: OPS, user: handrail@example.com, token_file: {secrets}/jira}}}}
receiver:
  public_url: http://handrail.example
  webhook_token_file: {secrets}/webhook
  operator_token_file: {secrets}/operator
  handoff_token_file: {secrets}/exporter
  database_url: "{database}"
  proof_window: 15s
"""
TOKENS = {"webhook": "webhook-token", "operator": "operator-token", "exporter": "exporter-token", "jira": "jira-token"}

# What a browser says with a form of the page that it is on.
BROWSER = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}


@dataclass
class Calls:
    """What the exporter would say about the agent's calls."""

    count: int = 0

    def mark(self) -> str:
        return f"{self.count} calls counted"


class Bench:
    """The receiver and what stands around it; time moves only by `later`."""

    def __init__(self, settings: Settings, jira: JiraSimulator, clock, calls: Calls, env_file) -> None:
        self.settings, self.jira, self.clock, self.calls, self.env_file = settings, jira, clock, calls, env_file
        self.alertmanager, self.alertmanager_url = AlertmanagerWire(), ""
        self.switches: dict[str, Switch] = {"support-bot": EnvFile(env_file, activity=calls.mark, settle_s=10)}
        # What the exporter would say of the last calls; None while it says nothing.
        self.calls_shown: Any = None
        self.prometheus = PrometheusSimulator(clock)
        self.prometheus.faults.set("unavailable")
        self.receiver = self.assemble()
        self.client = TestClient(self.receiver.app)

    def assemble(self) -> Receiver:
        jira = self.settings.tickets.jira
        assert jira is not None
        return assemble(
            self.settings,
            clock=self.clock,
            port=JiraTickets(jira, self.clock),
            switches=self.switches,
            prometheus=build_client(base_url="http://p", transport=httpx.WSGITransport(app=self.prometheus)),
            connect_alertmanager=self.connect_alertmanager,
            exporter=build_client(base_url="http://e", transport=httpx.MockTransport(self._exporter)),
        )

    def _exporter(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(503) if self.calls_shown is None else httpx.Response(200, json=self.calls_shown)

    def connect_alertmanager(self, url: str) -> HttpClient:
        """To the real one at `alertmanager_url`, or to the answers of `alertmanager`."""
        if self.alertmanager_url:
            return build_client(base_url=self.alertmanager_url)
        return build_client(base_url=url, transport=httpx.MockTransport(self.alertmanager.answer))

    def look(self, times: int = 1) -> None:
        """Compare with Alertmanager, a minute apart, and do what follows."""
        for _ in range(times):
            self.clock.advance(60)
            self.receiver.reconciler.look()
            self.drain()

    def restart(self) -> None:
        """As after a crash: nothing is left but the database."""
        self.receiver.engine.dispose()
        self.receiver = self.assemble()
        self.client = TestClient(self.receiver.app)

    def configure_jira(self, **changes: Any) -> None:
        """Start again with other settings of tickets.jira, on the same database."""
        jira = self.settings.tickets.jira
        assert jira is not None
        tickets = self.settings.tickets.model_copy(update={"jira": jira.model_copy(update=changes)})
        self.settings = self.settings.model_copy(update={"tickets": tickets})
        self.restart()

    def on(self, deployment: str) -> Bench:
        """This bench, with a Jira of that kind."""
        if deployment == "datacenter":
            self.jira.deployment = "datacenter"
            self.configure_jira(deployment="datacenter", user=None)
        return self

    def alert(self, body: dict[str, Any] | bytes, token: str = TOKENS["webhook"]) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post("/v1/alerts", content=raw, headers={"authorization": f"Bearer {token}"})

    def handoff(self, body: dict[str, Any], key: str = "k1", agent: str = "support-bot") -> httpx.Response:
        headers = {"authorization": f"Bearer {agent}-token", "idempotency-key": key}
        return self.client.post("/v1/handoffs", json=body, headers=headers)

    def operate(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {TOKENS['operator']}"}
        return self.client.request(method, path, headers=headers, **arguments)

    def sign_in(self, by: str = "ops lead", token: str = TOKENS["operator"], then: str = "/") -> httpx.Response:
        """Give the operator token on the page, as a browser does; the client keeps the cookie."""
        form = {"by": by, "token": token, "next": then}
        return self.client.post("/login", data=form, headers=BROWSER, follow_redirects=False)

    def send_form(self, path: str, page: str = "", **fields: str) -> httpx.Response:
        """Send a form of `page`, by default of where it goes to, with what is hidden in it."""
        found = re.search(r'name="csrf" value="(\w+)"', self.client.get(page or path).text)
        form = fields if found is None else {"csrf": found[1]} | fields
        return self.client.post(path, data=form, headers=BROWSER, follow_redirects=False)

    def drain(self) -> None:
        """Do everything that is due now."""
        while self.receiver.intake.process_one() or any([w.run_once() for w in self.receiver.workers.values()]):
            pass

    def later(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass and do what becomes due."""
        self.drain()
        for _ in range(int(seconds / step)):
            self.clock.advance(step)
            self.drain()

    @property
    def open_tickets(self) -> list[Any]:
        return [issue for issue in self.jira.issues if issue.status_category != "done"]

    def rows(self, table: Any) -> list[Any]:
        with self.receiver.engine.begin() as connection:
            return list(connection.execute(table.select().order_by(table.c.id)))

    def stored(self) -> str:
        """Everything the database holds, as text."""
        with self.receiver.engine.begin() as connection:
            tables = [connection.execute(table.select()).all() for table in metadata.sorted_tables]
        return "\n".join(str(row._asdict()) for rows in tables for row in rows)

    def metric(self, name: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name + " "))


def build_bench(folder, clock, new_database: NewDatabase | None = None) -> Iterator[Bench]:
    """A bench in `folder`, closed afterwards; its database is SQLite, or one that `new_database` makes."""
    secrets = folder / "secrets"
    secrets.mkdir()
    for name in ("n8n", "cf"):
        (secrets / name).write_text("x")
    for agent in ("support-bot", "invoice"):
        (secrets / agent).write_text(f"{agent}-token\n")
    for name, value in TOKENS.items():
        (secrets / name).write_text(value)
    jira = JiraSimulator(clock)
    with serve(jira) as server:
        database = new_database() if new_database else f"sqlite:///{folder}/receiver.sqlite"
        settings = parse(CONFIG.format(secrets=secrets, folder=folder, jira=server.url, database=database))
        bench = Bench(settings, jira, clock, Calls(), folder / "agent.env")
        yield bench
        bench.receiver.engine.dispose()


# Every test that asks for a bench runs on both. On PostgreSQL it does so in `make test-postgresql`, except the few that
# ask for `postgresql_bench`.
DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.databases)]


@pytest.fixture(params=DATABASES)
def new_database(request) -> NewDatabase | None:
    """Makes databases of the kind that is tested; None is for SQLite in the bench's own folder."""
    return request.getfixturevalue("postgresql") if request.param == "postgresql" else None


@pytest.fixture
def bench(tmp_path, clock, new_database) -> Iterator[Bench]:
    """A fresh receiver."""
    yield from build_bench(tmp_path, clock, new_database)


@pytest.fixture
def postgresql_bench(tmp_path, clock, postgresql) -> Iterator[Bench]:
    """A fresh receiver on PostgreSQL."""
    yield from build_bench(tmp_path, clock, postgresql)


@pytest.fixture
def log() -> io.StringIO:
    """What the receiver logs."""
    stream = io.StringIO()
    logs.configure(stream)
    return stream


@pytest.fixture
def slack(bench, clock, tmp_path) -> Iterator[InSlack]:
    """A Slack that the bench's receiver may read."""
    simulator = SlackSimulator(clock)
    with serve(simulator) as server:
        yield InSlack(bench, simulator, server.url, tmp_path)


class Telling:
    """Notifications as an Alertmanager tells them: an alert that fires again began after it ended."""

    def __init__(self, clock) -> None:
        self._clock = clock
        self._began: dict[tuple[str, str, str], datetime] = {}
        self._ended: dict[tuple[str, str, str], datetime] = {}

    def __call__(
        self,
        status: str = "firing",
        alertname: str = "AgentErrorRatioHigh",
        agent: str = "invoice",
        *,
        severity: str = "critical",
        fingerprints: tuple[str, ...] = ("14f2e3b0c1d2e3f4",),
        resolved: tuple[str, ...] = (),
        **changes: Any,
    ) -> dict[str, Any]:
        """A group of these alerts; those in `resolved` are over, or all of them."""
        labels = {"alertname": alertname, "agent": agent, "severity": severity, "sla": "default", "owner": "finance"}
        annotations = {
            "summary": "Calls fail more often than the SLA allows.",
            "description": "4.2% of 52 calls failed.",
        }
        states = dict.fromkeys(fingerprints, status) | dict.fromkeys(resolved, "resolved")
        alerts = [
            {
                "status": state,
                "labels": labels,
                "annotations": annotations,
                **self._times((alertname, agent, fingerprint), over=state == "resolved"),
                "generatorURL": "http://prometheus.example/graph?g0.expr=x",
                "fingerprint": fingerprint,
            }
            for fingerprint, state in states.items()
        ]
        return {
            "version": "4",
            "groupKey": '{}:{alertname="x"}',
            "truncatedAlerts": 0,
            "status": "firing" if "firing" in states.values() else "resolved",
            "receiver": "handrail",
            "groupLabels": {"alertname": alertname, "agent": agent},
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": "http://alertmanager.example",
            "alerts": alerts,
        } | changes

    def _times(self, alert: tuple[str, str, str], *, over: bool) -> dict[str, str]:
        now, ended = self._clock.now(), self._ended.get(alert)
        earliest = ended + timedelta(milliseconds=1) if ended else now - timedelta(minutes=1)
        began = self._began.setdefault(alert, max(now - timedelta(minutes=1), earliest))
        if over:
            self._ended[alert] = max(now, began + timedelta(milliseconds=1))
            del self._began[alert]
        ends_at = self._ended[alert].isoformat() if over else "0001-01-01T00:00:00Z"
        return {"startsAt": began.isoformat(timespec="milliseconds"), "endsAt": ends_at}


@pytest.fixture
def notification(clock) -> Telling:
    """Builds notifications as Alertmanager sends them."""
    return Telling(clock)


@pytest.fixture
def build(new_database) -> Callable[..., Iterator[Bench]]:
    """Builds a bench in a folder; for tests that need many."""
    return partial(build_bench, new_database=new_database)


@pytest.fixture
def tokens() -> dict[str, str]:
    """The bench's tokens by name."""
    return TOKENS
