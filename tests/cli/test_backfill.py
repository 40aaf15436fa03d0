"""`handrail backfill` says what it did, what it left out and what to do next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.backfill import backfill
from drill.simulators.n8n import N8nSimulator
from drill.simulators.wire import Server, serve
from handrail.clock import SystemClock

CONFIG = """
sources: {{n8n: [{{name: main, url: "{url}", api_key_file: "{folder}/key"}}]}}
agents:
  - {{name: invoices, from: {{n8n: main, workflow: Invoices}}}}
exporter: {{database_url: "sqlite:///{folder}/ledger.sqlite"}}
prometheus: {{listen: "127.0.0.1:1"}}
"""


@pytest.fixture
def n8n() -> N8nSimulator:
    simulator = N8nSimulator(SystemClock())
    workflow = simulator.add_workflow("Invoices")
    for hours in (50, 30, 10):
        simulator.call(workflow, tokens_in=5, tokens_out=1, finished_at=datetime.now(UTC) - timedelta(hours=hours))
    return simulator


@pytest.fixture
def server(n8n: N8nSimulator) -> Server:
    with serve(n8n) as running:
        yield running


def run(folder: Path, url: str, *arguments: str, key: str = "n8n-key") -> Result:
    (folder / "key").write_text(key)
    (folder / "handrail.yaml").write_text(CONFIG.format(url=url, folder=folder))
    options = ["--config", str(folder / "handrail.yaml"), "--state", str(folder / "state"), *arguments]
    return CliRunner().invoke(backfill, options)


def test_the_file_is_written_and_the_next_step_is_named(tmp_path: Path, server: Server) -> None:
    """Only the file's name goes to the output; the period of each agent and the way into Prometheus beside it."""
    result = run(tmp_path, server.url, "--since", "7d")
    assert result.exit_code == 0, result.output
    file = Path(result.stdout.strip())
    assert file.read_text().endswith("# EOF\n")
    assert "invoices: 3 calls" in result.stderr
    assert "n8n/main goes back to" in result.stderr
    assert "Counting has not begun" in result.stderr
    assert "promtool tsdb create-blocks-from" in result.stderr
    assert [path.name for path in (tmp_path / "state/history").iterdir() if path.name.startswith("calls")] == []


def test_a_period_without_a_unit_is_refused(tmp_path: Path) -> None:
    """Before anything is asked."""
    result = run(tmp_path, "http://127.0.0.1:1", "--since", "7")
    assert result.exit_code == 2
    assert "write a whole number with a unit" in result.output


def test_nothing_is_read_that_prometheus_would_delete(tmp_path: Path, server: Server) -> None:
    """Its retention is said and taken."""
    result = run(tmp_path, server.url, "--since", "8w")
    assert result.exit_code == 0, result.output
    assert "Prometheus keeps 30d (prometheus.retention)" in result.stderr


def test_a_wrong_key_is_named(tmp_path: Path, server: Server) -> None:
    """At once, with what to do, and without the key."""
    result = run(tmp_path, server.url, "--since", "7d", key="wrong-key")
    assert result.exit_code == 1
    assert "HTTP 401" in result.output
    assert "wrong-key" not in result.output


def test_loading_beside_a_prometheus_that_cannot_be_asked_is_refused(tmp_path: Path, server: Server) -> None:
    """A storage is there, but nobody tells what is in memory."""
    (tmp_path / "state/real/prometheus").mkdir(parents=True)
    result = run(tmp_path, server.url, "--since", "7d", "--load")
    assert result.exit_code == 1
    assert "Start the stack first" in result.output


def test_no_call_is_no_file(tmp_path: Path, n8n: N8nSimulator, server: Server) -> None:
    """And says so."""
    n8n.executions.clear()
    result = run(tmp_path, server.url, "--since", "7d")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Nothing to write" in result.stderr
