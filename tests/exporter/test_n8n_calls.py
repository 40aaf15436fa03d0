"""What an n8n execution says about the inside of its calls: tools, models, retries, iterations, and whether time means
anything.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from exporter.calls import ToolUse
from exporter.sources.n8n_execution import Origin, calls_of
from tests.exporter.n8n_recorded import only_call, recorded, runs_of

# Model runs, and tools by name, as the recordings hold them.
INSIDE: dict[str, tuple[int, tuple[ToolUse, ...]]] = {
    "exec_agent_ok_tool_chat": (2, (ToolUse("Calculator", 1),)),
    "exec_agent_max_iterations": (10, (ToolUse("Calculator", 10),)),
    "exec_agent_ok_http_tool": (2, (ToolUse("lookup", 1),)),
    "exec_agent_llm_500": (1, ()),
    "exec_agent_node_retry_then_ok": (2, ()),
    "exec_agent_items": (4, ()),
    "exec_chain_ok": (1, ()),
    "exec_openai_node_ok": (1, ()),
    "exec_http_ok": (1, ()),
    "exec_http_500": (0, ()),
    "exec_crashed": (0, ()),
}


@pytest.mark.parametrize("name", INSIDE)
def test_models_and_tools_are_counted_by_run(contracts: Path, name: str) -> None:
    """One model call per run of a model node, or of a node that talks to a model itself; tools by their node's name."""
    execution, (models, tools) = recorded(contracts, name), INSIDE[name]
    call = only_call(execution)
    assert (call.model_calls, call.attempts, call.tools) == (models, models, tools)
    assert sum(tool.calls for tool in call.tools) == call.tool_calls
    assert call.execution == execution["id"]


def test_a_tool_that_failed_is_named(contracts: Path) -> None:
    """Which tool fails is what a person wants to know."""
    execution = recorded(contracts, "exec_agent_tool_error_code")
    (tool,) = only_call(execution).tools
    assert (tool.calls, tool.errors) == (1, 1)
    assert tool.name in runs_of(execution)


def test_calls_of_one_execution_share_it_also_after_a_reset(contracts: Path) -> None:
    """Executions of two n8n that gave the same id are two executions."""
    execution = recorded(contracts, "exec_agent_ok_tool_chat")
    anew = Origin("n8n/main", "a", epoch=1)
    assert only_call(execution, anew).execution == f"1:{execution['id']}"


def test_the_model_that_answered_is_the_model(contracts: Path) -> None:
    """A provider may answer by another model than it was asked for; n8n records which when it streams."""
    execution = copy.deepcopy(recorded(contracts, "exec_agent_streaming"))
    item = runs_of(execution)["OpenAI Chat Model"][0]["data"]["ai_languageModel"][0][0]["json"]
    item["response"]["generations"][0][0]["generationInfo"]["model_name"] = "fake-mini-2026-11-01"
    assert only_call(execution).model == "fake-mini-2026-11-01"


def test_a_failed_try_is_a_retry_of_the_same_call(contracts: Path) -> None:
    """With "retry on fail" the try that failed is one more failed model run: the call took one retry."""
    execution = copy.deepcopy(recorded(contracts, "exec_agent_node_retry_then_ok"))
    assert only_call(execution).retries == 1
    agent = next(node for node in execution["workflowData"]["nodes"] if node["name"] == "AI Agent")
    agent["retryOnFail"] = False
    assert only_call(execution).retries == 0


def test_the_last_try_is_no_retry(contracts: Path) -> None:
    """An agent that failed in each of its two tries was retried once."""
    execution = copy.deepcopy(recorded(contracts, "exec_agent_node_retry_then_ok"))
    failed, _ = runs_of(execution)["OpenAI Chat Model"]
    runs_of(execution)["OpenAI Chat Model"] = [failed, copy.deepcopy(failed)]
    runs_of(execution)["AI Agent"][0] |= {"executionStatus": "error", "error": failed["error"]}
    execution["status"] = "error"
    assert only_call(execution).retries == 1


def test_a_try_that_was_cut_short_is_no_retry_of_itself(contracts: Path) -> None:
    """A workflow that timed out in its second of five tries was retried once."""
    execution = copy.deepcopy(recorded(contracts, "exec_agent_node_retry_then_ok"))
    agent = next(node for node in execution["workflowData"]["nodes"] if node["name"] == "AI Agent")
    agent["maxTries"] = 5
    failed, second = runs_of(execution)["OpenAI Chat Model"]
    second |= {"executionStatus": "canceled"}
    runs_of(execution)["AI Agent"][0] |= {"executionStatus": "error", "error": failed["error"]}
    execution["status"] = "canceled"
    assert only_call(execution).retries == 1


def test_a_failure_without_retries_is_none(contracts: Path) -> None:
    """A model that failed once, in a node that is not tried again."""
    assert only_call(recorded(contracts, "exec_agent_llm_500")).retries == 0


def _as_error(execution: Any) -> None:
    del execution


def _behind_continue(execution: Any) -> None:
    run = runs_of(execution)["AI Agent"][0]
    message = run.pop("error")["message"]
    agent = next(node for node in execution["workflowData"]["nodes"] if node["name"] == "AI Agent")
    agent["onError"] = "continueRegularOutput"
    run |= {"executionStatus": "success", "data": {"main": [[{"json": {"error": message}}]]}}
    execution["status"] = "success"
    del execution["data"]["resultData"]["error"]


def _as_answer(execution: Any) -> None:
    run = runs_of(execution)["AI Agent"][0]
    del run["error"]
    answer = {"output": "Agent stopped due to max iterations."}
    run |= {"executionStatus": "success", "data": {"main": [[{"json": answer}]]}}
    execution["status"] = "success"
    del execution["data"]["resultData"]["error"]


@pytest.mark.parametrize("how", [_as_error, _behind_continue, _as_answer])
def test_an_agent_that_ran_out_of_iterations_failed(contracts: Path, how: Any) -> None:
    """As an error, hidden by "continue on error", or as the stock answer of older agents: nobody got an answer."""
    execution = copy.deepcopy(recorded(contracts, "exec_agent_max_iterations"))
    how(execution)
    call = only_call(execution)
    assert (call.max_iterations, call.outcome) == (True, "error")


def test_other_failures_are_no_lack_of_iterations(contracts: Path) -> None:
    """A failed model, and an agent that went round once."""
    for name in ("exec_agent_llm_500", "exec_agent_ok_tool_chat", "exec_agent_continue_on_error"):
        assert only_call(recorded(contracts, name)).max_iterations is False


@pytest.mark.parametrize(
    ("name", "timed"),
    [
        ("exec_crashed", False),
        ("exec_after_sigterm", False),
        ("exec_agent_slow_llm", True),
        ("exec_workflow_timeout", True),
    ],
)
def test_a_crash_has_no_duration(contracts: Path, name: str, timed: bool) -> None:
    """n8n writes it at its next start, with the time its last node began; a time-out lasted what it lasted."""
    assert only_call(recorded(contracts, name)).timed is timed


def test_what_was_stopped_in_the_queue_has_no_duration() -> None:
    """It never started, so it was neither fast nor slow."""
    row = {"id": "1", "status": "canceled", "startedAt": None, "stoppedAt": "2026-11-23T07:48:53.913Z"}
    (call,) = calls_of(row, Origin("n8n/main", "a"))
    assert call.timed is False
