"""Switching off ends in proof or in an alarm, does not wait for Jira, and only a person switches on."""

from __future__ import annotations

import json

import httpx
import pytest

from alerting.receiver.schema import audit
from alerting.receiver.switches.n8n import N8nWorkflow
from alerting.receiver.worker import Permanent, Transient
from drill.simulators.n8n import N8nSimulator
from handrail.http import build_client

ALERT = {"alertname": "AgentSlowCallStreak", "agent": "support-bot"}


def last(bench, agent: str = "support-bot"):
    return bench.operate("GET", f"/v1/agents/{agent}/kills").json()[0]


def test_an_agent_that_opted_in_is_switched_off_with_proof(bench, notification):
    """The file says false, no call came within the proof window, and the ticket says so."""
    bench.env_file.write_text("MODEL=x\nexport AGENT_ENABLED=true\n")
    bench.alert(notification(**ALERT))
    bench.later(40)
    assert bench.env_file.read_text() == "MODEL=x\nAGENT_ENABLED=false\n"
    kill = last(bench)
    assert kill["state"] == "confirmed"
    assert "no call from" in kill["proof"]
    assert bench.client.get("/v1/agents/support-bot/enabled").json() == {"agent": "support-bot", "enabled": False}
    assert "Switch-off of support-bot: Confirmed" in json.dumps(bench.jira.issues[0].comments)


def test_the_flag_is_false_before_anything_else_happens(bench, notification):
    """An agent that asks for its flag stops at once, even if no worker runs."""
    bench.alert(notification(**ALERT))
    bench.receiver.intake.process_one()
    assert bench.client.get("/v1/agents/support-bot/enabled").json()["enabled"] is False


def test_an_agent_that_did_not_opt_in_is_left_running(bench, notification):
    """Neither another alert nor another agent is a reason."""
    bench.alert(notification(alertname="AgentErrorRatioHigh", agent="support-bot"))
    bench.alert(notification(alertname="AgentSlowCallStreak", agent="invoice"))
    bench.later(40)
    assert bench.client.get("/v1/agents/support-bot/enabled").json()["enabled"] is True
    assert bench.operate("GET", "/v1/agents/support-bot/kills").json() == []


def test_calls_that_go_on_are_an_alarm(bench, notification):
    """Three attempts, then not confirmed, counted, and the ticket asks for a hand."""
    bench.alert(notification(**ALERT))
    bench.drain()
    for _ in range(150):
        bench.calls.count += 1
        bench.later(1)
    assert last(bench)["state"] == "not_confirmed"
    assert "calls go on" in last(bench)["proof"]
    assert bench.metric('handrail_kill_operations_total{state="not_confirmed"}') == 1
    assert bench.metric('handrail_kills_not_confirmed{agent="support-bot"}') == 1
    assert "NOT CONFIRMED, switch it off by hand" in json.dumps(bench.jira.issues[0].comments)


def test_a_kill_does_not_wait_for_jira(bench, notification):
    """Jira is down from before the alert until after the proof."""
    bench.jira.faults.set("unavailable")
    bench.alert(notification(**ALERT))
    bench.later(40)
    assert last(bench)["state"] == "confirmed"
    assert bench.jira.issues == []


def test_a_crash_in_the_middle_goes_on_where_it_stopped(bench, notification):
    """Between every two steps the receiver is started anew."""
    bench.alert(notification(**ALERT))
    for _ in range(40):
        bench.later(1)
        bench.restart()
    assert last(bench)["state"] == "confirmed"


def test_resolving_does_not_switch_on(bench, notification):
    """Resolved does not mean fixed."""
    bench.alert(notification(**ALERT))
    bench.later(40)
    bench.alert(notification("resolved", **ALERT))
    bench.later(40)
    assert "AGENT_ENABLED=false" in bench.env_file.read_text()


def test_a_named_person_with_a_reason_switches_on(bench, notification):
    """The token alone is not enough: who and why are asked for and kept."""
    bench.alert(notification(**ALERT))
    bench.later(40)
    path = "/v1/agents/support-bot/enable"
    assert bench.client.post(path, json={"reason": "fixed", "by": "ops lead"}).status_code == 401
    assert bench.operate("POST", path, json={"reason": "", "by": "ops lead"}).status_code == 400
    assert bench.operate("POST", path, content=b"[]").status_code == 400
    assert bench.operate("POST", path, json={"reason": "fixed", "by": "ops lead"}).status_code == 202
    bench.drain()
    assert "AGENT_ENABLED=true" in bench.env_file.read_text()
    assert last(bench)["state"] == "confirmed"
    assert ("ops lead", "enable requested") in [(row.actor, row.action) for row in bench.rows(audit)]


