"""What is read of one Cloudflare account's analytics, put together from its settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from exporter.sources.cloudflare_graphql import USABLE, Analytics
from exporter.sources.fetch import Fetcher
from exporter.sources.gateway_coverage import coverage
from exporter.sources.gateway_tally import Log
from exporter.sources.worker_crons import cron_runs
from exporter.sources.worker_invocations import invocations, quantiles
from exporter.sources.workers import WorkersSource
from exporter.sources.workers_ai import inference
from handrail.clock import Clock
from handrail.source_settings import CloudflareSource

# A Worker without invocations in so many windows shows no quantiles any more.
_KEEP_WINDOWS = 3


def name_of(settings: CloudflareSource) -> str:
    """The value of the label `source`."""
    return f"cloudflare-analytics/{settings.name}"


def analytics_source(
    settings: CloudflareSource, clock: Clock, *, fetch: Fetcher, log_of: Callable[[str], Log | None]
) -> WorkersSource:
    """The Source. `log_of` is what was read of a gateway's log, against which Cloudflare's own count is held."""
    name, options = name_of(settings), settings.analytics
    keep = options.hold_back + _KEEP_WINDOWS * options.poll_interval
    datasets = [
        invocations(name, settings.workers),
        quantiles(name, settings.workers, keep=keep),
        cron_runs(name, settings.workers),
        inference(name),
    ]
    if settings.gateways:
        now = partial(_cloudflares_time, clock, fetch)
        datasets.append(coverage(name, settings.gateways, log_of=log_of, now=now))
    return WorkersSource(
        name,
        datasets,
        Analytics(lambda body: fetch.post("/graphql", body, usable=USABLE), settings.account_id, clock),
        clock,
        poll_interval=options.poll_interval,
        hold_back=options.hold_back,
        skew=lambda: fetch.skew,
    )


def _cloudflares_time(clock: Clock, fetch: Fetcher) -> datetime:
    return clock.now() + (fetch.skew or timedelta(0))
