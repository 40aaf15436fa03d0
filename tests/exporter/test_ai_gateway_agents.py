"""Whose request it is: by metadata, by user-agent, by gateway, and agents that nobody configured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.exporter.gateway_reading import CONFIG, DISCOVER, OpenGateway, Reading


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
def test_an_agent_is_told_by_its_metadata(gateway: Reading, metadata: object, agents: list[str]) -> None:
    """As JSON text or an object; what matches no agent is not counted."""
    gateway.cloudflare.log("support-bot")
    gateway.cloudflare.rows[-1]["metadata"] = metadata
    gateway.later()
    assert [call.agent for call in gateway.calls.values()] == agents


def test_every_pair_of_the_metadata_must_be_equal(open_gateway: OpenGateway) -> None:
    """Numbers and booleans are compared as JSON writes them."""
    gateway = open_gateway(CONFIG.replace("{agent: support-bot}}", '{agent: support-bot, eu: "true", tier: "2"}}'))
    gateway.poll()
    for metadata in ({"agent": "support-bot", "eu": True, "tier": 2}, {"agent": "support-bot", "eu": True}):
        gateway.cloudflare.log("x")
        gateway.cloudflare.rows[-1]["metadata"] = json.dumps(metadata)
    gateway.later()
    assert len(gateway.calls) == 1


def test_discovery_takes_the_name_from_the_metadata(open_gateway: OpenGateway) -> None:
    """Every value of the key is an agent, known from then on; a row without it belongs to nobody."""
    gateway = open_gateway(DISCOVER)
    gateway.poll()
    for agent in ("Refund Desk", "support-bot", None):
        gateway.cloudflare.log(agent)
    assert gateway.later().agents == {"refund-desk"}
    assert sorted(call.agent for call in gateway.calls.values()) == ["refund-desk", "support-bot"]
    assert gateway.later(3600).agents == {"refund-desk"}


def test_discovery_has_an_end(open_gateway: OpenGateway) -> None:
    """A key that holds something else than agents' names cannot make series without bound."""
    gateway = open_gateway(DISCOVER)
    gateway.poll()
    for number in range(230):
        gateway.cloudflare.log(f"user-{number}")
    assert len(gateway.later().agents) == 200


AGENTS = """
  - {name: pairs, from: {ai_gateway: main, metadata: {agent: x, env: prod}}}
  - {name: gateway, from: {ai_gateway: main, gateway: prod}}
  - {name: browser, from: {ai_gateway: main, user_agent: "bot-?/*"}}
  - {name: both, from: {ai_gateway: main, metadata: {agent: y}, user_agent: "bot-a/*"}}
  - {name: pair, from: {ai_gateway: main, metadata: {agent: x}}}
  - {name: other, from: {ai_gateway: main, metadata: {agent: y}}}
"""


@pytest.mark.parametrize(
    ("metadata", "user_agent", "agent"),
    [
        ({"agent": "x", "env": "prod"}, "bot-a/1", "pairs"),
        ({"agent": "x", "env": "dev"}, "bot-a/1", "pair"),
        ({"agent": "y"}, "bot-a/1", "both"),
        ({"agent": "y"}, "curl", "other"),
        ({"agent": "z"}, "bot-b/2.0", "browser"),
        ({}, "Bot-a/1", "gateway"),
        ({}, None, "gateway"),
    ],
)
def test_the_most_specific_selector_wins(
    open_gateway: OpenGateway, metadata: object, user_agent: object, agent: str
) -> None:
    """More metadata pairs, then a user-agent, then the gateway; wherever they stand in the file."""
    opened = open_gateway(CONFIG.split("agents:")[0] + "agents:" + AGENTS)
    opened.poll()
    opened.cloudflare.log("x")
    opened.cloudflare.rows[-1] |= {"metadata": json.dumps(metadata), "user_agent": user_agent}
    opened.later()
    assert [call.agent for call in opened.calls.values()] == [agent]


@pytest.mark.parametrize(
    ("by", "user_agents", "agents"),
    [
        ("gateway", ["a/1", None], {"prod"}),
        ("user_agent", ["Refund Bot/1.0", "refund/2 (linux)", "support-bot/1", "", None, 5], {"refund"}),
    ],
)
def test_discovery_by_something_else_than_metadata(
    open_gateway: OpenGateway, by: str, user_agents: list[Any], agents: set[str]
) -> None:
    """A user-agent's product is the agent, its version is not; a configured agent's name stays its own."""
    opened = open_gateway(DISCOVER.replace("discover: true", f"discover: true\n      discover_by: {by}"))
    opened.poll()
    for user_agent in user_agents:
        opened.cloudflare.log(None)
        opened.cloudflare.rows[-1]["user_agent"] = user_agent
    assert opened.later().agents == agents


def test_a_key_that_is_null_is_no_agent(open_gateway: OpenGateway) -> None:
    """As if it were not there."""
    opened = open_gateway(DISCOVER)
    opened.poll()
    opened.cloudflare.log("x")
    opened.cloudflare.rows[-1]["metadata"] = json.dumps({"agent": None})
    assert opened.later().agents == frozenset()
