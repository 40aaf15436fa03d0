"""Traps of n8n's execution data, each held against the recording that shows it: what is recorded is not what was."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.calls import TokenUsage
from exporter.sources.n8n_execution import calls_of
from exporter.sources.n8n_runs import Runs
from tests.exporter.n8n_recorded import ORIGIN, only_call, recorded, runs_of

AGENT, MODEL = "AI Agent", "OpenAI Chat Model"


def tracing(execution: Any) -> Any:
    """What the agent counted of itself."""
    return runs_of(execution)[AGENT][0]["metadata"]["tracing"]


def milliseconds(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))


def test_usage_that_n8n_guessed_is_an_estimate(contracts: Path) -> None:
    """With the default model node the real 11+7 tokens are lost and a guess of 3+1 stands there."""
    execution = recorded(contracts, "exec_agent_ok_notool_responsesapi")
    item = runs_of(execution)[MODEL][0]["data"]["ai_languageModel"][0][0]["json"]
    assert "tokenUsage" not in item
    assert only_call(execution).tokens == TokenUsage(3, 1, "estimate")


def test_a_guess_of_nothing_is_still_an_estimate(contracts: Path) -> None:
    """A turn that calls a tool is guessed at 0 tokens out; that is no measured 0."""
    execution = recorded(contracts, "exec_agent_ok_tool_responses")
    guesses = [
        run["data"]["ai_languageModel"][0][0]["json"]["tokenUsageEstimate"]["completionTokens"]
        for run in runs_of(execution)[MODEL]
    ]
    assert 0 in guesses
    assert only_call(execution).tokens.basis == "estimate"


def test_real_usage_is_actual_also_when_streaming(contracts: Path) -> None:
    """With chat completions, streamed or not, n8n records what the service said."""
    assert only_call(recorded(contracts, "exec_agent_ok_tool_chat")).tokens == TokenUsage(270, 24, "actual")
    assert only_call(recorded(contracts, "exec_agent_streaming")).tokens == TokenUsage(21, 5, "actual")


def test_a_call_lasts_from_its_first_leg_to_its_last(contracts: Path) -> None:
    """The agent's own run is the last leg of 516 ms; the call took 3 s, over model, tool and model."""
    execution = recorded(contracts, "exec_agent_slow_legs")
    assert [run["executionTime"] for run in runs_of(execution)[AGENT]] == [516]
    assert milliseconds(only_call(execution).duration) == 3035


@pytest.mark.parametrize("name", ["exec_agent_slow_legs", "exec_agent_items", "exec_agent_tool_error_code"])
def test_tokens_are_those_of_all_legs_and_items(contracts: Path, name: str) -> None:
    """The agent's own counter holds the last leg, or the last item, only."""
    execution = recorded(contracts, name)
    call = only_call(execution)
    assert call.tokens.tokens_in is not None
    assert call.tokens.tokens_in > tracing(execution)["llm.tokens.in"]


def test_tries_that_failed_are_part_of_the_one_call(contracts: Path) -> None:
    """With a node's retry the failed try shows as one more model run: one call, good, with both tries' time."""
    execution = recorded(contracts, "exec_agent_node_retry_then_ok")
    assert [run["executionStatus"] for run in runs_of(execution)[MODEL]] == ["error", "success"]
    call = only_call(execution)
    assert (call.outcome, call.tool_errors) == ("success", 0)
    assert milliseconds(call.duration) > 200


def test_a_failed_tool_is_an_error_of_a_successful_execution(contracts: Path) -> None:
    """N8n says success and counts the tool as completed; the call failed with tool_error."""
    execution = recorded(contracts, "exec_agent_tool_error_code")
    assert (execution["status"], tracing(execution)["ai.agent.tool_calls.completed"]) == ("success", 1)
    call = only_call(execution)
    assert (call.error_reason, call.tool_calls, call.tool_errors) == ("tool_error", 1, 1)


