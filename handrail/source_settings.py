"""The settings of every source of calls."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator

from handrail.fields import Duration, Model, Name, PositiveDuration, Ratio, Url, WithSecrets
from handrail.schedule import is_timezone
from handrail.secret import Secret


def _share(value: Decimal) -> Decimal:
    if not 0 < value <= 1:
        raise ValueError("must be more than 0% and at most 100%; the rest is left to everybody else")
    return value


def _scrapeable(value: str) -> str:
    parts = urlsplit(value)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "must be host, port and path only, e.g. http://n8n:5678/metrics; n8n asks for no credentials there"
        )
    return value


def _known_zone(value: str) -> str:
    if not is_timezone(value):
        raise ValueError(f"{value!r} is not a time zone; write what n8n has in GENERIC_TIMEZONE, e.g. Europe/Berlin")
    return value


class N8nSource(WithSecrets):
    """One n8n, read through its public API."""

    name: Name
    url: Url
    api_key: Secret
    discover: bool = False
    exclude: tuple[str, ...] = ()
    poll_interval: PositiveDuration = timedelta(seconds=10)
    timezone: Annotated[str, AfterValidator(_known_zone)] | None = None
    metrics_url: Annotated[Url, AfterValidator(_scrapeable)] | None = None


def _late_enough(value: timedelta) -> timedelta:
    if value < timedelta(minutes=10):
        raise ValueError("must be at least 10m: younger analytics of Cloudflare are not complete")
    return value


def _a_minute(value: timedelta) -> timedelta:
    if value < timedelta(minutes=1):
        raise ValueError("must be at least 1m: Cloudflare's analytics are read by whole minutes")
    return value


class CloudflareAnalytics(Model):
    """What Cloudflare itself counted: Workers, crons, Workers AI, and requests at the gateways as a cross-check."""

    enabled: bool = True
    poll_interval: Annotated[Duration, AfterValidator(_a_minute)] = timedelta(minutes=5)
    hold_back: Annotated[Duration, AfterValidator(_late_enough)] = timedelta(minutes=15)


class CloudflareSource(WithSecrets):
    """One Cloudflare account with its AI Gateways."""

    name: Name
    url: Url = "https://api.cloudflare.com/client/v4"
    account_id: str
    api_token: Secret
    gateways: tuple[str, ...] = ()
    agent_metadata_key: str = "agent"
    workers: tuple[str, ...] = ()
    discover: bool = False
    discover_by: Literal["metadata", "user_agent", "gateway"] = "metadata"
    logs: Literal["auto", "legacy", "observability"] = "auto"
    poll_interval: PositiveDuration = timedelta(seconds=30)
    hold_back: Duration = timedelta(seconds=60)
    analytics: CloudflareAnalytics = CloudflareAnalytics()
    request_share: Annotated[Ratio, AfterValidator(_share)] = Decimal("0.1")


class Sources(Model):
    """Where calls are read from."""

    n8n: tuple[N8nSource, ...] = ()
    cloudflare: tuple[CloudflareSource, ...] = ()
