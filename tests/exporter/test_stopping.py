"""Stopping: within a bound, with exit code 0, and nothing is stored that was not read whole."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
import structlog
from sqlalchemy import Engine

from drill.simulators.n8n import N8nSimulator
from drill.simulators.wire import serve
from exporter.health import SourceHealth
from exporter.ledger import Ledger
from exporter.poller import STOP_WITHIN_S, Poller, Pollers
from exporter.probes import liveness
from exporter.sources import Batch, State
from handrail.clock import Clock, SystemClock
from handrail.database import create_engine
from handrail.logs import get_logger
from handrail.settings import parse

WAIT_S = 20
CONFIG = """
sources: {n8n: [{name: main, url: "URL", api_key_file: FOLDER/key, discover: true, poll_interval: 1s}]}
exporter: {listen: "127.0.0.1:0", database_url: "sqlite:///FOLDER/ledger.sqlite"}
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine, clock: Clock) -> Ledger:
    return Ledger(engine, parse(CONFIG.replace("URL", "http://n8n.test")), clock)


class HeldSource:
    """A source whose poll does not end until it is let go."""

    name, poll_interval_s = "n8n/held", 1.0

    def __init__(self, ending: BaseException | None = None) -> None:
        self.began, self.let_go = threading.Event(), threading.Event()
        self._ending = ending

    def poll(self, state: State) -> Batch:
        self.began.set()
        assert self.let_go.wait(WAIT_S)
        if self._ending:
            raise self._ending
        return Batch(state={"read": "after the end"})


def pollers_of(source: HeldSource, ledger: Ledger, clock: Clock) -> Pollers:
    poller = Poller(source, ledger, SourceHealth(source.name), get_logger("test"), clock=clock)
    return Pollers([poller], get_logger("test"), stopping=threading.Event(), clock=clock)


class ImpatientClock(SystemClock):
    """On which the bound has passed whenever one looks again."""

    looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return self.looks * STOP_WITHIN_S


def test_what_is_read_after_the_bound_is_dropped_whole(ledger: Ledger) -> None:
    """A poll that cannot be waited for is given up: it may end when it likes and stores nothing any more."""
    source = HeldSource()
    pollers = pollers_of(source, ledger, ImpatientClock())
    pollers.start()
    assert source.began.wait(WAIT_S)
    with structlog.testing.capture_logs() as logged:
        pollers.stop()
    source.let_go.set()
    for thread in threading.enumerate():
        if thread.name == "poller":
            thread.join(WAIT_S)
    assert [(entry["event"], entry["source"]) for entry in logged] == [("poll_abandoned", "n8n/held")]
    assert ledger.state("n8n/held") == {}


def test_a_poll_that_ends_in_time_is_stored(ledger: Ledger) -> None:
    """Nothing is thrown away that was read whole."""
    source = HeldSource()
    pollers = pollers_of(source, ledger, SystemClock())
    pollers.start()
    assert source.began.wait(WAIT_S)
    source.let_go.set()
    pollers.stop()
    assert ledger.state("n8n/held") == {"read": "after the end"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_makes_the_process_unhealthy(ledger: Ledger, clock: Clock) -> None:
    """Nobody reads that source any more, so a supervisor has to start the process again; after a stop it need not."""
    source = HeldSource(SystemExit())
    pollers = pollers_of(source, ledger, clock)
    assert liveness(pollers.dead).good
    pollers.start()
    assert source.began.wait(WAIT_S)
    assert pollers.dead == []
    source.let_go.set()
    for thread in threading.enumerate():
        if thread.name == "poller":
            thread.join(WAIT_S)
    probe = liveness(pollers.dead)
    assert (probe.good, probe.text) == (False, "not healthy: nobody reads n8n/held any more\n")
    pollers.stop()
    assert pollers.dead == []


class HangingN8n:
    """An n8n that has something to tell and holds every request; `asked` is set by the first one."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.n8n = N8nSimulator(SystemClock())
        self.n8n.call(self.n8n.add_workflow("Helper"))
        self.n8n.faults.set("timeout", seconds=WAIT_S * 2)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.asked.set()
        return self.n8n(environ, start_response)


def stored(folder: Path) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(folder / "ledger.sqlite")
    try:
        return connection.execute("SELECT source FROM source_state").fetchall()
    finally:
        connection.close()


def test_sigterm_does_not_wait_for_a_service_that_hangs(tmp_path: Path, root: Path) -> None:
    """The real process, in the middle of a poll: it leaves with 0 in time and has stored no part of that poll."""
    hanging = HangingN8n()
    (tmp_path / "key").write_text("n8n-key")
    environment = os.environ | {"PYTHONPATH": str(root)}
    with serve(hanging) as served:
        (tmp_path / "handrail.yaml").write_text(CONFIG.replace("FOLDER", str(tmp_path)).replace("URL", served.url))
        command = [sys.executable, "-m", "cli", "exporter", "--config", str(tmp_path / "handrail.yaml")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            assert hanging.asked.wait(WAIT_S)
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=WAIT_S)
        hanging.n8n.faults.clear()
    assert process.returncode == 0
    assert '"event": "poll_abandoned"' in log
    assert '"event": "stopped"' in log
    assert "Traceback" not in log
    assert stored(tmp_path) == []