def test_a_tool_that_does_not_exist_leaves_only_a_model_run(contracts: Path) -> None:
    """A tool name that the model invented leaves no run of a tool, so none is counted and no failure made up."""
    execution = recorded(contracts, "exec_agent_ok_tool_chat")
    del runs_of(execution)["Calculator"]
    call = only_call(execution)
    assert (call.outcome, call.tool_calls, call.tool_errors) == ("success", 0, 0)
    assert call.tokens == TokenUsage(270, 24, "actual")


def test_a_dead_model_behind_continue_on_error_is_an_error(contracts: Path) -> None:
    """Status, agent and its own verdict all say success; only the failed item gives it away."""
    execution = recorded(contracts, "exec_agent_continue_on_error")
    assert (execution["status"], tracing(execution)["ai.agent.execution.succeeded"]) == ("success", True)
    assert only_call(execution).error_reason == "provider_error"


def test_a_dead_service_behind_continue_on_error_is_an_error(contracts: Path) -> None:
    """Of a plain HTTP node nothing but an error inside an item remains."""
    execution = recorded(contracts, "exec_http_continue_500")
    assert execution["status"] == "success"
    assert {run["executionStatus"] for runs in runs_of(execution).values() for run in runs} == {"success"}
    assert only_call(execution).error_reason == "provider_error"


def test_confidence_is_read_from_text_and_from_an_object(contracts: Path) -> None:
    """Without a parser the answer is a string of JSON, with one it is an object."""
    text, parsed = recorded(contracts, "exec_agent_low_confidence"), recorded(contracts, "exec_agent_parsed")
    outputs = [runs_of(found)[AGENT][0]["data"]["main"][0][0]["json"]["output"] for found in (text, parsed)]
    assert [type(output) for output in outputs] == [str, dict]
    assert [only_call(found).confidence for found in (text, parsed)] == [0.31, 0.2]


def test_the_lowest_confidence_of_all_items_counts(contracts: Path) -> None:
    """N8n keeps the first item's text beside the execution; the answers of all items are read."""
    execution = recorded(contracts, "exec_agent_items")
    items = runs_of(execution)[AGENT][0]["data"]["main"][0]
    items.reverse()
    assert len(items) == 4
    assert only_call(execution).confidence == 0.0


def test_an_answer_that_does_not_parse_is_invalid_output(contracts: Path) -> None:
    """The model worked and the answer was of no use: that is the model's output, not the provider."""
    assert only_call(recorded(contracts, "exec_agent_parse_failure")).error_reason == "invalid_output"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("exec_agent_llm_500", "provider_error"),
        ("exec_agent_llm_500_once_client_retry", "provider_error"),
        ("exec_agent_llm_429", "rate_limited"),
        ("exec_agent_llm_401", "auth"),
        ("exec_chain_llm_500", "provider_error"),
    ],
)
def test_a_failed_model_is_one_failed_call_with_its_reason(contracts: Path, name: str, reason: str) -> None:
    """N8n asks a failing model once, whatever max_retries says; the status before the message is the reason."""
    execution = recorded(contracts, name)
    (run,) = runs_of(execution)[MODEL]
    assert re.match(r"[45]\d\d ", run["error"]["cause"]["message"])
    call = only_call(execution)
    assert call.error_reason == reason
    # The data of a failed run repeats the question: it is no usage.
    assert call.tokens == TokenUsage()


def test_an_agent_that_went_round_in_circles_failed(contracts: Path) -> None:
    """After ten iterations n8n gives up: one failed call with all ten model runs' tokens and tools."""
    execution = recorded(contracts, "exec_agent_max_iterations")
    call = only_call(execution)
    assert (call.outcome, call.error_reason, call.tool_calls) == ("error", "other", 10)
    assert call.tokens == TokenUsage(1200, 150, "actual")


