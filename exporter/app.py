"""Wires the exporter: sources, pollers, ledger and HTTP server; starts them, and stops them in reverse order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

import httpx
from prometheus_client import CollectorRegistry

from exporter.credentials.metrics import CredentialCollector
from exporter.ledger import Ledger
from exporter.live import Live
from exporter.metrics import LedgerCollector
from exporter.sources.n8n_execution import compile_path
from exporter.web import MetricsServer
from handrail.clock import Clock, SystemClock
from handrail.database import create_engine
from handrail.logs import get_logger
from handrail.settings import Problem, Settings, SettingsError


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then return. SettingsError or OSError when it cannot start."""
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    previous = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with running(settings):
            stop.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def running(
    settings: Settings, *, clock: Clock | None = None, transport: httpx.BaseTransport | None = None
) -> Iterator[MetricsServer]:
    """The exporter while it runs; on exit nothing of it is left. `transport` lets tests speak the wire in-process."""
    check(settings)
    log = get_logger("exporter")
    host, _, port = settings.exporter.listen.rpartition(":")
    clock = clock or SystemClock()
    with ExitStack() as stack:
        engine = create_engine(settings.exporter.database_url)
        stack.callback(engine.dispose)
        ledger = Ledger(engine, settings, clock)
        live = Live(settings, ledger, clock, transport=transport)
        registry = CollectorRegistry()
        registry.register(LedgerCollector(settings, ledger, live.sources))
        registry.register(CredentialCollector(lambda: live.credentials.standings, lambda: live.settings.credentials))
        server = MetricsServer(host, int(port), registry, healthy=live.healthy, ready=live.ready)
        stack.callback(server.close)
        server.start()
        live.start()
        stack.callback(live.stop)
        log.info("started", address=f"{host}:{server.port}", sources=[health.name for health in live.sources])
        yield server
    log.info("stopped")


def check(settings: Settings) -> None:
    """SettingsError for what only this part can find wrong: paths to the confidence that cannot be read."""
    problems = []
    for number, agent in enumerate(settings.agents):
        try:
            if agent.confidence is not None:
                compile_path(agent.confidence)
        except ValueError as error:
            problems.append(Problem(f"agents.{number}.confidence", None, str(error)))
    if problems:
        raise SettingsError(problems)
