"""The simulated n8n behaves as the real one where that is a trap for its readers and for the kill switch."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import httpx
import pytest

from drill.simulators.n8n import N8nSimulator
from handrail.http import build_client


@pytest.fixture
def n8n(clock):
    """An n8n without workflows."""
    return N8nSimulator(clock)


@pytest.fixture
def client(n8n):
    """A client with the right key."""
    transport = httpx.WSGITransport(app=n8n)
    with build_client(base_url="http://n8n", headers={"X-N8N-API-KEY": "n8n-key"}, transport=transport) as client:
        yield client


def ids(client, **query):
    return [row["id"] for row in client.get("/api/v1/executions", params=query).json()["data"]]


def test_running_executions_are_left_out(n8n, client):
    """The default list knows nothing of running executions; asking for them shows them alone."""
    workflow = n8n.add_workflow("agent")
    done, running = n8n.call(workflow), n8n.start(workflow)
    assert ids(client) == [done]
    assert ids(client, status="running") == [running]
    n8n.finish(running, outcome="error")
    assert ids(client) == [running, done]
    with pytest.raises(ValueError, match="error already"):
        n8n.finish(running)


def test_pages_are_stable(n8n, client):
    """The newest come first, and a page that was begun is not moved by new arrivals."""
    workflow = n8n.add_workflow("agent")
    for _ in range(5):
        n8n.call(workflow)
    first = client.get("/api/v1/executions", params={"limit": 2}).json()
    assert [row["id"] for row in first["data"]] == ["5", "4"]
    n8n.call(workflow)
    second = client.get("/api/v1/executions", params={"cursor": first["nextCursor"], "limit": 100}).json()
    assert [row["id"] for row in second["data"]] == ["3", "2"]
    third = client.get("/api/v1/executions", params={"cursor": second["nextCursor"]}).json()
    assert ([row["id"] for row in third["data"]], third["nextCursor"]) == (["1"], None)


def test_limits(n8n, client):
    """More than 250 are capped silently, 0 means all, and a cursor of another kind silently begins anew."""
    workflow = n8n.add_workflow("agent")
    for _ in range(260):
        n8n.call(workflow)
    assert len(ids(client)) == 100
    assert len(ids(client, limit=100_000)) == 250
    assert len(ids(client, limit=0)) == 260
    other = base64.b64encode(json.dumps({"limit": 2, "offset": 2}).encode()).decode()
    assert ids(client, cursor=other)[0] == "260"


def test_filters(n8n, client, clock):
    """Executions are filtered by workflow and by their beginning; unknown parameters are ignored."""
    one, two = n8n.add_workflow("one"), n8n.add_workflow("two")
    old = n8n.call(one, finished_at=clock.now() - timedelta(hours=1))
    new = n8n.call(two)
    assert ids(client, workflowId=two) == [new]
    assert ids(client, workflowId="unknown") == []
    since = (clock.now() - timedelta(minutes=5)).isoformat()
    assert ids(client, startedAfter=since) == [new]
    assert ids(client, startedBefore=since) == [old]
    assert ids(client, stoppedAfter=since) == [new, old]
    assert client.get("/api/v1/executions", params={"startedAfter": "1795418966"}).status_code == 400


@pytest.mark.parametrize("duration_s", [0.1, 1.0, 5.0, 6.5])
def test_duration_of_an_agent(n8n, client, duration_s):
    """The agent and its sub-nodes together take the time of the call, though the agent's run is its last leg."""
    number = n8n.call(n8n.add_workflow("agent"), duration_s=duration_s)
    body = client.get(f"/api/v1/executions/{number}?includeData=true").json()
    runs = body["data"]["resultData"]["runData"]
    nodes = [run for name in ("AI Agent", "OpenAI Chat Model", "lookup_order") for run in runs[name]]
    start = min(run["startTime"] for run in nodes)
    end = max(run["startTime"] + run["executionTime"] for run in nodes)
    assert end - start == round(duration_s * 1000)
    assert runs["AI Agent"][0]["executionTime"] < duration_s * 1000


