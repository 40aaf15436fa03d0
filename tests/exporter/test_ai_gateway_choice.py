"""Two logs, the gateway's own and telemetry: which one is read, and that the silence of one is no proof."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from exporter.calls import TokenUsage
from exporter.sources import Batch
from tests.exporter.gateway_reading import CONFIG, OpenGateway, Reading


def backend(batch: Batch) -> str:
    (chosen,) = [g.labels["backend"] for g in batch.gauges or () if g.metric == "source_backend" and g.value]
    return chosen


def logs(name: str) -> str:
    return CONFIG.replace("gateways: [prod]", f"gateways: [prod]\n      logs: {name}")


def asked(gateway: Reading, what: str) -> int:
    return len([path for path in gateway.paths if what in path])


@pytest.mark.parametrize("spelling", ["row", "camel", "gen_ai", "text"])
def test_an_account_without_its_own_log_is_read_from_telemetry(open_gateway: OpenGateway, spelling: Any) -> None:
    """However its events are spelt, a request becomes the same call."""
    gateway = open_gateway()
    gateway.cloudflare.log_system = "observability"
    gateway.cloudflare.telemetry.spelling = spelling
    assert backend(gateway.poll()) == "unknown"
    gateway.clock.advance(1)
    gateway.cloudflare.log("support-bot", duration_s=2.5, tokens_in=30, tokens_out=4, cost=0.001, event="e")
    gateway.cloudflare.log("support-bot", success=False, status_code=429, event="f", tokens_in=1)
    at = gateway.clock.now()
    assert backend(gateway.later()) == "observability"
    call, failed = (gateway.calls[name] for name in ("e", "f"))
    assert (call.finished_at, call.duration, call.agent) == (at, timedelta(seconds=2.5), "support-bot")
    assert (call.tokens, call.cost_usd) == (TokenUsage(30, 4, "actual"), Decimal("0.001"))
    assert (call.model, call.provider, call.outcome) == ("gpt-4o-mini", "openai", "success")
    assert (failed.outcome, failed.error_reason) == ("error", "rate_limited")


def test_neither_log_showing_anything_is_unknown(gateway: Reading) -> None:
    """Not "no traffic": the gauge says so until the first row comes, and every poll asks both logs."""
    for _ in range(3):
        batch = gateway.later(30)
        assert (backend(batch), batch.trouble) == ("unknown", None)
    assert asked(gateway, "/logs") == asked(gateway, "telemetry/query") == 4
    gateway.cloudflare.log("support-bot")
    assert backend(gateway.later()) == "legacy"


def test_the_other_log_is_asked_rarely_once_one_is_chosen(gateway: Reading) -> None:
    """A quiet night costs one question an hour."""
    gateway.cloudflare.log("support-bot")
    gateway.later()
    before = asked(gateway, "telemetry/query")
    for _ in range(240):
        gateway.later(60)
    assert asked(gateway, "telemetry/query") - before in (4, 5)
    assert len(gateway.calls) == 1


def test_an_account_that_moves_loses_nothing(gateway: Reading) -> None:
    """When the chosen log falls silent, the other one is asked about the whole silence."""
    gateway.cloudflare.log("support-bot")
    gateway.later()
    gateway.later(1800)
    gateway.cloudflare.log_system = "observability"
    gateway.cloudflare.rows.clear()
    for _ in range(45):
        gateway.clock.advance(60)
        gateway.cloudflare.log("support-bot")
        gateway.poll()
    gateway.later(3600)
    gateway.later(3600)
    assert backend(gateway.later(60)) == "observability"
    assert len(gateway.calls) == 46


def test_a_chosen_log_that_cannot_be_read_is_down_and_not_changed(gateway: Reading) -> None:
    """An outage says nothing about where the logs are."""
    gateway.cloudflare.log("support-bot")
    gateway.later()
    gateway.cloudflare.faults.set("unavailable")
    batch = gateway.later()
    assert batch.trouble is not None
    assert (batch.trouble.reason, backend(batch)) == ("server_error", "legacy")


@pytest.mark.parametrize("status", [403, 404, 400])
def test_a_log_that_refuses_is_asked_beside_the_other(open_gateway: OpenGateway, status: int) -> None:
    """The refusal is trouble while the other log is empty too, and none once that shows rows."""
    gateway = open_gateway()
    gateway.cloudflare.log_system = "observability"
    gateway.refuse("/logs", status)
    reasons = {403: "forbidden", 404: "not_found", 400: "bad_request"}
    trouble = gateway.poll().trouble
    assert trouble is not None
    assert trouble.reason == reasons[status]
    gateway.cloudflare.log("support-bot", created_at=gateway.clock.now() + timedelta(seconds=5))
    batch = gateway.later()
    assert (batch.trouble, backend(batch), len(gateway.calls)) == (None, "observability", 1)


def test_telemetry_that_may_not_be_read_is_no_trouble_for_an_own_log(open_gateway: OpenGateway) -> None:
    """A token for AI Gateway alone is enough for an account with the own log; before its first row it is unknown."""
    gateway = open_gateway()
    gateway.refuse("telemetry", 403)
    batch = gateway.poll()
    assert (batch.trouble, backend(batch)) == (None, "unknown")
    gateway.cloudflare.log("support-bot", created_at=gateway.clock.now() + timedelta(seconds=5))
    batch = gateway.later()
    assert (batch.trouble, backend(batch), len(gateway.calls)) == (None, "legacy", 1)


@pytest.mark.parametrize("name", ["legacy", "observability"])
def test_a_log_that_is_named_is_the_only_one_asked(open_gateway: OpenGateway, name: Any) -> None:
    """And stays it, whatever it shows."""
    gateway = open_gateway(logs(name))
    gateway.cloudflare.log_system = name
    gateway.poll()
    gateway.cloudflare.log("support-bot", created_at=gateway.clock.now() + timedelta(seconds=5))
    assert backend(gateway.later()) == name
    assert len(gateway.calls) == 1
    assert asked(gateway, {"legacy": "telemetry", "observability": "/logs"}[name]) == 0


@pytest.fixture
def telemetry(open_gateway: OpenGateway) -> Reading:
    """An account whose telemetry is read, after a first poll."""
    gateway = open_gateway(logs("observability"))
    gateway.cloudflare.log_system = "observability"
    gateway.poll()
    gateway.clock.advance(1)
    return gateway


@pytest.mark.parametrize("newest_first", [True, False])
def test_all_events_are_read_whatever_their_order(telemetry: Reading, newest_first: bool) -> None:
    """By pages, each beginning after the last event of the one before."""
    telemetry.cloudflare.telemetry.newest_first = newest_first
    for _ in range(250):
        telemetry.clock.advance(0.1)
        telemetry.cloudflare.log("support-bot")
    telemetry.later()
    telemetry.later(30)
    assert len(telemetry.calls) == 250


def test_a_sample_is_never_counted(telemetry: Reading) -> None:
    """It is trouble, and nothing is lost: once the answer is whole everything is counted."""
    telemetry.cloudflare.telemetry.abr_level = 2
    telemetry.cloudflare.log("support-bot")
    for _ in range(3):
        trouble = telemetry.later().trouble
        assert trouble is not None
        assert (trouble.reason, len(telemetry.calls)) == ("sampled", 0)
    telemetry.cloudflare.telemetry.abr_level = 1
    for _ in range(8):
        telemetry.later(30)
    assert len(telemetry.calls) == 1


def test_what_is_sampled_for_a_long_time_is_read_in_shorter_ones(telemetry: Reading) -> None:
    """Windows are halved until the answer is whole, and the source catches up."""
    telemetry.cloudflare.telemetry.sampled_beyond_s = 600
    for _ in range(60):
        telemetry.clock.advance(60)
        telemetry.cloudflare.log("support-bot")
    reasons = [batch.trouble and batch.trouble.reason for batch in (telemetry.later(30) for _ in range(60))]
    assert reasons[0] == "sampled"
    assert len(telemetry.calls) == 60
    assert reasons[-1] is None


def test_attempts_on_both_sides_of_a_shorter_time_are_one_call(telemetry: Reading) -> None:
    """The next piece begins early enough to see all of a request that the last one left open."""
    telemetry.cloudflare.telemetry.sampled_beyond_s = 300
    for number in range(90):
        telemetry.clock.advance(20)
        at = telemetry.clock.now()
        telemetry.cloudflare.log("support-bot", event=str(number), success=False, status_code=500, created_at=at)
        telemetry.cloudflare.log("support-bot", event=str(number), step=1, created_at=at + timedelta(seconds=30))
    for _ in range(100):
        telemetry.later(30)
    assert [(call.outcome, call.attempts) for call in telemetry.calls.values()] == [("success", 2)] * 90


def test_events_of_other_gateways_are_not_ours(telemetry: Reading) -> None:
    """Cloudflare is asked for one gateway as soon as the name of that field is known, and what it says is looked at."""
    for other in ("staging", "prod", "staging"):
        telemetry.cloudflare.log("support-bot", event=f"in {other}")
        telemetry.cloudflare.rows[-1]["gateway"] = other
    telemetry.later()
    telemetry.later(30)
    assert set(telemetry.calls) == {"in prod"}
    assert telemetry.bodies[-1]["parameters"]["filters"][0]["value"] == "prod"


def test_an_event_without_a_gateway_belongs_to_no_gateway(open_gateway: OpenGateway) -> None:
    """Its metadata still tells an agent; that it is the gateway's is not guessed."""
    agents = "  - {name: all, from: {ai_gateway: main, gateway: prod}}\n"
    gateway = open_gateway(logs("observability") + agents)
    gateway.cloudflare.log_system = "observability"
    gateway.cloudflare.telemetry.lacking = frozenset({"gateway"})
    gateway.poll()
    gateway.clock.advance(1)
    for agent in ("support-bot", "other"):
        gateway.cloudflare.log(agent)
    gateway.later()
    assert [call.agent for call in gateway.calls.values()] == ["support-bot"]


