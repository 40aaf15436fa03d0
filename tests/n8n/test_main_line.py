"""A real n8n, real Prometheus and Alertmanager: from a slow model to the ticket and a workflow that is off."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.n8n


def counted(line, agent: str, outcome: str) -> float:
    return line.query(f'sum(handrail_calls_total{{agent="{agent}",outcome="{outcome}"}})') or 0


def test_a_good_call_is_counted_with_its_real_usage(line, wait_for):
    """A discovered agent: one call, 220 tokens in and 40 out, as the model reported them."""
    wait_for(
        "the agent is watched", lambda: counted(line, "steady-agent", "success") == 0 and watched(line, "steady-agent")
    )
    assert line.n8n.call("steady").status_code == 200
    wait_for("one call", lambda: counted(line, "steady-agent", "success") == 1)
    for token_type, expected in (("input", 220), ("output", 40)):
        series = f'handrail_tokens_total{{agent="steady-agent",token_type="{token_type}",basis="actual"}}'
        assert line.query(f"sum({series})") == expected


def watched(line, agent: str) -> bool:
    return line.query(f'handrail_agent_info{{agent="{agent}"}}') == 1


def test_a_failing_model_is_an_error_an_alert_and_one_ticket(line, wait_for):
    """HTTP 500 from the model: provider_error, AgentErrorRatioHigh, Slack and Jira."""
    wait_for("the agent is watched", lambda: watched(line, "failing"))
    line.llm.faults.set("server_error")
    for _ in range(2):
        assert line.n8n.call("failing").status_code == 500
    line.llm.faults.clear()
    wait_for("two failed calls", lambda: counted(line, "failing", "error") == 2)
    assert 'handrail_call_errors_total{agent="failing",reason="provider_error"} 2.0' in line.metrics()
    firing = 'ALERTS{alertname="AgentErrorRatioHigh",agent="failing",alertstate="firing"}'
    wait_for("the alert", lambda: line.query(firing))
    wait_for("Slack", lambda: any("AgentErrorRatioHigh" in json.dumps(said) for said in line.slack.messages))
    ticket = wait_for("the ticket", lambda: line.ticket("AgentErrorRatioHigh", "failing"))
    assert "handrail-agent-failing" in ticket.labels


def test_a_tool_error_inside_a_successful_execution_is_an_error(line, wait_for):
    """n8n says success; the call failed all the same."""
    wait_for("the agent is watched", lambda: watched(line, "tooling-agent"))
    line.llm.tool_call = ("lookup_order", '{"query": "17"}')
    answer = line.n8n.call("tooling")
    line.llm.tool_call = None
    assert answer.status_code == 200
    (execution,) = wait_for("the execution is listed", lambda: line.n8n.executions(line.workflows["tooling"]))
    assert execution["status"] == "success"
    wait_for("one failed call", lambda: counted(line, "tooling-agent", "error") == 1)
    assert 'handrail_call_errors_total{agent="tooling-agent",reason="tool_error"} 1.0' in line.metrics()


def test_three_slow_calls_switch_the_agent_off_with_proof(line, wait_for):
    """The alert, Slack, the ticket; then the workflow is unpublished, its webhook answers 404, and nothing runs."""
    wait_for("the agent is watched", lambda: watched(line, "slow"))
    line.llm.faults.set("slow", seconds=2.5)
    for _ in range(3):
        assert line.n8n.call("slow").status_code == 200
    line.llm.faults.clear()
    firing = 'ALERTS{alertname="AgentSlowCallStreak",agent="slow",alertstate="firing"}'
    wait_for("the alert", lambda: line.query(firing))
    ticket = wait_for("the ticket", lambda: line.ticket("AgentSlowCallStreak", "slow"))

    def confirmed():
        kills = line.receiver("/v1/agents/slow/kills")
        return kills[0] if kills and kills[0]["state"] == "confirmed" else None

    kill = wait_for("the switch-off is confirmed", confirmed)
    assert "no call from" in kill["proof"]
    assert line.n8n.api("GET", f"/workflows/{line.workflows['slow']}")["active"] is False
    refused = line.n8n.call("slow")
    assert refused.status_code == 404
    assert "not registered" in refused.json()["message"]
    assert len(line.n8n.executions(line.workflows["slow"])) == 3
    wait_for("the ticket says so", lambda: "Switch-off of slow: Confirmed" in json.dumps(ticket.comments))
    wait_for("the metric says so", lambda: line.query('handrail_agent_enabled{agent="slow"}') == 0)

    body = {"reason": "the model is fast again", "by": "operator"}
    headers = {"authorization": "Bearer operator"}
    line.client.post(f"{line.urls['receiver']}/v1/agents/slow/enable", json=body, headers=headers)
    wait_for("it is on again", lambda: line.n8n.api("GET", f"/workflows/{line.workflows['slow']}")["active"])
    wait_for("and answers", lambda: line.n8n.call("slow").status_code == 200)
