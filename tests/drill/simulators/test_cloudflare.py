"""The simulated Cloudflare: rows by the SDK's schema, pages, windows, and the gateway in front of a model."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import jsonschema
import pytest

from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.llm import LlmSimulator
from drill.simulators.wire import serve
from handrail.clock import SystemClock
from handrail.http import build_client

ACCOUNT = "0123456789abcdef0123456789abcdef"
LOGS = f"/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/prod/logs"
COMPLETIONS = f"/v1/{ACCOUNT}/prod/openai/chat/completions"
QUESTION = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def llm(clock):
    """A model that answers."""
    return LlmSimulator(clock)


@pytest.fixture
def cloudflare(clock, llm):
    """A gateway in front of that model."""
    found = CloudflareSimulator(clock, llm_url="http://model", llm_transport=httpx.WSGITransport(app=llm))
    yield found
    found.close()


@pytest.fixture
def client(cloudflare):
    """A client with the right token."""
    transport = httpx.WSGITransport(app=cloudflare)
    headers = {"Authorization": "Bearer cf-token"}
    with build_client(base_url="http://cf", headers=headers, transport=transport) as client:
        yield client


def test_rows_conform(contracts, cloudflare, client):
    """Rows have every field that the SDK requires, of the type it expects, and the frame is Cloudflare's."""
    endpoints = json.loads((contracts / "cloudflare" / "ai_gateway_logs.json").read_text())["endpoints"]
    schema = next(one["result_schema"] for one in endpoints if one["method"] == "GET" and one["path"].endswith("/logs"))
    cloudflare.log("support-bot", tokens_in=10, tokens_out=2, cost=0.001)
    cloudflare.log(None, success=False, status_code=500)
    body = client.get(LOGS).json()
    assert set(body) == {"success", "errors", "messages", "result", "result_info"}
    assert body["result_info"] == {"page": 1, "per_page": 20, "count": 2, "total_count": 2}
    for row in body["result"]:
        jsonschema.validate(row, schema)
    with_tokens = body["result"][0]
    assert (with_tokens["duration"], json.loads(with_tokens["metadata"])) == (1000, {"agent": "support-bot"})
    assert body["result"][1]["metadata"] is None


def test_pages(cloudflare, client):
    """At most 50 rows a page; more is refused with code 7001, and a page past the end is empty."""
    for _ in range(120):
        cloudflare.log("a")
    pages = [client.get(LOGS, params={"per_page": 50, "page": page}).json()["result"] for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [50, 50, 20, 0]
    assert len({row["id"] for page in pages for row in page}) == 120
    refused = client.get(LOGS, params={"per_page": 100})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 7001)
    assert refused.json()["success"] is False


def test_window_and_order(cloudflare, client, clock):
    """Rows are found by when they were created, in the order that was asked for."""
    now = clock.now()
    ids = [cloudflare.log("a", created_at=now - timedelta(minutes=age)) for age in (30, 20, 10)]
    window = {"start_date": (now - timedelta(minutes=25)).isoformat(), "end_date": now.isoformat()}
    query = window | {"order_by": "created_at", "order_by_direction": "asc"}
    assert [row["id"] for row in client.get(LOGS, params=query).json()["result"]] == ids[1:]
    query["order_by_direction"] = "desc"
    assert [row["id"] for row in client.get(LOGS, params=query).json()["result"]] == ids[:0:-1]
    assert client.get(LOGS, params={"order_by": "cost"}).status_code == 400
    assert client.get(LOGS, params={"search": "x"}).status_code == 400


def test_rows_appear_late(cloudflare, client, clock):
    """A row can be read only after the log's delay."""
    cloudflare.delay_s = 60
    cloudflare.log("a")
    assert client.get(LOGS).json()["result"] == []
    clock.advance(60)
    assert len(client.get(LOGS).json()["result"]) == 1


def test_refusals(cloudflare, client):
    """A wrong token, a foreign account and an unknown gateway are refused in Cloudflare's frame."""
    transport = httpx.WSGITransport(app=cloudflare)
    with build_client(base_url="http://cf", headers={"Authorization": "Bearer no"}, transport=transport) as stranger:
        refused = stranger.get(LOGS)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (401, 10000)
    assert client.get(LOGS.replace(ACCOUNT, "f" * 32)).status_code == 403
    missing = client.get(LOGS.replace("/prod/", "/other/"))
    assert (missing.status_code, missing.json()["errors"][0]["code"]) == (404, 7002)
    cloudflare.faults.set("rate_limited", count=1)
    limited = client.get(LOGS)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "1")
    verified = client.get(f"/client/v4/accounts/{ACCOUNT}/tokens/verify").json()
    assert (verified["success"], verified["result"]["status"]) == (True, "active")
    stranger = client.get("/client/v4/user/tokens/verify")
    assert (stranger.status_code, stranger.json()["errors"][0]["message"]) == (401, "Invalid API Token")


def test_gateway_logs_what_it_forwards(cloudflare, client, llm):
    """A call through the gateway answers with the model's words and leaves a row with its tokens."""
    headers = {"cf-aig-metadata": json.dumps({"agent": "support-bot"})}
    cloudflare.faults.set("unavailable")
    response = client.post(COMPLETIONS, json=QUESTION, headers=headers)
    assert response.json()["choices"][0]["message"]["content"] == llm.reply
    row = cloudflare.rows[0]
    assert response.headers["cf-aig-log-id"] == row["id"]
    assert (row["tokens_in"], row["tokens_out"], row["model"]) == (*llm.tokens, "gpt-4o-mini")
    assert json.loads(row["metadata"]) == {"agent": "support-bot"}


def test_gateway_logs_failures(cloudflare, client, llm):
    """A model that fails leaves a failed row without tokens."""
    llm.faults.set("server_error", count=1)
    assert client.post(COMPLETIONS, json=QUESTION).status_code == 500
    row = cloudflare.rows[0]
    assert (row["success"], row["status_code"], row["tokens_in"]) == (False, 500, None)
    assert client.post(COMPLETIONS, json={"messages": "no"}).status_code == 400


def test_gateway_gives_up_in_time(llm):
    """A model that does not answer is given up after the caller's time; the row tells how long it took."""
    llm.faults.set("timeout")
    with serve(llm) as model:
        cloudflare = CloudflareSimulator(SystemClock(), llm_url=model.url)
        transport = httpx.WSGITransport(app=cloudflare)
        with build_client(base_url="http://cf", transport=transport) as client:
            response = client.post(COMPLETIONS, json=QUESTION, headers={"cf-aig-request-timeout": "200"})
        cloudflare.close()
        llm.faults.clear()
    assert response.status_code == 408
    row = cloudflare.rows[0]
    assert (row["success"], row["status_code"]) == (False, 408)
    assert 200 <= row["duration"] < 5000


def test_gateway_without_a_model(clock):
    """Where nothing listens, the gateway answers 502 and logs it."""
    with serve(LlmSimulator(clock)) as model:
        url = model.url
    cloudflare = CloudflareSimulator(clock, llm_url=url)
    with build_client(base_url="http://cf", transport=httpx.WSGITransport(app=cloudflare)) as client:
        assert client.post(COMPLETIONS, json=QUESTION).status_code == 502
    cloudflare.close()
    assert cloudflare.rows[0]["status_code"] == 502
