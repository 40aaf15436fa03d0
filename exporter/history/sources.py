"""Opens the past of every configured source, asked slowly and within the same limits as the running exporter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

import httpx

from exporter.history.gateway_past import GatewayPast
from exporter.history.n8n_past import N8nPast
from exporter.history.pace import Pace
from exporter.history.past import Past
from exporter.sources import State
from exporter.sources.ai_gateway import AiGatewaySource
from exporter.sources.budget import WINDOW_S, Budgets
from exporter.sources.fetch import Fetcher
from exporter.sources.n8n_watch import suffix_of
from handrail.clock import Clock
from handrail.http import build_client
from handrail.secret import Secret
from handrail.settings import Settings

# Of a busy n8n one answer with data may take long; it is asked rarely enough to wait for it.
_REQUEST_TIMEOUT_S = 30.0


@contextmanager
def pasts(
    settings: Settings,
    clock: Clock,
    *,
    states: Mapping[str, State],
    without: frozenset[str] = frozenset(),
    transport: httpx.BaseTransport | None = None,
) -> Iterator[list[Past]]:
    """The past of each source; `states` are the ledger's cursors, agents in `without` need not be read.

    `transport` lets tests speak the wire in-process.
    """
    budgets, found = Budgets(clock), list[Past]()
    with ExitStack() as stack:
        for n8n in settings.sources.n8n:
            client = stack.enter_context(
                build_client(base_url=n8n.url, timeout_s=_REQUEST_TIMEOUT_S, transport=transport)
            )
            state = states.get(f"n8n/{n8n.name}", {})
            suffix = suffix_of(n8n.name, (one.name for one in settings.sources.n8n if one.discover))
            found.append(
                N8nPast(
                    n8n,
                    settings.agents,
                    clock,
                    client=client,
                    state=state,
                    without=without,
                    on_request=Pace(clock),
                    suffix=suffix,
                )
            )
        for cloudflare in settings.sources.cloudflare:
            client = stack.enter_context(
                build_client(base_url=cloudflare.url, timeout_s=_REQUEST_TIMEOUT_S, transport=transport)
            )
            allowance = budgets.of(cloudflare.account_id, cloudflare.request_share).rest
            fetch = Fetcher(
                client,
                credentials=partial(_bearer, cloudflare.api_token),
                # Evenly spread, so that the share lasts and nobody waits for minutes.
                on_request=Pace(clock, least_s=WINDOW_S / allowance.limit),
                now=clock.now,
                allowance=allowance,
            )
            source = AiGatewaySource(cloudflare, settings.agents, clock, fetch=fetch)
            found.append(GatewayPast(cloudflare, source, clock))
        yield found


def _bearer(token: Secret) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token.read()}"}
