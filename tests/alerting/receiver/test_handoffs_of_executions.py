"""From an execution that was counted to a ticket: exporter and receiver, with nothing between them but HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from exporter.calls import Call, ToolUse, Transcript
from handrail.settings import parse
from tests.alerting.receiver.exporter_beside import exporter_beside
from tests.exporter.making import SOURCE, batch, call

CONFIG = """
sources: {{n8n: [{{name: main, url: "http://n8n.test", api_key_env: KEY}}]}}
agents: [{{name: invoice, from: {{n8n: main, workflow: Invoice}}, confidence: $.confidence}}]
receiver: {{webhook_token_file: {secrets}/webhook}}
"""
URL = "http://n8n.test/workflow/x/executions/4711"
UNSURE = {"agent": "invoice", "execution": "4711", "url": URL, "model": "m-1", "confidence": 0.5}


@pytest.fixture
def hand_over(bench, clock, tmp_path) -> Iterator[Callable[[Call], None]]:
    """Counts a call, and sends what is to be handed over of it."""
    settings = parse(CONFIG.format(secrets=tmp_path / "secrets"))
    with exporter_beside(bench, settings, clock, tmp_path) as (ledger, sender):

        def send(found: Call) -> None:
            ledger.commit(SOURCE, batch(found))
            sender.send_due()
            assert ledger.snapshot().pending_handoffs == 0

        yield send


@pytest.mark.parametrize("first", ["nobody", "exporter", "workflow"])
def test_an_unsure_execution_gets_one_ticket(bench, hand_over, first):
    """Whether the workflow hands the same run over itself or not, and whoever comes first: the other one comments."""
    said = Transcript(prompt="Refund order 17?", response='{"answer": "maybe", "confidence": 0.5}')
    steps = [lambda: hand_over(call(1, transcript=said, **UNSURE))]
    if first != "nobody":
        own = {"task": "Refund", "confidence": 0.5, "run_id": "4711"}
        steps.insert(first == "exporter", lambda: bench.handoff(own, agent="invoice"))
    for step in steps:
        step()
    bench.drain()
    (ticket,) = bench.jira.issues
    assert len(ticket.comments) == int(first != "nobody")
    everything = repr(ticket)
    for expected in (URL, "Refund order 17?", "maybe", "m-1", "50%, self-reported", "Is the response right?"):
        assert expected in everything


def test_a_failed_tool_of_an_execution_is_a_ticket_with_what_was_said(bench, hand_over):
    """Task, decision, tool error, tools, steps, prompt, response, model and execution; nothing secret in it."""
    error = "401 for jane.roe@example.org"
    said = Transcript("Refund order 17 for jane.roe@example.org", "I could not.", (("crm", error),), (f"crm {error}",))
    fields = {"transcript": said, "tool_calls": 2, "tool_errors": 1, "tools": (ToolUse("crm", 2, 1),)}
    hand_over(call(1, **(UNSURE | {"confidence": None} | fields)))
    bench.drain()
    (ticket,) = bench.jira.issues
    assert ticket.summary.startswith("Hand-off · invoice · a tool failed: Refund order 17 for [EMAIL:")
    text = json.dumps(ticket.description)
    for title in ("Decision asked for", "Task", "Tool error", "Tools called", "Steps tried", "Prompt", "Response"):
        assert f"{title} (untrusted text)" in text
    for expected in ("401 for [EMAIL:", "failed 1 time(s)", "I could not.", "m-1", URL, "4711"):
        assert expected in text
    assert "jane.roe" not in text + bench.stored()


def test_the_same_error_of_many_executions_shares_a_ticket(bench, hand_over):
    """Errors that differ only in numbers belong together, also when they were read out of executions."""
    for number in range(3):
        said = Transcript(tool_errors=(("crm", f"order {number} is unknown"),))
        fields = {"tool_calls": 1, "tool_errors": 1, "tools": (ToolUse("crm", 1, 1),), "execution": str(number)}
        hand_over(call(number, transcript=said, agent="invoice", **fields))
    bench.drain()
    (ticket,) = bench.jira.issues
    assert len(ticket.comments) == 2
