"""The pages that need no sign-in: they show what is, escape what came from outside, and change nothing."""

from __future__ import annotations

import hashlib
import re

import pytest

from alerting.receiver.console.assets import STATIC
from drill.simulators.prometheus import WatchedAgent


@pytest.fixture
def client(bench):
    """The pages in front of a Prometheus that knows an agent in breach."""
    bench.prometheus.faults.clear()
    bench.prometheus.agents["support-bot"] = WatchedAgent(owner="support", streak=3, errors=0.042)
    return bench.client


def test_the_run_book_is_filled_in_for_the_agent(client):
    """The alert's own section, with the agent's numbers."""
    page = client.get("/runbook/AgentSlowCallStreak?agent=support-bot").text
    assert "<bdi>support-bot</bdi> right now" in page
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


def test_what_pages_load_is_shipped_with_them(client):
    """A browser that has a file asks only whether it changed; there is no way out of the folder."""
    for name, kind in (("style.css", "text/css"), ("console.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        answer = client.get(f"/static/{name}")
        assert answer.headers["content-type"].startswith(kind)
        again = client.get(f"/static/{name}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    for name in ("nothing.css", "..%2ftemplates%2fbase.html", "uplot.LICENSE"):
        assert client.get(f"/static/{name}").status_code == 404


def test_what_others_wrote_is_shipped_as_they_published_it():
    """With its licence; the hashes are those of the published package."""
    recorded = re.findall(r"^([0-9a-f]{64})  (\S+)", (STATIC / "VENDORED").read_text(), re.MULTILINE)
    assert {name for _, name in recorded} == {"uplot.js", "uplot.css"}
    for digest, name in recorded:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest
    assert "MIT" in (STATIC / "uplot.LICENSE").read_text()