def test_unpublish_takes_effect_later(n8n, client, clock):
    """The webhook is still served right after the answer of unpublish, and refused 0.15 s later; back likewise."""
    workflow = n8n.add_workflow("Invoice summary")
    assert client.post("/webhook/invoice-summary").status_code == 200
    assert client.post(f"/api/v1/workflows/{workflow}/unpublish").json()["active"] is False
    assert client.post("/webhook/invoice-summary").status_code == 200
    clock.advance(0.15)
    assert client.post("/webhook/invoice-summary").status_code == 404
    client.post(f"/api/v1/workflows/{workflow}/publish")
    assert client.post("/webhook/invoice-summary").status_code == 404
    clock.advance(0.15)
    assert client.post("/webhook/invoice-summary").status_code == 200
    assert len(ids(client)) == 3


def test_unpublish_twice(n8n, client, clock):
    """Unpublishing again changes nothing and does not begin the delay anew."""
    workflow = n8n.add_workflow("agent")
    first = client.post(f"/api/v1/workflows/{workflow}/unpublish").json()
    clock.advance(0.15)
    assert client.post(f"/api/v1/workflows/{workflow}/unpublish").json() == first
    assert client.post("/webhook/agent").status_code == 404


def test_publish_takes_the_newest_draft(n8n, client):
    """Without a version the newest draft goes live; with one, exactly that."""
    workflow = n8n.add_workflow("agent")
    live = n8n.workflow(workflow).active_version_id
    draft = n8n.edit(workflow)
    assert n8n.workflow(workflow).active_version_id == live
    client.post(f"/api/v1/workflows/{workflow}/unpublish")
    url = f"/api/v1/workflows/{workflow}/publish"
    assert client.post(url, json={"versionId": live}).json()["activeVersionId"] == live
    assert client.post(url).json()["activeVersionId"] == draft


def test_older_api(n8n, client):
    """The older API knows activate and deactivate only, and no versions."""
    n8n.older_api = True
    workflow = n8n.add_workflow("agent")
    gone = client.post(f"/api/v1/workflows/{workflow}/unpublish")
    assert (gone.status_code, gone.json()) == (404, {"message": "not found"})
    off = client.post(f"/api/v1/workflows/{workflow}/deactivate").json()
    assert off["active"] is False
    assert "activeVersionId" not in off
    assert client.post(f"/api/v1/workflows/{workflow}/activate").json()["active"] is True


def test_aliases_are_deprecated(n8n, client):
    """In the present API activate and deactivate still work and say that they are deprecated."""
    workflow = n8n.add_workflow("agent")
    response = client.post(f"/api/v1/workflows/{workflow}/deactivate")
    assert response.headers["deprecation"] == "@1784764800"
    assert n8n.workflow(workflow).active is False


def test_workflow_list(n8n, client):
    """Workflows are found by a part of their name and by being published, page by page."""
    for name in ("Invoice summary", "Invoice copy", "Other"):
        n8n.add_workflow(name)
    archived = n8n.add_workflow("Invoice old")
    n8n.archive(archived)
    found = client.get("/api/v1/workflows", params={"name": "invoice", "active": "true"}).json()["data"]
    assert sorted(row["name"] for row in found) == ["Invoice copy", "Invoice summary"]
    seen, cursor = [], None
    for _ in range(2):
        page = client.get("/api/v1/workflows", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen, cursor = seen + [row["id"] for row in page["data"]], page["nextCursor"]
    assert seen == sorted(n8n.workflows)
    assert cursor is None


def test_fault_hits_the_api_only(n8n, client):
    """A fault answers in n8n's words and leaves the webhooks alone."""
    n8n.add_workflow("agent")
    n8n.faults.set("unauthorized", count=1)
    assert client.post("/webhook/agent").status_code == 200
    refused = client.get("/api/v1/workflows")
    assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized"})
    assert client.get("/api/v1/workflows").status_code == 200
