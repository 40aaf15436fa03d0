"""What is watched: each configured source with its HTTP client and its health, built from the settings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import httpx

from exporter.credentials import Credential
from exporter.credentials.cloudflare import CloudflareToken
from exporter.credentials.n8n import READ_SCOPES, SWITCH_SCOPES, N8nKey
from exporter.health import SourceHealth
from exporter.poller import PollStopped
from exporter.sources import Source, State
from exporter.sources.ai_gateway import AiGatewaySource, log_in
from exporter.sources.budget import Allowance, Budget, Budgets
from exporter.sources.cloudflare_analytics import analytics_source, name_of
from exporter.sources.fetch import Fetcher
from exporter.sources.gateway_tally import Log
from exporter.sources.n8n import N8nSource
from exporter.sources.n8n_watch import suffix_of
from handrail.agent_settings import N8nSwitch
from handrail.clock import Clock
from handrail.http import HttpClient, build_client
from handrail.settings import Settings
from handrail.source_settings import CloudflareSource as CloudflareSettings
from handrail.source_settings import N8nSource as N8nSettings

_REQUEST_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A source, what this process sees of it, and the credential that opens it."""

    source: Source
    health: SourceHealth
    credential: Credential


class Wiring:
    """Builds sources. What it opened is closed with `stack`; `health_of` gives a source's health by its name.

    Once `stopping` is set no request begins any more: a poll in flight ends with the one it waits for.
    `state_of` is what is stored of a source, for one that is compared with another.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        stack: ExitStack,
        transport: httpx.BaseTransport | None = None,
        health_of: Callable[[str], SourceHealth] = SourceHealth,
        stopping: threading.Event | None = None,
        budgets: Budgets | None = None,
        state_of: Callable[[str], State] = lambda _source: {},
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._stack = stack
        self._transport = transport
        self._health_of = health_of
        self._stopping = stopping or threading.Event()
        self._budgets = budgets or Budgets(clock)
        self._state_of = state_of

    def watched(self) -> list[Watched]:
        """Every source that the settings name, in their order."""
        found: list[Watched] = []
        for n8n in self._settings.sources.n8n:
            found += self._n8n(n8n)
        for cloudflare in self._settings.sources.cloudflare:
            found += self._cloudflare(cloudflare)
        return found

    def budgets_by_source(self) -> dict[str, Budget]:
        """The request budget of each Cloudflare source; sources of one account have the same."""
        return {f"cloudflare/{one.name}": self._budget(one) for one in self._settings.sources.cloudflare}

    def _budget(self, cloudflare: CloudflareSettings) -> Budget:
        """Where several sources name one account, the smallest share is what they all have."""
        account = cloudflare.account_id
        shares = [one.request_share for one in self._settings.sources.cloudflare if one.account_id == account]
        return self._budgets.of(account, min(shares))

    def _client(self, url: str) -> HttpClient:
        client = build_client(base_url=url, timeout_s=_REQUEST_TIMEOUT_S, transport=self._transport)
        client.event_hooks = {"request": [self._refuse_when_stopping]}
        return self._stack.enter_context(client)

    def _refuse_when_stopping(self, _request: httpx.Request) -> None:
        if self._stopping.is_set():
            raise PollStopped

    def _n8n(self, n8n: N8nSettings) -> Iterator[Watched]:
        health, client = self._health_of(f"n8n/{n8n.name}"), self._client(n8n.url)
        source = N8nSource(
            n8n,
            self._settings.agents,
            self._clock,
            client=client,
            on_request=health.count_request,
            suffix=suffix_of(n8n.name, (one.name for one in self._settings.sources.n8n if one.discover)),
        )
        switched = any(
            agent.source.source_ref == ("n8n", n8n.name) and isinstance(agent.kill_switch, N8nSwitch)
            for agent in self._settings.agents
        )
        key = N8nKey(
            health.name,
            n8n.api_key,
            needed=SWITCH_SCOPES if switched else READ_SCOPES,
            fetch=Fetcher(
                client,
                credentials=lambda: {"X-N8N-API-KEY": n8n.api_key.read()},
                on_request=health.count_request,
                now=self._clock.now,
            ),
            health=health,
            clock=self._clock,
        )
        yield Watched(source, health, key)

    def _cloudflare(self, cloudflare: CloudflareSettings) -> Iterator[Watched]:
        health, client = self._health_of(f"cloudflare/{cloudflare.name}"), self._client(cloudflare.url)
        fetch = self._cloudflare_fetcher(cloudflare, client, health, self._budget(cloudflare).rest)
        source = AiGatewaySource(cloudflare, self._settings.agents, self._clock, fetch=fetch)
        token = CloudflareToken(health.name, cloudflare, fetch=fetch, health=health, clock=self._clock)
        yield Watched(source, health, token)
        if cloudflare.analytics.enabled:
            counted = self._health_of(name_of(cloudflare))
            ask = self._cloudflare_fetcher(cloudflare, client, counted, self._budget(cloudflare).graphql)
            log_of = partial(self._log_of, source.name)
            yield Watched(analytics_source(cloudflare, self._clock, fetch=ask, log_of=log_of), counted, token)

    def _cloudflare_fetcher(
        self, cloudflare: CloudflareSettings, client: HttpClient, health: SourceHealth, allowance: Allowance
    ) -> Fetcher:
        return Fetcher(
            client,
            credentials=lambda: {"Authorization": f"Bearer {cloudflare.api_token.read()}"},
            on_request=health.count_request,
            now=self._clock.now,
            allowance=allowance,
        )

    def _log_of(self, source: str, gateway: str) -> Log | None:
        return log_in(self._state_of(source), gateway)
