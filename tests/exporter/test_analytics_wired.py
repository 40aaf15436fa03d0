"""Cloudflare's analytics in the whole exporter: from HTTP to the text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from drill.simulators.cloudflare import CloudflareSimulator
from exporter.app import once
from handrail.settings import Settings, parse
from tests.exporter.analytics_reading import CONFIG

EXPORTER = 'exporter: {listen: "127.0.0.1:0", database_url: "sqlite:///FOLDER/ledger.sqlite"}\n'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "token").write_text("cf-token")
    config = CONFIG.replace("api_token_env: CF_TOKEN", f"api_token_file: {tmp_path}/token")
    return parse(config + EXPORTER.replace("FOLDER", str(tmp_path)))


@pytest.fixture
def cloudflare(clock: Any) -> Iterator[CloudflareSimulator]:
    simulator = CloudflareSimulator(clock)
    yield simulator
    simulator.close()


def samples(settings: Settings, cloudflare: CloudflareSimulator, clock: Any) -> dict[str, float]:
    text, down = once(settings, clock=clock, transport=httpx.WSGITransport(app=cloudflare))
    assert not down
    lines = [line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_the_log_and_cloudflares_count_agree_across_restarts(
    settings: Settings, cloudflare: CloudflareSimulator, clock: Any
) -> None:
    """Every poll is a process of its own; what one source has read, the other one finds in the ledger."""
    shown: dict[str, float] = {}
    for _ in range(10):
        cloudflare.log("nobody")
        cloudflare.analytics.invoke("support-bot")
        clock.advance(240)
        shown = samples(settings, cloudflare, clock)
    checks = 'handrail_gateway_coverage_checks_total{gateway="prod",source="cloudflare-analytics/main",verdict="%s"}'
    assert checks % "equal" in shown
    assert 'handrail_source_dataset_up{dataset="ai_gateway",source="cloudflare-analytics/main"}' in shown
    assert 'handrail_source_coverage_gap_calls{source="cloudflare-analytics/main"}' in shown
    cpu = 'handrail_worker_cpu_seconds{percentile="50",source="cloudflare-analytics/main",worker="support-bot"}'
    assert shown[cpu] == pytest.approx(0.0015)


def test_it_can_be_switched_off(settings: Settings, cloudflare: CloudflareSimulator, clock: Any) -> None:
    """Then nothing is asked and no such source is shown."""
    assert "cloudflare-analytics" in str(samples(settings, cloudflare, clock))
    cloudflare.analytics.queries.clear()
    (source,) = settings.sources.cloudflare
    off = source.model_copy(update={"analytics": source.analytics.model_copy(update={"enabled": False})})
    sources = settings.sources.model_copy(update={"cloudflare": (off,)})
    shown = samples(settings.model_copy(update={"sources": sources}), cloudflare, clock)
    assert not cloudflare.analytics.queries
    assert "cloudflare-analytics" not in str(shown)
