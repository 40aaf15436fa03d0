"""Reading a simulated AI Gateway: windows that overlap, rows that come late, and attempts that are one request."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from exporter.calls import TokenUsage
from exporter.sources import Batch, SourceDown
from tests.exporter.gateway_reading import CONFIG, OpenGateway, Reading


def test_a_request_is_a_call(gateway: Reading, clock: Any) -> None:
    """Duration in milliseconds, tokens, cost, model and provider come from the row; its time is the end."""
    clock.advance(1)
    gateway.cloudflare.log("support-bot", duration_s=2.5, tokens_in=30, tokens_out=4, cost=0.001)
    ended = clock.now()
    gateway.later()
    (call,) = gateway.calls.values()
    assert (call.source, call.agent, call.outcome) == ("cloudflare/main", "support-bot", "success")
    assert (call.finished_at, call.duration) == (ended, timedelta(seconds=2.5))
    assert (call.tokens, call.cost_usd) == (TokenUsage(30, 4, "actual"), Decimal("0.001"))
    assert (call.model, call.provider) == ("gpt-4o-mini", "openai")


def test_missing_tokens_are_unknown(gateway: Reading) -> None:
    """A request that tells none is a call without usage, not one that used nothing."""
    gateway.cloudflare.log("support-bot")
    gateway.later()
    assert [call.tokens for call in gateway.calls.values()] == [TokenUsage()]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(408, "timeout"), (504, "timeout"), (429, "rate_limited"), (401, "auth"), (500, "provider_error"), (200, "other")],
)
def test_a_failed_request_is_an_error(gateway: Reading, status: int, reason: str) -> None:
    """The status code of the provider says why."""
    gateway.cloudflare.log("support-bot", success=False, status_code=status)
    gateway.later()
    assert [call.error_reason for call in gateway.calls.values()] == [reason]


def test_counting_begins_at_the_first_start(open_gateway: OpenGateway, clock: Any) -> None:
    """Rows from before are not counted though later windows reach back over them."""
    gateway = open_gateway()
    gateway.cloudflare.log("support-bot")
    clock.advance(1)
    gateway.poll()
    gateway.cloudflare.log("support-bot")
    for _ in range(3):
        gateway.later()
    assert len(gateway.calls) == 1


def test_counting_begins_though_the_first_poll_failed(open_gateway: OpenGateway, clock: Any) -> None:
    """What happens while the gateway cannot be read at first is counted when it can."""
    gateway = open_gateway()
    gateway.cloudflare.faults.set("unavailable", count=1)
    assert isinstance(gateway.poll().trouble, SourceDown)
    clock.advance(1)
    gateway.cloudflare.log("support-bot")
    gateway.later()
    assert len(gateway.calls) == 1


def test_a_row_that_comes_late_is_found(gateway: Reading, clock: Any) -> None:
    """A row that becomes readable minutes after its time lies in the overlap of the next windows."""
    late = clock.now() + timedelta(seconds=10)
    for _ in range(4):
        gateway.later(30)
    gateway.cloudflare.log("support-bot", created_at=late)
    gateway.later(30)
    assert len(gateway.calls) == 1


def test_all_pages_are_read(gateway: Reading) -> None:
    """More rows than a page holds are all found, and the next polls repeat them under the same ids."""
    for _ in range(120):
        gateway.cloudflare.log("support-bot")
    gateway.later()
    gateway.later(30)
    assert len(gateway.calls) == 120


def test_after_an_outage_the_log_is_caught_up_with(gateway: Reading, clock: Any) -> None:
    """A long silence is read in pieces of an hour until nothing is missing."""
    for _ in range(5):
        clock.advance(3600)
        gateway.cloudflare.log("support-bot")
    for _ in range(7):
        gateway.later(30)
    assert len(gateway.calls) == 5


def attempt(gateway: Reading, event: str, step: int, **more: Any) -> None:
    gateway.cloudflare.log("support-bot", event=event, step=step, **more)


def test_attempts_of_one_request_are_one_call(gateway: Reading) -> None:
    """A retry that succeeded makes a success, whatever its first attempt was."""
    attempt(gateway, "e", 0, success=False, status_code=500)
    attempt(gateway, "e", 1)
    gateway.later()
    assert [(call.id, call.outcome) for call in gateway.calls.values()] == [("e", "success")]


def test_the_last_attempt_is_waited_for(gateway: Reading, clock: Any) -> None:
    """A window that ends between two attempts does not make an error of a request that succeeded."""
    clock.advance(120)
    attempt(gateway, "e", 0, success=False, status_code=500)
    clock.advance(2)
    attempt(gateway, "e", 1)
    clock.advance(59)
    gateway.poll()
    gateway.later(30)
    assert [call.outcome for call in gateway.calls.values()] == ["success"]


def test_a_failure_that_stays_one_is_counted(gateway: Reading, clock: Any) -> None:
    """It is counted as soon as no other attempt can be expected."""
    clock.advance(120)
    gateway.cloudflare.log("support-bot", success=False, status_code=500)
    clock.advance(61)
    gateway.poll()
    assert not gateway.calls
    gateway.later(10)
    assert len(gateway.calls) == 1


def test_a_request_lasts_from_its_first_attempt_to_its_last(gateway: Reading, clock: Any) -> None:
    """Attempts are counted, tokens and cost are summed, and what the last one says holds."""
    clock.advance(10)
    attempt(gateway, "e", 0, duration_s=2, success=False, status_code=500, tokens_in=5, tokens_out=0, cost=0.01)
    clock.advance(4)
    attempt(gateway, "e", 1, duration_s=3, tokens_in=5, tokens_out=7, cost=0.02, provider="anthropic")
    gateway.later()
    (call,) = gateway.calls.values()
    assert (call.attempts, call.duration, call.provider) == (2, timedelta(seconds=6), "anthropic")
    assert (call.tokens, call.cost_usd) == (TokenUsage(10, 7, "actual"), Decimal("0.03"))


def test_the_step_decides_and_not_the_order_of_rows(gateway: Reading, clock: Any) -> None:
    """The second attempt may be logged before the first."""
    clock.advance(10)
    attempt(gateway, "e", 1, success=True)
    clock.advance(1)
    attempt(gateway, "e", 0, success=False, status_code=500)
    gateway.later()
    assert [(call.outcome, call.attempts) for call in gateway.calls.values()] == [("success", 2)]


def test_a_later_attempt_is_seen_ahead_of_the_window(gateway: Reading, clock: Any) -> None:
    """A retry that ends half a minute after the failure, but before the window is read, still is the last word."""
    clock.advance(120)
    attempt(gateway, "e", 0, success=False, status_code=500)
    clock.advance(30)
    attempt(gateway, "e", 1)
    clock.advance(45)
    gateway.poll()
    assert not gateway.calls
    gateway.later(30)
    assert [(call.outcome, call.attempts) for call in gateway.calls.values()] == [("success", 2)]


def test_an_attempt_that_comes_too_late_changes_nothing(gateway: Reading, clock: Any) -> None:
    """A request that was counted stays as it was counted."""
    clock.advance(60)
    attempt(gateway, "e", 0, success=False, status_code=500)
    at = clock.now()
    gateway.later(90)
    attempt(gateway, "e", 1, created_at=at + timedelta(seconds=80))
    gateway.later(90)
    assert [(call.outcome, call.attempts) for call in gateway.calls.values()] == [("error", 1)]


def test_an_answer_from_the_cache_is_no_attempt(gateway: Reading) -> None:
    """It used no tokens, whatever the row says that the cached answer once used."""
    gateway.cloudflare.log("support-bot", cached=True, tokens_in=30, tokens_out=4)
    gateway.later()
    (call,) = gateway.calls.values()
    assert (call.attempts, call.cached, call.tokens) == (0, True, TokenUsage())


@pytest.mark.parametrize(
    ("columns", "cost"),
    [
        ({"cost": None}, None),
        ({"cost": 0, "tokens_in": 5}, None),
        ({"cost": 0, "tokens_in": 5, "custom_cost": True}, Decimal(0)),
        ({"cost": 0, "tokens_in": None, "tokens_out": None, "usage_metadata": None}, Decimal(0)),
        ({"cost": 0.0003}, Decimal("0.0003")),
        ({"cost": "0.5"}, Decimal("0.5")),
        ({"cost": -1}, None),
    ],
)
def test_an_unknown_price_is_not_a_cost_of_nothing(gateway: Reading, columns: Any, cost: Decimal | None) -> None:
    """The gateway writes 0 where it knows no price; a price of the team's own may well be 0."""
    gateway.cloudflare.log("support-bot")
    gateway.cloudflare.rows[-1].update(columns)
    gateway.later()
    assert [call.cost_usd for call in gateway.calls.values()] == [cost]


