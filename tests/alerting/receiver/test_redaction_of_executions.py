"""Nothing secret or personal in an n8n execution gets anywhere: neither through the exporter, nor behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from exporter.handoffs.sender import HandoffSender
from exporter.ledger import Ledger
from exporter.metrics import LedgerCollector
from exporter.sources.n8n_execution import Origin, calls_of
from handrail.settings import parse
from tests.alerting.receiver.exporter_beside import exporter_beside
from tests.alerting.receiver.leaks import assert_nothing_leaked, chunks, files_of, leaks
from tests.exporter.making import batch
from tests.exporter.n8n_made import asked, execution, items, run, used

CONFIG = """
sources: {n8n: [{name: main, url: "http://n8n.test", api_key_env: KEY}]}
agents: [{name: invoice, from: {n8n: main, workflow: Invoice}, confidence: $.confidence}]
"""
ORIGIN = Origin("n8n/main", "invoice", "http://n8n.test", "$.confidence", transcripts=True)
EVERY = chunks(9_000)


def spoilt(number: int, piece: str) -> dict[str, object]:
    """An execution with a piece of everything in all that failed; the first ones have all of it in what was said."""
    whole = EVERY[number] + "All is well. " * 300 if number < len(EVERY) else piece
    answer = json.dumps({"answer": whole, "confidence": 0.1}) if number % 2 else {"answer": whole, "confidence": 0.1}
    tool = used({"query": piece, "nested": {"password": "hunter2-hunter2"}}, at=2, error={"message": piece})
    model = asked(
        f"System: {whole}\nHuman: {whole}", whole, at=1, executionStatus="error", error={"description": piece}
    )
    webhook = {"headers": {"cookie": piece}, "body": {"prompt": whole}, "query": {"token": piece}}
    made = execution(
        webhook=[run(data=items("main", webhook))],
        model=[model],
        tool=[tool],
        agent=[run("Webhook", 9, data=items("main", {"output": answer}))],
    )
    return made | {"id": str(number + 1)}


@pytest.fixture
def exporter(bench, clock, tmp_path) -> Iterator[tuple[Ledger, HandoffSender]]:
    """A ledger, and a sender that hands over to the bench."""
    with exporter_beside(bench, parse(CONFIG), clock, tmp_path) as beside:
        yield beside


def test_nothing_of_an_execution_gets_anywhere(bench, log, exporter, tmp_path):
    """Prompts, answers, arguments, errors and headers: not into ledger, metrics or log, nor into the receiver's."""
    ledger, sender = exporter
    pieces = chunks(900)
    for number, piece in enumerate(pieces):
        ledger.commit("n8n/main", batch(*calls_of(spoilt(number, piece), ORIGIN)))
    assert ledger.snapshot().pending_handoffs == len(pieces)
    registry = CollectorRegistry()
    registry.register(LedgerCollector(parse(CONFIG), ledger, []))
    kept, scraped = files_of(f"sqlite:///{tmp_path}/ledger.sqlite"), generate_latest(registry).decode()
    assert "[EMAIL:" in kept
    assert "handrail_handoffs_pending" in scraped
    assert (leaks(kept), leaks(scraped), leaks(log.getvalue())) == ([], [], [])
    assert "hunter2" not in kept
    sender.send_due()
    assert ledger.snapshot().pending_handoffs == 0
    bench.drain()
    assert all("Steps tried (untrusted text)" in json.dumps(issue.description) for issue in bench.jira.issues)
    assert any(issue.attachments for issue in bench.jira.issues)
    assert_nothing_leaked(bench, log)
