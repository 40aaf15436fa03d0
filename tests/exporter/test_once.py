"""`handrail exporter --once`: one look at every source, counted as any other and hidden from nobody's scrape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from cli.main import main
from drill.simulators.n8n import N8nSimulator
from drill.simulators.wire import Server, serve
from exporter.app import running
from exporter.sole import LedgerTaken, sole_use
from handrail.clock import SystemClock
from handrail.database import create_engine
from handrail.http import build_client
from handrail.settings import load

CONFIG = """
sources: {n8n: [{name: main, url: "URL", api_key_file: FOLDER/key}]}
exporter: {listen: "127.0.0.1:0", database_url: "sqlite:///FOLDER/ledger.sqlite"}
agents: [{name: invoices, from: {n8n: main, workflow: Invoices}}]
"""
CALLS = 'handrail_calls_total{agent="invoices",model="gpt-4o-mini",outcome="success",source="n8n/main"}'


@pytest.fixture
def n8n() -> N8nSimulator:
    simulator = N8nSimulator(SystemClock())
    simulator.add_workflow("Invoices")
    return simulator


@pytest.fixture
def served(n8n: N8nSimulator) -> Iterator[Server]:
    with serve(n8n) as server:
        yield server


@pytest.fixture
def config(tmp_path: Path, served: Server) -> Path:
    (tmp_path / "key").write_text("n8n-key")
    file = tmp_path / "handrail.yaml"
    file.write_text(CONFIG.replace("URL", served.url).replace("FOLDER", str(tmp_path)))
    return file


def once(config: Path) -> Result:
    return CliRunner().invoke(main, ["exporter", "--once", "--config", str(config)])


def call(n8n: N8nSimulator) -> None:
    (workflow,) = n8n.workflows
    n8n.call(workflow)


def test_it_prints_what_it_counted(config: Path, n8n: N8nSimulator) -> None:
    """Between two looks one call is one count, a third look adds nothing, and no value is held back at 0."""
    assert once(config).exit_code == 0
    call(n8n)
    for _ in range(2):
        result = once(config)
        assert result.exit_code == 0
        assert f"{CALLS} 1.0" in result.stdout
        assert 'handrail_source_up{source="n8n/main"} 1.0' in result.stdout
        assert 'handrail_credential_valid{credential="n8n/main"} 1.0' in result.stdout


def test_prometheus_still_sees_the_zero(config: Path, n8n: N8nSimulator) -> None:
    """The first scrape of the exporter shows 0 and the second the value, as if nobody had looked before."""
    once(config)
    call(n8n)
    once(config)
    settings = load(config)
    with running(settings) as exporter, build_client(base_url=f"http://127.0.0.1:{exporter.port}") as client:
        assert f"{CALLS} 0.0" in client.get("/metrics").text
        assert f"{CALLS} 1.0" in client.get("/metrics").text


def test_a_source_that_is_down_makes_it_fail(config: Path, n8n: N8nSimulator) -> None:
    """The metrics are printed all the same; the message says which source, why, and what to do."""
    n8n.faults.set("unauthorized")
    result = once(config)
    assert result.exit_code == 1
    assert 'handrail_source_up{source="n8n/main"} 0.0' in result.stdout
    assert "n8n/main: unauthorized: HTTP 401 on /api/v1/workflows; " in result.stderr
    assert str(config.parent / "key") in result.stderr


def test_it_refuses_while_an_exporter_runs(config: Path) -> None:
    """Two readers of one source would count what each finds missing; the message names the process that reads."""
    with running(load(config)):
        result = once(config)
        assert result.exit_code == 1
        assert "Error: another exporter (process " in result.stderr
        assert "Traceback" not in result.stderr
        with pytest.raises(LedgerTaken), running(load(config)):
            raise AssertionError("a second exporter was started")
    assert once(config).exit_code == 0


def test_a_refused_start_leaves_nothing_behind(config: Path) -> None:
    """The one that runs is not disturbed by it."""
    with running(load(config)) as exporter:
        with pytest.raises(LedgerTaken), running(load(config)):
            raise AssertionError("a second exporter was started")
        assert httpx.get(f"http://127.0.0.1:{exporter.port}/-/healthy").status_code == 200


def test_a_ledger_has_one_exporter(engine: Engine) -> None:
    """On either database: the second one is told, and when the first has gone the next may have it."""
    second = create_engine(engine.url.render_as_string(hide_password=False))
    with sole_use(engine), pytest.raises(LedgerTaken), sole_use(second):
        raise AssertionError("both have it")
    with sole_use(second):
        pass
    second.dispose()
