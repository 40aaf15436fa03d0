"""Any mixture of traffic, failures and restarts: every execution that ends is reported, and counted once."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill.simulators.n8n import N8nSimulator
from exporter.health import SourceHealth
from exporter.ledger import Ledger
from exporter.poller import Poller
from exporter.sources.n8n import N8nSource
from handrail.database import create_engine
from handrail.http import build_client
from handrail.logs import get_logger
from handrail.settings import parse
from tests.thorough import examples

CONFIG = """
sources: {n8n: [{name: main, url: "http://n8n.test", api_key_file: KEY}]}
agents:
  - {name: a, from: {n8n: main, workflow: A}}
"""


class SteppingClock:
    """Time that moves a second whenever it is told to."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 12, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["start", "queue", "call", "call", "poll", "restart"]),
        st.tuples(st.just("fault"), st.sampled_from(["unavailable", "html", "wrong_shape", "truncated"])),
        st.tuples(st.just("finish"), st.integers(0, 20)),
    ),
    max_size=40,
)


class World:
    """An n8n with an exporter that may restart at any time."""

    def __init__(self, folder: Path) -> None:
        (folder / "key").write_text("n8n-key")
        self.clock = SteppingClock()
        self.n8n = N8nSimulator(self.clock)
        self.workflow = self.n8n.add_workflow("A")
        self.unfinished: list[str] = []
        self.engine = create_engine(f"sqlite:///{folder}/ledger.sqlite")
        self.settings = parse(CONFIG.replace("KEY", str(folder / "key")))
        self.client = build_client(base_url="http://n8n.test", transport=httpx.WSGITransport(app=self.n8n))
        self.restart()

    def restart(self) -> None:
        self.ledger = Ledger(self.engine, self.settings, self.clock)
        (n8n,) = self.settings.sources.n8n
        source = N8nSource(n8n, self.settings.agents, self.clock, client=self.client)
        self.poller = Poller(source, self.ledger, SourceHealth(source.name), get_logger("test"))

    def step(self, step: str | tuple[str, str | int]) -> None:
        self.clock.elapsed += 1
        match step:
            case "start" | "queue":
                status = "running" if step == "start" else "new"
                self.unfinished.append(self.n8n.start(self.workflow, status=status))
            case "call":
                self.n8n.call(self.workflow)
            case "poll":
                self.poller.poll_once()
            case "restart":
                self.restart()
            case ("fault", str(kind)):
                self.n8n.faults.set(kind, count=2)
            case ("finish", int(which)) if self.unfinished:
                self.n8n.finish(self.unfinished.pop(which % len(self.unfinished)))

    def counted(self, counter: str = "calls") -> float:
        return sum(value for (metric, _, _), value in self.ledger.snapshot().totals.items() if metric == counter)

    def close(self) -> None:
        self.client.close()
        self.engine.dispose()


@pytest.mark.property
@settings(max_examples=examples(20))
@given(steps=STEPS)
def test_whatever_happens_each_call_is_counted_once(steps: list[str | tuple[str, str | int]]) -> None:
    """Executions begin and end in any order while polls fail and the exporter restarts; the total is exact."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.poller.poll_once()
        for step in steps:
            world.step(step)
        world.n8n.faults.clear()
        for number in world.unfinished:
            world.n8n.finish(number)
        for _ in range(4):
            world.poller.poll_once()
        assert world.counted() == len(world.n8n.executions)
        assert world.counted("source_executions") == len(world.n8n.executions)
        world.close()
