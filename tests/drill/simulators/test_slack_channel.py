"""The simulated channel, as Slack's reference has it: pages newest first, bounds, refusals with HTTP 200, and 429."""

from __future__ import annotations

import httpx
import pytest

from drill.simulators.slack import WEBHOOK_PATH, SlackSimulator
from drill.simulators.slack_channel import BOT_TOKEN, CHANNEL_ID
from handrail.http import build_client

HISTORY, PERMALINK = "/api/conversations.history", "/api/chat.getPermalink"


@pytest.fixture
def slack(clock):
    """A Slack with nothing in it."""
    return SlackSimulator(clock)


@pytest.fixture
def ask(slack):
    """Asks as the app, about the channel."""
    headers = {"authorization": f"Bearer {BOT_TOKEN}"}
    with build_client(base_url="http://slack", transport=httpx.WSGITransport(app=slack)) as client:
        yield lambda path, headers=headers, **query: client.get(
            path, params={"channel": CHANNEL_ID, **query}, headers=headers
        )


def texts(answer):
    return [message["text"] for message in answer["messages"]]


def test_pages_lead_from_the_newest_to_the_oldest(slack, ask):
    """Each message once; the last page names no cursor."""
    for number in range(5):
        slack.channel.add({"text": str(number)})
    seen, cursor = [], {}
    while True:
        answer = ask(HISTORY, limit=2, **cursor).json()
        seen.append(texts(answer))
        if not answer["has_more"]:
            break
        cursor = {"cursor": answer["response_metadata"]["next_cursor"]}
    assert seen == [["4", "3"], ["2", "1"], ["0"]]
    assert "response_metadata" not in answer


def test_messages_at_the_bounds_are_left_out(slack, ask, clock):
    """Time stamps of one moment differ by a millionth of a second."""
    stamps = [slack.channel.add({"text": str(number)}) for number in range(4)]
    assert texts(ask(HISTORY, oldest=stamps[0], latest=stamps[3]).json()) == ["2", "1"]
    clock.advance(1)
    assert slack.channel.add({"text": "later"}) > stamps[3]


def test_a_webhooks_message_is_read_back_as_a_bots(slack, ask):
    """Attachments and buttons are numbered, colors are hexadecimal; the permalink holds its time stamp."""
    button = {"type": "button", "text": "Ticket", "url": "http://h/ticket/A"}
    with build_client(base_url="http://slack", transport=httpx.WSGITransport(app=slack)) as client:
        client.post(WEBHOOK_PATH, json={"attachments": [{"title": "T", "color": "danger", "actions": [button]}]})
    (message,) = ask(HISTORY).json()["messages"]
    assert (message["subtype"], message["text"]) == ("bot_message", "")
    (attachment,) = message["attachments"]
    assert (attachment["id"], attachment["color"], attachment["actions"][0]["id"]) == (1, "a30200", "1")
    assert attachment["actions"][0]["url"] == "http://h/ticket/A"
    link = ask(PERMALINK, message_ts=message["ts"]).json()["permalink"]
    assert link == f"https://simulated.slack.com/archives/{CHANNEL_ID}/p{message['ts'].replace('.', '')}"
    assert ask(PERMALINK, message_ts="1.000000").json() == {"ok": False, "error": "message_not_found"}


def test_refusals_come_with_http_200(slack, ask):
    """And missing_scope says which is needed."""
    assert ask(HISTORY, headers={}).json()["error"] == "not_authed"
    assert ask(HISTORY, headers={"authorization": "Bearer xoxb-other"}).json()["error"] == "invalid_auth"
    assert ask(HISTORY, channel="C0OTHER").json()["error"] == "channel_not_found"
    slack.channel.member = False
    assert ask(HISTORY).json()["error"] == "not_in_channel"
    slack.channel.scopes = {"chat:write"}
    refused = ask(HISTORY)
    assert (refused.status_code, refused.json()["error"], refused.json()["needed"]) == (
        200,
        "missing_scope",
        "channels:history",
    )


def test_too_many_requests_are_told_how_long_to_wait(slack, ask, clock):
    """429 with what is left of the time."""
    slack.channel.limit(30)
    clock.advance(10)
    limited = ask(HISTORY)
    assert (limited.status_code, limited.headers["retry-after"], limited.json()["error"]) == (429, "20", "ratelimited")
    clock.advance(20)
    assert ask(HISTORY).json()["ok"]
