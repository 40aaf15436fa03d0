"""A simulated world: a real ledger and a real receiver on a clock that is moved, and what they expose.

Nothing that is exposed is made up: calls go into the ledger, hand-offs, alerts, switches and drills into the receiver.
Agents are discovered, so that they may be called anything.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, count
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.calls import Call, TokenUsage
from exporter.credentials import Facts
from exporter.credentials.metrics import CredentialCollector
from exporter.credentials.watch import Standing
from exporter.errors import REASONS
from exporter.health import SourceHealth
from exporter.ledger import Ledger
from exporter.metrics import LedgerCollector
from exporter.request_budgets import BudgetCollector
from exporter.sources import Batch, Gauge, Running
from exporter.sources.budget import Budget
from handrail.database import create_engine
from handrail.schedule import Every
from tests.alerting.receiver.conftest import Bench, Telling, build_bench

N8N, GATEWAY = "n8n/main", "cloudflare/main"
# By source. Text that is right to left or turns what follows it around, and text that means something in an expression.
NAMES: dict[str, tuple[str, ...]] = {
    N8N: ("invoice", 'Weekly "report" (v2)', "מוקד 😀 \u202eevil"),
    GATEWAY: ("support-bot", r"it's <b>C:\tmp\d</b> [a|b].*$^?"),
}
SLOW, OFF, SWITCHED = NAMES[N8N][1], NAMES[N8N][2], "support-bot"
DAY = timedelta(days=1)


class MovedClock:
    """Stands where it is moved to, until it is let go; then it is the machine's."""

    def __init__(self, start: datetime) -> None:
        self.begun = start
        self.time: datetime | None = start

    def now(self) -> datetime:
        return self.time or datetime.now(UTC)

    def monotonic(self) -> float:
        return (self.now() - self.begun).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        if self.time is not None:
            self.time += timedelta(seconds=seconds)


