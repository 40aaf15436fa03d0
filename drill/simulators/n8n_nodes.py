"""The workflows of the simulated n8n: an AI agent with a model and a tool, or a plain HTTP workflow."""

from __future__ import annotations

import uuid
from typing import Any

MODEL = "gpt-4o-mini"
AGENT, CHAT_MODEL, TOOL, PARSER, HTTP = "AI Agent", "OpenAI Chat Model", "lookup_order", "Parser", "Call service"
SCHEDULE = "Schedule Trigger"

_SPACE = uuid.UUID("6f2f9d04-6f61-4c0e-9a0b-0d6a0f3a7a10")


def make_nodes(
    path: str, *, ai: bool, confidence: bool, retry: bool = False, schedule: list[dict[str, Any]] | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The nodes and connections of a workflow whose webhook is at `path`; `confidence` adds an output parser.

    `retry` has the agent tried again when it fails, `schedule` adds a trigger with these rules.
    """
    nodes, wires = _agent_nodes(path, ai=ai, confidence=confidence, retry=retry)
    if schedule is not None:
        trigger = _node(path, SCHEDULE, "n8n-nodes-base.scheduleTrigger", 1.2, 0, {"rule": {"interval": schedule}})
        nodes.append(trigger)
        wires.append((SCHEDULE, "main", nodes[1]["name"]))
    return nodes, _wires(*wires)


def _agent_nodes(
    path: str, *, ai: bool, confidence: bool, retry: bool
) -> tuple[list[dict[str, Any]], list[tuple[str, str, str]]]:
    webhook = _node(path, "Webhook", "n8n-nodes-base.webhook", 2.1, 0, _webhook_parameters(path))
    webhook["webhookId"] = str(uuid.uuid5(_SPACE, f"{path}/webhook"))
    respond = _node(path, "Respond", "n8n-nodes-base.respondToWebhook", 1.5, 800, _RESPOND)
    if not ai:
        parameters = {"method": "POST", "url": "http://127.0.0.1:18103/echo", "authentication": "none", "options": {}}
        service = _node(path, HTTP, "n8n-nodes-base.httpRequest", 4.4, 200, parameters)
        return [webhook, service, respond], [("Webhook", "main", HTTP), (HTTP, "main", "Respond")]
    agent_parameters = {"promptType": "define", "text": "={{ $json.body.prompt }}", "hasOutputParser": confidence}
    agent_parameters |= {"aiAgentStarterCallout": "", "needsFallback": False, "options": {}}
    agent = _node(path, AGENT, "@n8n/n8n-nodes-langchain.agent", 3.1, 200, agent_parameters)
    if retry:
        agent |= {"retryOnFail": True, "maxTries": 3, "waitBetweenTries": 200}
    model = _node(path, CHAT_MODEL, "@n8n/n8n-nodes-langchain.lmChatOpenAi", 1.2, 400, _MODEL_PARAMETERS)
    model["credentials"] = {"openAiApi": {"id": "i6JZkgzTiFzgDTki", "name": "simulated model"}}
    tool = _node(path, TOOL, "@n8n/n8n-nodes-langchain.toolCode", 1.3, 600, _TOOL_PARAMETERS)
    tool["rewireOutputLogTo"] = "ai_tool"
    nodes = [webhook, agent, model, tool]
    wires = [(CHAT_MODEL, "ai_languageModel", AGENT), (TOOL, "ai_tool", AGENT)]
    if confidence:
        nodes.append(_node(path, PARSER, "@n8n/n8n-nodes-langchain.outputParserStructured", 1.3, 700, _PARSER))
        wires.append((PARSER, "ai_outputParser", AGENT))
    wires += [("Webhook", "main", AGENT), (AGENT, "main", "Respond")]
    return [*nodes, respond], wires


_RESPOND = {"enableResponseOutput": False, "generalNotice": "", "respondWith": "firstIncomingItem", "options": {}}
_MODEL_PARAMETERS = {"notice": "", "model": {"__rl": True, "mode": "id", "value": MODEL}, "options": {}}
_TOOL_PARAMETERS = {
    "notice": "",
    "noticeTemplateExample": "",
    "description": "Looks an order up",
    "language": "javaScript",
    "jsCode": "return lookup(query);",
    "specifyInputSchema": False,
}
_PARSER = {
    "notice": "",
    "schemaType": "fromJson",
    "jsonSchemaExample": '{"answer": "text", "confidence": 0.5}',
    "autoFix": False,
}


def _webhook_parameters(path: str) -> dict[str, Any]:
    fixed = {"multipleMethods": False, "httpMethod": "POST", "authentication": "none", "responseMode": "responseNode"}
    return fixed | {"path": path, "webhookNotice": "", "options": {}}


def _node(path: str, name: str, kind: str, version: float, x: int, parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(_SPACE, f"{path}/{name}")),
        "name": name,
        "type": kind,
        "typeVersion": version,
        "position": [x, 0],
        "parameters": parameters,
    }


def _wires(*wires: tuple[str, str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for start, kind, end in wires:
        found.setdefault(start, {})[kind] = [[{"node": end, "type": kind, "index": 0}]]
    return found
