"""Ledgers for the tests of the exporter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from exporter.ledger import Ledger
from handrail.clock import Clock
from handrail.database import create_engine
from handrail.settings import Settings, parse
from tests.exporter.making import CONFIG


@pytest.fixture
def config() -> Settings:
    """One n8n and one agent."""
    return parse(CONFIG)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An empty database."""
    engine = create_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def second_engine(tmp_path: Path) -> Iterator[Engine]:
    """Another empty database."""
    engine = create_engine(f"sqlite:///{tmp_path}/second.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine, config: Settings, clock: Clock) -> Ledger:
    """An empty ledger."""
    return Ledger(engine, config, clock)
