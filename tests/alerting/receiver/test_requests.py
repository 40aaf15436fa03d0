"""What is too large, too deep, compressed, broken, too fast or not allowed is refused in words, and costs little."""

from __future__ import annotations

import gzip
import json

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from alerting.receiver import handoff_request, payload
from alerting.receiver.api.limits import Rate, TokenBuckets
from alerting.receiver.schema import handoffs as handoffs_table
from alerting.receiver.schema import inbox, quarantine
from handrail.secret import Secret
from tests.alerting.receiver.conftest import BROWSER
from tests.conftest import FakeClock

OPERATOR = {"authorization": "Bearer operator-token"}
WEBHOOK = {"authorization": "Bearer webhook-token"}
HANDOFF = {"authorization": "Bearer support-bot-token", "idempotency-key": "k"}
BODIES = [
    ("/v1/alerts", WEBHOOK, payload.MAX_BYTES),
    ("/v1/handoffs", HANDOFF, handoff_request.MAX_BYTES),
    ("/v1/agents/support-bot/disable", OPERATOR, 16_384),
    ("/v1/agents/support-bot/enable", OPERATOR, 16_384),
    ("/v1/drills", OPERATOR, 65_536),
]
DEEP = b"[" * 200_000
BROKEN = [DEEP[:16_000], b'{"a":' * 3000, b"", b"null", b"[]", b'"\\ud800"', b"\xff\xfe{}", b'{"task": "\x00"}', b"NaN"]


def test_a_body_is_refused_by_its_length_before_it_is_read(bench):
    """As long as it says that it is, or as it turns out to be while it comes in pieces."""
    for path, headers, limit in BODIES:
        said = bench.client.post(path, content=b"x" * (limit + 1), headers=headers)
        assert (said.status_code, said.json()) == (413, {"error": f"the body is larger than {limit} bytes"})
        read = 0

        def pieces(limit=limit):
            nonlocal read
            while True:
                read += 4096
                yield b"x" * 4096

        assert bench.client.post(path, content=_bounded(pieces(), limit * 4), headers=headers).status_code == 413
    assert bench.rows(quarantine) == [], "what is too large is not kept"


def _bounded(pieces, most):
    sent = 0
    for piece in pieces:
        if sent > most:
            return
        sent += len(piece)
        yield piece


def test_a_compressed_body_is_not_unpacked(bench):
    """A bomb of a few kilobytes is refused for what it is; nothing here sends one."""
    bomb = gzip.compress(b"0" * 50_000_000)
    for path, headers, _ in BODIES:
        answer = bench.client.post(path, content=bomb[:16_000], headers={**headers, "content-encoding": "gzip"})
        assert answer.status_code == 415
        assert "without a Content-Encoding" in answer.json()["error"]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_body_is_answered_400(bench, body):
    """Depth, half characters, NUL and no JSON at all: never a 5xx, which would make it come again."""
    for path, headers, _ in BODIES:
        answer = bench.client.post(path, content=body, headers=headers)
        assert answer.status_code == 400, (path, answer.text)
        assert answer.json()["error"]
    assert bench.rows(inbox) == []
    assert len(bench.rows(quarantine)) == 1


def test_a_notification_with_nul_in_a_label_is_decided(bench, notification):
    """PostgreSQL stores no NUL; one notification must not stand in the way of all others."""
    body = notification()
    body["alerts"][0]["labels"]["owner"] = "a\x00b\ud800"
    body["alerts"][0]["annotations"]["summary"] = "half \ud83d of an emoji"
    body["groupLabels"]["agent"] = "invoice\x00"
    assert bench.alert(body).status_code == 200
    bench.drain()
    assert len(bench.jira.issues) == 1
    bench.sign_in()
    for path in ("/v1/handoffs/%00", "/v1/agents/%00/enabled", "/v1/agents/a%00", "/agents/%00/switch"):
        assert bench.operate("GET", path).status_code == 404
    assert bench.operate("GET", "/v1/agents/%00/kills").json() == []


def test_what_is_not_there_is_said_as_json_to_programs_and_as_a_page_to_people(bench):
    """Both kinds of path, both ways to ask, with the methods that there are."""
    answer = bench.client.get("/v1/nothing")
    assert (answer.status_code, answer.json()) == (404, {"error": "there is nothing at this path"})
    answer = bench.client.get("/v1/alerts", headers={"accept": "text/html"})
    assert (answer.status_code, answer.json()) == (405, {"error": "this path does not take this method"})
    assert answer.headers["allow"] == "POST"
    page = bench.client.get("/nothing", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "There is nothing at this path." in page.text
    assert page.headers["content-type"].startswith("text/html")


def test_every_answer_carries_the_headers_that_keep_it_safe(bench):
    """Pages, JSON, metrics and errors alike: not framed, not guessed at, not kept, and nothing from elsewhere."""
    bench.sign_in()
    for path in (
        "/",
        "/login",
        "/agents/support-bot/switch",
        "/v1/agents",
        "/metrics",
        "/nothing",
        "/v1/nothing",
        "/openapi.json",
    ):
        headers = bench.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "connect-src": "'self'",
            "form-action": "'self'",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
        }


def limited(bench, **limits):
    receiver = bench.settings.receiver
    changed = receiver.model_copy(update={"limits": receiver.limits.model_copy(update=limits)})
    bench.settings = bench.settings.model_copy(update={"receiver": changed})
    bench.restart()


def test_alertmanager_is_told_503_when_it_is_too_fast(bench, notification):
    """429 it would not try again. What was answered 200 is there, and later it is taken again."""
    limited(bench, notifications_per_second=2)
    statuses = [bench.alert(notification()).status_code for _ in range(25)]
    assert statuses == [200] * 20 + [503] * 5
    assert len(bench.rows(inbox)) == 20
    assert 'handrail_notifications_total{outcome="limited"} 5.0' in bench.client.get("/metrics").text
    bench.clock.advance(2)
    assert [bench.alert(notification()).status_code for _ in range(5)] == [200] * 4 + [503]


