"""The settings of every source of calls."""

from __future__ import annotations

from datetime import timedelta

from handrail.fields import Duration, Model, Name, PositiveDuration, Url, WithSecrets
from handrail.secret import Secret


class N8nSource(WithSecrets):
    """One n8n, read through its public API."""

    name: Name
    url: Url
    api_key: Secret
    discover: bool = False
    exclude: tuple[str, ...] = ()
    poll_interval: PositiveDuration = timedelta(seconds=10)


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
    poll_interval: PositiveDuration = timedelta(seconds=30)
    hold_back: Duration = timedelta(seconds=60)


class Sources(Model):
    """Where calls are read from."""

    n8n: tuple[N8nSource, ...] = ()
    cloudflare: tuple[CloudflareSource, ...] = ()
