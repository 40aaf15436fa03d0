"""A real n8n's executions that a person must look at: one ticket each, with what was asked, answered and tried."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.n8n
CUSTOMER = "jane.roe" + "@example.org"
UNSURE, SURE = '{"answer": "maybe", "confidence": 0.42}', '{"answer": "yes", "confidence": 0.97}'


@pytest.fixture
def says(line):
    """What the model is to say in this test; afterwards it says what it always says."""
    usual = line.llm.reply

    def say(reply: str) -> None:
        line.llm.reply = reply

    yield say
    line.llm.reply, line.llm.tool_call = usual, None


def all_are_taken(line) -> bool:
    return line.value("handrail_handoffs_pending") == 0


def raised(line, agent: str, reason: str) -> float | None:
    return line.value("handrail_handoffs_raised_total", agent=agent, reason=reason)


def url_of_newest(line, name: str) -> str:
    (execution, *_) = line.n8n.executions(line.workflows[name])
    return f"{line.n8n.url}/workflow/{line.workflows[name]}/executions/{execution['id']}"


def test_an_unsure_answer_is_handed_over_without_the_workflows_help(line, wait_for, says):
    """One ticket with prompt, response, model, confidence, decision and execution; the customer is nowhere."""
    wait_for("the agent is watched", lambda: line.ended("doubtful") == (0, 0))
    says(UNSURE)
    assert line.n8n.call("doubtful", f"Refund order 17 for {CUSTOMER}").status_code == 200
    says(SURE)
    assert line.n8n.call("doubtful", "Where is order 18?").status_code == 200
    ticket = wait_for("the ticket", lambda: line.ticket("Hand-off", "doubtful"))
    said = json.dumps(ticket.description)
    for title, text in (("Prompt", "Refund order 17 for [EMAIL:"), ("Response", json.dumps(UNSURE)[1:-1])):
        assert f"{title} (untrusted text)" in said
        assert text in said
    (unsure,) = line.n8n.executions(line.workflows["doubtful"])[1:]
    for text in ("simulated-mini", "42%, self-reported", "Is the response right?", f"/executions/{unsure['id']}"):
        assert text in said
    wait_for("both are counted", lambda: line.ended("doubtful") == (2, 0))
    assert (raised(line, "doubtful", "low_confidence"), ticket.comments) == (1, [])
    for path in line.state.parent.glob("*.sqlite*"):
        assert CUSTOMER.encode() not in path.read_bytes(), path.name
    assert CUSTOMER not in said + line.metrics()


def test_a_tool_that_failed_is_handed_over_with_what_it_said(line, wait_for, says):
    """n8n calls the execution a success; the ticket has the tool's own words, its arguments and the execution."""
    wait_for("the agent is watched", lambda: line.ended("breaking") == (0, 0))
    says("I could not look it up.")
    line.llm.tool_call = ("lookup_order", '{"query": "17"}')
    assert line.n8n.call("breaking", "Where is order 17?").status_code == 200
    ticket = wait_for("the ticket", lambda: line.ticket("Hand-off", "breaking"))
    assert ticket.summary == "Hand-off · breaking · a tool failed: Where is order 17?"
    said = json.dumps(ticket.description)
    for text in ("orders are down", "failed 1 time(s)", "I could not look it up.", "simulated-mini"):
        assert text in said
    assert json.dumps('1. lookup_order {"query": "17"} failed: orders are down')[1:-1] in said
    assert url_of_newest(line, "breaking") in said
    assert raised(line, "breaking", "tool_error") == 1


def test_a_workflow_that_hands_over_itself_has_one_ticket_all_the_same(line, wait_for, says):
    """What it says and what its execution shows are one hand-off; only the answer below the limit is handed over."""
    wait_for("the agent is watched", lambda: line.ended("unsure") == (0, 0))
    says(UNSURE)
    answer = line.n8n.call("unsure", "Refund order 17")
    assert (answer.status_code, answer.json()["handoff"]) == (200, True)
    says(SURE)
    assert line.n8n.call("unsure", "Where is order 18?").json() == {"handoff": False}
    wait_for("two calls", lambda: line.ended("unsure") == (2, 0))
    text = line.metrics()
    assert 'handrail_call_confidence_ratio_bucket{agent="unsure",le="0.8"} 1.0' in text
    assert 'handrail_call_confidence_ratio_count{agent="unsure"} 2.0' in text
    wait_for("the execution is handed over too", lambda: raised(line, "unsure", "low_confidence") == 1)
    wait_for("and taken", lambda: all_are_taken(line))
    ticket = wait_for("the ticket", lambda: line.ticket("Hand-off", "unsure"))
    assert "Refund order 17" in ticket.summary
    (comment,) = wait_for("what the execution shows", lambda: ticket.comments)
    shown = json.dumps(comment)
    assert "What the execution shows of the same run." in shown
    assert "simulated-mini" in shown
    assert len([issue for issue in line.jira.issues if issue.summary.startswith("Hand-off · unsure")]) == 1
