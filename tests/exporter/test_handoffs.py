"""What an execution shows that a person must look at is handed over, once, without the workflow's help."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from alerting.receiver import handoff_request
from alerting.receiver.handoff_request import MAX_BYTES
from exporter.calls import MAX_STEPS, MAX_TEXT, ToolUse, Transcript
from exporter.handoffs.redacting import redactor_of
from exporter.handoffs.sender import HandoffSender
from exporter.handoffs.wanted import wanted
from exporter.ledger import Ledger
from handrail.http import build_client
from handrail.logs import get_logger
from handrail.redact import BEYOND, Redactor
from handrail.redact.key import redaction_key
from handrail.secret import Secret
from handrail.settings import parse
from tests.exporter.making import SOURCE, batch, call

CONFIG = """
sources: {n8n: [{name: main, url: "http://n8n.test", api_key_env: KEY}]}
agents:
  - {name: a, from: {n8n: main, workflow: A}, confidence: $.confidence}
  - {name: b, from: {n8n: main, workflow: B}}
  - {name: c, from: {n8n: main, workflow: C}, handoff: {from_executions: true}}
  - {name: d, from: {n8n: main, workflow: D}, confidence: $.confidence, handoff: {from_executions: false}}
"""
FAILED_TOOL = {"tool_calls": 2, "tool_errors": 1, "tools": (ToolUse("crm", 2, 1),)}


class Receiver:
    """A receiver on the wire: what it was sent, and what it answers."""

    def __init__(self) -> None:
        self.status = 202
        self.connections = 0
        self.seen: list[tuple[str, dict[str, object], str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/handoffs"
        if self.status == 0:
            raise httpx.ConnectError("refused", request=request)
        token, key = request.headers["authorization"], request.headers["idempotency-key"]
        self.seen.append((key, json.loads(request.content), token))
        return httpx.Response(self.status, json={})


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def handing(engine, clock, receiver, tmp_path: Path):
    """A ledger, and a sender in front of the receiver."""
    (tmp_path / "token").write_text("exporter-token\n")
    ledger = Ledger(engine, parse(CONFIG), clock)

    def connect():
        receiver.connections += 1
        client = build_client(base_url="http://receiver.test", transport=httpx.MockTransport(receiver))
        return client, Secret(file=tmp_path / "token")

    return ledger, HandoffSender(ledger.handoffs, connect, clock, get_logger("handoffs"))


@pytest.mark.parametrize(
    ("agent", "fields", "reason"),
    [
        ("a", {"confidence": 0.79}, "low_confidence"),
        ("a", {"confidence": 0.8}, None),
        ("a", {"confidence": 0.0}, "low_confidence"),
        ("a", {}, None),
        ("a", {"confidence": 0.9, **FAILED_TOOL}, "tool_error"),
        ("b", {"confidence": 0.1, **FAILED_TOOL}, None),
        ("c", FAILED_TOOL, "tool_error"),
        ("d", {"confidence": 0.1}, None),
        ("unknown", {"confidence": 0.1}, None),
    ],
)
def test_which_calls_are_handed_over(agent, fields, reason):
    """Low confidence and failed tools, of agents that state a confidence or asked for it."""
    found = wanted(call(1, agent=agent, **fields), parse(CONFIG), Redactor(b"key"))
    assert (found and found.reason) == reason


def test_a_hand_off_says_where_to_look(handing, receiver):
    """The execution, its address and its tools; sent with the exporter's token and a key of the call."""
    ledger, sender = handing
    found = call(1, agent="a", execution="4711", url="http://n8n.test/e/4711", confidence=0.62, **FAILED_TOOL)
    ledger.commit(SOURCE, batch(found))
    sender.send_due()
    ((key, body, token),) = receiver.seen
    assert token == "Bearer exporter-token"
    assert key == f"{SOURCE}/{found.id}"
    assert body["agent"] == "a"
    assert body["run_id"] == "4711"
    assert body["execution_url"] == "http://n8n.test/e/4711"
    assert body["confidence"] == "0.62"
    assert body["tools"] == [{"name": "crm", "error": "failed 1 time(s); the execution says how"}]
    assert body["task"] == "Look at execution 4711: a tool failed within it"


SAID = Transcript(
    prompt="Refund order 17\nfor jane.roe@example.org, please",
    response="I could not.",
    tool_errors=(("crm", "401 for robot with password=hunter2-hunter2"),),
    steps=('crm {"query": "17"} failed: 401 for robot with password=hunter2-hunter2',),
)


def test_a_hand_off_quotes_what_was_said_redacted(handing, receiver):
    """Task, prompt, response, what the tool said, the steps and the decision; the ledger holds none of the secrets."""
    ledger, sender = handing
    ledger.commit(SOURCE, batch(call(1, transcript=SAID, model="m", **FAILED_TOOL)))
    pending = repr(ledger.handoffs.due(1e12))
    sender.send_due()
    ((_, body, _),) = receiver.seen
    address = re.escape(str(body["prompt"]).split()[-2].rstrip(","))
    assert re.fullmatch(r"Refund order 17\nfor (\[EMAIL:[0-9a-f]{6}\]), please", str(body["prompt"]))
    assert re.fullmatch(rf"Refund order 17 for {address}, please", str(body["task"]))
    assert body["response"] == "I could not."
    assert re.fullmatch(
        r"401 for robot with password=\[SECRET:[0-9a-f]{6}\]\nfailed 1 time\(s\)", body["tools"][0]["error"]
    )
    assert body["steps"][0].startswith('crm {"query": "17"} failed: 401 for robot with password=[SECRET:')
    assert str(body["decision"]).startswith("Was the task done without the tool that failed?")
    for text in (pending, repr(body)):
        assert "jane.roe" not in text
        assert "hunter2" not in text