def test_a_crash_tells_nothing_about_single_runs(contracts: Path) -> None:
    """n8n recovers a crashed execution with times in seconds and an end at its last node's start: it is one call."""
    execution = recorded(contracts, "exec_crashed")
    assert all(run["startTime"] < 10_000_000_000 for runs in runs_of(execution).values() for run in runs)
    call = only_call(execution)
    assert (call.error_reason, call.started_at.year, call.finished_at.year) == ("crashed", 2026, 2026)


def test_a_time_out_and_a_stop_by_hand_are_told_apart(contracts: Path) -> None:
    """Both are canceled; a stop by hand names itself and has lost its runs, a time-out kept them and its limit."""
    stopped, late = recorded(contracts, "exec_canceled"), recorded(contracts, "exec_workflow_timeout")
    assert stopped["status"] == late["status"] == "canceled"
    assert (runs_of(stopped), list(runs_of(late))) == ({}, ["Webhook"])
    assert [only_call(found).error_reason for found in (stopped, late)] == ["canceled", "timeout"]
    assert only_call(late).duration >= timedelta(seconds=late["workflowData"]["settings"]["executionTimeout"])


def test_a_stop_that_kept_its_progress_is_still_a_stop(contracts: Path) -> None:
    """A workflow that saves its progress keeps its runs and their tokens also when it is stopped by hand."""
    call = only_call(recorded(contracts, "exec_progress_stopped"))
    assert (call.error_reason, call.tokens.basis) == ("canceled", "actual")


def test_the_model_that_was_asked_is_known_from_every_run(contracts: Path) -> None:
    """It stands with the question, so also for a call that failed; only streaming records who answered."""
    for name in ("exec_agent_ok_tool_chat", "exec_agent_llm_500", "exec_agent_streaming", "exec_chain_ok"):
        execution = recorded(contracts, name)
        assert only_call(execution).model == "fake-mini"
        for node in execution["workflowData"]["nodes"]:
            node["parameters"].pop("model", None)
        assert only_call(execution).model == "fake-mini", "without the node's setting"


@pytest.mark.parametrize(
    ("name", "where"), [("exec_openai_node_ok", "Message a model"), ("exec_http_ok", "Call model")]
)
def test_usage_stands_elsewhere_for_other_nodes(contracts: Path, name: str, where: str) -> None:
    """The OpenAI node keeps usage in its metadata, a plain HTTP node passes the service's answer on: both are real."""
    execution = recorded(contracts, name)
    assert where in runs_of(execution)
    call = only_call(execution)
    assert (call.tokens, call.model, call.confidence) == (TokenUsage(11, 7, "actual"), "fake-mini", 0.97)


def test_a_chain_is_a_call_like_an_agent(contracts: Path) -> None:
    """Its answer stands under `text` instead of `output`."""
    execution = recorded(contracts, "exec_chain_ok")
    item = runs_of(execution)["Basic LLM Chain"][0]["data"]["main"][0][0]["json"]
    assert "output" not in item
    assert only_call(execution).confidence == 0.97


def test_intermediate_steps_change_nothing(contracts: Path) -> None:
    """Only an option puts them beside the answer; tools are counted from their runs, with and without it."""
    execution = recorded(contracts, "exec_agent_ok_steps")
    assert "intermediateSteps" in runs_of(execution)[AGENT][0]["data"]["main"][0][0]["json"]
    assert only_call(execution).tool_calls == only_call(recorded(contracts, "exec_agent_ok_tool_chat")).tool_calls == 1


def test_a_running_execution_shows_no_runs_unless_it_saves_progress(contracts: Path) -> None:
    """Neither is a call: what a running one has done so far is not counted twice when it ends."""
    names = ("exec_running", "exec_running_with_progress")
    assert [bool(runs_of(recorded(contracts, name))) for name in names] == [False, True]
    assert all(calls_of(recorded(contracts, name), ORIGIN) == [] for name in names)


