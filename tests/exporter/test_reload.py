"""SIGHUP: a good configuration takes effect without losing a count; a bad one changes nothing and says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from drill.simulators.n8n import N8nSimulator
from drill.simulators.wire import serve
from exporter.app import Running, running
from handrail.clock import SystemClock
from handrail.http import build_client
from handrail.settings import Settings, load, parse

WAIT_S = 20
CONFIG = """
sources:
  n8n:
    - {name: main, url: "http://n8n.test", api_key_file: FOLDER/key, poll_interval: 1s}
exporter: {listen: "127.0.0.1:0", database_url: "sqlite:///FOLDER/ledger.sqlite"}
agents:
  - {name: invoices, from: {n8n: main, workflow: Invoices}}
"""
ANOTHER_AGENT = "  - {name: refunds, from: {n8n: main, workflow: Refunds}}\n"
ANOTHER_SOURCE = "    - {name: second, url: 'http://second.test', api_key_file: FOLDER/key, poll_interval: 1s}\n"


def eventually(condition: Callable[[], Any]) -> bool:
    pause = threading.Event()
    return any(condition() or pause.wait(0.05) for _ in range(WAIT_S * 20))


class Bench:
    """An exporter with two workflows on the wire, and its configuration as text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "key").write_text("n8n-key")
        self.n8n = N8nSimulator(SystemClock())
        self.invoices, self.refunds = self.n8n.add_workflow("Invoices"), self.n8n.add_workflow("Refunds")
        self.exporter: Running

    def settings(self, text: str = CONFIG) -> Settings:
        return parse(text.replace("FOLDER", str(self.folder)))

    def reload(self, text: str) -> list[Any]:
        """Read this text; what is logged meanwhile."""
        with structlog.testing.capture_logs() as logged:
            self.exporter.reload(lambda: self.settings(text))
        return logged

    def shows(self, line: str) -> bool:
        with build_client(base_url=f"http://127.0.0.1:{self.exporter.port}") as client:
            return line in client.get("/metrics").text

    def counted(self, agent: str, calls: int) -> bool:
        series = f'handrail_calls_total{{agent="{agent}",model="gpt-4o-mini",outcome="success",source="n8n/main"}}'
        return self.shows(f"{series} {calls:.1f}")

    def call(self, workflow: str) -> None:
        self.n8n.call(workflow)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    with running(bench.settings(), transport=httpx.WSGITransport(app=bench.n8n)) as bench.exporter:
        assert eventually(lambda: bench.shows('handrail_source_up{source="n8n/main"} 1.0'))
        bench.call(bench.invoices)
        assert eventually(lambda: bench.counted("invoices", 1))
        yield bench


def test_a_new_agent_counts_and_no_count_is_lost(bench: Bench) -> None:
    """It is watched on the same port; what was counted before stays, and what happens now is added."""
    bench.reload(CONFIG + ANOTHER_AGENT)
    assert bench.counted("invoices", 1)
    bench.call(bench.refunds)
    bench.call(bench.invoices)
    assert eventually(lambda: bench.counted("refunds", 1) and bench.counted("invoices", 2))
    assert bench.shows("handrail_config_last_reload_successful 1.0")


def test_a_source_comes_and_goes(bench: Bench) -> None:
    """With its own thread and its series; the requests counted so far stay and are not shown at 0 again."""
    requests = 'handrail_source_requests_total{source="n8n/main",status="200"}'
    bench.reload(CONFIG.replace("exporter:", ANOTHER_SOURCE + "exporter:"))
    assert eventually(lambda: bench.shows('handrail_source_up{source="n8n/second"} 1.0'))
    assert not bench.shows(f"{requests} 0.0")
    bench.reload(CONFIG)
    assert not bench.shows("n8n/second")
    assert len([thread for thread in threading.enumerate() if thread.name == "poller"]) == 1


def test_a_new_threshold_holds_from_the_next_call_on(bench: Bench) -> None:
    """Its bucket appears, and streaks are counted by it."""
    bench.reload(CONFIG + "slas: {default: {latency: {threshold: 700ms, consecutive_calls: 1}}}\n")
    assert bench.shows('handrail_call_duration_seconds_bucket{agent="invoices",le="0.7"}')
    bench.n8n.call(bench.invoices, duration_s=0.8)
    assert eventually(lambda: bench.shows('handrail_slow_call_streak{agent="invoices"} 1.0'))


def test_a_bad_file_changes_nothing(bench: Bench) -> None:
    """Every problem is logged with its line, a metric says so, and the old configuration goes on counting."""
    logged = bench.reload(CONFIG.replace("poll_interval: 1s", "poll_interval: 1") + "nonsense: 1\n")
    problems = [(entry["line"], entry["path"]) for entry in logged if entry["event"] == "config_problem"]
    assert problems == [(4, "sources.n8n.0.poll_interval"), (8, "nonsense")]
    assert [entry["event"] for entry in logged][-1] == "config_reload_failed"
    assert bench.shows("handrail_config_last_reload_successful 0.0")
    bench.call(bench.invoices)
    assert eventually(lambda: bench.counted("invoices", 2))
    bench.reload(CONFIG)
    assert bench.shows("handrail_config_last_reload_successful 1.0")


def test_a_path_that_cannot_be_read_is_a_bad_file(bench: Bench) -> None:
    """What only the exporter can find wrong also leaves the old configuration in place."""
    confidence = CONFIG.replace("workflow: Invoices}", "workflow: Invoices}, confidence: '$.a[?(@.b'")
    logged = bench.reload(confidence)
    assert logged[-1]["event"] == "config_reload_failed"
    assert bench.shows('handrail_source_up{source="n8n/main"} 1.0')


def test_what_needs_a_restart_is_said(bench: Bench) -> None:
    """Address and database stay as they are until then."""
    logged = bench.reload(CONFIG.replace("127.0.0.1:0", "127.0.0.1:19095").replace("ledger.sqlite", "other.sqlite"))
    (said,) = [entry for entry in logged if entry["event"] == "restart_needed"]
    assert said["settings"] == ["exporter.listen", "exporter.database_url"]
    assert not (bench.folder / "other.sqlite").exists()
    assert bench.counted("invoices", 1)


def test_the_process_takes_over_its_file_on_sighup(tmp_path: Path, root: Path) -> None:
    """The real process: SIGHUP with a bad file, then with a good one, then SIGTERM."""
    n8n = N8nSimulator(SystemClock())
    n8n.add_workflow("Invoices")
    (tmp_path / "key").write_text("n8n-key")
    file = tmp_path / "handrail.yaml"
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "cli", "exporter", "--config", str(file)]
    with serve(n8n) as served:
        good = CONFIG.replace("FOLDER", str(tmp_path)).replace("http://n8n.test", served.url)
        file.write_text(good)
        assert load(file)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stderr
            lines = iter(process.stderr)
            assert any('"event": "started"' in line for line in lines)
            file.write_text("sources: nothing\n")
            process.send_signal(signal.SIGHUP)
            assert any('"event": "config_reload_failed"' in line for line in lines)
            file.write_text(good + ANOTHER_AGENT)
            process.send_signal(signal.SIGHUP)
            assert any('"event": "config_reloaded"' in line and '"agents": 2' in line for line in lines)
            process.send_signal(signal.SIGTERM)
            assert any('"event": "stopped"' in line for line in lines)
        assert process.returncode == 0
