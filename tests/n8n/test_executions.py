"""How a real n8n's executions run, wait, fail, are tried again and are not saved: each is what the metrics say."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.n8n


def test_a_call_whose_model_hangs_is_running_since_it_began(line, wait_for):
    """While the model does not answer the call is running, with its start; it counts when it ends, and once."""
    wait_for("the agent is watched", lambda: line.ended("stuck-agent") == (0, 0))
    before = time.time()
    line.llm.faults.set("slow", seconds=300)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(line.n8n.call, "stuck")
        try:
            wait_for("it runs", lambda: line.value("handrail_running_calls", agent="stuck-agent") == 1)
            oldest = line.value("handrail_oldest_running_call_timestamp_seconds", agent="stuck-agent")
            assert before - 1 <= oldest <= time.time()
            assert line.ended("stuck-agent") == (0, 0)
        finally:
            line.llm.faults.clear()
        assert answer.result().status_code == 200
    wait_for("it has ended", lambda: line.ended("stuck-agent") == (1, 0))
    assert line.value("handrail_running_calls", agent="stuck-agent") == 0
    assert line.value("handrail_oldest_running_call_timestamp_seconds", agent="stuck-agent") == 0


def test_a_success_that_is_not_saved_is_a_gap_and_a_failure_is_a_call(line, wait_for):
    """The workflow saves failures only: its good run leaves a hole in the ids, which is counted and not silence."""
    hides = {"agent": "hidden-agent", "outcome": "success"}
    wait_for("what it hides is known", lambda: line.value("handrail_agent_hidden_outcomes", **hides) == 1)
    gap = line.value("handrail_source_coverage_gap_calls")
    assert line.n8n.call("hidden").status_code == 200
    assert line.n8n.executions(line.workflows["hidden"]) == []
    line.llm.faults.set("server_error", count=1)
    assert line.n8n.call("hidden").status_code == 500
    wait_for("the gap", lambda: line.value("handrail_source_coverage_gap_calls") == gap + 1)
    wait_for("the failure", lambda: line.ended("hidden-agent") == (0, 1))


def test_a_try_that_failed_within_a_call_is_no_call(line, wait_for):
    """The node tries again by itself: one good call, in which one try failed."""
    wait_for("the agent is watched", lambda: line.ended("trying-agent") == (0, 0))
    line.llm.faults.set("server_error", count=1)
    assert line.n8n.call("trying").status_code == 200
    wait_for("one good call", lambda: line.ended("trying-agent") == (1, 0))
    wait_for("with one more try", lambda: line.value("handrail_node_retries_total", agent="trying-agent") == 1)


def test_an_execution_that_is_retried_is_two_calls(line, wait_for):
    """The failed one stays failed although n8n writes into it who replaced it; the retry is a call of its own."""
    wait_for("the agent is watched", lambda: line.ended("retried-agent") == (0, 0))
    line.llm.faults.set("server_error", count=1)
    assert line.n8n.call("retried").status_code == 500
    wait_for("the failure", lambda: line.ended("retried-agent") == (0, 1))
    (failed,) = line.n8n.executions(line.workflows["retried"])
    line.n8n.api("POST", f"/executions/{failed['id']}/retry", {"loadWorkflow": True})
    wait_for("the retry", lambda: line.ended("retried-agent") == (1, 1))
    retry, original = line.n8n.executions(line.workflows["retried"])
    assert (retry["mode"], original["retrySuccessId"]) == ("retry", retry["id"])
    assert line.n8n.call("retried").status_code == 200
    wait_for("nothing was counted twice", lambda: line.ended("retried-agent") == (2, 1))


def test_an_agent_that_goes_round_in_circles_is_one_failed_call(line, wait_for):
    """A model that asks for a tool again and again ends at the limit: an error that has a counter of its own."""
    wait_for("the agent is watched", lambda: line.ended("circling-agent") == (0, 0))
    line.llm.tool_call, line.llm.insists = ("lookup_order", '{"query": "17"}'), True
    answer = line.n8n.call("circling")
    line.llm.tool_call, line.llm.insists = None, False
    assert answer.status_code == 500
    wait_for("one failed call", lambda: line.ended("circling-agent") == (0, 1))
    wait_for("by the limit", lambda: line.value("handrail_max_iterations_total", agent="circling-agent") == 1)
    assert line.value("handrail_call_errors_total", agent="circling-agent", reason="tool_error") == 0


def test_an_execution_that_waits_for_a_person_is_neither_stuck_nor_ended(line, wait_for):
    """It has a stop time and waits; when somebody resumes it, it counts once and not as slow."""
    wait_for("the agent is watched", lambda: line.ended("waiting-agent") == (0, 0))
    assert line.n8n.call("waiting").status_code == 200
    wait_for("it waits", lambda: line.value("handrail_waiting_calls", agent="waiting-agent") == 1)
    (row,) = line.n8n.executions(line.workflows["waiting"])
    assert (row["status"], row["stoppedAt"] is None) == ("waiting", False)
    assert line.value("handrail_running_calls", agent="waiting-agent") == 0
    assert line.ended("waiting-agent") == (0, 0)
    waiting = line.n8n.api("GET", f"/executions/{row['id']}?includeData=true")
    (wait,) = waiting["data"]["resultData"]["runData"]["Wait"]
    assert line.client.get(wait["metadata"]["resumeUrl"]).status_code == 200
    wait_for("it has ended", lambda: line.ended("waiting-agent") == (1, 0))
    assert line.value("handrail_waiting_calls", agent="waiting-agent") == 0
    assert line.value("handrail_slow_call_streak", agent="waiting-agent") == 0
