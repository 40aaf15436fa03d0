"""A past beside live data in a real Prometheus: exact over the joint, nothing lost, and a baseline at once."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from alerting.render import SecretFiles, render
from drill.simulators.n8n import N8nSimulator
from drill.simulators.wire import serve
from exporter.app import running
from exporter.history.backfill import Backfill
from exporter.history.joint import Live
from handrail.clock import SystemClock
from handrail.http import build_client, read_json
from handrail.settings import Settings, parse
from stack.history import PrometheusData, load

pytestmark = [pytest.mark.tools, pytest.mark.slow]

CONFIG = """
sources: {{n8n: [{{name: main, url: "{n8n}", api_key_file: "{folder}/key", poll_interval: 1s}}]}}
slas: {{default: {{tokens: {{for: 0s, min_tokens: 1000}}}}}}
agents:
  - {{name: invoices, from: {{n8n: main, workflow: Invoice summary}}, owner: finance}}
exporter: {{listen: "127.0.0.1:{exporter}", database_url: "sqlite:///{folder}/ledger.sqlite"}}
prometheus: {{listen: "127.0.0.1:{prometheus}", scrape_interval: 1s, evaluation_interval: 1s}}
"""
WAIT_S = 60
DAYS = 4
EVERY = timedelta(minutes=30)
# One call of the past uses so many tokens both ways, so an hour of it twice that.
TOKENS = (900, 100)
HOUR = 2 * sum(TOKENS)
# What is used live before the alert is to fire: far less than 30 % of an hour.
LIVE_CALLS, LIVE_TOKENS = 2, (90, 10)
LIVE = LIVE_CALLS * sum(LIVE_TOKENS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], object]) -> None:
    pause, deadline = threading.Event(), time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        pause.wait(0.1)


class Hurried(SystemClock):
    """Does not spare the simulator."""

    def sleep(self, seconds: float) -> None:
        """Return at once."""


class Prometheus:
    """A real one over a storage that outlives it."""

    def __init__(self, program: Path, settings: Settings, folder: Path) -> None:
        self.url = f"http://{settings.prometheus.listen}"
        self.storage = folder / "prometheus"
        self._command = [
            str(program),
            f"--config.file={folder / 'rendered/prometheus.yml'}",
            f"--storage.tsdb.path={self.storage}",
            "--storage.tsdb.retention.time=30d",
            f"--web.listen-address={settings.prometheus.listen}",
        ]
        self._log = folder / "prometheus.log"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answers inside; ended by SIGTERM, as the stack does it."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            eventually(self._ready)
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)

    def _ready(self) -> bool:
        try:
            with build_client(timeout_s=2) as client:
                return client.get(f"{self.url}/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def value(self, expression: str, at: datetime | None = None) -> float | None:
        """The one value; None where there is none."""
        params = {"query": expression, **({"time": str(at.timestamp())} if at else {})}
        with build_client(timeout_s=10) as client:
            answer = read_json(client.get(f"{self.url}/api/v1/query", params=params))
        assert isinstance(answer, dict)
        rows = answer["data"]["result"]
        assert len(rows) <= 1, rows
        return float(rows[0]["value"][1]) if rows else None


def test_a_past_joins_live_data_exactly_and_gives_a_baseline_at_once(
    prometheus_program: Path, tmp_path: Path, secret_files: SecretFiles
) -> None:
    """The hour over the joint counts what happened in it, no live sample is lost, and AgentTokenUsageHigh works."""
    clock = SystemClock()
    n8n = N8nSimulator(clock)
    workflow = n8n.add_workflow("Invoice summary")
    now = datetime.now(UTC)
    # Five minutes off, so that no window's edge falls on a call.
    at = now - timedelta(days=DAYS, minutes=5)
    past = 0
    while at < now - timedelta(minutes=2):
        outcome = "tool_error" if past % 20 == 0 else "success"
        n8n.call(workflow, tokens_in=TOKENS[0], tokens_out=TOKENS[1], outcome=outcome, finished_at=at)
        at, past = at + EVERY, past + 1
    (tmp_path / "key").write_text("n8n-key")
    server = serve(n8n)
    ports = {"exporter": free_port(), "prometheus": free_port()}
    settings = parse(CONFIG.format(n8n=server.url, folder=tmp_path, **ports))
    render(settings, tmp_path / "rendered", secret_files)
    prometheus = Prometheus(prometheus_program, settings, tmp_path)
    try:
        with running(settings):
            with prometheus.running():
                eventually(lambda: prometheus.value("agent:handrail_calls:sum") == 0)
                for _ in range(LIVE_CALLS):
                    n8n.call(workflow, tokens_in=LIVE_TOKENS[0], tokens_out=LIVE_TOKENS[1])
                eventually(lambda: prometheus.value("agent:handrail_tokens:sum") == LIVE)
                assert prometheus.value("agent:handrail_tokens_baseline:median7d") is None
                scrapes = prometheus.value('count_over_time(up{job="handrail-exporter"}[1h])')
                with build_client(timeout_s=10) as client:
                    data = PrometheusData(client, prometheus.url, retention=timedelta(days=30))
                    live = Live(data.first_seen(), data.with_history(), data.memory_begins())
                since = now - timedelta(days=DAYS)
                with Backfill(settings, Hurried(), folder=tmp_path / "h", since=since, live=live) as run:
                    list(run.read(say=print))
                    outcome = run.write(tmp_path / "history.om", say=lambda _: None)
                assert outcome.left_out == 0
                assert outcome.written[0].calls == past - 1  # the oldest ended before the period
                load(prometheus_program.with_name("promtool"), tmp_path / "history.om", prometheus.storage)
            with prometheus.running():
                _look(prometheus, scrapes, n8n, workflow)
                with build_client(timeout_s=10) as client:
                    data = PrometheusData(client, prometheus.url, retention=timedelta(days=30))
                    assert data.with_history() == {"invoices"}
    finally:
        server.close()


def _look(prometheus: Prometheus, scrapes: float | None, n8n: N8nSimulator, workflow: str) -> None:
    eventually(lambda: prometheus.value("agent:handrail_tokens_baseline:median7d") is not None)
    assert prometheus.value("agent:handrail_tokens_baseline:median7d") == pytest.approx(HOUR, rel=0.01)
    # Nothing of before the restart is lost, and nothing was added at the joint.
    assert (prometheus.value('count_over_time(up{job="handrail-exporter"}[1h])') or 0) >= (scrapes or 0)
    assert prometheus.value("resets(agent:handrail_tokens:sum[2h])") == 0
    assert prometheus.value("agent:handrail_tokens:sum") == LIVE
    for window in ("30m", "2h", "1d"):
        ended = _ended(n8n, window)
        spread = "max_over_time(agent:handrail_calls:sum[{0}]) - min_over_time(agent:handrail_calls:sum[{0}])"
        assert prometheus.value(spread.format(window)) == pytest.approx(ended, abs=1)
    used = (_ended(n8n, "1h") - LIVE_CALLS) * sum(TOKENS) + LIVE
    eventually(lambda: prometheus.value("agent:handrail_tokens:increase1h") == used)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    grown = "sum by (agent) (handrail_tokens_total) - sum by (agent) (handrail_tokens_total offset 1h)"
    assert prometheus.value("agent:handrail_tokens:increase1h", yesterday) == prometheus.value(grown, yesterday) == HOUR
    assert prometheus.value("sum(increase(handrail_call_errors_total[3d]))", yesterday + timedelta(hours=12)) > 4
    firing = 'ALERTS{alertname="AgentTokenUsageHigh",alertstate="firing"}'
    assert prometheus.value(firing) is None
    n8n.call(workflow, tokens_in=HOUR, tokens_out=1)
    eventually(lambda: prometheus.value(firing) == 1)


def _ended(n8n: N8nSimulator, window: str) -> int:
    span = timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[window[-1]]: int(window[:-1])})
    since = datetime.now(UTC) - span
    return sum(execution.stopped is not None and execution.stopped > since for execution in n8n.executions)
