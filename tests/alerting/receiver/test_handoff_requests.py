"""What an agent may say when it hands over, what a confidence is, and what is one hand-off and what are two."""

from __future__ import annotations

import json
import threading
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.receiver.bodies import Malformed
from alerting.receiver.handoff_request import confidence_of, parse, reason_of
from alerting.receiver.schema import handoffs
from tests.thorough import examples

MINIMUM = Decimal("0.8")


def reason(**fields):
    body = json.dumps({"task": "x", **fields})
    return reason_of(parse(body.encode(), "support-bot"), MINIMUM)


@pytest.mark.parametrize(
    ("written", "handed_over"),
    [
        *(("0.8", False), ("0.80", False), ("8e-1", False), ("1", False), ("1.0", False), ('"80%"', False)),
        *(("0.79", True), ("0.7999999999999999999999", True), ("0", True), ("0.0", True), ("-0.0", True)),
        *(('"0.62"', True), ('"62%"', True), ('" 79.999 % "', True), ("1e-400", True), ('"0.8000"', False)),
    ],
)
def test_a_confidence_is_compared_as_it_was_written(written, handed_over):
    """Strictly below the minimum, without rounding; a string with or without a percent sign is as good."""
    request = parse(f'{{"task": "x", "confidence": {written}}}'.encode(), "support-bot")
    assert (reason_of(request, MINIMUM) == "low_confidence") is handed_over


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("62", "confidence: 62 is not between 0 and 1; send a number between 0 and 1, e.g. 0.62, or a percentage"),
        ('"62"', "confidence: '62' is not between 0 and 1"),
        ("1.0001", "confidence: 1.0001 is not between 0 and 1"),
        ("-0.1", "confidence: -0.1 is not between 0 and 1"),
        ('"101%"', "confidence: '101%' is not between 0 and 1"),
        ("NaN", "confidence: nan is not a confidence"),
        ("Infinity", "confidence: inf is not a confidence"),
        ("-Infinity", "confidence: -inf is not a confidence"),
        ('"NaN"', "confidence: 'NaN' is not a confidence"),
        ('"high"', "confidence: 'high' is not a confidence"),
        ('""', "confidence: '' is not a confidence"),
        ("true", "confidence: True is not a confidence"),
        ("[0.5]", "confidence: [Decimal('0.5')] is not a confidence"),
        ("null", "confidence: is missing; send a number between 0 and 1, e.g. 0.62"),
    ],
)
def test_what_is_no_confidence_is_refused_with_what_was_sent_and_what_is_expected(written, said):
    """A bare 62 too: only its sender knows whether it means 62 %."""
    with pytest.raises(Malformed) as refused:
        parse(f'{{"task": "x", "confidence": {written}}}'.encode(), "support-bot")
    assert str(refused.value).startswith(said)


@pytest.mark.property
@settings(max_examples=examples(100))
@given(st.decimals(min_value=0, max_value=1, allow_nan=False))
def test_every_number_between_0_and_1_is_itself(number):
    """Whatever its digits."""
    assert confidence_of(number) == number
    assert (reason(confidence=str(number)) == "low_confidence") is (number < MINIMUM)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reason": "invalid_output"}, "invalid_output"),
        ({"reason": "max_iterations", "confidence": 0.99}, "max_iterations"),
        ({"reason": "tool_error"}, "tool_error"),
        ({"reason": "low_confidence"}, "low_confidence"),
        ({"reason": "low_confidence", "confidence": 0.9}, None),
        ({"tool_error": "boom", "confidence": 0.9}, "tool_error"),
        ({"tools": [{"name": "a"}, {"name": "b", "error": "boom"}], "confidence": 0.9}, "tool_error"),
        ({"tools": [{"name": "a"}], "confidence": 0.9}, None),
    ],
)
def test_the_reason_is_what_failed_before_what_was_unsure(fields, expected):
    """And a confidence that is high enough needs nobody."""
    assert reason(**fields) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("task", "x" * 10_001), ("prompt", "x" * 100_001), ("run_id", "x" * 201), ("steps", ["x"] * 31)),
        *(("tools", [{"name": "x"}] * 51), ("decision", "x" * 2_001), ("trace_url", "javascript:alert(1)")),
        *(("execution_url", "http://a b"), ("reason", "bored")),
    ],
)
def test_a_limit_that_is_passed_is_named(bench, field, value):
    """400, and the field's name comes first."""
    answer = bench.handoff({"task": "x", "confidence": 0.1, field: value})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(field)


def test_the_ticket_shows_what_a_person_needs_to_decide(bench):
    """The question, the task, tools with their errors, steps, model, trace and execution, and whose number it is."""
    bench.handoff(
        {
            **{"task": "Refund order 17", "confidence": "0.6249", "decision": "Refund or not?", "run_id": "4711"},
            **{"model": "gpt-4o", "model_version": "2024-08-06", "trace_id": "4bf92f35", "customer_impact": "waits"},
            **{"trace_url": "https://traces.example/4bf92f35", "execution_url": "https://n8n.example/e/4711"},
            "tools": [{"name": "crm"}, {"name": "bank", "error": "refused"}],
            "steps": ["looked it up", "asked the bank"],
        }
    )
    bench.drain()
    (ticket,) = bench.jira.issues
    said = json.dumps(ticket.description, ensure_ascii=False)
    for text in (
        *("62.49%, self-reported by the agent", "Refund or not?", "gpt-4o 2024-08-06", "waits", "crm: worked"),
        *("bank: refused", "1. looked it up", "https://traces.example/4bf92f35", "https://n8n.example/e/4711"),
    ):
        assert text in said, text