def test_a_failing_child_and_parent_are_two_executions(contracts: Path) -> None:
    """Each counts for its own agent, by mode; both carry the reason of the service that failed."""
    parent, child = recorded(contracts, "exec_sub_parent_child_fails"), recorded(contracts, "exec_sub_child")
    assert runs_of(child)["Called"][0]["metadata"]["parentExecution"]["executionId"] == parent["id"]
    assert (parent["mode"], child["mode"]) == ("webhook", "integrated")
    assert [only_call(found).error_reason for found in (parent, child)] == ["provider_error"] * 2
    assert parent["workflowId"] != child["workflowId"]


def test_the_run_of_an_error_workflow_is_no_failure(contracts: Path) -> None:
    """It is an execution of mode error of another workflow, and it succeeded."""
    execution = recorded(contracts, "exec_error_handler")
    assert (execution["mode"], only_call(execution).outcome) == ("error", "success")


def test_failures_are_counted_without_an_error_workflow(contracts: Path) -> None:
    """N8n calls it neither on a time-out nor on a stop; the exporter reads executions and misses neither."""
    names = ("exec_workflow_timeout", "exec_agent_workflow_timeout_0", "exec_agent_stopped_in_model_call")
    assert all(only_call(recorded(contracts, name)).outcome == "error" for name in names)


SECRETS = (
    "prompt",
    "hello",
    "pong",
    "SECRET",
    "resumeToken",
    "openAiApi",
    "chosen failure",
    "Human:",
    "accept-encoding",
)


def test_nothing_of_what_was_said_is_kept(contracts: Path) -> None:
    """An execution holds prompts, answers, headers, credentials' names and a token; a call holds none."""
    seen = ""
    for path in sorted((contracts / "n8n").glob("exec_*.json")):
        execution = recorded(contracts, path.stem)
        if isinstance(execution, dict) and isinstance(execution.get("status"), str) and "id" in execution:
            seen += json.dumps(execution)
            kept = repr(calls_of(execution, ORIGIN))
            assert not [secret for secret in SECRETS if secret in kept], path.stem
    assert all(secret in seen for secret in SECRETS)


@pytest.mark.parametrize(
    ("name", "outcome", "tools"), [("exec_redacted_agent", "success", 1), ("exec_redacted_failed_agent", "error", 0)]
)
def test_a_redacted_execution_keeps_outcome_time_and_tools(
    contracts: Path, name: str, outcome: str, tools: int
) -> None:
    """Redaction takes usage and model with it; then they are unknown, never 0 or "gpt"."""
    call = only_call(recorded(contracts, name))
    assert (call.outcome, call.tool_calls, call.tokens) == (outcome, tools, TokenUsage())
    assert call.duration > timedelta(0)


def test_data_that_n8n_does_not_display_is_unknown(contracts: Path) -> None:
    """A too large execution comes with empty runs: it is one call by its row, without usage."""
    execution = recorded(contracts, "exec_data_too_large")
    assert (execution["dataTooLargeToDisplay"], runs_of(execution)) == (True, {})
    call = only_call(execution)
    assert (call.outcome, milliseconds(call.duration), call.tokens) == ("success", 108, TokenUsage())
    # Without its data nobody can tell a time-out from a stop; the milder one is claimed.
    assert only_call(execution | {"status": "canceled"}).error_reason == "canceled"


def test_every_run_is_found_by_the_name_of_its_node(contracts: Path) -> None:
    """Runs are grouped by a node's name; its type, and so its part in the call, stands in the copy of the workflow."""
    runs = Runs(recorded(contracts, "exec_agent_ok_tool_chat"))
    kinds = {run.node: run.node_type.rpartition(".")[2] for run in runs.all}
    assert kinds[AGENT] == "agent"
    assert kinds[MODEL] == "lmChatOpenAi"
    assert [root.node for root in runs.roots] == [AGENT]
    (root,) = runs.roots
    assert {run.node for run in runs.below(root)} == {MODEL, "Calculator"}