def test_without_texts_nothing_that_was_said_is_handed_over():
    """`include_texts: false` leaves out prompt, response, steps and what tools said, also where they are known."""
    silent = parse(CONFIG.replace("{from_executions: true}", "{from_executions: true, include_texts: false}"))
    found = wanted(call(1, agent="c", transcript=SAID, **FAILED_TOOL), silent, Redactor(b"key"))
    assert {"prompt", "response", "steps"} & set(found.body) == set()
    assert found.body["tools"] == [{"name": "crm", "error": "failed 1 time(s); the execution says how"}]
    assert "17" not in json.dumps(found.body)


@pytest.mark.parametrize("character", ["x", "\n", '"', "é", "語", "\U0001f600"])
def test_the_largest_hand_off_is_one_that_the_receiver_takes(character):
    """Whatever it is made of, it stays below the receiver's limits of each field and of the whole."""
    text = character * (MAX_TEXT + BEYOND + 1)
    names = [f"{number} {character * 300}" for number in range(60)]
    said = Transcript(text, text, tuple((name, text) for name in names), (text,) * MAX_STEPS)
    tools = tuple(ToolUse(name, 2, 1) for name in names)
    fields = {"execution": "7" * 300, "model": "m" * 300, "tool_errors": 60, "tools": tools, "transcript": said}
    found = wanted(call(1, url="http://n8n.test/" + "e" * 1_900, **fields), parse(CONFIG), Redactor(b"key"))
    sent = httpx.Request("POST", "http://receiver.test", json=found.body).content
    assert len(sent) < MAX_BYTES
    assert handoff_request.parse(sent, None).agent == "a"


def test_tools_that_failed_come_first():
    """Where there are more tools than a hand-off shows, none that failed is left out."""
    tools = tuple(ToolUse(f"t{number:02}", 1, int(number == 59)) for number in range(60))
    found = wanted(call(1, tools=tools, tool_calls=60, tool_errors=1), parse(CONFIG), Redactor(b"key"))
    assert found.body["tools"][0]["name"] == "t59"
    assert len(found.body["tools"]) == 20


def test_exporter_and_receiver_write_the_same_placeholders(handing, tmp_path):
    """By the receiver's token where it can be read, so that a customer can be followed through a ticket."""
    token = Secret(file=tmp_path / "webhook")
    settings = parse(CONFIG + f"receiver: {{webhook_token_file: {token.file}}}")
    without = redactor_of(settings)("jane.roe@example.org")
    token.file.write_text("webhook-token")
    assert redactor_of(settings)("jane.roe@example.org") == Redactor(redaction_key(token))("jane.roe@example.org")
    assert without != redactor_of(settings)("jane.roe@example.org")


def test_many_hand_offs_go_over_one_connection(handing, receiver):
    """And none is made while nothing is due."""
    ledger, sender = handing
    sender.send_due()
    assert receiver.connections == 0
    ledger.commit(SOURCE, batch(*(call(number, agent="c", **FAILED_TOOL) for number in range(3))))
    sender.send_due()
    assert (len(receiver.seen), receiver.connections) == (3, 1)


def test_a_sender_that_is_stopped_sends_no_other(handing, receiver):
    """What it has not sent is sent later."""
    ledger, sender = handing
    ledger.commit(SOURCE, batch(*(call(number, agent="c", **FAILED_TOOL) for number in range(3))))
    sender.send_due(lambda: len(receiver.seen) == 2)
    assert (len(receiver.seen), ledger.snapshot().pending_handoffs) == (2, 1)


def test_a_call_that_is_read_again_is_handed_over_once(handing, receiver):
    """It is kept in the transaction that counts the call."""
    ledger, sender = handing
    for _ in range(3):
        ledger.commit(SOURCE, batch(call(1, confidence=0.1)))
        sender.send_due()
    assert len(receiver.seen) == 1
    assert ledger.snapshot().totals["handoffs_raised", "a", (("reason", "low_confidence"),)] == 1


@pytest.mark.parametrize("status", [0, 401, 429, 500, 503])
def test_a_receiver_that_does_not_take_it_is_asked_again(handing, receiver, clock, status):
    """Ever more slowly, with the same key, until it has it; also by a ledger that was opened anew."""
    ledger, sender = handing
    receiver.status = status
    ledger.commit(SOURCE, batch(call(1, confidence=0.1)))
    sender.send_due()
    sender.send_due()
    asked = len(receiver.seen)
    assert asked == (status != 0)
    assert ledger.snapshot().pending_handoffs == 1
    receiver.status = 202
    clock.advance(4)
    sender.send_due()
    assert len(receiver.seen) == asked
    clock.advance(2)
    sender.send_due()
    assert len(receiver.seen) == asked + 1
    assert len({key for key, _, _ in receiver.seen}) == 1
    assert ledger.snapshot().pending_handoffs == 0


def test_one_that_is_refused_holds_up_no_other(handing, receiver):
    """It is kept with the reason and not sent again."""
    ledger, sender = handing
    receiver.status = 400
    ledger.commit(SOURCE, batch(call(1, confidence=0.1)))
    sender.send_due()
    receiver.status = 202
    ledger.commit(SOURCE, batch(call(2, confidence=0.1)))
    sender.send_due()
    assert [key.rpartition("/")[2] for key, _, _ in receiver.seen] == [call(1).id, call(2).id]
