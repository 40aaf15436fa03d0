"""The workflows of the real n8n: a webhook and an AI Agent with a chat model, and what a test adds to it."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass

LANGCHAIN = "@n8n/n8n-nodes-langchain"
BROKEN_TOOL = "throw new Error('orders are down');"
PATIENT_TOOL = "return 'nothing found yet';"


@dataclass(frozen=True)
class Shape:
    """What a workflow has beside webhook, agent, model and answer.

    `tool` is the code of a tool; `handoff` (URL, token) reports the confidence to the receiver, which decides whether a
    person takes over; `waits` answers at once and then waits to be resumed; `agent` are settings of the agent's node,
    `options` of the agent, `settings` of the workflow.
    """

    tool: str | None = None
    handoff: tuple[str, str] | None = None
    waits: bool = False
    agent: tuple[tuple[str, object], ...] = ()
    options: tuple[tuple[str, object], ...] = ()
    settings: tuple[tuple[str, object], ...] = ()


def agent_workflow(name: str, path: str, credential: dict[str, str], shape: Shape | None = None) -> dict:
    """The workflow as the public API takes it; its production webhook is `path`."""
    shape = shape or Shape()
    prompt = {"promptType": "define", "text": "={{ $json.body.prompt }}", "options": dict(shape.options)}
    model = {"model": {"__rl": True, "mode": "id", "value": "simulated-mini"}, "options": {}}
    nodes = [
        _webhook(path, "onReceived" if shape.waits else "responseNode"),
        _node("AI Agent", f"{LANGCHAIN}.agent", 3.1, prompt, **dict(shape.agent)),
        # Version 1.2 speaks chat completions, where n8n records the usage the model reports.
        _node("Model", f"{LANGCHAIN}.lmChatOpenAi", 1.2, model, credentials={"openAiApi": credential}),
    ]
    links = [("Model", "ai_languageModel", "AI Agent")]
    if shape.tool:
        tool = {"description": "Looks an order up", "language": "javaScript", "jsCode": shape.tool}
        nodes.append(_node("lookup_order", f"{LANGCHAIN}.toolCode", 1.3, tool))
        links.append(("lookup_order", "ai_tool", "AI Agent"))
    steps = ["Webhook", "AI Agent"]
    if shape.handoff:
        nodes.append(_node("Hand over", "n8n-nodes-base.httpRequest", 4.4, _handoff_parameters(*shape.handoff)))
        steps.append("Hand over")
    if shape.waits:
        nodes.append(_node("Wait", "n8n-nodes-base.wait", 1.1, {"resume": "webhook", "options": {}}, webhookId=path))
        nodes.append(_node("After", "n8n-nodes-base.noOp", 1, {}))
        steps += ["Wait", "After"]
    else:
        answer = {"respondWith": "firstIncomingItem", "options": {}}
        nodes.append(_node("Respond", "n8n-nodes-base.respondToWebhook", 1.5, answer))
        steps.append("Respond")
    links += [(before, "main", after) for before, after in itertools.pairwise(steps)]
    connections = {source: {kind: [[{"node": to, "type": kind, "index": 0}]]} for source, kind, to in links}
    settings = {"executionOrder": "v1"} | dict(shape.settings)
    return {"name": name, "nodes": nodes, "connections": connections, "settings": settings}


def _webhook(path: str, mode: str) -> dict:
    parameters = {"httpMethod": "POST", "path": path, "responseMode": mode, "options": {}}
    return _node("Webhook", "n8n-nodes-base.webhook", 2.1, parameters, webhookId=f"{path}-hook")


def _handoff_parameters(url: str, token: str) -> dict:
    said = "task: $('Webhook').item.json.body.prompt, response: $json.output, run_id: $execution.id"
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "={{ $execution.id }}"}
    return {
        "method": "POST",
        "url": url,
        "sendHeaders": True,
        "headerParameters": {"parameters": [{"name": name, "value": value} for name, value in headers.items()]},
        "sendBody": True,
        "specifyBody": "json",
        "jsonBody": f"={{{{ JSON.stringify({{ {said}, confidence: JSON.parse($json.output).confidence }}) }}}}",
        "options": {},
    }


def _node(name: str, kind: str, version: float, parameters: dict, **extra: object) -> dict:
    node = {
        "id": name,
        "name": name,
        "type": kind,
        "typeVersion": version,
        "position": [0, 0],
        "parameters": parameters,
    }
    return json.loads(json.dumps(node | extra))
