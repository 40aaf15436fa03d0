"""The ticket links to Alertmanager's own message in Slack, and to no other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from alerting.receiver.schema import outbox
from handrail.notify_settings import Notify, OfficeHours, Slack
from handrail.secret import Secret
from tests.alerting.receiver.in_slack import AGENT, ALERT, PUBLIC

HOUR = 3600.0


def test_a_message_that_is_there_is_linked_at_once(bench, notification, slack):
    """One remote link under a name of its own, beside run-book and dashboard; nothing was written to Slack."""
    address = slack.says()
    bench.alert(notification())
    bench.drain()
    (ticket,) = bench.jira.issues
    assert slack.linked() == [address]
    assert {link["globalId"] for link in ticket.remote_links} >= {"handrail-runbook", "handrail-dashboard"}
    assert (slack.looks, slack.ended("linked"), slack.simulator.messages) == (1, 1, [])


def test_a_message_that_comes_after_its_ticket_is_found_later(bench, notification, slack):
    """As when Slack did not take it at first: Alertmanager tries again with the group's next flush."""
    bench.alert(notification())
    bench.drain()
    assert (len(bench.jira.issues), slack.linked()) == (1, [])
    bench.later(305, step=5)
    address = slack.says()
    assert slack.linked() == []
    bench.later(30, step=5)
    assert slack.linked() == [address]


def test_a_message_that_never_comes_is_given_up_in_peace(bench, notification, slack, log):
    """After an hour: counted and logged, with no dead letter, and nothing of it counts as a delivery that is late."""
    bench.alert(notification())
    late = []
    for _ in range(66):
        bench.later(60, step=60)
        late.append(bench.metric('handrail_outbox_oldest_age_seconds{lane="slack"}'))
    assert (slack.looks, slack.ended("not_found"), max(late)) == (6, 1, 0)
    assert bench.metric('handrail_outbox_pending{lane="slack"}') == 0
    assert bench.metric('handrail_dead_letters{lane="slack"}') == 0
    assert '"ticket": "OPS-1", "outcome": "not_found", "event": "slack_message_not_linked"' in log.getvalue()


