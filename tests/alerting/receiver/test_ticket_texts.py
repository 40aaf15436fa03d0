"""What a person reads at two in the morning, byte for byte: `make golden-tickets` writes the files anew."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import jsonschema
import pytest

GOLDEN = pathlib.Path(__file__).parent / "golden"

ALERTS: dict[str, dict[str, Any]] = {
    "AgentErrorRatioHigh": {
        "summary": "Too many calls of an agent fail.",
        "description": "invoice: 4 of 52 calls failed in the last 10m, 7.692%; the SLA is broken above 2%.",
    },
    "AgentSlowCallStreak": {
        "summary": "Calls of an agent are slow, several in a row.",
        "description": "invoice: at least 3 calls in a row took longer than 5s each; last seen 12s ago.",
    },
    "AgentTokenUsageHigh": {
        "labels": {"per": "hour", "severity": "warning"},
        "summary": "An agent uses far more tokens than usual at this hour.",
        "description": "invoice: 182000 tokens in the last hour, 64% above the 111000 that are usual at this hour; "
        "the SLA is broken above 30%.",
    },
    "AgentSilent": {
        "labels": {"basis": "schedule"},
        "summary": "An agent should have been called and was not.",
        "description": "invoice: by its schedule a call is 31m 0s late; the SLA allows 15m.",
    },
    "HandrailSourceDown": {
        "labels": {"agent": None, "sla": None, "owner": None, "source": "main"},
        "summary": "A source of calls cannot be read.",
        "description": "main has not answered for 10m; its agents are not being watched.",
    },
    "HandrailKillNotConfirmed": {
        "labels": {"agent": "support-bot", "sla": None, "owner": "support"},
        "summary": "An agent was switched off and may still run.",
        "description": "support-bot was switched off, but that it stopped could not be proved. Switch it off by hand.",
    },
}
CALLS = [
    ("2026-11-23T11:41:07+00:00", "error", "timeout", 30.04, "model-a", "https://n8n.example/execution/811"),
    ("2026-11-23T11:52:40+00:00", "error", "tool_error", 2.31, "model-a", "https://n8n.example/execution/829"),
    ("2026-11-23T11:58:55+00:00", "error", "tool_error", 1.9, "", None),
]
HANDOFF = {
    "task": "Refund order 4711 for a customer",
    "confidence": 0.62,
    "prompt": "The customer at someone@example.com says the parcel never came. {noformat} [~admin] !http://evil.example/x.png!",
    "response": "I would refund it, but the carrier says that it was delivered.",
    "run_id": "run-311",
}


@pytest.fixture(params=["cloud", "datacenter"])
def bench(bench, request):
    """A receiver in front of either Jira, beside an exporter that knows three calls."""
    names = ("finished_at", "outcome", "error_reason", "duration_s", "model", "url")
    bench.calls_shown = {"calls": [dict(zip(names, row, strict=True)) for row in CALLS]}
    return bench.on(request.param)


def compare(bench, name: str, summary: str, body: Any) -> None:
    """The text is what the golden file says."""
    cloud = bench.jira.deployment == "cloud"
    shown = (
        json.dumps({"summary": summary, "document": body}, indent=1, ensure_ascii=False)
        if cloud
        else f"{summary}\n\n{body}"
    )
    file = GOLDEN / f"{name}.{'adf.json' if cloud else 'wiki.txt'}"
    if os.environ.get("HANDRAIL_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(shown + "\n", encoding="utf-8")
    assert shown + "\n" == file.read_text(encoding="utf-8")


def valid(contracts, body: Any) -> None:
    if isinstance(body, dict):
        jsonschema.validate(body, json.loads((contracts / "jira" / "adf-full.schema.json").read_text()))


@pytest.mark.parametrize("name", ALERTS)
def test_the_ticket_of_an_alert(bench, notification, contracts, name):
    """What broke comes first, then since when, the SLA, the last calls, what was done, what to do, whom to ask."""
    if name == "HandrailKillNotConfirmed":
        order = {"reason": "it books twice", "by": "the night shift"}
        assert bench.operate("POST", "/v1/agents/support-bot/disable", json=order).status_code == 202
        bench.drain()
    body = notification(alertname=name)
    given = ALERTS[name]
    labels = body["alerts"][0]["labels"] | given.get("labels", {})
    labels = {key: value for key, value in labels.items() if value is not None}
    group = {key: labels[key] for key in ("alertname", "agent") if key in labels}
    annotations = {key: given[key] for key in ("summary", "description")}
    body["alerts"][0] |= {"labels": labels, "annotations": annotations}
    bench.alert(body | {"groupLabels": group, "commonLabels": labels, "commonAnnotations": annotations})
    bench.drain()
    (ticket,) = bench.jira.issues
    valid(contracts, ticket.description)
    compare(bench, name, ticket.summary, _without_anchor(ticket.description))


def test_the_ticket_of_a_handoff(bench, contracts):
    """What is to be decided, and what the agent said, as text that does nothing."""
    bench.handoff(HANDOFF)
    bench.drain()
    (ticket,) = bench.jira.issues
    valid(contracts, ticket.description)
    compare(bench, "Handoff", ticket.summary, _without_anchor(ticket.description))


def test_a_kill_that_is_not_confirmed(bench, notification, contracts):
    """The comment says first that the agent may still run, and what was seen."""
    bench.alert(notification(alertname="AgentSlowCallStreak", agent="support-bot"))
    bench.drain()
    for _ in range(40):
        bench.calls.count += 1
        bench.later(8, step=8)
    said = bench.jira.issues[0].comments[-1]["body"]
    valid(contracts, said)
    compare(bench, "kill-not-confirmed", "", said)


def test_an_exporter_that_says_nothing_holds_up_nothing(bench, notification):
    """The ticket is opened and says where the calls are to be had."""
    bench.calls_shown = None
    bench.alert(notification())
    bench.drain()
    (ticket,) = bench.jira.issues
    assert "handrail calls invoice" in str(ticket.description)


def test_an_exporter_that_says_nonsense_holds_up_nothing(bench, notification):
    """It is another program, perhaps of another version."""
    for nonsense in ({"calls": [{}]}, {"calls": None}, [], {"calls": [{"finished_at": "x"}]}):
        bench.calls_shown = nonsense
        bench.alert(notification(alertname=f"Alert{len(bench.jira.issues)}"))
        bench.drain()
    assert len(bench.jira.issues) == 4


def _without_anchor(document: Any) -> Any:
    """The end of the audit log is another one each time."""
    if isinstance(document, str):
        text, _, anchor = document.rpartition("\n\n")
        assert anchor.startswith("audit ")
        return text
    *content, anchor = document["content"]
    assert anchor["content"][0]["text"].startswith("audit ")
    return document | {"content": content}
