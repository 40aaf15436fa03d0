"""Polling: a source that is down is retried slowly, said once, and leaves the others alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import Engine, text

from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.n8n import N8nSimulator
from exporter.calls import Call
from exporter.health import SourceHealth
from exporter.ledger import Ledger
from exporter.poller import Poller, Pollers
from exporter.sources import Batch, SourceDown, State
from exporter.sources.ai_gateway import AiGatewaySource
from exporter.sources.fetch import Fetcher
from exporter.sources.n8n import N8nSource
from handrail.clock import Clock
from handrail.database import create_engine
from handrail.http import build_client
from handrail.logs import get_logger
from handrail.settings import parse

CONFIG = """
sources:
  n8n: [{name: main, url: "http://n8n.test", api_key_env: N8N_KEY}]
  cloudflare:
    - {name: main, url: "http://cf.test/client/v4", account_id: 0123456789abcdef0123456789abcdef,
       api_token_env: CF_TOKEN, gateways: [prod], hold_back: 1s}
agents:
  - {name: invoices, from: {n8n: main, workflow: Invoices}}
  - {name: support-bot, from: {ai_gateway: main, metadata: {agent: support-bot}}}
"""
WAIT_S = 10


class ScriptedSource:
    """A source that does what it is told, one poll after the other; the last thing for ever."""

    def __init__(self, *script: Batch | Exception, name: str = "n8n/scripted", interval_s: float = 10.0) -> None:
        self.name, self.poll_interval_s = name, interval_s
        self._script = list(script)
        self.polls = 0

    def poll(self, state: State) -> Batch:
        self.polls += 1
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(step, Exception):
            raise step
        return step


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine, clock: Clock) -> Ledger:
    return Ledger(engine, parse(CONFIG), clock)


def poller_of(source: Any, ledger: Ledger) -> tuple[Poller, SourceHealth]:
    health = SourceHealth(source.name)
    return Poller(source, ledger, health, get_logger("test")), health


def down(reason: Any, retry_after_s: float | None = None) -> SourceDown:
    return SourceDown(reason, "a text", retry_after_s)


def test_failures_make_the_pauses_longer_up_to_a_minute(ledger: Ledger) -> None:
    """The first retry comes after the usual interval; a success brings the usual interval back."""
    failures = [down("unreachable")] * 5
    poller, health = poller_of(ScriptedSource(*failures, Batch(state={})), ledger)
    assert [poller.poll_once() for _ in range(6)] == [10, 20, 40, 60, 60, 10]
    assert health.up
    assert health.errors["unreachable"] == 5


@pytest.mark.parametrize(("asked_s", "pause_s"), [(1.0, 10.0), (300.0, 300.0), (1e9, 3600.0)])
def test_a_service_that_asks_for_a_pause_gets_it(ledger: Ledger, asked_s: float, pause_s: float) -> None:
    """Retry-After makes a pause longer, never shorter, and not longer than an hour."""
    poller, _ = poller_of(ScriptedSource(down("rate_limited", asked_s)), ledger)
    assert poller.poll_once() == pause_s


def test_the_part_that_was_read_is_kept(ledger: Ledger) -> None:
    """Trouble after a part was read is a failure, and the part is stored with its cursor."""
    batch = Batch(state={"top": 5}, trouble=down("server_error"))
    poller, health = poller_of(ScriptedSource(batch), ledger)
    poller.poll_once()
    assert ledger.state("n8n/scripted") == {"top": 5}
    assert (health.up, health.errors["server_error"]) == (False, 1)


def test_a_failure_is_said_when_it_begins_and_when_it_ends(ledger: Ledger) -> None:
    """A source that is down for a day does not fill the log; another reason is news."""
    script = [down("timeout"), down("timeout"), down("unauthorized"), Batch(state={}), Batch(state={})]
    poller, _ = poller_of(ScriptedSource(*script), ledger)
    with structlog.testing.capture_logs() as logged:
        for _ in script:
            poller.poll_once()
    assert [(entry["event"], entry.get("reason")) for entry in logged] == [
        ("failed", "timeout"),
        ("failed", "unauthorized"),
        ("recovered", None),
    ]


def test_a_key_that_sees_nothing_is_said_once(ledger: Ledger) -> None:
    """An n8n without any visible workflow is up, and a person is told that it says nothing."""
    poller, health = poller_of(ScriptedSource(Batch(state={}, visible_workflows=0)), ledger)
    with structlog.testing.capture_logs() as logged:
        poller.poll_once()
        poller.poll_once()
    assert [entry["reason"] for entry in logged] == ["none_visible"]
    assert health.up


def test_a_ledger_that_cannot_be_written_is_a_failure(ledger: Ledger, engine: Engine) -> None:
    """Nothing is lost: the cursor stays where it was, and the next poll reads the same once more."""
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    second = timedelta(seconds=1)
    call = Call(
        source="n8n/scripted",
        id="1",
        agent="invoices",
        started_at=now - second,
        finished_at=now,
        duration=second,
        outcome="success",
    )
    poller, health = poller_of(ScriptedSource(Batch(state={"top": 1}, calls=(call,))), ledger)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE totals RENAME TO elsewhere"))
    poller.poll_once()
    assert (health.up, health.errors["internal"], ledger.state("n8n/scripted")) == (False, 1, {})
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO totals"))
    poller.poll_once()
    assert health.up
    assert sum(value for (metric, _, _), value in ledger.snapshot().totals.items() if metric == "calls") == 1


def test_a_defect_in_a_source_does_not_end_its_thread(ledger: Ledger) -> None:
    """It is logged with its traceback, counted as internal, and the next poll comes."""
    stop = threading.Event()

    class Defect(ScriptedSource):
        def poll(self, state: State) -> Batch:
            if self.polls == 2:
                stop.set()
            return super().poll(state)

    source = Defect(ZeroDivisionError("a defect"), ZeroDivisionError("a defect"), Batch(state={}), interval_s=0.001)
    poller, health = poller_of(source, ledger)
    with structlog.testing.capture_logs() as logged:
        poller.run(stop)
    assert (source.polls, health.up, health.errors["internal"]) == (3, True, 2)
    assert [entry["event"] for entry in logged].count("poll_failed") == 2


class Both:
    """Both kinds of source over their simulators."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        config = parse(CONFIG)
        self.n8n, self.cloudflare = N8nSimulator(clock), CloudflareSimulator(clock)
        self.workflow = self.n8n.add_workflow("Invoices")
        self._clients = [
            build_client(base_url="http://n8n.test", transport=httpx.WSGITransport(app=self.n8n)),
            build_client(base_url="http://cf.test/client/v4", transport=httpx.WSGITransport(app=self.cloudflare)),
        ]
        self.health = [SourceHealth("n8n/main"), SourceHealth("cloudflare/main")]
        sources = [
            N8nSource(
                config.sources.n8n[0],
                config.agents,
                clock,
                client=self._clients[0],
                on_request=self.health[0].count_request,
            ),
            AiGatewaySource(
                config.sources.cloudflare[0],
                config.agents,
                clock,
                fetch=Fetcher(
                    self._clients[1],
                    credentials=lambda: {"Authorization": "Bearer cf-token"},
                    on_request=self.health[1].count_request,
                    now=clock.now,
                ),
            ),
        ]
        self.pollers = [
            Poller(source, ledger, health, get_logger("test"))
            for source, health in zip(sources, self.health, strict=True)
        ]

    def poll(self) -> None:
        for poller in self.pollers:
            poller.poll_once()

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.cloudflare.close()