OTHERS: dict[str, dict[str, Any]] = {
    "another agent": {"agent": "invoice-2"},
    "no agent": {"agent": None},
    "another alert": {"alertname": "AgentErrorBudgetBurn"},
    "an alert whose name begins so": {"alertname": "AgentErrorRatioHighest"},
    "the end of it": {"status": "RESOLVED"},
    "another Handrail": {"public": "http://handrail.example.org"},
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_message_that_only_looks_like_it_is_not_linked(bench, notification, slack, other):
    """Alert, agent, that it fires and whose Handrail it is: all of it must be so."""
    slack.says(**OTHERS[other])
    slack.channel.add({"text": f"[FIRING] {ALERT} {AGENT}: see {PUBLIC}/ticket/{ALERT}?agent={AGENT}"})
    bench.alert(notification())
    bench.later(20)
    assert (slack.looks, slack.linked()) == (2, [])
    address = slack.says()
    bench.later(60)
    assert slack.linked() == [address]


def test_an_earlier_episode_has_messages_of_its_own(bench, notification, slack):
    """They are never taken for those of the new one; the ticket that goes on leads to the newest, by one link."""
    first = slack.says()
    bench.alert(notification())
    bench.drain()
    bench.clock.advance(600)
    repeated = slack.says()
    bench.clock.advance(600)
    slack.says(status="RESOLVED")
    bench.alert(notification(status="resolved"))
    bench.later(20)
    assert slack.linked() == [first] != [repeated]
    bench.clock.advance(10)
    bench.alert(notification())
    bench.later(20)
    assert (len(bench.jira.issues), slack.linked()) == (1, [first])
    second = slack.says()
    bench.later(60)
    assert slack.linked() == [second]


def test_a_search_that_is_late_does_not_take_the_ticket_back(bench, notification, slack):
    """Slack answers only when the next episode goes on in the same ticket: it leads to that one's message."""
    slack.says()
    slack.channel.limit(600)
    bench.alert(notification())
    bench.later(30)
    bench.alert(notification(status="resolved"))
    bench.later(30)
    bench.alert(notification())
    second = slack.says()
    bench.later(700, step=5)
    assert (len(bench.jira.issues), slack.linked(), slack.ended("linked")) == (1, [second], 1)


def test_a_message_sent_while_the_receiver_was_away_is_found(bench, notification, slack):
    """What counts is when the alert began to fire, not when the ticket was opened."""
    body = notification()
    bench.clock.advance(30)
    address = slack.says()
    bench.clock.advance(2 * HOUR)
    slack.says()
    bench.alert(body)
    bench.drain()
    assert slack.linked() == [address]


def test_the_message_of_an_incident_that_is_over_is_found(bench, notification, slack):
    """Jira was away meanwhile; the next episode's message is not taken for it."""
    bench.jira.faults.set("unavailable")
    bench.alert(notification())
    bench.later(30)
    address = slack.says()
    bench.later(300, step=5)
    bench.alert(notification(status="resolved"))
    bench.later(300, step=5)
    slack.says()
    bench.jira.faults.clear()
    bench.later(600, step=10)
    assert slack.linked() == [address]


def test_what_is_said_after_an_incident_is_not_about_it(bench, notification, slack):
    """As of its next episode, which the receiver has not been told of yet."""
    slack.channel.limit(100)
    bench.alert(notification())
    bench.later(30)
    bench.alert(notification(status="resolved"))
    bench.later(30)
    slack.says()
    bench.later(100)
    assert (slack.looks, slack.linked(), slack.ended("not_found")) == (1, [], 1)


def test_a_busy_channel_is_read_page_by_page(bench, notification, slack):
    """An app outside of Slack's marketplace gets 15 messages at a time; the first of its messages is the one."""
    slack.channel.page = 15
    address = slack.says()
    for _ in range(20):
        slack.says(agent="support-bot")
    slack.says()
    bench.alert(notification())
    bench.drain()
    assert (slack.looks, slack.linked()) == (2, [address])


def test_a_ticket_that_replaces_a_deleted_one_is_linked_too(bench, notification, slack):
    """The search is asked for with every ticket, not with the incident."""
    address = slack.says()
    bench.alert(notification())
    bench.drain()
    bench.jira.issues.clear()
    bench.alert(notification(fingerprints=("14f2e3b0c1d2e3f4", "24f2e3b0c1d2e3f4")))
    bench.later(10)
    assert len(bench.jira.issues) == 1
    assert slack.linked() == [address]


@pytest.mark.parametrize("site", ["https://acme.enterprise.slack.com", "https://agency.slack-gov.com"])
def test_enterprise_grid_and_govslack_are_slack(bench, notification, slack, site):
    """Their workspaces have other hosts."""
    slack.channel.site = site
    address = slack.says()
    bench.alert(notification())
    bench.drain()
    assert slack.linked() == [address]
    assert address.startswith(f"{site}/archives/")


def test_a_warning_at_night_is_linked_when_the_morning_tells_it(bench, notification, slack):
    """It is given up for the night, and looked for once more when office hours have begun."""
    night = datetime(2026, 11, 24, 2, tzinfo=UTC)
    bench.clock.advance((night - bench.clock.now()).total_seconds() % (7 * 24 * HOUR))
    slack.configure(Notify(slack=slack.place, office_hours=OfficeHours(time_zone="Europe/Berlin")))
    bench.alert(notification(severity="warning"))
    bench.later(4 * HOUR, step=60)
    looks = slack.looks
    assert looks == 6
    bench.later(HOUR, step=60)  # 07:00 UTC is 08:00 in Berlin
    address = slack.says()
    bench.later(10 * 60, step=60)
    assert slack.linked() == [address]
    assert (slack.looks, slack.ended("not_found"), slack.ended("linked")) == (looks + 1, 0, 1)


def test_what_no_slack_tells_is_not_looked_for(bench, notification, slack):
    """A hand-off is told by its ticket alone."""
    assert bench.handoff({"task": "Refund 30 EUR", "reason": "tool_error", "tool_error": "timeout"}).status_code == 202
    bench.later(30)
    assert (len(bench.jira.issues), slack.channel.asked) == (1, {})


def test_without_a_token_nothing_is_asked_and_nothing_waits(bench, notification, slack):
    """Also when it was taken away while a search was under way."""
    bench.alert(notification())
    bench.drain()
    assert bench.metric('handrail_outbox_pending{lane="slack"}') == 1
    looks = slack.looks
    slack.configure(Notify(slack=Slack(webhook_url=Secret(env="NOWHERE"))))
    assert "slack" not in bench.receiver.workers
    bench.alert(notification(agent="support-bot"))
    bench.later(30)
    assert (slack.looks, len(bench.jira.issues)) == (looks, 2)
    assert [row.state for row in bench.rows(outbox) if row.lane == "slack"] == ["dropped"]
    assert bench.metric('handrail_outbox_pending{lane="slack"}') == 0
