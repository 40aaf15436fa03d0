"""Executions of an n8n with one agent, its model and its tool, made up run by run."""

from __future__ import annotations

from typing import Any

AGENT, MODEL, TOOL = "AI Agent", "Model", "lookup_order"
NODES = [
    {"name": "Webhook", "type": "n8n-nodes-base.webhook"},
    {"name": AGENT, "type": "@n8n/n8n-nodes-langchain.agent"},
    {"name": MODEL, "type": "@n8n/n8n-nodes-langchain.lmChatOpenAi"},
    {"name": TOOL, "type": "@n8n/n8n-nodes-langchain.toolCode"},
]


def items(output: str, *values: object) -> dict[str, Any]:
    return {output: [[{"json": value} for value in values]]}


def run(before: str | None = None, at: int = 0, **fields: object) -> dict[str, Any]:
    source = [] if before is None else [{"previousNode": before}]
    return {
        "startTime": 1795418966000 + at,
        "executionTime": 1,
        "executionStatus": "success",
        "source": source,
    } | fields


def asked(conversation: str, answer: str = "", at: int = 0, **fields: object) -> dict[str, Any]:
    """A run of the model."""
    override = items("ai_languageModel", {"messages": [conversation], "options": {"model": "m"}})
    data = items("ai_languageModel", {"response": {"generations": [[{"text": answer}]]}})
    return run(AGENT, at, **({"inputOverride": override, "data": data} | fields))


def used(arguments: object, at: int = 0, error: object = None) -> dict[str, Any]:
    """A run of the tool."""
    failed = {"executionStatus": "error", "error": error} if error is not None else {}
    return run(AGENT, at, inputOverride=items("ai_tool", arguments), data=items("ai_tool", {"response": "x"}), **failed)


def execution(**runs: Any) -> dict[str, Any]:
    named = {{"agent": AGENT, "model": MODEL, "tool": TOOL, "webhook": "Webhook"}[key]: on for key, on in runs.items()}
    return {
        "id": "7",
        "status": "success",
        "workflowId": "w",
        "startedAt": "2026-11-23T12:00:00Z",
        "stoppedAt": "2026-11-23T12:00:01Z",
        "workflowData": {"nodes": NODES},
        "data": {"resultData": {"runData": named, "lastNodeExecuted": AGENT}},
    }