@pytest.mark.parametrize("lacking", [{"duration", "timings"}, {"success", "status_code"}])
def test_an_event_that_lacks_what_a_call_needs_is_counted_as_unreadable(telemetry: Reading, lacking: set[str]) -> None:
    """Once, not guessed; and as no event could be read, the source is not what it is taken for."""
    telemetry.cloudflare.telemetry.lacking = frozenset(lacking)
    telemetry.cloudflare.log("support-bot")
    trouble = telemetry.later().trouble
    assert trouble is not None
    assert (trouble.reason, telemetry.calls, telemetry.unreadable) == ("wrong_shape", {}, 1)
    assert telemetry.later(30).trouble is None
    assert telemetry.unreadable == 1


def test_a_failure_between_two_pages_leaves_the_window_unread(telemetry: Reading) -> None:
    """Events come in no known order, so half of them are nothing."""
    for _ in range(150):
        telemetry.cloudflare.log("support-bot")
    telemetry.refuse("telemetry/query", 503, after=1)
    assert telemetry.later().trouble is not None
    assert not telemetry.calls
    telemetry.allow()
    telemetry.later(30)
    assert len(telemetry.calls) == 150


def test_telemetry_that_repeats_itself_has_no_end(telemetry: Reading) -> None:
    """An offset that is not understood must not look like the last page."""
    telemetry.cloudflare.telemetry.ignores_offset = True
    telemetry.cloudflare.log("support-bot")
    trouble = telemetry.later().trouble
    assert trouble is not None
    assert (trouble.reason, len(telemetry.calls)) == ("endless_pages", 0)
