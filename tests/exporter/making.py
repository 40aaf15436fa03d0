"""Calls and batches that the tests of the ledger are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from exporter.calls import Call
from exporter.snapshot import Snapshot
from exporter.sources import Batch

# The schema of every release, dumped with rows in it, oldest first.
SCHEMAS = sorted((Path(__file__).parent / "schemas").glob("*.sql"))
SOURCE = "n8n/main"
START = datetime(2026, 11, 23, 12, tzinfo=UTC)
CONFIG = """
sources: {n8n: [{name: main, url: "http://n8n.test", api_key_env: KEY}]}
agents:
  - {name: a, from: {n8n: main, workflow: A}}
"""


class StandingClock:
    """Time that tests set."""

    def __init__(self) -> None:
        self.time = START
        self.elapsed = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.elapsed += seconds


def call(number: int = 0, *, duration_s: float = 1.0, agent: str = "a", **fields: object) -> Call:
    end = START + timedelta(seconds=number)
    duration = timedelta(seconds=duration_s)
    values: dict[str, object] = {
        "source": SOURCE,
        "id": str(number),
        "agent": agent,
        "started_at": end - duration,
        "finished_at": end,
        "duration": duration,
        "outcome": "success",
    }
    return Call(**(values | fields))  # type: ignore[arg-type]  # fields are what a test says


def batch(*calls: Call, **fields: object) -> Batch:
    return Batch(**({"state": {}, "calls": calls} | fields))  # type: ignore[arg-type]  # as above


def total(snapshot: Snapshot, metric: str, agent: str = "a") -> float:
    return sum(value for (name, who, _), value in snapshot.totals.items() if (name, who) == (metric, agent))


def load(engine: Engine, schema: Path) -> None:
    """Fill an empty SQLite file with a dump."""
    raw = engine.raw_connection()
    raw.executescript(schema.read_text(encoding="utf-8"))  # type: ignore[attr-defined]  # of the driver
    raw.close()
