"""From an execution that was counted to a ticket: exporter and receiver, with nothing between them but HTTP."""

from __future__ import annotations

import httpx
import pytest

from exporter.handoffs.sender import HandoffSender
from exporter.ledger import Ledger
from handrail.database import create_engine
from handrail.http import build_client
from handrail.logs import get_logger
from handrail.settings import parse
from tests.exporter.making import SOURCE, batch, call

CONFIG = """
sources: {n8n: [{name: main, url: "http://n8n.test", api_key_env: KEY}]}
agents: [{name: invoice, from: {n8n: main, workflow: Invoice}, confidence: $.confidence}]
"""


@pytest.mark.parametrize("workflow_hands_over", [False, True])
def test_an_unsure_execution_gets_one_ticket(bench, clock, tmp_path, workflow_hands_over):
    """With its address, whether the workflow hands the same run over itself or not."""

    def forward(request: httpx.Request) -> httpx.Response:
        answer = bench.client.post(request.url.path, content=request.content, headers=dict(request.headers))
        return httpx.Response(answer.status_code, content=answer.content)

    def connect():
        client = build_client(base_url="http://receiver.test", transport=httpx.MockTransport(forward))
        return client, bench.settings.receiver.handoff_token

    engine = create_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    ledger = Ledger(engine, parse(CONFIG), clock)
    sender = HandoffSender(ledger.handoffs, connect, clock, get_logger("handoffs"))
    found = call(1, agent="invoice", execution="4711", url="http://n8n.test/workflow/x/executions/4711", confidence=0.5)
    ledger.commit(SOURCE, batch(found))
    while sender.send_one():
        pass
    if workflow_hands_over:
        bench.handoff({"task": "x", "confidence": 0.5, "run_id": "4711"}, agent="invoice")
    bench.drain()
    (ticket,) = bench.jira.issues
    assert "http://n8n.test/workflow/x/executions/4711" in repr(ticket)
    assert len(ticket.comments) == int(workflow_hands_over)
    assert ledger.snapshot().pending_handoffs == 0
    engine.dispose()
