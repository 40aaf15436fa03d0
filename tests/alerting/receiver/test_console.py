"""The page for the person on call: what needs somebody comes first, what is not known is said, text is only text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from markupsafe import escape

from alerting.receiver.console import board
from alerting.receiver.schema import audit, kills
from drill.simulators.prometheus import WatchedAgent

SWITCH = "/agents/support-bot/switch"
AWKWARD = ["two words", "quo\"te's", "🤖 emoji", "שלום עולם", "<script>alert(1)</script>", "a/b?c#d&e", "x" * 200]


@pytest.fixture
def console(bench):
    """Signed in, in front of a Prometheus that knows two agents, one of them in breach."""
    bench.prometheus.faults.clear()
    bench.prometheus.agents["support-bot"] = WatchedAgent(
        owner="support",
        streak=3,
        errors=0.042,
        mean=lambda ago: 6.4 if ago < 600 else 0.8,
        p95=lambda ago: 9.1 if ago < 600 else 1.2,
        error_curve=lambda ago: 0.042 if ago < 600 else None,
    )
    bench.prometheus.agents["found-by-itself"] = WatchedAgent(errors=float("nan"))
    since = "2026-11-23T11:47:59.123456789Z"
    bench.prometheus.fire(
        "AgentSlowCallStreak", "support-bot", severity="critical", since=since, description="3 calls over 5s in a row."
    )
    bench.prometheus.fire("HandrailWatchdog", None, severity="info", since=since)
    bench.sign_in()
    return bench


def part(page: str, name: str) -> str:
    """What stands in the part of the page that has this id."""
    return page.split(f'id="{name}"')[1].split("<section")[0]


class Names(HTMLParser):
    """The text of every <bdi> with the link around it, and every tag that was met."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links, self.tags, self._href, self._inside = dict[str, str | None](), set(), None, False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "a":
            self._href = dict(attrs)["href"]
        self._inside = tag == "bdi"

    def handle_endtag(self, tag):
        self._inside = False
        if tag == "a":
            self._href = None

    def handle_data(self, data):
        if self._inside:
            self.links[data] = self._href or self.links.get(data)


def test_what_needs_somebody_comes_first(console):
    """The alert with its words, run-book and since when; the agent with its numbers and its switch; then the others."""
    page = console.client.get("/").text
    alerts, needing, rest = part(page, "alerts"), part(page, "needing"), part(page, "rest")
    for expected in ("AgentSlowCallStreak", "3 calls over 5s in a row.", "critical", ">12 min<", "/runbook/AgentSlow"):
        assert expected in alerts
    for expected in ("support-bot", "SLA breach", "3 slow in a row", "4.2%", "no baseline yet", 'name="reason"'):
        assert expected in needing
    assert "found-by-itself" in rest
    assert "invoice" in rest
    assert "support-bot" not in rest
    assert "1 alert firing" in page
    assert "<title>(1) Handrail</title>" in page
    assert "HandrailWatchdog" not in page


def test_sparklines_say_in_words_what_they_draw(console):
    """For who cannot see them; where there was no call the line has a gap, and no number is made of nothing."""
    needing = part(console.client.get("/").text, "needing")
    assert "Mean duration: 0.8 s to 6.4 s in the last hour, now 6.4 s" in needing
    assert "Errors: 4.2% to 4.2% in the last hour, now 4.2%" in needing
    duration, errors = re.findall(r'<path d="([^"]+)"/>', needing)
    assert duration.count("M") == errors.count("M") == 1
    assert (len(duration.split()), len(errors.split())) == (2 * 31, 2 * 5)
    assert "nan" not in console.client.get("/").text.lower().replace("finan", "")


def test_prometheus_is_asked_for_all_agents_at_once_and_not_for_every_look(console):
    """One question for each number, however many agents there are and however many people look."""
    for number in range(200):
        console.prometheus.agents[f"agent-{number}"] = WatchedAgent()
    console.prometheus.asked.clear()
    assert console.client.get("/").text.count("/?agent=agent-") == 200
    assert console.prometheus.asked == {"/api/v1/query": 4, "/api/v1/alerts": 1, "/api/v1/query_range": 2}
    console.client.get("/")
    assert console.prometheus.asked["/api/v1/query_range"] == 2
    console.clock.advance(120)
    console.client.get("/")
    assert console.prometheus.asked["/api/v1/query_range"] == 4


