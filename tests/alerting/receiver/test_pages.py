"""The pages for people: they show what is, escape what came from outside, and a GET changes nothing."""

from __future__ import annotations

import httpx
import pytest
from fastapi.testclient import TestClient

from alerting.receiver.app import assemble
from alerting.receiver.schema import kills
from handrail.http import build_client

FORM = {"action": "disable", "by": "ops lead", "reason": "it repeats itself", "token": "operator-token"}


def answers(request: httpx.Request) -> httpx.Response:
    """A Prometheus that knows two agents, one of them in breach."""
    query = request.url.params["query"]
    rows = []
    info = [{"agent": "support-bot", "sla": "default", "owner": "support", "source": "cloudflare/main"}]
    info.append({"agent": "found-by-itself", "sla": "default", "owner": "", "source": "n8n/main"})
    if query == "handrail_agent_info":
        rows = [(labels, "1") for labels in info]
    elif query == "handrail_slow_call_streak":
        rows = [({"agent": "support-bot"}, "3"), ({"agent": "found-by-itself"}, "0")]
    elif query.startswith("agent:handrail_call_error_ratio"):
        rows = [({"agent": "support-bot"}, "0.042")]
    elif query.startswith("ALERTS"):
        rows = [({"agent": "support-bot", "alertname": "AgentSlowCallStreak"}, "1")]
    result = [{"metric": labels, "value": [0, value]} for labels, value in rows]
    return httpx.Response(200, json={"status": "success", "data": {"result": result}})


@pytest.fixture
def client(bench) -> TestClient:
    """The pages in front of that Prometheus."""
    prometheus = build_client(base_url="http://p", transport=httpx.MockTransport(answers))
    asked = {"prometheus": prometheus, "exporter": prometheus}
    receiver = assemble(bench.settings, clock=bench.clock, port=None, switches=bench.switches, **asked)
    yield TestClient(receiver.app, follow_redirects=False)
    receiver.engine.dispose()


def test_the_overview_shows_every_agent_with_the_breach_first(client):
    """Configured and discovered agents, their numbers in words, and the way to the run-book and the switch."""
    page = client.get("/").text
    assert page.index("support-bot <") < page.index("found-by-itself <")
    for expected in ("SLA breach", "3 slow in a row", "4.2%", "no baseline yet", "/runbook/AgentSlowCallStreak"):
        assert expected in page
    assert "/agents/support-bot/switch" in page
    assert client.get("/?agent=support-bot").text.count('<section class="agent') == 1


def test_without_prometheus_the_numbers_are_unknown_not_zero(bench):
    """The page says what is missing and still shows the rest."""
    page = bench.client.get("/").text
    assert "Prometheus does not answer" in page or "Prometheus refused" in page
    assert "not known" in page
    assert "0 slow in a row" not in page


def test_open_incidents_are_listed_with_their_tickets(bench, notification):
    """A link to Jira, from our own setting."""
    bench.alert(notification())
    bench.drain()
    assert f"/browse/{bench.jira.issues[0].key}" in bench.client.get("/").text


def test_text_from_outside_is_escaped(bench, notification):
    """An alert's name and an agent's name are text on every page."""
    bench.alert(notification(agent="<script>alert(1)</script>"))
    bench.drain()
    page = bench.client.get("/").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_pages_may_load_nothing_from_elsewhere(client):
    """A strict policy, and no page is cached or framed."""
    headers = client.get("/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_looking_at_the_switch_changes_nothing(client, bench):
    """Chat programs follow links: a GET has no effect."""
    assert "Switch off support-bot" in client.get("/agents/support-bot/switch").text
    assert bench.rows(kills) == []


def test_the_switch_needs_the_operator_token_a_name_and_a_reason(client, bench):
    """Each of them missing is said, and nothing happens."""
    path = "/agents/support-bot/switch"
    assert client.post(path, data=FORM | {"token": "wrong"}).status_code == 401
    assert client.post(path, data=FORM | {"reason": " "}).status_code == 400
    assert bench.rows(kills) == []
    assert client.post(path, data=FORM).status_code == 303
    page = client.get(path).text
    assert "it repeats itself" in page
    assert "support-bot: off" in page


def test_an_agent_without_a_switch_says_what_to_configure(client):
    """And an unknown agent is a 404."""
    assert "kill_switch" in client.get("/agents/invoice/switch").text
    assert client.get("/agents/nobody/switch").status_code == 404


def test_the_run_book_is_filled_in_for_the_agent(client):
    """The alert's own section, with the agent's numbers."""
    page = client.get("/runbook/AgentSlowCallStreak?agent=support-bot").text
    assert "support-bot right now" in page
    assert "3 slow in a row" in page
    assert "Mitigation" in page
    assert client.get("/runbook/Nothing").status_code == 404


def test_a_message_leads_to_the_ticket_as_soon_as_there_is_one(bench, notification):
    """The button is in the message before Jira has given the ticket a key; a ticket of another agent is another's."""
    path = "/ticket/AgentErrorRatioHigh?agent=invoice"
    page = bench.client.get(path, follow_redirects=False)
    assert page.status_code == 404
    assert "There is no ticket about this" in page.text
    bench.alert(notification())
    bench.receiver.intake.process_one()
    page = bench.client.get(path, follow_redirects=False)
    assert page.status_code == 200
    assert "being opened" in page.text
    bench.drain()
    (issue,) = bench.open_tickets
    answer = bench.client.get(path, follow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["location"] == f"{bench.settings.tickets.jira.url}/browse/{issue.key}"
    assert bench.client.get("/ticket/AgentErrorRatioHigh?agent=support-bot").status_code == 404


def test_an_alert_about_no_agent_has_its_ticket_too(bench, notification):
    """Alertmanager's group has no agent then."""
    bench.alert(notification(alertname="HandrailSourceDown", groupLabels={"alertname": "HandrailSourceDown"}))
    bench.drain()
    assert bench.client.get("/ticket/HandrailSourceDown", follow_redirects=False).status_code == 302
