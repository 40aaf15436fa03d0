"""The whole exporter: from the services' HTTP to the text that Prometheus reads."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from drill.simulators.n8n import N8nSimulator
from drill.simulators.wire import Server, serve
from exporter.app import check, running
from handrail.clock import Clock, SystemClock
from handrail.http import build_client
from handrail.settings import Settings, SettingsError, parse

CONFIG = """
sources: {n8n: [{name: main, url: "URL", api_key_file: FOLDER/key, discover: true, poll_interval: 1s}]}
exporter: {listen: "127.0.0.1:0", database_url: "sqlite:///FOLDER/ledger.sqlite"}
"""
WAIT_S = 20


def settings_of(folder: Path, url: str, listen: str = "127.0.0.1:0") -> Settings:
    (folder / "key").write_text("n8n-key")
    return parse(text_of(folder, url, listen))


def text_of(folder: Path, url: str, listen: str = "127.0.0.1:0") -> str:
    return CONFIG.replace("FOLDER", str(folder)).replace("URL", url).replace("127.0.0.1:0", listen)


def get(port: int, path: str, **headers: str) -> tuple[int, str, str]:
    with build_client(base_url=f"http://127.0.0.1:{port}", timeout_s=5, headers=headers) as client:
        answer = client.get(path)
    return answer.status_code, answer.text, answer.headers["Content-Type"]


def eventually(condition: Callable[[], bool]) -> bool:
    pause = threading.Event()
    return any(condition() or pause.wait(0.05) for _ in range(WAIT_S * 20))


@pytest.fixture
def clock() -> Clock:
    return SystemClock()


@pytest.fixture
def n8n(clock: Clock) -> N8nSimulator:
    simulator = N8nSimulator(clock)
    simulator.add_workflow("Helper")
    return simulator


def test_a_call_in_n8n_becomes_a_count(tmp_path: Path, n8n: N8nSimulator) -> None:
    """Discovered, read, counted once and shown; afterwards nothing is left running."""
    (workflow,) = n8n.workflows
    config = settings_of(tmp_path, "http://n8n.test")
    with running(config, transport=httpx.WSGITransport(app=n8n)) as server:
        assert eventually(lambda: 'handrail_agent_info{agent="helper"' in get(server.port, "/metrics")[1])
        n8n.call(workflow, tokens_in=10, tokens_out=2)
        assert eventually(lambda: 'outcome="success",source="n8n/main"} 1.0' in get(server.port, "/metrics")[1])
        assert 'handrail_source_up{source="n8n/main"} 1.0' in get(server.port, "/metrics")[1]
    assert not [thread for thread in threading.enumerate() if thread.name in ("poller", "metrics")]


def test_the_server_answers_what_it_should(tmp_path: Path, n8n: N8nSimulator) -> None:
    """Health and readiness, both text formats, and a plain 404 for the rest."""
    with running(settings_of(tmp_path, "http://n8n.test"), transport=httpx.WSGITransport(app=n8n)) as server:
        assert get(server.port, "/-/healthy")[:2] == (200, "healthy\n")
        assert eventually(lambda: get(server.port, "/-/ready")[:2] == (200, "ready\nn8n/main: up\n"))
        assert get(server.port, "/metrics?x=1", accept="*/*")[2].startswith("text/plain")
        openmetrics = get(server.port, "/metrics", accept="application/openmetrics-text; version=1.0.0")
        assert openmetrics[2].startswith("application/openmetrics-text")
        assert openmetrics[1].endswith("# EOF\n")
        assert get(server.port, "/")[0] == 404


def test_a_client_that_says_nothing_holds_nobody_up(tmp_path: Path, n8n: N8nSimulator) -> None:
    """An open connection without a request does not keep Prometheus from its answer."""
    with (
        running(settings_of(tmp_path, "http://n8n.test"), transport=httpx.WSGITransport(app=n8n)) as server,
        socket.create_connection(("127.0.0.1", server.port)),
    ):
        assert get(server.port, "/-/healthy")[0] == 200


def test_an_exporter_whose_sources_are_gone_still_answers(tmp_path: Path) -> None:
    """It says that they are down, and why."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    down = 'handrail_source_errors_total{reason="unreachable",source="n8n/main"}'
    with running(settings_of(tmp_path, "http://n8n.test"), transport=httpx.MockTransport(refuse)) as server:
        assert eventually(lambda: f"{down} 0.0" not in get(server.port, "/metrics")[1])
        assert 'handrail_source_up{source="n8n/main"} 0.0' in get(server.port, "/metrics")[1]
        status, body, _ = get(server.port, "/-/ready")
        assert (status, body.splitlines()[0]) == (200, "ready")
        assert "n8n/main: down, unreachable: ConnectError on /api/v1/" in body


def test_it_is_not_ready_before_every_source_has_said_something(tmp_path: Path, n8n: N8nSimulator) -> None:
    """Until then the page names who is silent, and the process counts as alive."""
    n8n.faults.set("timeout", seconds=WAIT_S)
    with running(settings_of(tmp_path, "http://n8n.test"), transport=httpx.WSGITransport(app=n8n)) as server:
        assert get(server.port, "/-/ready")[:2] == (
            503,
            "not ready: waiting for n8n/main\nn8n/main: not yet read\n",
        )
        assert get(server.port, "/-/healthy")[0] == 200
        n8n.faults.clear()
        assert eventually(lambda: get(server.port, "/-/ready")[0] == 200)


def test_a_confidence_that_is_no_path_stops_the_start() -> None:
    """A typo is named with its place before anything runs."""
    agent = "agents: [{name: a, from: {n8n: main, workflow: A}, confidence: '$.['}]\n"
    with pytest.raises(SettingsError, match=r"agents\.0\.confidence"):
        check(parse(text_of(Path("/tmp"), "http://n8n.test") + agent))


@pytest.fixture
def served(n8n: N8nSimulator) -> Iterator[Server]:
    with serve(n8n) as server:
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, served: Server, root: Path, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C let it close what is open and leave with 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings_of(tmp_path, served.url)
    (tmp_path / "handrail.yaml").write_text(text_of(tmp_path, served.url, f"127.0.0.1:{port}"))
    program = (
        "import pathlib, sys; from exporter.app import run; from handrail import logs, settings;"
        "logs.configure(sys.stderr); run(settings.load(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "handrail.yaml")]
    environment = os.environ | {"PYTHONPATH": str(root)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert eventually(lambda: ready(port))
        process.send_signal(number)
        _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert '"event": "stopped"' in log
    assert "Traceback" not in log


def ready(port: int) -> bool:
    try:
        return get(port, "/-/ready")[0] == 200
    except httpx.TransportError:
        return False