@pytest.mark.parametrize("fault", ["unavailable", "html", "wrong_shape", "truncated"])
def test_without_prometheus_the_rest_is_there_and_nothing_is_made_up(console, notification, fault):
    """No zero, no "within SLA", no "no alert"; alerts are those that the receiver was told of."""
    console.alert(notification())
    console.drain()
    console.prometheus.faults.set(fault)
    page = console.client.get("/").text
    assert "Prometheus" in part(page, "summary")
    assert "SLA numbers are not known" in page
    assert "not known" in part(page, "rest")
    assert "0 slow in a row" not in page
    assert "Within SLA" not in page
    assert "AgentErrorRatioHigh" in part(page, "alerts")
    assert console.jira.issues[0].key in part(page, "tickets")
    one = console.client.get("/?agent=support-bot").text
    assert "Not known right now." in one
    assert 'name="reason"' in one, "it can be switched off all the same"
    assert console.client.get("/?agent=nobody").status_code == 404


def test_an_agent_of_which_nothing_is_known_is_no_good_news(console):
    """While sources are down nothing fires yet; the headline says of how many agents it says nothing."""
    console.prometheus.alerts.clear()
    console.prometheus.agents = {}
    headline = part(console.client.get("/").text, "summary")
    assert 'class="summary unsure"' in headline
    assert "No alert is firing · 0 of 2 agents need somebody · 2 not known" in headline


def test_all_tickets_are_counted_though_the_newest_are_listed(console, notification, monkeypatch):
    """Whoever reads the headline knows how many there are."""
    monkeypatch.setattr(board, "SHOWN_TICKETS", 2)
    for agent in ("invoice", "support-bot", "found-by-itself"):
        console.alert(notification(agent=agent))
    console.drain()
    page = console.client.get("/").text
    assert "3 tickets, 0 hand-offs open" in part(page, "summary")
    assert part(page, "tickets").count("<li>") == 2
    assert "And 1 older." in part(page, "tickets")


def test_history_alone_may_be_missing(console):
    """The numbers of now are shown, and that there is no history is said."""
    console.client.get("/")
    console.clock.advance(120)
    console.prometheus.agents["odd"] = WatchedAgent(mean=lambda ago: "not a number")
    page = console.client.get("/").text
    assert "there is no history" in page
    assert "3 slow in a row" in page
    asked = dict(console.prometheus.asked)
    console.client.get("/")
    assert console.prometheus.asked["/api/v1/query_range"] == asked["/api/v1/query_range"], (
        "it is left alone for a while"
    )


def test_no_history_and_one_agent(console):
    """What was never called has no line and no chart, and the page says why."""
    console.prometheus.alerts.clear()
    console.prometheus.agents = {"found-by-itself": WatchedAgent()}
    page = console.client.get("/").text
    assert "No alert is firing" in page
    assert "<svg" not in page
    assert "There was no call in the last six hours" in console.client.get("/?agent=found-by-itself").text


def test_an_agents_chart_stands_as_a_table(console):
    """Six hours in steps of five minutes; empty where there was no call. The script draws from it."""
    page = console.client.get("/?agent=support-bot").text
    rows = re.findall(r"<tr><th scope=\"row\">.*?</th>((?:<td>.*?</td>){3})</tr>", page)
    assert len(rows) == 73
    assert rows[-1] == "<td>6.40</td><td>9.10</td><td>4.20</td>"
    assert rows[0] == "<td>0.80</td><td>1.20</td><td></td>"
    assert 'data-limit="5.0"' in page


@pytest.mark.parametrize("name", AWKWARD)
def test_any_name_is_shown_as_it_is_and_leads_to_its_agent(console, notification, name):
    """Spaces, quotes, emoji, markup and letters from right to left turn nothing and break nothing."""
    usual = Names(console.client.get("/").text + console.client.get("/?agent=support-bot").text).tags
    console.prometheus.agents[name] = WatchedAgent(owner=name, mean=lambda _: 2.0)
    console.prometheus.fire("AgentStuck", name, severity="warning", since="2026-11-23T11:00:00Z", description=name)
    console.alert(notification(agent=name))
    console.drain()
    page = Names(console.client.get("/").text)
    one = console.client.get(page.links[name] or "")
    assert one.status_code == 200
    assert f"<h1><bdi>{escape(name)}</bdi>" in one.text
    assert (page.tags | Names(one.text).tags) - usual <= {"time"}


