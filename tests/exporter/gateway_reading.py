"""An AI Gateway source over the simulated Cloudflare, with what a ledger would keep of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from drill.simulators.cloudflare import CloudflareSimulator, error_body
from drill.simulators.wire import Request, Response, json_response
from exporter.calls import Call
from exporter.sources import Batch, State
from exporter.sources.ai_gateway import AiGatewaySource
from exporter.sources.budget import Budget
from exporter.sources.fetch import Fetcher
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
      hold_back: 60s
agents:
  - {name: support-bot, from: {ai_gateway: main, metadata: {agent: support-bot}}}
"""
DISCOVER = CONFIG.replace("gateways: [prod]", "gateways: [prod]\n      discover: true")


class Front:
    """What stands before the REST API: it notes what is asked and refuses what it is told to."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[Any] = []
        self._refused: tuple[str, int, int] | None = None

    def refuse(self, what: str, status: int, *, after: int = 0) -> None:
        """Answer requests whose path holds `what` with this status, when so many have passed."""
        self._refused = (what, status, after)

    def allow(self) -> None:
        """Refuse nothing any more."""
        self._refused = None

    def __call__(self, request: Request, response: Response) -> Response:
        self.paths.append(request.path)
        if request.body:
            self.bodies.append(request.json)
        if self._refused is None or self._refused[0] not in request.path:
            return response
        what, status, left = self._refused
        self._refused = (what, status, left - 1)
        return response if left > 0 else json_response(error_body(status), status)


@dataclass
class Reading:
    """A source over a simulator. `requests` counts what was asked by HTTP status."""

    cloudflare: CloudflareSimulator
    source: AiGatewaySource
    budget: Budget
    clock: Any
    requests: list[str]
    state: State = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    unreadable: float = 0
    front: Front = field(default_factory=Front)

    def __post_init__(self) -> None:
        self.cloudflare.twist = self.front
        self.paths, self.bodies = self.front.paths, self.front.bodies
        self.refuse, self.allow = self.front.refuse, self.front.allow

    def poll(self) -> Batch:
        batch = self.source.poll(self.state)
        self.state = batch.state
        # Insert or ignore, as the ledger does.
        self.calls = {call.id: call for call in batch.calls} | self.calls
        self.unreadable += sum(count.amount for count in batch.counts if count.metric == "source_unreadable_rows")
        return batch

    def later(self, seconds: float = 120) -> Batch:
        self.clock.advance(seconds)
        return self.poll()


OpenGateway = Callable[..., Reading]


@contextmanager
def gateway_reading(clock: Any, config: str = CONFIG, *, max_bytes: int | None = None) -> Iterator[Reading]:
    """Nothing has been polled yet. The token opens the simulator whatever the environment says."""
    parsed = parse(config)
    (settings,) = parsed.sources.cloudflare
    simulator, requests = CloudflareSimulator(clock), list[str]()
    size = {} if max_bytes is None else {"max_bytes": max_bytes}
    budget = Budget(settings.request_share, clock)
    with build_client(base_url=settings.url, transport=httpx.WSGITransport(app=simulator), **size) as client:
        fetch = Fetcher(
            client,
            credentials=lambda: {"Authorization": "Bearer cf-token"},
            on_request=requests.append,
            now=clock.now,
            allowance=budget.rest,
        )
        source = AiGatewaySource(settings, parsed.agents, clock, fetch=fetch)
        yield Reading(simulator, source, budget, clock, requests)
    simulator.close()
