"""Ledgers for the tests of the exporter, and sources over a simulated n8n and a simulated Cloudflare."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from drill.simulators.n8n import N8nSimulator
from exporter.ledger import Ledger
from exporter.sources.n8n import N8nSource
from handrail.clock import Clock
from handrail.database import create_engine
from handrail.http import build_client
from handrail.settings import Settings, parse
from tests.exporter.gateway_reading import OpenGateway, gateway_reading
from tests.exporter.gateway_reading import Reading as GatewayReading
from tests.exporter.making import CONFIG
from tests.exporter.n8n_reading import CONFIG as N8N_CONFIG
from tests.exporter.n8n_reading import Front, Reading, Requests
from tests.postgresql import NewDatabase


@pytest.fixture
def config() -> Settings:
    """One n8n and one agent."""
    return parse(CONFIG)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Makes an empty database and tells its URL, on each store that the ledger may have."""
    if request.param == "postgresql":
        make: NewDatabase = request.getfixturevalue("postgresql")
        return make
    numbers = itertools.count()
    return lambda: f"sqlite:///{tmp_path}/ledger-{next(numbers)}.sqlite"


@pytest.fixture
def engine(new_database: NewDatabase) -> Iterator[Engine]:
    """An empty database."""
    engine = create_engine(new_database())
    yield engine
    engine.dispose()


@pytest.fixture
def second_engine(new_database: NewDatabase) -> Iterator[Engine]:
    """Another empty database."""
    engine = create_engine(new_database())
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine, config: Settings, clock: Clock) -> Ledger:
    """An empty ledger."""
    return Ledger(engine, config, clock)


@pytest.fixture
def open_reading(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Reading]]:
    """Opens a source over a simulated n8n."""
    monkeypatch.setenv("N8N_KEY", "n8n-key")
    clients = []

    def make(config: str = N8N_CONFIG, n8n: N8nSimulator | None = None) -> Reading:
        simulator = n8n or N8nSimulator(clock)
        parsed: Settings = parse(config)
        front = Front(simulator)
        client = build_client(base_url="http://n8n.test", transport=httpx.WSGITransport(app=front))
        clients.append(client)
        requests = Requests()
        (n8n_settings,) = parsed.sources.n8n
        source = N8nSource(n8n_settings, parsed.agents, clock, client=client, on_request=requests)
        return Reading(simulator, source, requests, front)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def reading(open_reading: Callable[..., Reading]) -> Reading:
    """A first poll of an n8n with one workflow has been made."""
    opened = open_reading()
    opened.n8n.add_workflow("Invoice summary")
    opened.poll()
    return opened


@pytest.fixture
def open_gateway(clock: Clock) -> Iterator[OpenGateway]:
    """Opens a source over a simulated AI Gateway."""
    with ExitStack() as stack:
        yield lambda *config, **more: stack.enter_context(gateway_reading(clock, *config, **more))


@pytest.fixture
def gateway(open_gateway: OpenGateway) -> GatewayReading:
    """A first poll of one gateway has been made."""
    opened = open_gateway()
    opened.poll()
    return opened
