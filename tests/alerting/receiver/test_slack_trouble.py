"""Whatever Slack does, the ticket is as good as without it, and the link comes when Slack has come to itself."""

from __future__ import annotations

from typing import Any

import pytest

from drill.simulators.slack_channel import BOT_TOKEN, CHANNEL_ID
from tests.alerting.receiver.in_slack import AGENT


def test_slack_is_left_alone_as_long_as_it_says(bench, notification, slack):
    """For all incidents alike; and a page that was read is not read again."""
    slack.channel.page = 15
    for agent in ("support-bot", AGENT):
        slack.says(agent=agent)
    slack.channel.limit(120)
    for agent in ("support-bot", AGENT):
        bench.alert(notification(agent=agent))
    bench.later(119)
    assert (slack.looks, len(bench.jira.issues)) == (0, 2)
    bench.later(5)
    assert slack.looks == 2
    assert slack.linked(0) and slack.linked(1)


@pytest.mark.parametrize(("told", "waits"), [("0", 1), ("soon", 60), ("-5", 60)])
def test_a_limit_that_names_no_time_is_no_reason_to_hurry(bench, notification, slack, told, waits):
    """At least a second, and a minute where nothing is said that can be read."""
    slack.channel.limit(0.5)
    slack.channel.retry_after = told
    address = slack.says()
    bench.alert(notification())
    assert bench.receiver.intake.process_one()
    while bench.receiver.workers["tickets"].run_once():
        pass
    assert [bench.receiver.workers["slack"].run_once() for _ in range(2)] == [True, False]
    bench.clock.advance(waits - 0.1)
    assert not bench.receiver.workers["slack"].run_once()
    bench.clock.advance(0.1)
    bench.drain()
    assert slack.linked() == [address]


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "token_revoked": ({"revoked": True}, "write the app's Bot User OAuth Token to file"),
    "not_in_channel": ({"member": False}, f"the app is not in channel {CHANNEL_ID} (not_in_channel): invite it there"),
    "missing_scope": ({"scopes": {"chat:write"}}, "Slack asks for channels:history): under OAuth & Permissions give"),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_says_how_to_mend_it_and_ends_when_it_is_mended(bench, notification, slack, log, code):
    """Said once in the log; the ticket is there all the same, and is linked without a restart."""
    wrong, said = REFUSALS[code]
    right = {name: getattr(slack.channel, name) for name in wrong}
    address = slack.says()
    for name, value in wrong.items():
        setattr(slack.channel, name, value)
    bench.alert(notification())
    bench.later(70)
    assert said in log.getvalue()
    assert log.getvalue().count(code) == 1
    assert (len(bench.open_tickets), slack.linked()) == (1, [])
    for name, value in right.items():
        setattr(slack.channel, name, value)
    bench.later(300, step=5)
    assert slack.linked() == [address]
    assert bench.metric('handrail_dead_letters{lane="slack"}') == 0


@pytest.mark.parametrize("token", ["xoxb-wrong-0123456789", "", "xoxb-one\nxoxb-two", "xoxb-\N{SNOWMAN}"])
def test_a_token_is_never_shown_and_a_new_one_is_used_at_once(bench, notification, slack, log, token):
    """A wrong one, none, two in one file, and one that no header can carry."""
    address = slack.says()
    slack.token.write_text(token)
    bench.alert(notification())
    bench.later(70)
    assert str(slack.token) in log.getvalue()
    assert "xoxb-w" not in log.getvalue() + bench.stored()
    assert "xoxb-o" not in log.getvalue() + bench.stored()
    slack.token.write_text(BOT_TOKEN)
    bench.later(300, step=5)
    assert slack.linked() == [address]
    assert BOT_TOKEN not in log.getvalue() + bench.stored()


def test_a_slack_that_stays_away_costs_nothing_but_the_link(bench, notification, slack):
    """After an hour it counts as failed; tickets were opened and closed as ever."""
    slack.simulator.faults.set("unavailable")
    bench.alert(notification())
    bench.later(60)
    bench.alert(notification(status="resolved"))
    bench.later(66 * 60, step=60)
    assert (bench.jira.issues[0].status, slack.ended("failed")) == ("Done", 1)
    assert bench.metric('handrail_dead_letters{lane="slack"}') == 0


@pytest.mark.parametrize("kind", ["html", "wrong_shape", "truncated", "unavailable", "forbidden"])
def test_an_answer_that_is_none_is_asked_for_again(bench, notification, slack, kind):
    """What is no answer of Slack's never counts as an empty channel."""
    address = slack.says()
    slack.simulator.faults.set(kind, count=1)
    bench.alert(notification())
    bench.drain()
    assert slack.linked() == []
    bench.later(20)
    assert slack.linked() == [address]


def test_a_restart_between_two_looks_goes_on_where_it_was(bench, notification, slack):
    """Also in the middle of a channel's pages: what was read is not read again."""
    slack.channel.page = 15
    slack.says()
    for _ in range(30):
        slack.says(agent="support-bot")
    bench.alert(notification())
    while slack.looks < 2:
        assert bench.receiver.intake.process_one() or any([w.run_once() for w in bench.receiver.workers.values()])
    assert slack.linked() == []
    bench.restart()
    bench.drain()
    assert (slack.looks, len(slack.linked())) == (3, 1)


def test_a_link_that_is_put_twice_is_one(bench, notification, slack):
    """Jira's answer to it was lost."""
    address = slack.says()
    bench.alert(notification())
    assert bench.receiver.intake.process_one()
    for lane in ("tickets", "slack"):
        while bench.receiver.workers[lane].run_once():
            pass
    bench.jira.faults.set("truncated", count=1)
    bench.receiver.workers["tickets"].run_once()
    assert (slack.linked(), bench.metric('handrail_outbox_pending{lane="tickets"}')) == ([address], 1)
    bench.later(30)
    assert (slack.linked(), bench.metric('handrail_outbox_pending{lane="tickets"}')) == ([address], 0)


@pytest.mark.parametrize(
    "site",
    [
        "http://simulated.slack.com",
        "https://simulated.slack.com.evil.example",
        "https://evilslack.com",
        "https://slack.com@evil.example",
        "https://simulated.slack.com:8443",
        "https://simulated.slack.com/redirect?to=https://evil.example",
        "https://simulated.slack.com/app",
        "javascript:alert(1)//simulated.slack.com",
        "",
    ],
)
def test_an_address_that_leads_elsewhere_never_reaches_a_ticket(bench, notification, slack, site):
    """Whoever answers in Slack's place; counted, and not tried again."""
    slack.says()
    slack.channel.site = site
    bench.alert(notification())
    bench.later(30)
    assert slack.linked() == []
    assert slack.ended("refused") == 1
    assert "evil" not in bench.stored()
