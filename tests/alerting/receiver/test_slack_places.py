"""Where and when an alert is told in Slack, as Alertmanager's routes have it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alerting.receiver.slack.messages import Mark
from alerting.receiver.slack.places import opens_at, place_of
from handrail.notify_settings import Notify, OfficeHours, Owner, Slack
from handrail.secret import Secret

TOKEN, URL = Secret(env="TOKEN"), Secret(env="URL")
TEAM = Slack(webhook_url=URL, bot_token=TOKEN, channel_id="C0000TEAM")
OWN = Slack(webhook_url=URL, bot_token=TOKEN, channel_id="C0000OWN0")
SEALED = Slack(webhook_url=URL)


@pytest.mark.parametrize(
    ("team", "own", "severity", "agent", "expected"),
    [
        (TEAM, None, "warning", "bot", TEAM),
        (TEAM, OWN, "warning", "bot", OWN),
        (TEAM, OWN, "critical", "bot", TEAM),
        (SEALED, OWN, "critical", "bot", OWN),
        (TEAM, SEALED, "warning", "bot", None),
        (TEAM, OWN, "warning", None, TEAM),
        (None, None, "critical", "bot", None),
    ],
)
def test_the_owner_has_its_warnings_to_itself_and_the_team_what_is_critical(team, own, severity, agent, expected):
    """As the routes send them; of two channels that are told, the team's; of one that cannot be read, nothing."""
    notify = Notify(slack=team, owners={"support": Owner(slack=own)} if own else {})
    assert place_of(notify, severity=severity, agent=agent, owner="support") == expected


@pytest.mark.parametrize(
    ("now", "opening"),
    [
        ("2026-11-23T06:59", "2026-11-23T07:00"),  # a Monday; 07:00 UTC is 08:00 in Berlin
        ("2026-11-23T07:00", None),
        ("2026-11-23T16:59", None),
        ("2026-11-23T17:00", "2026-11-24T07:00"),
        ("2026-11-27T23:30", "2026-11-30T07:00"),  # over the weekend
        ("2026-10-23T20:00", "2026-10-26T07:00"),  # and over the end of summer time
    ],
)
def test_office_hours_begin_on_the_wall(now, opening):
    """None while they last."""
    found = opens_at(OfficeHours(time_zone="Europe/Berlin"), datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == (datetime.fromisoformat(opening).replace(tzinfo=UTC) if opening else None)


def test_a_day_may_last_until_midnight():
    """24:00 is its end, and the next one's begin."""
    hours = OfficeHours(days="mon", start="00:00", end="24:00")
    assert opens_at(hours, datetime(2026, 11, 23, 23, 59, tzinfo=UTC)) is None
    assert opens_at(hours, datetime(2026, 11, 24, tzinfo=UTC)) == datetime(2026, 11, 30, tzinfo=UTC)


BUTTON = "https://handrail.example/base/ticket/AgentSlow?agent=a+b%2Fc"
GOOD = {"ts": "1.000002", "attachments": [{"title": "[FIRING:3] AgentSlow", "actions": [{"url": BUTTON}]}]}


@pytest.mark.parametrize(
    "hostile",
    [
        None,
        "text",
        {},
        {"ts": 1.5, "attachments": []},
        {"ts": "1.000001' OR 1=1", "attachments": GOOD["attachments"]},
        {"ts": "1.000001", "attachments": {"title": "[FIRING"}},
        {"ts": "1.000001", "attachments": [{"title": "[FIRING]", "actions": [{"url": "http://[::1"}]}]},
        {"ts": "1.000001", "attachments": [{"title": ["[FIRING"], "actions": 7}]},
        {"ts": "1.000001", "attachments": [{"title": "[FIRING]", "actions": [{"url": BUTTON + "&agent=other"}]}]},
    ],
)
def test_what_is_no_message_is_passed_over(hostile):
    """Whatever a channel holds, ours is found beside it; names are compared as they read, not as they are written."""
    mark = Mark("https://handrail.example/base", "AgentSlow", "a b/c")
    assert mark.earliest([hostile, GOOD, GOOD | {"ts": "2.000000"}]) == "1.000002"