@pytest.mark.parametrize(
    ("columns", "tokens"),
    [
        ({"usage_metadata": {"input_tokens": 8, "output_tokens": 2}}, TokenUsage(8, 2, "actual")),
        ({"tokens_in": 3, "usage_metadata": {"input_tokens": 8}}, TokenUsage(3, None, "actual")),
        ({"tokens_in": 0, "tokens_out": 0}, TokenUsage(0, 0, "actual")),
        ({"tokens_in": "12", "tokens_out": "x"}, TokenUsage(12, None, "actual")),
        ({"tokens_in": -1, "tokens_out": 1e300, "usage_metadata": []}, TokenUsage()),
    ],
)
def test_tokens_come_from_the_row_or_else_from_its_usage(gateway: Reading, columns: Any, tokens: TokenUsage) -> None:
    """Numbers may be text; what is no count of tokens is unknown."""
    gateway.cloudflare.log("support-bot")
    gateway.cloudflare.rows[-1].update(columns)
    gateway.later()
    assert [call.tokens for call in gateway.calls.values()] == [tokens]


@pytest.mark.parametrize("names", [["01JD0000000000000000000000", "0193-uuid"], ["a/b?c", "☃"]])
def test_ids_are_opaque(gateway: Reading, names: list[str]) -> None:
    """ULIDs before 2026-10-08, UUIDv7 since, and whatever comes next."""
    for name in names:
        gateway.cloudflare.log("support-bot")
        gateway.cloudflare.rows[-1] |= {"id": name, "event_id": None}
    gateway.later()
    gateway.later(30)
    assert set(gateway.calls) == set(names)


