"""The analytics source over a simulated Cloudflare, beside the source that reads the gateway's log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.cloudflare_graphql import AnalyticsSimulator, Dataset
from exporter.sources import Batch, State
from exporter.sources.ai_gateway import AiGatewaySource, log_in
from exporter.sources.budget import Allowance, Budget
from exporter.sources.cloudflare_analytics import analytics_source
from exporter.sources.fetch import Fetcher
from exporter.sources.workers import WorkersSource
from handrail.http import build_client
from handrail.settings import parse

CONFIG = """
sources:
  cloudflare:
    - name: main
      url: http://cloudflare.test/client/v4
      account_id: 0123456789abcdef0123456789abcdef
      api_token_env: CF_TOKEN
      gateways: [prod]
      workers: [support-bot]
"""
ALL_WORKERS = CONFIG.replace("workers: [support-bot]", "workers: []")
SOURCE = "cloudflare-analytics/main"
Labels = tuple[tuple[str, str], ...]


def labels(**named: str) -> Labels:
    return tuple(sorted({"source": SOURCE, **named}.items()))


@dataclass
class Reading:
    """`totals` and `gap` are what a ledger would hold; a poll that is not `kept` is one whose commit failed."""

    cloudflare: CloudflareSimulator
    source: WorkersSource
    gateway: AiGatewaySource
    clock: Any
    allowance: Allowance
    statuses: list[str]
    state: State = field(default_factory=dict)
    gateway_state: State = field(default_factory=dict)
    totals: dict[tuple[str, Labels], float] = field(default_factory=lambda: defaultdict(float))
    gauges: dict[tuple[str, Labels], float] = field(default_factory=dict)
    gap: int = 0

    @property
    def analytics(self) -> AnalyticsSimulator:
        return self.cloudflare.analytics

    def dataset(self, name: str) -> Dataset:
        return self.analytics.datasets[name]

    def poll(self, *, kept: bool = True) -> Batch:
        batch = self.source.poll(self.state)
        if kept:
            self.state, self.gap = batch.state, self.gap + batch.gap
            for count in batch.counts:
                self.totals[count.metric, tuple(sorted(count.labels.items()))] += count.amount
            readings = batch.gauges or ()
            self.gauges = {(one.metric, tuple(sorted(one.labels.items()))): one.value for one in readings}
        return batch

    def read_log(self) -> None:
        self.gateway_state = self.gateway.poll(self.gateway_state).state

    def later(self, minutes: float = 5) -> Batch:
        """Time passes, in which the log is read every minute; then a poll."""
        for _ in range(int(minutes)):
            self.clock.advance(60)
            self.read_log()
        return self.poll()

    def total(self, metric: str, **named: str) -> float:
        return self.totals[metric, labels(**named)]

    def gauge(self, metric: str, **named: str) -> float | None:
        return self.gauges.get((metric, labels(**named)))

    def reached(self, dataset: str) -> datetime:
        return datetime.fromisoformat(self.state["datasets"][dataset]["reached"])

    def up(self) -> dict[str, float]:
        return {
            dict(key)["dataset"]: value for (name, key), value in self.gauges.items() if name == "source_dataset_up"
        }


@contextmanager
def analytics_reading(clock: Any, config: str = CONFIG) -> Iterator[Reading]:
    """Nothing has been polled yet. The token opens the simulator whatever the environment says."""
    parsed = parse(config)
    (settings,) = parsed.sources.cloudflare
    simulator, statuses = CloudflareSimulator(clock), list[str]()
    budget = Budget(settings.request_share, clock)
    with build_client(base_url=settings.url, transport=httpx.WSGITransport(app=simulator)) as client:

        def fetcher(allowance: Allowance) -> Fetcher:
            return Fetcher(
                client,
                credentials=lambda: {"Authorization": "Bearer cf-token"},
                on_request=statuses.append,
                now=clock.now,
                allowance=allowance,
            )

        gateway = AiGatewaySource(settings, parsed.agents, clock, fetch=fetcher(budget.rest))
        source = analytics_source(
            settings,
            clock,
            fetch=fetcher(budget.graphql),
            log_of=lambda name: log_in(opened.gateway_state, name),
        )
        opened = Reading(simulator, source, gateway, clock, budget.graphql, statuses)
        yield opened
    simulator.close()


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)
