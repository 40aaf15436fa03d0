"""Reading the past of simulated services: whole, once, slowly, and onward from where it was interrupted."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.n8n import N8nSimulator
from exporter.calls_view import NoCalls
from exporter.history.backfill import Backfill, Outcome
from exporter.history.joint import Live
from exporter.history.pace import Pace
from exporter.ledger import Ledger
from exporter.sources import SourceDown
from exporter.watch import Wiring
from handrail.database import create_engine
from handrail.settings import Settings, parse

CONFIG = """
sources:
  n8n: [{{name: main, url: "http://n8n.test", api_key_env: N8N_KEY, discover: true}}]
agents:
  - {{name: invoices, from: {{n8n: main, workflow: Invoice summary}}, confidence: $.confidence}}
exporter: {{database_url: "sqlite:///{folder}/ledger.sqlite"}}
"""
GATEWAY = """
sources:
  cloudflare: [{{name: main, url: "http://cf.test/client/v4", account_id: "0123456789abcdef0123456789abcdef",
    api_token_env: CF_TOKEN, gateways: [prod], discover: true}}]
exporter: {{database_url: "sqlite:///{folder}/ledger.sqlite"}}
"""
WEEK = timedelta(days=7)


class Counting(httpx.BaseTransport):
    """Counts what a service is asked; refuses after so many requests."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.WSGITransport(app=app)
        self.paths: list[str] = []
        self.refuse_after: int | None = None
        self.broken: frozenset[str] = frozenset()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        if self.refuse_after is not None and len(self.paths) > self.refuse_after:
            raise httpx.ConnectError("refused")
        if request.url.path in self.broken:
            return httpx.Response(500, json={"message": "Internal server error"})
        return self._inner.handle_request(request)

    def details(self) -> int:
        """How many single executions were asked for."""
        return sum(path.split("/")[-1].isdigit() for path in self.paths)


class World:
    """A simulated n8n with a past, and what is needed to read it."""

    def __init__(self, clock: Any, folder: Path, config: str = CONFIG) -> None:
        self.clock, self.folder = clock, folder
        self.n8n = N8nSimulator(clock)
        self.transport = Counting(self.n8n)
        self.workflow = self.n8n.add_workflow("Invoice summary")
        self.settings: Settings = parse(config.format(folder=folder))
        self.said: list[str] = []

    def open(self, since: timedelta = WEEK, live: Live | None = None) -> Backfill:
        begin = self.clock.now() - since
        return Backfill(
            self.settings, self.clock, folder=self.folder / "h", since=begin, live=live, transport=self.transport
        )

    def run(self, since: timedelta = WEEK) -> Outcome:
        with self.open(since) as run:
            list(run.read(say=self.said.append))
            return run.write(self.folder / "history.om", say=lambda _: None)

    def calls(self, count: int, *, first: timedelta, every: timedelta) -> None:
        for number in range(count):
            end = self.clock.now() - first + number * every
            self.n8n.call(self.workflow, tokens_in=10, tokens_out=2, finished_at=end)


