"""Nothing secret or personal that comes in gets anywhere: not on disk, not into logs, tickets, metrics or pages."""

from __future__ import annotations

import itertools
import json

import pytest

from drill.simulators.wire import serve
from tests.alerting.receiver.leaks import (
    EVERYTHING,
    FIELDS,
    LINES,
    PLANTED,
    URLS,
    assert_nothing_leaked,
    chunks,
    commanded,
    leaks,
    on_disk,
)


def handed_over() -> list[dict[str, object]]:
    """Hand-offs that fill every field, and each short field with what stands in no other one."""
    tools = [{"name": name, "error": name} for name in LINES]
    short = {field: itertools.cycle(chunks(most)) for field, most in FIELDS.items() if field != "steps"}
    urls = itertools.cycle(URLS)
    return [
        {field: next(texts) for field, texts in short.items()}
        | {"confidence": 0.2, "trace_url": next(urls), "execution_url": next(urls)}
        | {"tools": some, "steps": [step for step in chunks(1_000) if step][:30]}
        for some in (tools[at : at + 50] for at in range(0, len(tools), 50))
    ]


def test_nothing_of_a_hand_off_gets_anywhere(bench, log):
    """Whatever field it stands in; what a ticket has no room for is attached, and holds nothing of it either."""
    for n, body in enumerate(handed_over()):
        answer = bench.handoff(body, key=str(n))
        assert answer.status_code == 202, answer.text
    waiting = commanded(bench)
    assert '"action": "hand-off"' in waiting
    assert '"kind": "open"' in waiting
    assert leaks(waiting) == []
    bench.drain()
    assert any(issue.attachments for issue in bench.jira.issues)
    assert_nothing_leaked(bench, log)


@pytest.mark.slow
@pytest.mark.parametrize("field", FIELDS)
def test_nothing_of_any_field_gets_anywhere(bench, log, field):
    """Everything in each field of a hand-off."""
    for n, text in enumerate(chunks(FIELDS[field])):
        answer = bench.handoff(
            {"task": "Refund", "confidence": 0.2, field: [text] if field == "steps" else text}, key=f"{field}-{n}"
        )
        assert answer.status_code == 202, answer.text
    bench.drain()
    assert len(bench.jira.issues) >= 1
    assert_nothing_leaked(bench, log)


def test_nothing_of_an_idempotency_key_gets_anywhere(bench, log):
    """It is whatever the workflow made of it, often the customer's address."""
    for planted in PLANTED:
        if planted.text.isascii() and planted.text.isprintable() and len(planted.text) <= 200:
            bench.handoff({"task": "Refund", "confidence": 0.2}, key=planted.text)
            break
    bench.handoff({"task": "Refund", "confidence": 0.2}, key="jane.roe" + "@example.org")
    assert_nothing_leaked(bench, log)


def test_nothing_of_a_notification_gets_anywhere(bench, notification, log):
    """Labels, annotations and URLs that somebody else's rules filled; what identifies the incident stays usable."""
    body = notification()
    (alert,) = body["alerts"]
    planted = {f"l{n}": p.text for n, p in enumerate(PLANTED)}
    alert |= {
        "labels": alert["labels"] | planted,
        "annotations": {"summary": EVERYTHING[:60_000], "description": EVERYTHING, "password": "hunter2-hunter2"},
        "generatorURL": "http://prometheus.example/graph?" + EVERYTHING,
    }
    body["commonLabels"] = body["commonAnnotations"] = alert["labels"]
    for _ in range(2):
        assert bench.alert(body).status_code == 200
        bench.drain()
    (ticket,) = bench.jira.issues
    assert ticket.summary.startswith("AgentErrorRatioHigh · invoice")
    assert "hunter2" not in on_disk(bench)
    assert_nothing_leaked(bench, log)


def test_a_label_that_is_redacted_still_tells_incidents_apart(bench, notification):
    """Equal addresses are one incident, different ones are two."""
    for customer in ("jane.roe" + "@example.org", "jane.roe" + "@example.org", "joe.roe" + "@example.org"):
        bench.alert(notification(groupLabels={"alertname": "Custom", "customer": customer}))
        bench.drain()
    assert len(bench.open_tickets) == 2


def test_nothing_of_what_cannot_be_understood_gets_anywhere(bench, notification, log):
    """Neither from the quarantine nor from the answer that says what is wrong."""
    broken = notification()
    broken["alerts"][0]["labels"] = {"jane.roe" + "@example.org": 1, "x": EVERYTHING}
    answers = [bench.alert(EVERYTHING.encode()), bench.alert(json.dumps(broken).encode())]
    answers.append(bench.handoff({"task": "Refund", "confidence": EVERYTHING, "jane.roe" + "@example.org": 1}))
    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert leaks("\n".join(answer.text for answer in answers)) == []
    assert_nothing_leaked(bench, log)


def test_nothing_of_what_jira_says_gets_anywhere(bench, notification, log):
    """Jira repeats what it refuses."""

    def refuse(_environ, start_response):
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        lines = [planted.text for planted in PLANTED]
        return [json.dumps({"errorMessages": lines[:3], "errors": {"summary": EVERYTHING}}).encode()]

    with serve(refuse) as server:
        jira = bench.settings.tickets.jira.model_copy(update={"url": server.url})
        tickets = bench.settings.tickets.model_copy(update={"jira": jira})
        bench.settings = bench.settings.model_copy(update={"tickets": tickets})
        bench.restart()
        bench.alert(notification())
        bench.drain()
        assert any("dead_letter" in line for line in log.getvalue().splitlines())
    assert_nothing_leaked(bench, log)


def test_a_hidden_character_hides_nothing(bench, log):
    """The database holds neither the token nor the token with the character in it."""
    token = next(planted.secret for planted in PLANTED if planted.kind == "GITHUB_TOKEN")
    bench.handoff({"task": "Refund", "confidence": 0.2, "prompt": token[:12] + "\u200b" + token[12:]})
    bench.drain()
    assert token[12:] not in on_disk(bench)
    assert_nothing_leaked(bench, log)