def test_an_agent_that_is_too_fast_is_told_when_to_come_again(bench):
    """Only that agent, only for so long; a wrong token takes nothing from a right one."""
    limited(bench, handoffs_per_minute=6)
    low = {"task": "x", "confidence": 0.5}
    for _ in range(20):
        assert bench.handoff(low, agent="nobody").status_code == 401
    answers = [bench.handoff(low, key=f"k{number}") for number in range(8)]
    assert [answer.status_code for answer in answers] == [202] * 6 + [429] * 2
    assert answers[-1].headers["retry-after"] == "10"
    assert bench.handoff(low, agent="invoice").status_code == 202
    bench.clock.advance(10)
    assert bench.handoff(low, key="k7").status_code == 202
    assert len(bench.rows(handoffs_table)) == 8


def test_a_bucket_fills_at_its_rate_up_to_its_burst():
    """Whatever the wall clock does, for it counts on the monotonic one."""
    clock = FakeClock()
    buckets, rate = TokenBuckets(clock), Rate(per_second=2, burst=3)
    assert [buckets.take("a", rate) for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b", rate) == 0
    clock.advance(0.5)
    assert [buckets.take("a", rate), buckets.take("a", rate)] == [0, 0.5]
    clock.advance(3600)
    assert [buckets.take("a", rate) for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_token_is_replaced_without_a_refused_request(bench, tmp_path, notification):
    """The new one above the old, then without the old: at each step what may be in use is taken."""
    file = tmp_path / "secrets" / "webhook"
    steps = [
        ("new\nwebhook-token\n", ["new", "webhook-token"], ["newwebhook-token", ""]),
        ("new\n", ["new"], ["webhook-token"]),
    ]
    for content, taken, refused in steps:
        file.write_text(content)
        assert [bench.alert(notification(), token).status_code for token in taken] == [200] * len(taken)
        assert [bench.alert(notification(), token).status_code for token in refused] == [401] * len(refused)
    file.write_text("\n \n")
    answer = bench.alert(notification(), "")
    assert (answer.status_code, answer.json()["error"]) == (503, "a secret cannot be read; see the receiver's log")


def test_one_agents_unreadable_token_keeps_the_others_from_nothing(bench, tmp_path):
    """Its own hand-offs are told to come again, as nobody knows whose they are."""
    (tmp_path / "secrets" / "support-bot").unlink()
    assert bench.handoff({"task": "x", "confidence": 0.1}, agent="invoice").status_code == 202
    assert bench.handoff({"task": "x", "confidence": 0.1}, agent="support-bot").status_code == 503


def test_a_secret_may_hold_several_lines():
    """Without white space around them, in their order."""
    assert Secret(env="A", environ={"A": " new \n\n old\r\n"}).read_all() == ("new", "old")


def test_no_answer_and_no_log_holds_a_secret(bench, tmp_path, notification, capsys, monkeypatch):
    """Every way to be refused, with every configured secret in the request, and with a database that fails."""
    secrets = {file.read_text().strip() for file in (tmp_path / "secrets").iterdir() if len(file.read_text()) > 3}
    assert len(secrets) == 6
    answers = []
    with capture_logs() as logs:
        for client in (bench.client, TestClient(bench.receiver.app, raise_server_exceptions=False)):
            # Who is not signed in is led to signing in and back, so that what stood in the address stands there again.
            client.post("/login", data={"token": "operator-token", "by": "a"}, headers=BROWSER)
            for secret in secrets:
                for path, headers, limit in BODIES:
                    for body in (b"{", secret.encode(), json.dumps({"reason": secret}).encode(), b"x" * (limit + 1)):
                        answers.append(client.post(path, content=body, headers=headers))
                        answers.append(client.post(path, content=body, headers={"authorization": f"Bearer {secret}x"}))
                        answers.append(client.post(path, content=body, headers={"authorization": f"Basic {secret}"}))
                answers += [client.get(f"/v1/{secret}"), client.get(f"/{secret}", headers={"accept": "text/html"})]
                answers += [client.get(f"/v1/agents/{secret}"), client.get(f"/agents/{secret}/switch")]
                form = {"token": secret + "x", "by": "a", "reason": "b"}
                answers.append(client.post("/agents/support-bot/switch", data=form, headers=BROWSER))
                answers.append(client.post("/login", data=form, headers=BROWSER))
            bench.clock.advance(3600)

            def fails(*_, **__):
                raise OperationalError("INSERT INTO inbox VALUES (?)", {"body": secrets}, Exception(str(secrets)))

            monkeypatch.setattr(type(bench.receiver.engine), "begin", fails)
            answers += [
                client.post(path, content=json.dumps(notification()), headers=headers) for path, headers, _ in BODIES
            ]
            reason = {"reason": "x", "by": "y"}
            answers.append(client.post("/v1/agents/support-bot/disable", json=reason, headers=OPERATOR))
            monkeypatch.undo()
            for file in (tmp_path / "secrets").iterdir():
                file.write_text("")
            answers += [client.post(path, content=b"{}", headers=headers) for path, headers, _ in BODIES]
            for file in (tmp_path / "secrets").iterdir():
                file.write_text(f"{file.name}-token")
    assert {401, 400, 404, 413, 503} <= {answer.status_code for answer in answers}
    output = capsys.readouterr()
    said = "".join(answer.text + str(answer.headers) for answer in answers) + str(logs) + output.out + output.err
    for secret in secrets:
        assert secret not in said