@pytest.fixture
def world(clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("N8N_KEY", "n8n-key")
    return World(clock, tmp_path)


def test_every_call_of_the_period_is_read_once(world: World) -> None:
    """Also over several pages; older ones, running ones, test runs and other workflows are not."""
    world.calls(260, first=timedelta(days=6), every=timedelta(minutes=10))
    world.n8n.call(world.workflow, finished_at=world.clock.now() - timedelta(days=8))
    world.n8n.call(world.workflow, finished_at=world.clock.now() - timedelta(days=2), mode="manual")
    world.n8n.call(world.n8n.add_workflow("No agent", ai=False))
    world.n8n.start(world.workflow)
    outcome = world.run()
    (written,) = outcome.written
    assert (written.agent, written.calls) == ("invoices", 260)
    assert world.transport.details() == 260


def test_a_discovered_workflow_has_a_past_too(world: World) -> None:
    """Under the name that the exporter gives it."""
    world.n8n.call(world.n8n.add_workflow("Lead scoring"), finished_at=world.clock.now() - timedelta(days=1))
    assert [each.agent for each in world.run().written] == ["lead-scoring"]


def test_what_was_counted_live_is_no_past(world: World) -> None:
    """The ledger's calls are left out, and no total of it changes."""
    world.calls(5, first=timedelta(days=1), every=timedelta(hours=1))
    engine = create_engine(world.settings.exporter.database_url)
    ledger = Ledger(engine, world.settings, world.clock)
    for _ in range(2):
        poll(world, ledger)
        world.clock.advance(60)
        world.n8n.call(world.workflow, tokens_in=10, tokens_out=2)
    poll(world, ledger)
    before = ledger.snapshot()
    assert [each.calls for each in world.run().written] == [5]
    assert ledger.snapshot() == before
    engine.dispose()


def poll(world: World, ledger: Ledger) -> None:
    """One poll of the running exporter."""
    with ExitStack() as stack:
        wiring = Wiring(world.settings, world.clock, stack=stack, transport=httpx.WSGITransport(app=world.n8n))
        (watched,) = wiring.watched()
        ledger.commit(watched.source.name, watched.source.poll(ledger.state(watched.source.name)))


def test_an_interrupted_run_goes_on_where_it_was(world: World) -> None:
    """Details are large: none is asked for twice."""
    world.calls(40, first=timedelta(days=3), every=timedelta(hours=1))
    with world.open() as run:
        for number, _ in enumerate(run.read(say=print)):
            if number == 14:
                break
    assert world.transport.details() == 15
    assert [each.calls for each in world.run().written] == [40]
    assert world.transport.details() == 40


def test_what_prometheus_has_is_not_even_read(world: World) -> None:
    """A second run for a new agent does not ask for all the details of the others."""
    world.calls(5, first=timedelta(days=3), every=timedelta(hours=1))
    with world.open(live=Live(with_history=frozenset({"invoices"}))) as run:
        list(run.read(say=print))
        assert run.write(world.folder / "history.om", say=print).written == ()
    assert world.transport.details() == 0
    assert not (world.folder / "history.om").exists()


def test_other_settings_read_anew(world: World) -> None:
    """The same executions under another agent's name are other calls."""
    world.calls(3, first=timedelta(days=3), every=timedelta(hours=1))
    world.run()
    world.settings = parse(CONFIG.format(folder=world.folder).replace("name: invoices", "name: bills"))
    assert [each.agent for each in world.run().written] == ["bills"]


def test_a_failure_that_passes_is_waited_for(world: World) -> None:
    """It is said, and the rest is read afterwards."""
    world.calls(10, first=timedelta(days=3), every=timedelta(hours=1))
    world.n8n.faults.set("unavailable", 2)
    assert [each.calls for each in world.run().written] == [10]
    assert any("HTTP 503" in text and "asking again" in text for text in world.said)


def test_details_that_never_come_are_replaced_by_the_row(world: World) -> None:
    """As when polling: outcome and time count, tokens are unknown."""
    world.calls(3, first=timedelta(days=3), every=timedelta(hours=1))
    world.transport.broken = frozenset({"/api/v1/executions/2"})
    assert [each.calls for each in world.run().written] == [3]
    text = (world.folder / "history.om").read_text()
    assert (
        'handrail_calls_without_usage_total{agent="invoices",instance="127.0.0.1:9095",job="handrail-exporter"} -1 '
        in text
    )


@pytest.mark.parametrize(("fault", "reason"), [("key", "unauthorized"), ("gone", "unreachable")])
def test_a_source_that_stays_away_ends_the_run_and_keeps_what_was_read(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    """A wrong key at once, a dead address after some patience."""
    world.calls(10, first=timedelta(days=3), every=timedelta(hours=1))
    if fault == "key":
        monkeypatch.setenv("N8N_KEY", "wrong")
    else:
        world.transport.refuse_after = 6
    with pytest.raises(SourceDown) as down:
        world.run()
    assert down.value.reason == reason
    asked = world.transport.details()
    monkeypatch.setenv("N8N_KEY", "n8n-key")
    world.transport.refuse_after = None
    assert [each.calls for each in world.run().written] == [10]
    assert fault == "key" or asked > 0


def test_how_far_back_n8n_goes_is_told(world: World) -> None:
    """n8n deletes old executions; the first one that is left is where the past begins."""
    world.calls(3, first=timedelta(days=2), every=timedelta(hours=1))
    with world.open() as run:
        list(run.read(say=print))
        assert run.kept_since["n8n/main"] == world.clock.now() - timedelta(days=2, seconds=1)
    world.n8n.executions[0].started = world.clock.now() - timedelta(days=9)
    with world.open() as run:
        list(run.read(say=print))
        assert run.kept_since == {}


def test_an_older_ledger_is_not_read(world: World) -> None:
    """What was counted must be known exactly."""
    engine = create_engine(world.settings.exporter.database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE schema_migrations (version INTEGER)")
        connection.exec_driver_sql("INSERT INTO schema_migrations VALUES (1)")
    engine.dispose()
    with pytest.raises(NoCalls, match="older Handrail"):
        world.open()


def test_the_log_of_a_gateway_is_read_window_by_window(
    clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request once, within the share of requests that Handrail may make, and onward after an interruption."""
    monkeypatch.setenv("CF_TOKEN", "cf-token")
    cloudflare = CloudflareSimulator(clock)
    for hours in range(1, 30):
        cloudflare.log("support-bot", tokens_in=5, tokens_out=1, created_at=clock.now() - timedelta(hours=hours))
    transport = Counting(cloudflare)
    settings = parse(GATEWAY.format(folder=tmp_path))
    began, since = clock.monotonic(), clock.now() - timedelta(days=1, minutes=30)

    def open_it() -> Backfill:
        return Backfill(settings, clock, folder=tmp_path / "h", since=since, transport=transport)

    with open_it() as run:
        for number, _ in enumerate(run.read(say=print)):
            if number == 5:
                break
    half = len(transport.paths)
    with open_it() as run:
        list(run.read(say=print))
        outcome = run.write(tmp_path / "history.om", say=lambda _: None)
    assert [(each.agent, each.calls) for each in outcome.written] == [("support-bot", 24)]
    assert len(transport.paths) < 3 * 27
    assert half > 6
    assert len(transport.paths) <= 120 * ((clock.monotonic() - began) / 300 + 1)
    cloudflare.close()


def test_asking_leaves_the_service_most_of_its_time(clock: Any) -> None:
    """An answer that took 2 s is followed by a pause of 6 s; a quick one by at least the given distance."""
    pace = Pace(clock, least_s=2.5)
    for took, until in ((2.0, 8.0), (0.1, 10.5)):
        clock.advance(took)
        pace("200")
        assert clock.monotonic() == pytest.approx(until)
