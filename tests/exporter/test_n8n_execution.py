"""What an n8n execution counts as, held against recordings of a real n8n."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.calls import Call, TokenUsage
from exporter.sources.n8n_execution import Origin, Unreadable, calls_of, finder

ORIGIN = Origin("n8n/main", "a", base_url="https://n8n.example.com", confidence="$.confidence")
UNKNOWN = TokenUsage()


def actual(tokens_in: int, tokens_out: int) -> TokenUsage:
    return TokenUsage(tokens_in, tokens_out, "actual")


def guess(tokens_in: int, tokens_out: int) -> TokenUsage:
    return TokenUsage(tokens_in, tokens_out, "estimate")


@dataclass(frozen=True)
class Expected:
    ms: int
    reason: str | None = None
    tokens: TokenUsage = UNKNOWN
    model: str = "fake-mini"
    confidence: float | None = None
    tools: int = 0
    tool_errors: int = 0
    agent_run: bool = True  # the call is one run of an AI root node, not the execution as a whole


# Each value is read from the recording: start and end of the earliest and latest run below the root, sum of the model
# runs' usage, the answer's confidence. Executions without a root take from startedAt to stoppedAt.
RECORDED: dict[str, Expected] = {
    "exec_after_sigterm": Expected(17, "crashed", model="", agent_run=False),
    "exec_agent_continue_on_error": Expected(12, "provider_error"),
    "exec_agent_empty_text": Expected(19, tokens=actual(11, 7)),
    "exec_agent_high_confidence": Expected(15, tokens=actual(40, 20), confidence=0.97),
    "exec_agent_items": Expected(101, tokens=actual(46, 20), confidence=0.0),
    "exec_agent_llm_401": Expected(16, "auth"),
    "exec_agent_llm_429": Expected(24, "rate_limited"),
    "exec_agent_llm_500": Expected(38, "provider_error"),
    "exec_agent_llm_500_once_client_retry": Expected(14, "provider_error"),
    "exec_agent_low_confidence": Expected(13, tokens=actual(40, 20), confidence=0.31),
    "exec_agent_max_iterations": Expected(113, "other", tokens=actual(1200, 150), tools=10),
    "exec_agent_no_usage": Expected(14, tokens=guess(3, 1)),
    "exec_agent_node_retry_then_ok": Expected(229, tokens=guess(3, 3)),
    "exec_agent_ok_http_tool": Expected(25, tokens=guess(48, 1), tools=1),
    "exec_agent_ok_notool_responsesapi": Expected(873, tokens=guess(3, 1)),
    "exec_agent_ok_steps": Expected(28, tokens=guess(59, 3), tools=1),
    "exec_agent_ok_tool_chat": Expected(34, tokens=actual(270, 24), tools=1),
    "exec_agent_ok_tool_responses": Expected(26, tokens=guess(59, 3), tools=1),
    "exec_agent_parse_failure": Expected(27, "invalid_output", tokens=actual(11, 7)),
    "exec_agent_parsed": Expected(17, tokens=actual(11, 7), confidence=0.2),
    "exec_agent_slow_legs": Expected(3035, tokens=guess(50, 1), tools=1),
    "exec_agent_slow_llm": Expected(3013, tokens=actual(11, 7)),
    "exec_agent_stopped_in_model_call": Expected(1109, "canceled", model="", agent_run=False),
    "exec_agent_streaming": Expected(860, tokens=actual(21, 5)),
    "exec_agent_tool_error_code": Expected(60, "tool_error", tokens=guess(60, 6), tools=1, tool_errors=1),
    "exec_agent_workflow_timeout_0": Expected(3014, "timeout"),
    "exec_canceled": Expected(52, "canceled", model="", agent_run=False),
    "exec_canceled_later": Expected(52, "canceled", model="", agent_run=False),
    "exec_chain_llm_500": Expected(11, "provider_error"),
    "exec_chain_ok": Expected(11, tokens=guess(3, 14), confidence=0.97),
    "exec_crashed": Expected(6, "crashed", model="", agent_run=False),
    "exec_data_too_large": Expected(108, model="", agent_run=False),
    "exec_error_handler": Expected(61, model="", agent_run=False),
    "exec_http_500": Expected(15, "provider_error", model="", agent_run=False),
    "exec_http_continue_500": Expected(12, "provider_error", model="", agent_run=False),
    "exec_http_ok": Expected(14, tokens=actual(11, 7), confidence=0.97, agent_run=False),
    "exec_nodata": Expected(70, model="", agent_run=False),
    "exec_node_timeout": Expected(1010, "timeout", model="", agent_run=False),
    "exec_openai_node_ok": Expected(17, tokens=actual(11, 7), confidence=0.97),
    "exec_parent_of_killed_child": Expected(93, model="", agent_run=False),
    "exec_progress_stopped": Expected(19, "canceled", tokens=actual(33, 44)),
    "exec_redacted_agent": Expected(24, tools=1),
    "exec_redacted_failed_agent": Expected(23, "provider_error"),
    "exec_retried_original": Expected(17, "other", model="", agent_run=False),
    "exec_sub_child": Expected(43, "provider_error", model="", agent_run=False),
    "exec_sub_parent_child_fails": Expected(61, "provider_error", model="", agent_run=False),
    "exec_sub_parent_ok": Expected(62, model="", agent_run=False),
    "exec_wait_resumed": Expected(0, model="", agent_run=False),
    "exec_waiting_resumed_after_kill": Expected(1, model="", agent_run=False),
    "exec_with_handler_500": Expected(12, "provider_error", model="", agent_run=False),
    "exec_workflow_timeout": Expected(3004, "timeout", model="", agent_run=False),
}
NOT_ENDED = {"exec_new", "exec_running", "exec_running_with_progress", "exec_waiting"}
NO_EXECUTION = {"exec_id_float", "exec_id_neg", "exec_retry", "exec_text_id", "exec_unknown"}


def recording(contracts: Path, name: str) -> Any:
    recorded = json.loads((contracts / "n8n" / f"{name}.json").read_text())
    if isinstance(recorded, list):
        return recorded[0]
    return recorded.get("body", recorded)


def only(execution: Any, origin: Origin = ORIGIN) -> Call:
    (call,) = calls_of(execution, origin)
    return call


def test_every_recording_is_in_a_table(contracts: Path) -> None:
    """No recorded execution is left out of these tests."""
    recorded = {path.stem for path in (contracts / "n8n").glob("exec_*.json")}
    assert recorded == {*RECORDED, *NOT_ENDED, *NO_EXECUTION}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_execution_is_one_call(contracts: Path, name: str) -> None:
    """The call has the outcome, duration, tokens, model, confidence and tools that the recording shows."""
    expected, execution = RECORDED[name], recording(contracts, name)
    call = only(execution)
    assert call.error_reason == expected.reason
    assert round(call.duration / timedelta(milliseconds=1)) == expected.ms
    assert call.tokens == expected.tokens
    assert (call.model, call.confidence) == (expected.model, expected.confidence)
    assert (call.tool_calls, call.tool_errors) == (expected.tools, expected.tool_errors)
    assert (call.id != execution["id"]) == expected.agent_run
    assert call.url == f"https://n8n.example.com/workflow/{execution['workflowId']}/executions/{execution['id']}"


@pytest.mark.parametrize("name", sorted(NOT_ENDED))
def test_an_execution_that_has_not_ended_is_no_call_yet(contracts: Path, name: str) -> None:
    """Running, waiting and queued executions are counted when they end, not before."""
    assert calls_of(recording(contracts, name), ORIGIN) == []


@pytest.mark.parametrize("name", sorted(NO_EXECUTION))
def test_an_answer_that_is_no_execution_is_refused(contracts: Path, name: str) -> None:
    """An error message or a list is never counted as a call."""
    with pytest.raises(Unreadable):
        calls_of(recording(contracts, name), ORIGIN)


def test_times_after_a_crash_are_read_as_seconds(contracts: Path) -> None:
    """n8n recovers times in seconds; the call still lies in 2026 and not in 1970."""
    call = only(recording(contracts, "exec_crashed"))
    assert call.started_at == datetime(2026, 11, 23, 7, 46, 35, 34_000, tzinfo=UTC)
    assert call.finished_at == datetime(2026, 11, 23, 7, 46, 35, 40_000, tzinfo=UTC)


def test_an_agent_that_ran_twice_made_two_calls(contracts: Path) -> None:
    """In a loop every run of the agent is a call of its own, with its own sub-nodes."""
    execution = copy.deepcopy(recording(contracts, "exec_agent_ok_tool_chat"))
    runs = execution["data"]["resultData"]["runData"]
    for node in ("OpenAI Chat Model", "Calculator", "AI Agent"):
        for run in copy.deepcopy(runs[node]):
            run["startTime"] += 1000
            if node != "AI Agent":
                run["source"][0]["previousNodeRun"] = 1
            runs[node].append(run)
    first, second = calls_of(execution, ORIGIN)
    assert (first.tokens, second.tokens) == (actual(270, 24), actual(270, 24))
    assert (first.duration, second.duration) == (timedelta(milliseconds=34), timedelta(milliseconds=34))
    assert second.started_at - first.started_at == timedelta(seconds=1)
    assert first.id != second.id


def test_one_estimated_part_makes_the_whole_usage_an_estimate(contracts: Path) -> None:
    """Measured and guessed tokens are never passed off as measured."""
    execution = copy.deepcopy(recording(contracts, "exec_agent_ok_tool_chat"))
    item = execution["data"]["resultData"]["runData"]["OpenAI Chat Model"][1]["data"]["ai_languageModel"][0][0]["json"]
    item["tokenUsageEstimate"] = item.pop("tokenUsage")
    assert only(execution).tokens == guess(270, 24)


def test_a_failure_after_the_agent_is_still_a_failed_call(contracts: Path) -> None:
    """When a later step fails the execution, its last call is the one that failed: nobody got an answer."""
    execution = copy.deepcopy(recording(contracts, "exec_agent_ok_tool_chat"))
    execution["status"] = "error"
    execution["data"]["resultData"]["error"] = {"name": "NodeApiError", "message": "timeout of 1000ms exceeded"}
    assert only(execution).error_reason == "timeout"


def test_a_retry_does_not_count_what_it_inherited(contracts: Path) -> None:
    """A retried execution carries the runs of the one it repeats; those were counted with that one."""
    execution = recording(contracts, "retry") | {"stoppedAt": "2026-11-23T07:33:04.709Z"}
    assert execution["data"]["resultData"]["runData"]["Webhook"][0]["startTime"] == 1795419184622  # before startedAt
    assert only(execution).duration == timedelta(milliseconds=11)
    agent = copy.deepcopy(recording(contracts, "exec_agent_ok_tool_chat"))
    later = agent | {"mode": "retry", "startedAt": "2026-11-23T08:00:00.000Z", "stoppedAt": "2026-11-23T08:00:00.010Z"}
    assert only(later).tokens == UNKNOWN


def test_a_queued_execution_that_was_stopped_took_no_time() -> None:
    """Without a start there is no duration, whether n8n writes null or 1970."""
    for started in (None, "1970-01-01T00:00:00.000Z"):
        row = {"id": "1", "status": "canceled", "startedAt": started, "stoppedAt": "2026-11-23T07:48:53.913Z"}
        call = only(row)
        assert (call.duration, call.error_reason) == (timedelta(0), "canceled")


def test_an_execution_that_ended_without_a_time_is_refused() -> None:
    """Something without any time cannot be put in order, so it is not guessed at."""
    with pytest.raises(Unreadable):
        calls_of({"id": "1", "status": "success", "startedAt": None, "stoppedAt": None}, ORIGIN)


@pytest.mark.parametrize(
    ("output", "confidence"),
    [
        ('{"confidence": 0.4}', 0.4),
        ({"confidence": "85%"}, 0.85),
        ('```json\n{"confidence": 0.5}\n```', 0.5),
        ({"confidence": 40}, None),
        ({"confidence": True}, None),
        ({"confidence": "sure"}, None),
        ("I am 90% sure", None),
        ("", None),
    ],
)
def test_confidence_is_read_from_the_answer(contracts: Path, output: object, confidence: float | None) -> None:
    """A ratio or a percentage counts, from an object or JSON text; what is neither is no confidence, never 0."""
    execution = copy.deepcopy(recording(contracts, "exec_agent_low_confidence"))
    execution["data"]["resultData"]["runData"]["AI Agent"][0]["data"]["main"][0][0]["json"]["output"] = output
    assert only(execution).confidence == confidence


def test_a_broken_confidence_path_is_named() -> None:
    """A typo in the configuration is reported with the path that cannot be read."""
    with pytest.raises(ValueError, match="not a JSONPath"):
        finder("$.[")


@pytest.mark.parametrize(
    "answer", [{"confidence": 0.5}, {"confidence": None}, {"a": 1}, {}, [{"confidence": 1}], "confidence", 3, None]
)
def test_a_plain_path_finds_what_its_long_form_finds(answer: object) -> None:
    """The short way that most teams write is only faster."""
    assert finder("$.confidence")(answer) == finder("$['confidence']")(answer)


@pytest.mark.parametrize("text", ['{"confidence": 0.7}', ' \n{"confidence": 0.7}', '```json\n{"confidence": 0.7}\n```'])
def test_an_answer_in_json_is_told_from_prose(contracts: Path, text: str) -> None:
    """JSON is read with spaces before it and in a fence."""
    execution = copy.deepcopy(recording(contracts, "exec_agent_low_confidence"))
    execution["data"]["resultData"]["runData"]["AI Agent"][0]["data"]["main"][0][0]["json"]["output"] = text
    assert only(execution).confidence == 0.7


@pytest.mark.parametrize("status", [[], {}, 7, None])
def test_a_run_whose_status_is_no_text_has_not_failed_by_it(contracts: Path, status: object) -> None:
    """Nonsense in one place spoils nothing else."""
    execution = copy.deepcopy(recording(contracts, "exec_agent_low_confidence"))
    execution["data"]["resultData"]["runData"]["AI Agent"][0]["executionStatus"] = status
    assert only(execution).outcome == "success"