def test_hand_offs_and_tickets_are_listed_with_the_way_to_jira(console, notification):
    """How many share one, and since when."""
    for number in range(3):
        assert console.handoff({"task": "Refund order 17", "confidence": 0.6}, key=f"k{number}").status_code == 202
    console.alert(notification())
    console.drain()
    console.clock.advance(600)
    page = console.client.get("/").text
    handoffs, tickets = part(page, "handoffs"), part(page, "tickets")
    assert "Refund order 17" in handoffs
    assert "3 hand-offs" in handoffs
    assert ">10 min</time> ago<" in handoffs
    assert "AgentErrorRatioHigh" in tickets
    for issue in console.jira.issues:
        assert f"/browse/{issue.key}" in page


def test_the_last_drills_are_shown_with_how_they_ended(console):
    """Only the newest of each scenario."""
    for passed in (True, False):
        report = {"scenario": "slow_calls", "alertname": "AgentSlowCallStreak", "passed": passed, "detect_seconds": 31}
        body = json.dumps({"drill": "d", "scenarios": [report]})
        assert console.operate("POST", "/v1/drills", content=body).status_code == 200
    drills = part(console.client.get("/").text, "drills")
    assert "Failed" in drills
    assert "Passed" not in drills
    assert "fired after 31 s" in drills


def test_who_is_signed_in_switches_off_with_a_reason(console):
    """In one step from the list; the audit log has who and why, and the page has both."""
    assert console.send_form(SWITCH, page="/", action="disable", reason=" ").status_code == 400
    assert console.rows(kills) == []
    answer = console.send_form(SWITCH, page="/", action="disable", reason="it repeats itself")
    assert (answer.status_code, answer.headers["location"]) == (303, SWITCH)
    assert console.client.get("/v1/agents/support-bot/enabled").json()["enabled"] is False
    asked = console.rows(audit)[-1]
    assert (asked.actor, asked.action) == ("ops lead", "disable requested")
    assert json.loads(asked.detail)["reason"] == "it repeats itself"
    page = console.client.get("/").text
    assert "Switched off" in part(page, "needing")
    assert "it repeats itself" in part(page, "audit")
    console.later(120)
    assert "Off: disable confirmed" in console.client.get("/").text


def test_switching_on_needs_the_name_of_who_says_that_it_is_safe(console):
    """It is not that of who is signed in by itself; the audit log keeps both."""
    console.send_form(SWITCH, action="disable", reason="x")
    refused = console.send_form(SWITCH, action="enable", reason="the prompt was mended")
    assert refused.status_code == 400
    assert "Nothing was changed" in refused.text
    assert 'value="the prompt was mended"' in refused.text
    assert console.send_form(SWITCH, action="enable", reason="mended", by="head of support").status_code == 303
    asked = console.rows(audit)[-1]
    assert (asked.actor, asked.action) == ("head of support", "enable requested")
    assert json.loads(asked.detail)["signed_in"] == "ops lead"
    assert console.client.get("/v1/agents/support-bot/enabled").json()["enabled"] is True


def test_looking_changes_nothing(console):
    """Chat programs follow links: a GET has no effect."""
    before = len(console.rows(audit))
    for path in ("/", SWITCH, "/?agent=support-bot"):
        assert console.client.get(path).status_code == 200
    assert console.rows(kills) == []
    assert len(console.rows(audit)) == before


def test_an_agent_without_a_switch_says_what_to_configure(console):
    """One of the file, one that was found by itself, and one that nobody knows."""
    assert "No <code>kill_switch</code> is configured" in console.client.get("/agents/invoice/switch").text
    assert "found by itself" in console.client.get("/agents/found-by-itself/switch").text
    assert console.client.get("/agents/nobody/switch").status_code == 404


def test_what_is_only_information_is_no_breach(console):
    """It is listed last, and its agent needs nobody."""
    console.prometheus.alerts.clear()
    console.prometheus.fire("AgentBaselineNotReady", "invoice", severity="info", since="2026-11-23T11:00:00Z")
    page = console.client.get("/").text
    assert "AgentBaselineNotReady" in part(page, "alerts")
    assert "No alert is firing" in page
    assert "invoice" in part(page, "rest")