@pytest.fixture
def both(ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    monkeypatch.setenv("N8N_KEY", "n8n-key")
    monkeypatch.setenv("CF_TOKEN", "cf-token")
    opened = Both(ledger, clock)
    yield opened
    opened.close()


def counted(ledger: Ledger) -> dict[str, float]:
    counts: dict[str, float] = {}
    for (metric, agent, _), value in ledger.snapshot().totals.items():
        if metric == "calls":
            counts[agent] = counts.get(agent, 0) + value
    return counts


KINDS: Sequence[tuple[str, str]] = [
    ("unauthorized", "unauthorized"),
    ("forbidden", "forbidden"),
    ("rate_limited", "rate_limited"),
    ("unavailable", "server_error"),
    ("html", "not_json"),
    ("wrong_shape", "wrong_shape"),
    ("truncated", "not_json"),
]


@pytest.mark.parametrize(("fault", "reason"), KINDS)
@pytest.mark.parametrize("broken", [0, 1])
def test_one_source_down_leaves_the_other_alone(
    both: Both, ledger: Ledger, clock: Any, fault: str, reason: str, broken: int
) -> None:
    """Its health says why, the other one is counted meanwhile, and after the recovery nothing is missing."""
    both.poll()
    (both.n8n, both.cloudflare)[broken].faults.set(fault)
    clock.advance(1)
    both.n8n.call(both.workflow)
    both.cloudflare.log("support-bot")
    clock.advance(5)
    with structlog.testing.capture_logs() as logged:
        both.poll()
        both.poll()
    other = 1 - broken
    assert (both.health[broken].up, both.health[other].up) == (False, True)
    assert both.health[broken].errors[reason] == 2  # type: ignore[index]  # parametrised as text
    assert sum(both.health[other].errors.values()) == 0
    assert len([entry for entry in logged if entry["event"] == "failed"]) == 1
    assert counted(ledger) == [{"support-bot": 1}, {"invoices": 1}][broken]
    (both.n8n, both.cloudflare)[broken].faults.clear()
    both.poll()
    assert both.health[broken].up
    assert counted(ledger) == {"invoices": 1, "support-bot": 1}


def test_requests_are_counted_by_status(both: Both) -> None:
    """Also those that were refused."""
    both.n8n.faults.set("unavailable", count=1)
    both.poll()
    both.poll()
    assert both.health[0].requests["503"] == 1
    assert both.health[0].requests["200"] > 1


def eventually(condition: Callable[[], bool], polled: threading.Event) -> bool:
    for _ in range(WAIT_S * 100):
        if condition():
            return True
        polled.wait(0.01)
    return condition()


def test_threads_end_when_they_are_told_to(ledger: Ledger) -> None:
    """A long pause between two polls is no reason to wait."""
    sources = [ScriptedSource(Batch(state={}), name=f"n8n/{n}", interval_s=3600) for n in range(2)]
    pollers = Pollers(
        [poller_of(source, ledger)[0] for source in sources], get_logger("test"), stopping=threading.Event()
    )
    pollers.start()
    assert eventually(lambda: all(source.polls == 1 for source in sources), threading.Event())
    pollers.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "poller"]