def test_the_same_words_in_another_order_are_the_same_request(bench):
    """JSON's spelling does not matter; what it says does."""
    headers = {"authorization": "Bearer support-bot-token", "idempotency-key": "k"}
    bodies = ('{"task":"x","confidence":0.50}', '{ "confidence": "50%", "task": "x", "prompt": null }')
    first, second = (bench.client.post("/v1/handoffs", content=body, headers=headers) for body in bodies)
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()


def test_equal_requests_at_once_are_one_hand_off(bench):
    """A client that lost patience and sent it again."""
    answers, ready = [], threading.Barrier(6)

    def send() -> None:
        ready.wait()
        answers.append(bench.handoff({"task": "x", "confidence": 0.1}))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(bench.rows(handoffs)) == 1


def exported(bench, key="e1", **fields):
    headers = {"authorization": "Bearer exporter-token", "idempotency-key": key}
    body = {"agent": "support-bot", "task": "Look at it", "confidence": 0.3, **fields}
    return bench.client.post("/v1/handoffs", json=body, headers=headers)


@pytest.mark.parametrize("agent_first", [True, False])
def test_a_run_that_both_hand_over_is_one_hand_off(bench, agent_first):
    """Whoever comes first; the agent's own words are on the ticket either way."""
    sends = [
        lambda: bench.handoff({"task": "x", "confidence": 0.3, "run_id": "4711", "prompt": "the whole story"}),
        lambda: exported(bench, run_id="4711"),
    ]
    first, second = (send() for send in (sends if agent_first else reversed(sends)))
    assert first.json() == second.json()
    assert [send().json() for send in sends] == [first.json(), first.json()]
    bench.drain()
    (ticket,) = bench.jira.issues
    assert "the whole story" in json.dumps(ticket.description) + repr(ticket.comments)
    metrics = bench.client.get("/metrics").text
    assert 'handrail_handoffs_total{agent="support-bot",reason="low_confidence"} 1.0' in metrics


def test_another_run_or_another_agent_is_another_hand_off(bench):
    """Runs are told apart by agent and id; two requests of an agent about one run stay two, as they always were."""
    first = exported(bench, run_id="4711").json()["id"]
    assert bench.handoff({"task": "x", "confidence": 0.3, "run_id": "4712"}).json()["id"] != first
    other = bench.handoff({"task": "x", "confidence": 0.3, "run_id": "4711"}, agent="invoice")
    assert other.json()["id"] != first
    mine = [bench.handoff({"task": t, "confidence": 0.3, "run_id": "4713"}, key=t).json()["id"] for t in "ab"]
    assert len(set(mine)) == 2


def test_the_exporters_token_needs_an_agent_that_exists(bench):
    """It may hand over for any agent of the file, and for no other; a wrong one for none."""
    assert exported(bench, agent="nobody").status_code == 400
    assert "agent: " in exported(bench, agent=None).json()["error"]
    headers = {"authorization": "Bearer exporter-tokem", "idempotency-key": "k"}
    assert bench.client.post("/v1/handoffs", json={"task": "x"}, headers=headers).status_code == 401


def test_a_flood_is_one_ticket_whose_last_comment_says_how_many(bench):
    """Up to a number of comments; the rest is counted, and told once when the hour is over."""
    for n in range(60):
        bench.handoff({"task": f"Order {n}", "tool_error": f"connection {n} refused"}, key=f"k{n}")
    bench.later(1)
    (ticket,) = bench.jira.issues
    before = len(ticket.comments)
    assert before == 20
    bench.receiver.handoffs.summarise()
    bench.clock.advance(3601)
    for _ in range(3):
        bench.receiver.handoffs.summarise()
        bench.later(1)
    assert len(ticket.comments) == before + 1
    assert "And 39 more hand-offs for the same reason: 60 in the hour." in repr(ticket.comments[-1])


def test_the_status_goes_from_accepted_to_ticketed_to_closed(bench):
    """And names the ticket; what comes after a person closed it is a new incident."""
    url = bench.handoff({"task": "x", "confidence": 0.3}).json()["status_url"]
    assert bench.operate("GET", url).json()["state"] == "accepted"
    bench.drain()
    assert bench.operate("GET", url).json()["state"] == "ticketed"
    (ticket,) = bench.jira.issues
    ticket.close()
    assert [bench.operate("GET", url).json()["state"] for _ in range(2)] == ["closed", "closed"]
    again = bench.handoff({"task": "y", "confidence": 0.3}, key="k2").json()["status_url"]
    assert bench.operate("GET", again).json()["state"] == "accepted"
