"""The simulated Workers Observability: events, keys and values by the SDK's schema; and the account's request limit."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import jsonschema
import pytest

from drill.simulators.cloudflare import CloudflareSimulator
from handrail.http import build_client

ACCOUNT = "0123456789abcdef0123456789abcdef"
TELEMETRY = f"/client/v4/accounts/{ACCOUNT}/workers/observability/telemetry"


@pytest.fixture
def cloudflare(clock):
    """An account whose logs are in telemetry, with three requests."""
    found = CloudflareSimulator(clock)
    found.log_system = "observability"
    for age in (30, 20, 10):
        found.log("support-bot", created_at=clock.now() - timedelta(seconds=age), tokens_in=age)
    yield found
    found.close()


@pytest.fixture
def client(cloudflare):
    """A client with the right token."""
    transport = httpx.WSGITransport(app=cloudflare)
    with build_client(base_url="http://cf", headers={"Authorization": "Bearer cf-token"}, transport=transport) as one:
        yield one


def timeframe(clock):
    until = round(clock.now().timestamp() * 1000)
    return {"from": until - 3_600_000, "to": until}


def query(client, clock, **more):
    body = {"queryId": "x", "timeframe": timeframe(clock), "view": "events"} | more
    return client.post(f"{TELEMETRY}/query", json=body)


@pytest.fixture
def schemas(contracts):
    """The results of the three endpoints, by the last part of their path."""
    endpoints = json.loads((contracts / "cloudflare" / "workers_observability_telemetry.json").read_text())["endpoints"]
    return {one["path"].rpartition("/")[2]: one["result_schema"] for one in endpoints}


@pytest.mark.parametrize("spelling", ["row", "camel", "gen_ai", "text"])
def test_answers_conform(schemas, cloudflare, client, clock, spelling):
    """Whatever stands inside an event, its frame is the documented one."""
    cloudflare.telemetry.spelling = spelling
    result = query(client, clock).json()["result"]
    jsonschema.validate(result, schemas["query"])
    assert len(result["events"]["events"]) == 3
    window = {"from": timeframe(clock)["from"], "to": timeframe(clock)["to"]}
    keys = client.post(f"{TELEMETRY}/keys", json={"datasets": ["ai-gateway"], **window}).json()["result"]
    for key in keys:
        jsonschema.validate(key, schemas["keys"])
    named = {"key": "$metadata.service", "type": "string", "datasets": ["ai-gateway"], "timeframe": window}
    (value,) = client.post(f"{TELEMETRY}/values", json=named).json()["result"]
    jsonschema.validate(value, schemas["values"])
    assert value["value"] == "ai-gateway"


def test_the_gateways_own_settings_conform(contracts, client):
    """Every field that the SDK requires of a gateway."""
    endpoints = json.loads((contracts / "cloudflare" / "ai_gateway_gateways.json").read_text())["endpoints"]
    schema = next(one["result_schema"] for one in endpoints if one["method"] == "GET" and one["path"].endswith("{id}"))
    gateway = client.get(f"/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/prod").json()["result"]
    jsonschema.validate(gateway, schema)


def test_pages_go_on_after_the_last_event(client, clock):
    """The offset is the last event's own id; past the end there is nothing."""
    seen = []
    offset = {}
    while events := query(client, clock, limit=2, **offset).json()["result"]["events"]["events"]:
        seen += [event["source"]["tokens_in"] for event in events]
        offset = {"offset": events[-1]["$metadata"]["id"]}
    assert seen == [10, 20, 30]


def test_the_other_log_is_empty(cloudflare, client, clock):
    """An account has its logs in one place, and the other one says nothing about that."""
    logs = f"/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/prod/logs"
    assert client.get(logs).json()["result"] == []
    cloudflare.log_system = "legacy"
    assert len(client.get(logs).json()["result"]) == 3
    assert query(client, clock).json()["result"]["events"]["events"] == []


def test_filters_and_refusals(client, clock):
    """Equality of a field; what is not understood is refused in Cloudflare's frame."""
    gateway = {"key": "gateway", "operation": "eq", "type": "string", "value": "prod"}
    assert query(client, clock, parameters={"filters": [gateway]}).json()["result"]["events"]["count"] == 3
    other = gateway | {"value": "other"}
    assert query(client, clock, parameters={"filters": [other]}).json()["result"]["events"]["count"] == 0
    assert (
        query(client, clock, parameters={"datasets": ["cloudflare-workers"]}).json()["result"]["events"]["count"] == 0
    )
    for wrong in ({"view": "no"}, {"limit": 0}, {"offset": "no"}, {"timeframe": {"from": 2, "to": 1}}):
        refused = query(client, clock, **wrong)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 7001)


def test_one_request_too_many_blocks_all_for_five_minutes(cloudflare, client, clock):
    """With the time to wait in Retry-After, as far as the service says it."""
    cloudflare.limit.limit = 2
    statuses = [client.get(f"/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    clock.advance(100)
    refused = query(client, clock)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "200")
    cloudflare.limit.with_retry_after = False
    assert "retry-after" not in query(client, clock).headers
    clock.advance(200)
    assert query(client, clock).status_code == 200
