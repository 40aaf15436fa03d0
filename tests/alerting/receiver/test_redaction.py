"""Nothing secret or personal that comes in gets anywhere: not on disk, not into logs, tickets, metrics or pages."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from alerting.receiver.schema import audit, inbox, incidents, outbox, quarantine
from drill.simulators.wire import serve
from handrail import logs
from tests import redaction_corpus as corpus

PLANTED = corpus.planted()


def chunks(most: int) -> list[str]:
    """All planted texts that fit, in as few texts of at most so many characters as it takes."""
    found, text = [], ""
    for planted in PLANTED:
        if len(planted.text) > most:
            continue
        if len(text) + len(planted.text) + 1 > most:
            found.append(text)
            text = ""
        text += planted.text + "\n"
    return [*found, text]


EVERYTHING = "".join(chunks(100_000))


@pytest.fixture
def log():
    """What the receiver logs."""
    stream = io.StringIO()
    logs.configure(stream)
    return stream


def leaks(text: str) -> list[tuple[str, str]]:
    """What of the planted is in a text, as it is or as JSON and HTML write it."""
    spelt = (text, text.replace("\\n", "\n").replace('\\"', '"').replace("&#34;", '"').replace("&amp;", "&"))
    return [(p.kind, p.text) for p in PLANTED if any(p.secret in each for each in spelt)]


def on_disk(bench) -> str:
    """Every byte of the database, with its write-ahead log."""
    path = Path(bench.settings.receiver.database_url.removeprefix("sqlite:///"))
    files = [file for file in path.parent.glob(path.name + "*") if file.is_file()]
    return b"".join(file.read_bytes() for file in files).decode("utf-8", "replace")


def shown(bench) -> str:
    """What programs and people are answered."""
    paths = ("/", "/metrics", "/v1/agents", "/v1/incidents", "/v1/agents/invoice", "/agents/support-bot/switch")
    paths += ("/runbook/AgentErrorRatioHigh?agent=invoice",)
    paths += ("/?agent=support-bot", "/?agent=invoice")
    assert bench.sign_in().status_code == 303
    answers = [bench.client.get(path) for path in paths]
    assert all(answer.status_code == 200 for answer in answers)
    answers.append(bench.operate("GET", "/v1/agents/support-bot/kills"))
    return "\n".join(answer.text for answer in answers)


def assert_nothing_leaked(bench, log) -> None:
    rows = [row for table in (audit, inbox, incidents, outbox, quarantine) for row in bench.rows(table)]
    assert leaks("\n".join(str(value) for row in rows for value in row)) == []
    assert leaks(on_disk(bench)) == []
    assert leaks(log.getvalue()) == []
    assert leaks(repr(bench.jira.issues)) == []
    assert leaks(shown(bench)) == []


@pytest.mark.parametrize("field", ["prompt", "response", "tool_error", "task", "run_id"])
def test_nothing_of_a_hand_off_gets_anywhere(bench, log, field):
    """Whatever field it stands in."""
    for n, text in enumerate(chunks({"task": 10_000, "run_id": 200}.get(field, 100_000))):
        answer = bench.handoff({"task": "Refund", "confidence": 0.2, field: text}, key=f"{field}-{n}")
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
