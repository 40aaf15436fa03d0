"""Wires the exporter: sources, pollers, ledger and HTTP server; starts them, and stops them in reverse order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from exporter.calls_page import CallsPage
from exporter.credentials.metrics import CredentialCollector
from exporter.handoffs.sender import HandoffSender
from exporter.live import Live
from exporter.metrics import LedgerCollector
from exporter.opening import opened
from exporter.reload import Reloader
from exporter.request_budgets import BudgetCollector
from exporter.self_metrics import SelfCollector, Standing
from exporter.sources.n8n_execution import finder
from exporter.web import MetricsServer
from handrail.clock import Clock, SystemClock
from handrail.http import HttpClient, build_client
from handrail.logs import get_logger
from handrail.secret import Secret
from handrail.settings import Problem, Settings, SettingsError


@dataclass(frozen=True, slots=True)
class Running:
    """An exporter that runs: its port, and how another configuration is taken over (whether it could be)."""

    port: int
    reload: Callable[[Callable[[], Settings]], bool]


def run(settings: Settings, *, read_again: Callable[[], Settings] | None = None) -> None:
    """Run until SIGTERM or SIGINT, then return; SIGHUP takes over what `read_again` gives.

    SettingsError, LedgerTaken, LedgerUnusable or OSError when it cannot start.
    """
    # Blocked, so that they wait for sigwait whenever they come. A handler would not do: Python runs it in the main
    # thread only, and a signal that comes just before that thread begins to wait for something does not wake it.
    numbers = {signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if read_again else [])}
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        with running(settings) as exporter:
            while signal.sigwait(numbers) == signal.SIGHUP and read_again:
                exporter.reload(read_again)
    finally:
        while asked_again := signal.sigpending() & numbers:
            signal.sigwait(asked_again)
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextmanager
def running(
    settings: Settings, *, clock: Clock | None = None, transport: httpx.BaseTransport | None = None
) -> Iterator[Running]:
    """The exporter while it runs; on exit nothing of it is left. `transport` lets tests speak the wire in-process."""
    check(settings)
    log = get_logger("exporter")
    host, _, port = settings.exporter.listen.rpartition(":")
    clock = clock or SystemClock()
    standing = Standing(started_at=clock.now().timestamp(), reloaded_at=clock.now().timestamp())
    with ExitStack() as stack:
        live = stack.enter_context(_live(settings, clock, transport))
        collector = LedgerCollector(settings, live.ledger, live.sources)
        registry = _registry(live, collector, standing)
        pages = {"/v1/calls": CallsPage(lambda: live.settings).answer}
        server = MetricsServer(host, int(port), registry, healthy=live.healthy, ready=live.ready, pages=pages)
        stack.callback(server.close)
        server.start()
        live.start()
        stack.callback(live.stop)
        stack.enter_context(_handing_over(live, clock))
        log.info("started", address=f"{host}:{server.port}", sources=[health.name for health in live.sources])

        def change(following: Settings) -> None:
            check(following)
            live.change(following)
            collector.reconfigure(live.settings, live.sources)

        reloader = Reloader(settings, change, standing=standing, clock=clock, logger=log)
        yield Running(server.port, reloader.reload)
    log.info("stopped")


@contextmanager
def _handing_over(live: Live, clock: Clock) -> Iterator[None]:
    """The thread that sends hand-offs, to where the present settings say."""

    def connect() -> tuple[HttpClient, Secret]:
        receiver = live.settings.receiver
        url = receiver.public_url if receiver.tls else f"http://{receiver.listen}"
        return build_client(base_url=url), receiver.handoff_token

    stop = threading.Event()
    sender = HandoffSender(live.ledger.handoffs, connect, clock, get_logger("handoffs"))
    thread = threading.Thread(target=sender.run, args=(stop,), name="handoffs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=1)


def once(
    settings: Settings, *, clock: Clock | None = None, transport: httpx.BaseTransport | None = None
) -> tuple[bytes, list[str]]:
    """Read every source once into the ledger: the metrics as they are then, and a line for each source that is down.

    Nothing counts as scraped, so Prometheus still sees every new series at 0 first. LedgerTaken while an exporter runs.
    """
    check(settings)
    clock = clock or SystemClock()
    standing = Standing(started_at=clock.now().timestamp(), reloaded_at=clock.now().timestamp())
    with _live(settings, clock, transport) as live:
        live.look_once()
        registry = _registry(live, LedgerCollector(settings, live.ledger, live.sources, peek=True), standing)
        metrics = generate_latest(registry)
        down = [f"{each.name}: {each.failure.reason}: {each.failure.text}" for each in live.sources if each.failure]
        live.stop()
    return metrics, down


@contextmanager
def _live(settings: Settings, clock: Clock, transport: httpx.BaseTransport | None) -> Iterator[Live]:
    """The sources around the settings' ledger, which nobody else uses meanwhile; the caller starts and stops them."""
    with opened(settings, clock) as ledger:
        yield Live(settings, ledger, clock, transport=transport)


def _registry(live: Live, collector: LedgerCollector, standing: Standing) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    registry.register(CredentialCollector(lambda: live.credentials.standings, lambda: live.settings.credentials))
    registry.register(BudgetCollector(lambda: live.budgets))
    registry.register(SelfCollector(standing, lambda: live.sources))
    ProcessCollector(registry=registry)
    return registry


def check(settings: Settings) -> None:
    """SettingsError for what only this part can find wrong: paths to the confidence that cannot be read."""
    problems = []
    for number, agent in enumerate(settings.agents):
        try:
            if agent.confidence is not None:
                finder(agent.confidence)
        except ValueError as error:
            problems.append(Problem(f"agents.{number}.confidence", None, str(error)))
    if problems:
        raise SettingsError(problems)