def test_an_agent_without_a_switch_cannot_be_switched(bench):
    """404 that names the setting."""
    answer = bench.operate("POST", "/v1/agents/invoice/disable", json={"reason": "x", "by": "y"})
    assert (answer.status_code, "kill_switch" in answer.json()["error"]) == (404, True)


def test_the_flag_has_an_etag(bench, notification):
    """An agent that asks before each call moves no bytes while nothing changes."""
    first = bench.client.get("/v1/agents/support-bot/enabled")
    again = bench.client.get("/v1/agents/support-bot/enabled", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    bench.alert(notification(**ALERT))
    bench.drain()
    changed = bench.client.get("/v1/agents/support-bot/enabled", headers={"if-none-match": first.headers["etag"]})
    assert changed.json()["enabled"] is False
    assert bench.client.get("/v1/agents/nobody/enabled").status_code == 404


@pytest.fixture
def n8n(clock):
    """A simulated n8n with one published workflow."""
    simulator = N8nSimulator(clock)
    simulator.workflow_id = simulator.add_workflow("Invoice")
    return simulator


def switch(n8n, key: str = "n8n-key", workflow: str = "Invoice") -> N8nWorkflow:
    headers = {"X-N8N-API-KEY": key}
    transport = httpx.WSGITransport(app=n8n)
    return N8nWorkflow(lambda: build_client(base_url="http://n", headers=headers, transport=transport), workflow)


@pytest.mark.parametrize("older_api", [False, True])
def test_n8n_is_unpublished_read_back_and_published_again(bench, notification, n8n, older_api):
    """Both with publish/unpublish and with the older activate/deactivate."""
    n8n.older_api = older_api
    running = n8n.start(n8n.workflow_id)
    bench.switches["support-bot"] = switch(n8n)
    bench.restart()
    bench.alert(notification(**ALERT))
    bench.later(40)
    assert not n8n.workflow(n8n.workflow_id).active
    assert last(bench)["state"] == "confirmed"
    assert "1 execution(s) stopped" in last(bench)["proof"]
    assert switch(n8n).stop_work().remaining == 0
    assert int(switch(n8n).activity().split()[1]) >= int(running)
    bench.operate("POST", "/v1/agents/support-bot/enable", json={"reason": "fixed", "by": "ops lead"})
    bench.later(5)
    assert n8n.workflow(n8n.workflow_id).active


def test_n8n_publishes_the_version_that_was_live_not_the_newest_draft(bench, notification, n8n):
    """A draft saved after the kill is not published by switching on."""
    live = n8n.workflow(n8n.workflow_id).active_version_id
    bench.switches["support-bot"] = switch(n8n)
    bench.restart()
    bench.alert(notification(**ALERT))
    bench.later(40)
    n8n.edit(n8n.workflow_id)
    bench.operate("POST", "/v1/agents/support-bot/enable", json={"reason": "fixed", "by": "ops lead"})
    bench.later(5)
    assert n8n.workflow(n8n.workflow_id).active_version_id == live


def test_another_workflow_keeps_running(bench, notification, n8n):
    """Only the agent's own executions are stopped."""
    other = n8n.add_workflow("Invoice two")
    n8n.start(other)
    bench.switches["support-bot"] = switch(n8n)
    bench.restart()
    bench.alert(notification(**ALERT))
    bench.later(40)
    assert n8n.workflow(other).active
    assert switch(n8n, workflow="Invoice two").activity() != switch(n8n).activity()
    listed = build_client(
        base_url="http://n", headers={"X-N8N-API-KEY": "n8n-key"}, transport=httpx.WSGITransport(app=n8n)
    )
    assert len(listed.get("/api/v1/executions?status=running").json()["data"]) == 1


@pytest.mark.parametrize("kind", ["html", "unavailable", "unauthorized", "wrong_shape", "truncated"])
def test_an_n8n_that_fails_is_asked_again_and_never_believed(n8n, kind):
    """A wrong answer is neither "off" nor "gone"."""
    n8n.faults.set(kind)
    with pytest.raises(Transient):
        switch(n8n).enabled()
    n8n.faults.clear()
    assert switch(n8n).enabled()


def test_a_workflow_that_does_not_exist_is_said_to_be_missing(n8n):
    """Permanent, with the name."""
    with pytest.raises(Permanent, match="0 workflows named 'Gone'"):
        switch(n8n, workflow="Gone").enabled()


def test_a_switch_that_cannot_be_reached_becomes_not_confirmed_and_is_still_tried(bench, notification, n8n):
    """After the deadline it is an alarm; when n8n is back, it is switched off after all."""
    bench.switches["support-bot"] = switch(n8n)
    bench.restart()
    n8n.faults.set("unavailable")
    bench.alert(notification(**ALERT))
    bench.later(700, step=5)
    assert last(bench)["state"] == "not_confirmed"
    n8n.faults.clear()
    bench.later(60)
    assert last(bench)["state"] == "confirmed"