def test_rows_without_an_event_are_each_a_call(gateway: Reading) -> None:
    """Where the gateway does not tell which attempts belong together, none are put together."""
    for step in (0, 1):
        gateway.cloudflare.log("support-bot", step=step)
        del gateway.cloudflare.rows[-1]["event_id"]
    gateway.later()
    assert len(gateway.calls) == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("unauthorized", "unauthorized"),
        ("forbidden", "forbidden"),
        ("rate_limited", "rate_limited"),
        ("unavailable", "server_error"),
        ("html", "not_json"),
        ("wrong_shape", "wrong_shape"),
        ("truncated", "not_json"),
    ],
)
def test_a_gateway_that_is_down_says_why_and_loses_nothing(gateway: Reading, fault: str, reason: str) -> None:
    """The window stays where it was until it has been read completely."""
    for _ in range(60):
        gateway.cloudflare.log("support-bot")
    gateway.cloudflare.faults.set(fault)
    trouble = gateway.later().trouble
    assert trouble is not None
    assert (trouble.reason, gateway.calls) == (reason, {})
    gateway.cloudflare.faults.clear()
    assert gateway.later(30).trouble is None
    assert len(gateway.calls) == 60


def test_one_gateway_that_fails_does_not_stop_another(open_gateway: OpenGateway) -> None:
    """The one that can be read is read, and the poll still counts as failed."""
    gateway = open_gateway(CONFIG.replace("gateways: [prod]", "gateways: [gone, prod]"))
    gateway.poll()
    gateway.cloudflare.log("support-bot")
    trouble = gateway.later().trouble
    assert trouble is not None
    assert trouble.reason == "not_found"
    assert len(gateway.calls) == 1


def read_until(batch: Batch) -> float | None:
    """Up to when every call is counted; None where nobody knows."""
    found = [one.value for one in batch.gauges or () if one.metric == "source_read_until_timestamp_seconds"]
    return found[0] if found else None


def test_what_is_held_back_and_what_is_late_is_not_read(gateway: Reading) -> None:
    """After an outage of hours one poll reads a part: up to its end calls are known, and not up to the poll."""
    reached = read_until(gateway.later(3600))
    assert reached is not None
    assert gateway.clock.now().timestamp() - 90 <= reached <= gateway.clock.now().timestamp()
    behind = read_until(gateway.later(6 * 3600))
    assert behind is not None
    assert reached < behind < gateway.clock.now().timestamp() - 3600
    for _ in range(20):
        gateway.poll()
    assert read_until(gateway.poll()) == pytest.approx(gateway.clock.now().timestamp(), abs=90)


def test_of_a_gateway_without_logs_nothing_is_read(gateway: Reading) -> None:
    """No call would ever be seen, so nothing can be said of silence."""
    gateway.cloudflare.settings["collect_logs"] = False
    assert read_until(gateway.later(2 * 3600)) is None