@dataclass
class World:
    """Exporter and receiver around one clock, watching the agents in `names`."""

    clock: MovedClock
    bench: Bench
    ledger: Ledger
    names: dict[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        self.health = {source: SourceHealth(source) for source in NAMES}
        self.registry = CollectorRegistry()
        self.registry.register(LedgerCollector(self.bench.settings, self.ledger, tuple(self.health.values())))
        self.registry.register(CredentialCollector(self._credentials, lambda: self.bench.settings.credentials))
        budget = Budget(Decimal("0.5"), self.clock)
        self.registry.register(BudgetCollector(lambda: {GATEWAY: budget}))
        watched = [*chain(*self.names.values())]
        # The one that is unusual at times. Failures of the others are too rare for every hour to have one.
        self._moody = SLOW if SLOW in watched else watched[0]
        self._dice = random.Random(7)  # noqa: S311 - the same world each time
        self.calls: list[Call] = []
        self._ids = count()
        self._telling = Telling(self.clock)

    def _credentials(self) -> list[Standing]:
        made = self.clock.begun - timedelta(days=30)
        known = Facts(expires_at=made + timedelta(days=365), issued_at=made)
        return [Standing(source, known, health.credential_accepted) for source, health in self.health.items()]

    def poll(self, each: int = 1, *, usual: bool = True) -> None:
        """Both sources tell so many new calls of every agent; unusual ones, of one agent, are slow and fail more."""
        for source, names in self.names.items():
            calls = [
                self._call(source, name, usual=usual or name != self._moody) for name in names for _ in range(each)
            ]
            self.ledger.commit(source, self._batch(source, names, calls))
            self.calls += calls
            self.health[source].succeeded()

    def fail(self, source: str) -> None:
        """It cannot be read."""
        self.health[source].failed("timeout", "no answer")

    def _batch(self, source: str, names: Sequence[str], calls: Sequence[Call]) -> Batch:
        now = self.clock.now()
        said = [Gauge("source_read_until_timestamp_seconds", now.timestamp(), {"source": source})]
        if source == N8N:
            said += [Gauge(name, 1, {"agent": agent}) for agent in names for name in ("waiting_calls", "queued_calls")]
        of_n8n = names if source == N8N else ()
        return Batch(
            state={},
            calls=tuple(calls),
            agents=frozenset(names),
            enabled={name: name != OFF for name in of_n8n},
            running={name: Running(1, now - timedelta(seconds=90)) for name in of_n8n},
            plans={name: (Every(timedelta(minutes=30)),) for name in of_n8n},
            gauges=tuple(said),
        )

    def _call(self, source: str, agent: str, *, usual: bool) -> Call:
        now, dice = self.clock.now(), self._dice
        failed = dice.random() < (0.004 if usual else 0.4)
        duration = timedelta(seconds=dice.uniform(0.3, 4) if usual else dice.uniform(6, 20))
        told = dice.random() < 0.9
        cost = Decimal(f"{dice.uniform(0.001, 0.02):.6f}") if source == GATEWAY and told else None
        tokens = TokenUsage(dice.randrange(200, 900), 100, "actual") if told else TokenUsage()
        return Call(
            source=source,
            id=f"{agent} {next(self._ids)}",
            agent=agent,
            started_at=now - duration,
            finished_at=now,
            duration=duration,
            outcome="error" if failed else "success",
            error_reason=dice.choice(REASONS) if failed else None,
            model=dice.choice(("gpt-4o", "gpt-4o-mini")),
            provider="openai",
            tokens=tokens,
            cost_usd=cost,
            confidence=dice.uniform(0.75, 1),
        )

    def hear(self) -> None:
        """The watchdog comes through."""
        self._tell("firing", "HandrailWatchdog", "", "1")

    def _tell(self, status: str, alertname: str, agent: str, fingerprint: str) -> None:
        told = self._telling(status, alertname, agent, fingerprints=(fingerprint,)) | {"groupKey": alertname + agent}
        answer = self.bench.alert(told)
        assert answer.status_code == 200, answer.text
        self.bench.drain()

    def incident(self, status: str, agent: str = SWITCHED) -> None:
        """An alert about a configured agent is told, or is over."""
        self._tell(status, "AgentErrorRatioHigh", agent, "14f2e3b0c1d2e3f4")

    def hand_off(self, key: str) -> None:
        """The agent is not sure of what it made."""
        body = {"task": "Refund an order", "confidence": 0.4}
        assert self.bench.handoff(body, key, SWITCHED).status_code == 202
        self.bench.drain()

    def switch(self, to: str) -> None:
        """A person switches it; the proof is waited for."""
        asked = {"by": "on-call", "reason": "It sends nonsense."}
        answer = self.bench.operate("POST", f"/v1/agents/{SWITCHED}/{to}", json=asked)
        assert answer.status_code == 202, answer.text
        self.bench.later(30)

    def drill(self) -> None:
        """One passed."""
        scenario = {"scenario": "error_rate", "alertname": "AgentErrorRatioHigh", "passed": True, "detect_seconds": 9}
        report = {"drill": "nightly", "scenarios": [scenario]}
        assert self.bench.operate("POST", "/v1/drills", content=json.dumps(report)).is_success

    def of_exporter(self) -> list[Metric]:
        """A scrape of the exporter."""
        return list(self.registry.collect())

    def of_receiver(self) -> list[Metric]:
        """A scrape of the receiver."""
        return list(text_string_to_metric_families(self.bench.client.get("/metrics").text))

    def pages(self) -> dict[str, bytes]:
        """What both serve now, by the name of their job."""
        receiver = self.bench.client.get("/metrics").content
        return {"handrail-exporter": generate_latest(self.registry), "handrail-receiver": receiver}


@contextmanager
def world(folder: Path, begins: datetime, names: dict[str, tuple[str, ...]] = NAMES) -> Iterator[World]:
    """A new one, whose clock stands at `begins`; of the configured agents it has those that are among `names`."""
    clock = MovedClock(begins)
    with ExitStack() as stack:
        bench = stack.enter_context(contextmanager(build_bench)(folder, clock))
        agents = tuple(agent for agent in bench.settings.agents if agent.name in chain(*names.values()))
        bench.settings = bench.settings.model_copy(update={"agents": agents})
        bench.restart()
        engine = create_engine(f"sqlite:///{folder}/ledger.sqlite")
        stack.callback(engine.dispose)
        yield World(clock, bench, Ledger(engine, bench.settings, clock), names)
