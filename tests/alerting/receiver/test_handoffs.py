"""A hand-off becomes a ticket a person can decide on, once, and never a thousand tickets."""

from __future__ import annotations

import json

import pytest


def test_a_tool_error_becomes_a_ticket_with_the_case(bench):
    """202 after the commit, the status shows the ticket, and the ticket quotes what the agent said."""
    answer = bench.handoff({"task": "Refund order 17", "tool_error": "model timeout", "prompt": "Refund, please"})
    assert answer.status_code == 202
    handoff_id = answer.json()["id"]
    assert bench.operate("GET", f"/v1/handoffs/{handoff_id}").json() == {
        "id": handoff_id,
        "state": "accepted",
        "ticket": None,
    }
    bench.drain()
    (ticket,) = bench.jira.issues
    assert bench.operate("GET", answer.json()["status_url"]).json()["ticket"] == ticket.key
    assert ticket.summary == "Hand-off · support-bot · a tool failed: Refund order 17"
    said = json.dumps(ticket.description)
    assert "Prompt (untrusted text)" in said
    assert "Refund, please" in said


@pytest.mark.parametrize(
    ("confidence", "handed_off"), [(0.79, True), (0.8, False), (0.81, False), (0, True), (1, False)]
)
def test_confidence_is_handed_off_strictly_below_the_minimum(bench, confidence, handed_off):
    """Exactly 80 % is enough."""
    answer = bench.handoff({"task": "Answer", "confidence": confidence})
    assert answer.json()["handoff"] is handed_off
    bench.drain()
    assert len(bench.jira.issues) == int(handed_off)


def test_the_same_key_gives_the_same_answer(bench):
    """A retry is not a second hand-off; another body under the key is a conflict."""
    body = {"task": "Answer", "confidence": 0.5}
    first = bench.handoff(body)
    assert bench.handoff(body).json() == first.json()
    assert bench.handoff({**body, "task": "Other"}).status_code == 409
    assert bench.handoff(body, key="k2").json()["id"] != first.json()["id"]


def test_one_broken_tool_is_one_ticket_with_comments(bench):
    """Errors that differ only in numbers belong together, up to a bounded number of comments."""
    for i in range(30):
        bench.handoff({"task": f"Order {i}", "tool_error": f"connection {i} refused"}, key=f"k{i}")
        bench.later(1)
    (ticket,) = bench.jira.issues
    assert 15 <= len(ticket.comments) <= 20
    bench.later(3600, step=60)
    bench.handoff({"task": "Order", "tool_error": "connection 99 refused"}, key="later")
    bench.drain()
    assert len(bench.jira.issues) == 2


def test_another_reason_is_another_ticket(bench):
    """What a person has to decide differs."""
    bench.handoff({"task": "A", "tool_error": "connection refused"}, key="1")
    bench.handoff({"task": "A", "tool_error": "no such customer"}, key="2")
    bench.handoff({"task": "A", "confidence": 0.5}, key="3")
    bench.drain()
    assert len(bench.jira.issues) == 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"confidence": 0.5}, "task: Field required"),
        ({"task": "x"}, "confidence: is missing; send a number between 0 and 1"),
        ({"task": "x", "confidence": 1.5}, "confidence: 1.5 is not between 0 and 1"),
        ({"task": "x", "confidence": 0.5, "promt": "y"}, "promt: Extra inputs are not permitted"),
        ({"task": "x", "confidence": 0.5, "agent": "invoice"}, "agent: the token belongs to another agent"),
    ],
)
def test_a_bad_hand_off_is_refused_with_its_reason(bench, body, reason):
    """400 that names the field."""
    answer = bench.handoff(body)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


def test_nan_is_not_a_confidence(bench):
    """NaN compares false with everything and would silently never be handed off."""
    headers = {"authorization": "Bearer support-bot-token", "idempotency-key": "k"}
    answer = bench.client.post("/v1/handoffs", content=b'{"task": "x", "confidence": NaN}', headers=headers)
    assert answer.status_code == 400


def test_tokens_and_keys_are_required(bench):
    """401 without a token, 400 without a key, 413 for too large a body; agents cannot see each other's."""
    assert bench.client.post("/v1/handoffs", json={}).status_code == 401
    headers = {"authorization": "Bearer support-bot-token"}
    assert bench.client.post("/v1/handoffs", json={"task": "x"}, headers=headers).status_code == 400
    large = bench.client.post("/v1/handoffs", content=b" " * 300_000, headers=headers | {"idempotency-key": "k"})
    assert large.status_code == 413
    mine = bench.handoff({"task": "x", "confidence": 0.1}).json()["status_url"]
    assert bench.client.get(mine, headers=headers).status_code == 200
    assert bench.client.get(mine, headers={"authorization": "Bearer invoice-token"}).status_code == 404
    assert bench.client.get(mine).status_code == 401


def test_personal_data_and_secrets_are_replaced_before_they_are_stored(bench):
    """Neither the database nor the ticket holds the address or the key."""
    prompt = "Write to jane.roe@example.org with key sk-proj-abcdefghijklmnopqrstuvwx"
    bench.handoff({"task": "Mail", "confidence": 0.2, "prompt": prompt})
    bench.drain()
    stored = bench.stored()
    for text in (stored, json.dumps(bench.jira.issues[0].description)):
        assert "jane.roe@example.org" not in text
        assert "abcdefghijklmnop" not in text
        assert "[EMAIL:" in text
