"""Reading a simulated AI Gateway: windows that overlap, rows that come late, and attempts that are one request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from drill.simulators.cloudflare import CloudflareSimulator
from exporter.calls import Call, TokenUsage
from exporter.sources import Batch, SourceDown, State
from exporter.sources.ai_gateway import AiGatewaySource
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


@dataclass
class Reading:
    """A source over a simulator, with the state and the calls that a ledger would keep."""

    cloudflare: CloudflareSimulator
    source: AiGatewaySource
    clock: Any
    state: State = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)

    def poll(self) -> Batch:
        batch = self.source.poll(self.state)
        self.state = batch.state
        # Insert or ignore, as the ledger does.
        self.calls = {call.id: call for call in batch.calls} | self.calls
        return batch

    def later(self, seconds: float = 120) -> Batch:
        self.clock.advance(seconds)
        return self.poll()


Open = Callable[..., Reading]


@pytest.fixture
def open_reading(clock: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.setenv("CF_TOKEN", "cf-token")
    opened: list[Any] = []

    def make(config: str = CONFIG) -> Reading:
        parsed = parse(config)
        (cloudflare,) = parsed.sources.cloudflare
        simulator = CloudflareSimulator(clock)
        client = build_client(base_url=cloudflare.url, transport=httpx.WSGITransport(app=simulator))
        opened.extend([client, simulator])
        fetch = Fetcher(
            client,
            credentials=lambda: {"Authorization": "Bearer cf-token"},
            on_request=lambda _status: None,
            now=clock.now,
        )
        source = AiGatewaySource(cloudflare, parsed.agents, clock, fetch=fetch)
        return Reading(simulator, source, clock)

    yield make
    for thing in opened:
        thing.close()


@pytest.fixture
def reading(open_reading: Open) -> Reading:
    """A first poll has been made."""
    opened = open_reading()
    opened.poll()
    return opened


def test_a_request_is_a_call(reading: Reading, clock: Any) -> None:
    """Duration in milliseconds, tokens, cost, model and provider come from the row; its time is the end."""
    clock.advance(1)
    reading.cloudflare.log("support-bot", duration_s=2.5, tokens_in=30, tokens_out=4, cost=0.001)
    ended = clock.now()
    reading.later()
    (call,) = reading.calls.values()
    assert (call.source, call.agent, call.outcome) == ("cloudflare/main", "support-bot", "success")
    assert (call.finished_at, call.duration) == (ended, timedelta(seconds=2.5))
    assert (call.tokens, call.cost_usd) == (TokenUsage(30, 4, "actual"), Decimal("0.001"))
    assert (call.model, call.provider) == ("gpt-4o-mini", "openai")


def test_missing_tokens_are_unknown(reading: Reading) -> None:
    """A cached request is a call without usage, not one that used nothing."""
    reading.cloudflare.log("support-bot")
    reading.later()
    assert [call.tokens for call in reading.calls.values()] == [TokenUsage()]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(408, "timeout"), (504, "timeout"), (429, "rate_limited"), (401, "auth"), (500, "provider_error"), (200, "other")],
)
def test_a_failed_request_is_an_error(reading: Reading, status: int, reason: str) -> None:
    """The status code of the provider says why."""
    reading.cloudflare.log("support-bot", success=False, status_code=status)
    reading.later()
    assert [call.error_reason for call in reading.calls.values()] == [reason]


def test_counting_begins_at_the_first_start(open_reading: Open, clock: Any) -> None:
    """Rows from before are not counted though later windows reach back over them."""
    reading = open_reading()
    reading.cloudflare.log("support-bot")
    clock.advance(1)
    reading.poll()
    reading.cloudflare.log("support-bot")
    for _ in range(3):
        reading.later()
    assert len(reading.calls) == 1


def test_counting_begins_though_the_first_poll_failed(open_reading: Open, clock: Any) -> None:
    """What happens while the gateway cannot be read at first is counted when it can."""
    reading = open_reading()
    reading.cloudflare.faults.set("unavailable", count=1)
    assert isinstance(reading.poll().trouble, SourceDown)
    clock.advance(1)
    reading.cloudflare.log("support-bot")
    reading.later()
    assert len(reading.calls) == 1


def test_a_row_that_comes_late_is_found(reading: Reading, clock: Any) -> None:
    """A row that becomes readable minutes after its time lies in the overlap of the next windows."""
    late = clock.now() + timedelta(seconds=10)
    for _ in range(4):
        reading.later(30)
    reading.cloudflare.log("support-bot", created_at=late)
    reading.later(30)
    assert len(reading.calls) == 1


def test_all_pages_are_read(reading: Reading) -> None:
    """More rows than a page holds are all found, and the next polls repeat them under the same ids."""
    for _ in range(120):
        reading.cloudflare.log("support-bot")
    reading.later()
    reading.later(30)
    assert len(reading.calls) == 120


def test_after_an_outage_the_log_is_caught_up_with(reading: Reading, clock: Any) -> None:
    """A long silence is read in pieces of an hour until nothing is missing."""
    for _ in range(5):
        clock.advance(3600)
        reading.cloudflare.log("support-bot")
    for _ in range(7):
        reading.later(30)
    assert len(reading.calls) == 5


def attempt(reading: Reading, event: str, step: int, **more: Any) -> None:
    reading.cloudflare.log("support-bot", step=step, **more)
    reading.cloudflare.rows[-1]["event_id"] = event


def test_attempts_of_one_request_are_one_call(reading: Reading) -> None:
    """A retry that succeeded makes a success, whatever its first attempt was."""
    attempt(reading, "e", 0, success=False, status_code=500)
    attempt(reading, "e", 1)
    reading.later()
    assert [(call.id, call.outcome) for call in reading.calls.values()] == [("e", "success")]


def test_the_last_attempt_is_waited_for(reading: Reading, clock: Any) -> None:
    """A window that ends between two attempts does not make an error of a request that succeeded."""
    clock.advance(120)
    attempt(reading, "e", 0, success=False, status_code=500)
    clock.advance(2)
    attempt(reading, "e", 1)
    clock.advance(59)
    reading.poll()
    reading.later(30)
    assert [call.outcome for call in reading.calls.values()] == ["success"]


def test_a_failure_that_stays_one_is_counted(reading: Reading, clock: Any) -> None:
    """It is counted as soon as no other attempt can be expected."""
    clock.advance(120)
    reading.cloudflare.log("support-bot", success=False, status_code=500)
    clock.advance(61)
    reading.poll()
    assert not reading.calls
    reading.later(10)
    assert len(reading.calls) == 1


def test_rows_without_an_event_are_each_a_call(reading: Reading) -> None:
    """Where the gateway does not tell which attempts belong together, none are put together."""
    for step in (0, 1):
        reading.cloudflare.log("support-bot", step=step)
        del reading.cloudflare.rows[-1]["event_id"]
    reading.later()
    assert len(reading.calls) == 2


@pytest.mark.parametrize(
    ("metadata", "agents"),
    [
        (json.dumps({"agent": "support-bot", "env": "prod"}), ["support-bot"]),
        ({"agent": "support-bot"}, ["support-bot"]),
        (json.dumps({"agent": "other"}), []),
        (json.dumps(["support-bot"]), []),
        ("no JSON", []),
        (None, []),
    ],
)
def test_an_agent_is_told_by_its_metadata(reading: Reading, metadata: object, agents: list[str]) -> None:
    """As JSON text or an object; what matches no agent is not counted."""
    reading.cloudflare.log("support-bot")
    reading.cloudflare.rows[-1]["metadata"] = metadata
    reading.later()
    assert [call.agent for call in reading.calls.values()] == agents


def test_every_pair_of_the_metadata_must_be_equal(open_reading: Open) -> None:
    """Numbers and booleans are compared as JSON writes them."""
    reading = open_reading(CONFIG.replace("{agent: support-bot}}", '{agent: support-bot, eu: "true", tier: "2"}}'))
    reading.poll()
    for metadata in ({"agent": "support-bot", "eu": True, "tier": 2}, {"agent": "support-bot", "eu": True}):
        reading.cloudflare.log("x")
        reading.cloudflare.rows[-1]["metadata"] = json.dumps(metadata)
    reading.later()
    assert len(reading.calls) == 1


def test_discovery_takes_the_name_from_the_metadata(open_reading: Open) -> None:
    """Every value of the key is an agent, known from then on; a row without it belongs to nobody."""
    reading = open_reading(DISCOVER)
    reading.poll()
    for agent in ("Refund Desk", "support-bot", None):
        reading.cloudflare.log(agent)
    assert reading.later().agents == {"refund-desk"}
    assert sorted(call.agent for call in reading.calls.values()) == ["refund-desk", "support-bot"]
    assert reading.later(3600).agents == {"refund-desk"}


def test_discovery_has_an_end(open_reading: Open) -> None:
    """A key that holds something else than agents' names cannot make series without bound."""
    reading = open_reading(DISCOVER)
    reading.poll()
    for number in range(230):
        reading.cloudflare.log(f"user-{number}")
    assert len(reading.later().agents) == 200


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
def test_a_gateway_that_is_down_says_why_and_loses_nothing(reading: Reading, fault: str, reason: str) -> None:
    """The window stays where it was until it has been read completely."""
    for _ in range(60):
        reading.cloudflare.log("support-bot")
    reading.cloudflare.faults.set(fault)
    trouble = reading.later().trouble
    assert trouble is not None
    assert (trouble.reason, reading.calls) == (reason, {})
    reading.cloudflare.faults.clear()
    assert reading.later(30).trouble is None
    assert len(reading.calls) == 60


def test_one_gateway_that_fails_does_not_stop_another(open_reading: Open) -> None:
    """The one that can be read is read, and the poll still counts as failed."""
    reading = open_reading(CONFIG.replace("gateways: [prod]", "gateways: [gone, prod]"))
    reading.poll()
    reading.cloudflare.log("support-bot")
    trouble = reading.later().trouble
    assert trouble is not None
    assert trouble.reason == "not_found"
    assert len(reading.calls) == 1
