"""The ticket links to Alertmanager's own message in Slack; whatever Slack does, the ticket is as good as without it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from alerting.receiver.schema import outbox
from drill.simulators.slack import SlackSimulator
from drill.simulators.slack_channel import BOT_TOKEN, CHANNEL_ID
from drill.simulators.wire import serve
from handrail.notify_settings import Notify, OfficeHours, Slack
from handrail.secret import Secret

PUBLIC = "http://handrail.example"
ALERT, AGENT = "AgentErrorRatioHigh", "invoice"
HOUR = 3600.0


class InSlack:
    """The channel in front of the bench, and what Alertmanager writes there."""

    def __init__(self, bench: Any, slack: SlackSimulator, url: str, folder: Any) -> None:
        self.bench, self.simulator, self.channel = bench, slack, slack.channel
        self.token = folder / "secrets" / "slack_bot"
        self.token.write_text(f"{BOT_TOKEN}\n")
        self.place = Slack(
            webhook_url=Secret(env="NOWHERE"),
            bot_token=Secret(file=self.token),
            channel_id=CHANNEL_ID,
            api_url=f"{url}/api",
        )
        self.configure(Notify(slack=self.place))

    def configure(self, notify: Notify) -> None:
        """Start the receiver again with these ways, on the same database."""
        self.bench.settings = self.bench.settings.model_copy(update={"notify": notify})
        self.bench.restart()

    def says(
        self, status: str = "FIRING", alertname: str = ALERT, agent: str | None = AGENT, *, public: str = PUBLIC
    ) -> str:
        """A message as the rendered template makes it; its address."""
        about = f"?agent={agent}" if agent else ""
        ways = (
            ("Run-book", f"{public}/runbook/{alertname}{about}"),
            ("Dashboard", f"{public}/{about}"),
            ("Ticket", f"{public}/ticket/{alertname}{about}"),
            ("Silence", f"http://alertmanager.example/#/silences/new?filter=%7Balertname%3D%22{alertname}%22%7D"),
        )
        attachment = {
            "title": f"[{status}] {alertname} {agent} (critical)",
            "title_link": f"{public}/{about}",
            "text": "4.2% of 52 calls failed. Since 2026-11-25 02:13 UTC.",
            "color": "danger" if status == "FIRING" else "good",
            "mrkdwn_in": ["pretext"],
            "actions": [{"type": "button", "text": name, "url": url} for name, url in ways],
        }
        ts = self.channel.add({"channel": "#ops", "attachments": [attachment]})
        return f"{self.channel.site}/archives/{CHANNEL_ID}/p{ts.replace('.', '')}"

    def linked(self, ticket: int = 0) -> list[str]:
        """Where the ticket's links to Slack lead."""
        links = self.bench.jira.issues[ticket].remote_links
        return [link["object"]["url"] for link in links if link["globalId"] == "handrail-slack"]

    def ended(self, outcome: str) -> float:
        """How many searches ended so."""
        return float(self.bench.metric(f'handrail_slack_links_total{{outcome="{outcome}"}}'))

    @property
    def looks(self) -> int:
        """How often the channel was read."""
        return int(self.channel.asked.get("conversations.history", 0))


@pytest.fixture
def slack(bench, clock, tmp_path) -> Iterator[InSlack]:
    """A Slack that the bench's receiver may read."""
    simulator = SlackSimulator(clock)
    with serve(simulator) as server:
        yield InSlack(bench, simulator, server.url, tmp_path)


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
    while slack.channel.asked.get("chat.getPermalink", 0) < 1:
        bench.receiver.intake.process_one()
        for lane in ("tickets", "slack"):
            while bench.receiver.workers[lane].run_once():
                pass
    bench.jira.faults.set("truncated", count=1)
    bench.receiver.workers["tickets"].run_once()
    assert (slack.linked(), bench.metric('handrail_outbox_pending{lane="tickets"}')) == ([address], 1)
    bench.later(30)
    assert (slack.linked(), bench.metric('handrail_outbox_pending{lane="tickets"}')) == ([address], 0)


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


@pytest.mark.parametrize(
    "site",
    [
        "http://simulated.slack.com",
        "https://simulated.slack.com.evil.example",
        "https://evilslack.com",
        "https://slack.com@evil.example",
        "https://simulated.slack.com:8443",
        "https://simulated.slack.com/redirect?to=https://evil.example",
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
