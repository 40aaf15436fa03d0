"""From rows of an AI Gateway's log to the text that Prometheus reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from drill.simulators.cloudflare import CloudflareSimulator
from exporter.app import once
from handrail.settings import parse
from tests.exporter.gateway_reading import CONFIG


def test_a_gateways_log_becomes_counters_and_gauges(
    tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests, attempts and cached calls apart, bad rows counted, the log that is read, and the budget."""
    monkeypatch.setenv("CF_TOKEN", "cf-token")
    settings = parse(CONFIG + f'exporter: {{database_url: "sqlite:///{tmp_path}/ledger.sqlite"}}\n')
    cloudflare = CloudflareSimulator(clock)

    def scrape() -> dict[str, float]:
        text, down = once(settings, clock=clock, transport=httpx.WSGITransport(app=cloudflare))
        assert not down
        lines = [line.rsplit(" ", 1) for line in text.decode().splitlines() if line.startswith("handrail_")]
        return {name: float(value) for name, value in lines}

    where = 'gateway="prod",source="cloudflare/main"'
    unreadable = 'handrail_source_unreadable_rows_total{source="cloudflare/main"}'
    first = scrape()
    assert first[f'handrail_source_backend{{backend="unknown",{where}}}'] == 1
    assert first[f"handrail_gateway_logs_enabled{{{where}}}"] == 1
    assert first[unreadable] == first['handrail_attempts_total{agent="support-bot"}'] == 0
    clock.advance(5)
    cloudflare.log("support-bot", event="e", step=0, success=False, status_code=500)
    cloudflare.log("support-bot", event="e", step=1)
    cloudflare.log("support-bot", cached=True)
    cloudflare.log("support-bot")
    cloudflare.rows[-1]["duration"] = None
    clock.advance(120)
    shown = scrape()
    cloudflare.close()
    assert shown['handrail_attempts_total{agent="support-bot"}'] == 2
    assert shown['handrail_cached_calls_total{agent="support-bot"}'] == 1
    assert shown['handrail_calls_without_usage_total{agent="support-bot"}'] == 1
    assert sum(value for name, value in shown.items() if name.startswith("handrail_calls_total{")) == 2
    assert shown[unreadable] == 1
    backends = {name: value for name, value in shown.items() if name.startswith("handrail_source_backend{")}
    assert {name for name, value in backends.items() if value} == {
        f'handrail_source_backend{{backend="legacy",{where}}}'
    }
    budget = {api: shown[f'handrail_source_request_budget{{api="{api}",source="cloudflare/main"}}'] for api in _APIS}
    assert budget == {"rest": 120, "graphql": 30}
    assert shown['handrail_source_request_budget_remaining{api="rest",source="cloudflare/main"}'] < 120


_APIS = ("rest", "graphql")
