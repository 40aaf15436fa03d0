"""Builds the `data` of an execution as a real n8n 2.41 records it, with the traps of the original."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from drill.simulators.n8n_nodes import AGENT, CHAT_MODEL, HTTP, MODEL, PARSER, TOOL

Outcome = Literal["success", "error", "tool_error", "timeout", "crashed", "max_iterations"]
OUTCOMES: tuple[Outcome, ...] = ("success", "error", "tool_error", "timeout", "crashed", "max_iterations")
# A tool error leaves the execution a success; a time-out is recorded like a manual stop.
STATUS = {
    "success": "success",
    "error": "error",
    "tool_error": "success",
    "timeout": "canceled",
    "crashed": "crashed",
    "max_iterations": "error",
}
MAX_ITERATIONS = 10
Json = dict[str, Any]

_ABORTED = ("This operation was aborted", "Original error: AbortError")
_RAN_OUT = (
    f"Max iterations ({MAX_ITERATIONS}) reached. "
    "The agent could not complete the task within the allowed number of iterations."
)
_REFUSED = ("The service was not able to process your request", "simulated model failure")


@dataclass(frozen=True)
class Spec:
    """What happened in a call. Without token numbers the model reported none, and n8n guesses them.

    `retries` are tries of the agent that failed before; n8n records each by its failed model run alone.
    """

    outcome: Outcome = "success"
    duration_ms: int = 1000
    tokens_in: int | None = None
    tokens_out: int | None = None
    estimate: bool = False
    confidence: float | None = None
    prompt: str = "what about order 7?"
    retries: int = 0


class Recording:
    """The record of one execution of a workflow with these nodes, begun at `started` (epoch milliseconds).

    The agent and its sub-nodes together take exactly the time of the call, though the agent's own run covers only its
    last leg; the model is called twice and the tool in between.
    """

    def __init__(self, spec: Spec, *, nodes: list[Json], webhook_url: str, started: int) -> None:
        self._spec = spec
        self._nodes = {node["name"]: node for node in nodes}
        self._started = started
        self._ended = started + spec.duration_ms
        self._request = _request(spec.prompt, webhook_url)
        self._has_parser = PARSER in self._nodes

    def data(self) -> Json:
        """The value of `data`."""
        result = self._crashed() if self._spec.outcome == "crashed" else self._result()
        return _envelope(result, started=self._started)

    def answer(self) -> Any:
        """What the agent answers: text, JSON text with a confidence, or an object where there is an output parser."""
        confidence = self._spec.confidence if self._spec.confidence is not None else 0.95
        text = "I could not look it up" if self._spec.outcome == "tool_error" else "The order is on its way"
        if self._has_parser:
            return {"answer": text, "confidence": confidence}
        return json.dumps({"answer": text, "confidence": confidence}) if self._spec.confidence is not None else text

    def custom_data(self) -> Json:
        """The value of `customData`."""
        if AGENT not in self._nodes or STATUS[self._spec.outcome] != "success":
            return {}
        answer = self.answer()
        return {"response_ai_agent": answer if isinstance(answer, str) else json.dumps(answer)}

    def _result(self) -> Json:
        webhook = _run(self._started, 0, index=0, previous=None, data={"main": [[self._request]]})
        runs: Json = {"Webhook": [webhook]}
        failed = self._agent_runs(runs) if AGENT in self._nodes else self._http_runs(runs)
        last = AGENT if AGENT in self._nodes else HTTP
        if failed:
            return {"error": failed, "runData": runs, "lastNodeExecuted": last}
        runs["Respond"] = [_run(self._ended, 0, index=7, previous=last, data=runs[last][0]["data"])]
        result: Json = {"runData": runs, "lastNodeExecuted": "Respond"}
        return result | ({"metadata": self.custom_data()} if self.custom_data() else {})

    def _agent_runs(self, runs: Json) -> Json | None:
        spec = self._spec
        if spec.outcome in ("error", "timeout"):
            return self._failed_agent(runs)
        if spec.outcome == "max_iterations":
            return self._tireless_agent(runs)
        first, second = spec.duration_ms // 2, spec.duration_ms - spec.duration_ms * 7 // 10
        tokens = self._tokens()
        asked = {"messages": [f"Human: {spec.prompt}"], "estimatedTokens": 6, "options": _OPTIONS}
        answer = self.answer()
        text = answer if isinstance(answer, str) else json.dumps(answer)
        failed = [self._failed_model(self._started, 0, asked, number) for number in range(spec.retries)]
        said = [_said("", "tool_calls", self._usage(*tokens[0])), _said(text, "stop", self._usage(*tokens[1]))]
        runs[CHAT_MODEL] = [
            *failed,
            _model_run(self._started, first, 2, asked, said[0], number=len(failed)),
            _model_run(self._ended - second, second, 5, asked, said[1], number=len(failed) + 1),
        ]
        runs[TOOL] = [self._tool_run(self._started + first, self._ended - second)]
        if self._has_parser:
            runs[PARSER] = [_parser_run(self._ended, answer, text)]
        last = tokens[1]
        tracing = {"llm.tokens.in": last[0], "llm.tokens.out": last[1], "llm.tokens.total": sum(last)}
        tracing |= {"llm.tokens.estimated": self._estimated()} | _tracing(tools=1, succeeded=True)
        item = {"json": {"output": answer}, "pairedItem": {"item": 0}}
        run = _run(self._ended - second, second, index=4, previous="Webhook", data={"main": [[item]]})
        run["metadata"] = {"nodeWasResumed": True, "subNodeExecutionData": _ACTIONS, "tracing": tracing}
        runs[AGENT] = [run]
        return None

    def _failed_agent(self, runs: Json) -> Json:
        timeout = self._spec.outcome == "timeout"
        message, description = _ABORTED if timeout else _REFUSED
        asked = {"messages": [f"Human: {self._spec.prompt}"], "estimatedTokens": 6, "options": _OPTIONS}
        model = self._failed_model(self._started, self._spec.duration_ms, asked, 0)
        if timeout:
            model["executionStatus"] = "canceled"
            del model["metadata"], model["error"]
        error = self._error(AGENT, message, description, messages=[] if timeout else [f"500 {description}"])
        if timeout:
            error |= {"level": "error", "tags": {}, "context": {"itemIndex": 0}}
        run = _run(self._started, self._spec.duration_ms, index=1, previous="Webhook", data=None)
        tracing = _tracing(tools=0, succeeded=False)
        tracing["ai.agent.failure.type"] = "AbortError" if timeout else "InternalServerError"
        run |= {"metadata": {"tracing": tracing}, "executionStatus": "error", "error": error}
        runs[CHAT_MODEL], runs[AGENT] = [model], [run]
        return error

    def _tireless_agent(self, runs: Json) -> Json:
        """The model asks for the tool again and again, until n8n ends it."""
        leg = self._spec.duration_ms // MAX_ITERATIONS
        asked = {"messages": [f"Human: {self._spec.prompt}"], "estimatedTokens": 6, "options": _OPTIONS}
        starts = [self._started + number * leg for number in range(MAX_ITERATIONS)]
        said = [_said("", "tool_calls", self._usage(*self._share(number))) for number in range(MAX_ITERATIONS)]
        runs[CHAT_MODEL] = [
            _model_run(start, leg // 2, 2 + 3 * number, asked, said[number], number=number)
            for number, start in enumerate(starts)
        ]
        runs[TOOL] = [self._tool_run(start + leg // 2, start + leg) for start in starts]
        error = self._error(AGENT, _RAN_OUT, "", messages=[])
        del error["description"]
        run = _run(self._ended, 0, index=2 + 3 * MAX_ITERATIONS, previous="Webhook", data=None)
        error |= {"tags": {}}
        run |= {"executionStatus": "error", "error": error}
        run["metadata"] = {"nodeWasResumed": True, "tracing": _tracing(tools=MAX_ITERATIONS, succeeded=False)}
        runs[AGENT] = [run]
        return error

    def _share(self, number: int) -> tuple[int, int]:
        """The tokens of one iteration; together they are what was asked for."""
        totals = [sum(tokens) for tokens in zip(*self._tokens(), strict=True)]
        into, out = (total // MAX_ITERATIONS + (number < total % MAX_ITERATIONS) for total in totals)
        return into, out

    def _failed_model(self, start: int, duration: int, asked: Json, number: int) -> Json:
        """A failed model call repeats its input where its answer would be."""
        message, description = _REFUSED
        run = _model_run(start, duration, 2, asked, asked, number=number)
        run["executionStatus"] = "error"
        run["error"] = {
            "message": message,
            "timestamp": start + duration,
            "name": "NodeApiError",
            "description": description,
            "context": {},
            "cause": {"name": "Error", "message": f"500 {description}"},
        }
        return run

    def _http_runs(self, runs: Json) -> Json | None:
        run = _run(self._started, self._spec.duration_ms, index=1, previous="Webhook", data=None)
        runs[HTTP] = [run]
        if STATUS[self._spec.outcome] == "success":
            run["data"] = {"main": [[{"json": {"ok": True}, "pairedItem": {"item": 0}}]]}
            return None
        message, description = _ABORTED if self._spec.outcome == "timeout" else _REFUSED
        error = self._error(HTTP, message, description, messages=[f"500 - {description}"]) | {"name": "NodeApiError"}
        run |= {"executionStatus": "error", "error": error | {"httpCode": "500"}}
        return error | {"httpCode": "500"}

    def _crashed(self) -> Json:
        last = AGENT if AGENT in self._nodes else HTTP
        advice = "n8n may have run out of memory while running this execution."
        error = {
            "message": "Execution stopped at this node",
            "timestamp": self._ended,
            "name": "NodeCrashedError",
            "description": advice,
            "context": {},
            "cause": {"name": "Error", "message": "Node crashed, possible out-of-memory issue"},
        }
        # The times that are recovered after a crash are in seconds, not milliseconds.
        run = {"startTime": self._started // 1000, "executionIndex": 0, "executionTime": 0, "source": [None]}
        workflow_error = {
            "message": "Workflow did not finish, possible out-of-memory issue",
            "timestamp": self._ended,
            "name": "WorkflowCrashedError",
            "context": {},
        }
        runs = {last: [run | {"executionStatus": "crashed", "error": error}]}
        return {"runData": runs, "lastNodeExecuted": last, "error": workflow_error}

    def _error(self, node: str, message: str, description: str, *, messages: list[str]) -> Json:
        return {
            "level": "warning",
            "shouldReport": True,
            "description": description,
            "tags": {"reWrapped": True},
            "timestamp": self._ended,
            "context": {},
            "functionality": "regular",
            "name": "NodeOperationError",
            "node": self._nodes[node],
            "messages": messages,
            "message": message,
            "stack": f"NodeOperationError: {message}\n    at simulated",
        }

    def _tool_run(self, start: int, end: int) -> Json:
        failed = self._spec.outcome == "tool_error"
        origin = {"previousNode": "Webhook", "previousNodeOutput": 0, "previousNodeRun": 0}
        paired = {"item": 0, "input": 0, "sourceOverwrite": origin}
        run = _run(start, end - start, index=3, previous=AGENT, data=None)
        run["inputOverride"] = {"ai_tool": [[{"json": {"query": "7"}, "pairedItem": paired}]]}
        run["metadata"] = {"preserveSourceOverwrite": True, "preservedSourceOverwrite": origin}
        if not failed:
            run["data"] = {"ai_tool": [[{"json": {"response": "shipped"}, "pairedItem": {"item": 0}}]]}
            return run
        message = "order system is down"
        error = self._error(TOOL, message, "Error", messages=[]) | {"tags": {}, "timestamp": end}
        run |= {"executionStatus": "error", "error": error, "data": {"ai_tool": [[{"json": {"error": message}}]]}}
        return run

    def _estimated(self) -> bool:
        return self._spec.estimate or (self._spec.tokens_in is None and self._spec.tokens_out is None)

    def _tokens(self) -> tuple[tuple[int, int], tuple[int, int]]:
        if self._spec.tokens_in is None and self._spec.tokens_out is None:
            return (6, 0), (55, 6)
        into, out = self._spec.tokens_in or 0, self._spec.tokens_out or 0
        first = into * 2 // 5, out // 4
        return first, (into - first[0], out - first[1])

    def _usage(self, prompt: int, completion: int) -> Json:
        name = "tokenUsageEstimate" if self._estimated() else "tokenUsage"
        return {name: {"completionTokens": completion, "promptTokens": prompt, "totalTokens": prompt + completion}}


def unfinished_data(*, started: int) -> Json:
    """The `data` of a running execution: without saved progress there is nothing in it."""
    return _envelope({"runData": {}}, started=started)


def stopped_data(execution_id: str, *, started: int, stopped: int) -> Json:
    """The `data` of an execution that was stopped by hand: what its nodes did is lost."""
    error = {
        "level": "warning",
        "shouldReport": False,
        "tags": {},
        "extra": {"executionId": execution_id},
        "timestamp": stopped,
        "context": {},
        "functionality": "regular",
        "name": "ManualExecutionCancelledError",
        "reason": "manual",
        "message": "The execution was cancelled manually",
        "stack": "ManualExecutionCancelledError: The execution was cancelled manually\n    at simulated",
    }
    return _envelope({"runData": {}, "error": error}, started=started)


def _envelope(result: Json, *, started: int) -> Json:
    return {
        "version": 1,
        "startData": {},
        "resultData": result,
        "executionData": {
            "contextData": {},
            "nodeExecutionStack": [],
            "metadata": {},
            "waitingExecution": {},
            "waitingExecutionSource": {},
            "runtimeData": {
                "version": 1,
                "establishedAt": started,
                "source": "webhook",
                "triggerNode": {"name": "Webhook", "type": "n8n-nodes-base.webhook"},
                "redaction": {"version": 2, "production": False, "manual": False},
            },
        },
        "resumeToken": secrets.token_hex(32),
    }


def _request(prompt: str, webhook_url: str) -> Json:
    headers = {"host": "127.0.0.1", "content-type": "application/json", "user-agent": "simulated-caller"}
    body = {"headers": headers, "params": {}, "query": {}, "body": {"prompt": prompt}}
    return {"json": body | {"webhookUrl": webhook_url, "executionMode": "production"}, "pairedItem": {"item": 0}}


def _run(start: int, duration: int, *, index: int, previous: str | None, data: Json | None) -> Json:
    source = [{"previousNode": previous, "previousNodeOutput": 0, "previousNodeRun": 0}] if previous else []
    run = {"startTime": start, "executionIndex": index, "source": source, "hints": [], "executionTime": duration}
    return run | {"executionStatus": "success"} | ({"data": data} if data is not None else {})


_OPTIONS = {
    "openai_api_key": {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]},
    "model": MODEL,
    "max_retries": 2,
    "configuration": {"baseURL": "http://127.0.0.1:18103/v1"},
    "model_kwargs": {},
    "supports_strict_tool_calling": False,
}

_ACTIONS = {
    "actions": [
        {
            "action": {
                "actionType": "ExecutionNodeAction",
                "nodeName": TOOL,
                "input": {"query": "7"},
                "type": "ai_tool",
                "id": "call_1",
                "metadata": {"itemIndex": 0, "toolName": TOOL},
            },
            "nodeName": TOOL,
            "runIndex": 0,
        }
    ],
    "metadata": {"previousRequests": [], "itemIndex": 0, "iterationCount": 1},
}


def _model_run(start: int, duration: int, index: int, asked: Json, said: Json, *, number: int) -> Json:
    run = _run(start, duration, index=index, previous=None, data={"ai_languageModel": [[{"json": said}]]})
    del run["hints"]
    run["source"] = [{"previousNode": AGENT, "previousNodeRun": 0}]
    run["inputOverride"] = {"ai_languageModel": [[{"json": asked}]]}
    run["metadata"] = {"subRun": [{"node": CHAT_MODEL, "runIndex": number}]}
    return run


def _said(text: str, finish: str, usage: Json) -> Json:
    generation = {"text": text, "generationInfo": {"finish_reason": finish}}
    return {"response": {"generations": [[generation]]}} | usage


def _parser_run(at: int, answer: Any, text: str) -> Json:
    parsed = {"json": {"action": "parse", "response": {"output": answer}}}
    run = _run(at, 0, index=6, previous=None, data={"ai_outputParser": [[parsed]]})
    del run["hints"]
    run["source"] = [{"previousNode": AGENT, "previousNodeRun": 0}]
    run["inputOverride"] = {"ai_outputParser": [[{"json": {"action": "parse", "text": text}}]]}
    run["metadata"] = {"subRun": [{"node": PARSER, "runIndex": 0}]}
    return run


def _tracing(*, tools: int, succeeded: bool) -> Json:
    return {
        "ai.agent.version": "v3",
        "ai.agent.streaming.enabled": True,
        "ai.agent.items.total": 1,
        "ai.agent.items.failed": 0,
        "ai.agent.tool_calls.requested": 0,
        "ai.agent.tool_calls.completed": tools,
        "ai.agent.iteration.count": 0,
        "ai.agent.memory.loads": 0,
        "ai.agent.memory.saves": 0,
        "ai.agent.execution.succeeded": succeeded,
    }
