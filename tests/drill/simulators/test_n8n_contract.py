"""The simulated n8n answers with the keys and types of recordings of a real n8n 2.41."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from drill.simulators.n8n import N8nSimulator
from handrail.http import build_client

NUMBER = (int, float)


def assert_like(given, recorded, where="$"):
    """Every key of `given` stands in `recorded`, with a value of the same type, all the way down."""
    if isinstance(given, dict):
        assert isinstance(recorded, dict), f"{where}: an object, but recorded is {recorded!r}"
        for key, value in given.items():
            assert key in recorded, f"{where}.{key} is not in the recording"
            assert_like(value, recorded[key], f"{where}.{key}")
    elif isinstance(given, list):
        assert isinstance(recorded, list), f"{where}: a list, but recorded is {recorded!r}"
        for number, value in enumerate(given):
            assert_like(value, recorded[min(number, len(recorded) - 1)], f"{where}[{number}]")
    elif isinstance(given, bool) or given is None or isinstance(given, str):
        assert type(given) is type(recorded), f"{where}: {given!r}, but recorded is {recorded!r}"
    else:
        assert isinstance(recorded, NUMBER) and not isinstance(recorded, bool), f"{where}: {given!r} vs {recorded!r}"


@pytest.fixture
def recorded(contracts):
    """Reads the body of a recording."""

    def read(name):
        content = json.loads((contracts / "n8n" / f"{name}.json").read_text())
        return content.get("body", content)

    return read


@pytest.fixture
def n8n(clock):
    """An n8n without workflows."""
    return N8nSimulator(clock)


@pytest.fixture
def client(n8n):
    """A client with the right key."""
    transport = httpx.WSGITransport(app=n8n)
    with build_client(
        base_url="http://n8n/api/v1", headers={"X-N8N-API-KEY": "n8n-key"}, transport=transport
    ) as client:
        yield client


def execution(client, number):
    return client.get(f"/executions/{number}", params={"includeData": "true"}).json()


def runs(body):
    return body["data"]["resultData"]["runData"]


def without_nodes(body):
    """Without what depends on the workflow of the recording and not on n8n."""
    kept = {key: value for key, value in body.items() if key != "workflowData"}
    data = kept["data"]
    result = {key: value for key, value in data["resultData"].items() if key != "runData"}
    stripped = {key: value for key, value in data["executionData"].items() if key not in ("nodeExecutionStack",)}
    return kept | {"data": data | {"resultData": result, "executionData": stripped}}


def test_successful_agent_run(n8n, client, recorded):
    """A run with two model calls and a tool looks like the recorded one, node by node, and has no key missing."""
    workflow = n8n.add_workflow("agent")
    body, original = (
        execution(client, n8n.call(workflow, tokens_in=270, tokens_out=24)),
        recorded("exec_agent_ok_tool_chat"),
    )
    assert_like(without_nodes(body), without_nodes(original))
    assert set(body) == set(original)
    for node, twin in {
        "Webhook": "Webhook",
        "OpenAI Chat Model": "OpenAI Chat Model",
        "lookup_order": "Calculator",
    }.items():
        assert_like(runs(body)[node][0]["source"], runs(original)[twin][0]["source"])
        assert set(runs(body)[node][0]) == set(runs(original)[twin][0]), node
    for node in ("OpenAI Chat Model", "AI Agent", "Respond"):
        assert len(runs(body)[node]) == len(runs(original)[node])
    usage = [run["data"]["ai_languageModel"][0][0]["json"]["tokenUsage"] for run in runs(body)["OpenAI Chat Model"]]
    assert_like(
        usage,
        [run["data"]["ai_languageModel"][0][0]["json"]["tokenUsage"] for run in runs(original)["OpenAI Chat Model"]],
    )
    assert sum(one["promptTokens"] for one in usage) == 270
    assert sum(one["completionTokens"] for one in usage) == 24
    for node in ("OpenAI Chat Model", "Respond"):
        assert_like(runs(body)[node], runs(original)[node], node)
    assert_like(runs(body)["AI Agent"][0]["metadata"]["tracing"], runs(original)["AI Agent"][0]["metadata"]["tracing"])


def test_workflow_data(n8n, client, recorded):
    """The copy of the workflow in an execution has the recorded keys, and its model node names the model."""
    workflow = n8n.add_workflow("agent")
    body, original = execution(client, n8n.call(workflow)), recorded("exec_agent_ok_tool_chat")
    assert set(body["workflowData"]) == set(original["workflowData"])
    originals = {node["type"]: node for node in original["workflowData"]["nodes"]}
    for node in body["workflowData"]["nodes"]:
        if node["type"] in originals:
            assert set(node) == set(originals[node["type"]]), node["name"]
            assert_like(node["parameters"], originals[node["type"]]["parameters"], node["name"])


def test_tool_error(n8n, client, recorded):
    """A failed tool leaves the execution a success; the error stands in the tool's run, where it is recorded."""
    body = execution(client, n8n.call(n8n.add_workflow("agent"), outcome="tool_error"))
    original = recorded("exec_agent_tool_error_code")
    assert body["status"] == original["status"] == "success"
    tool, twin = runs(body)["lookup_order"][0], runs(original)["lookup_order"][0]
    assert_like(tool, twin)
    assert set(tool) == set(twin)
    assert_like(runs(body)["AI Agent"], runs(original)["AI Agent"])


def test_guessed_tokens(n8n, client, recorded):
    """Where the model reports no usage, n8n's guess stands under another name."""
    workflow = n8n.add_workflow("agent")
    for number in (n8n.call(workflow), n8n.call(workflow, tokens_in=10, tokens_out=5, estimate=True)):
        body = execution(client, number)
        assert_like(runs(body)["OpenAI Chat Model"], runs(recorded("exec_agent_no_usage"))["OpenAI Chat Model"])
        assert runs(body)["AI Agent"][0]["metadata"]["tracing"]["llm.tokens.estimated"] is True


def test_failed_model(n8n, client, recorded):
    """A model that answers 500 fails the execution; the errors stand where they are recorded."""
    body = execution(client, n8n.call(n8n.add_workflow("agent"), outcome="error"))
    original = recorded("exec_agent_llm_500")
    assert_like(without_nodes(body), without_nodes(original))
    assert_like(runs(body)["OpenAI Chat Model"], runs(original)["OpenAI Chat Model"])
    assert_like(runs(body)["AI Agent"], runs(original)["AI Agent"])
    assert list(runs(body)) == list(runs(original))


def test_timeout(n8n, client, recorded):
    """A workflow that timed out is canceled like a stopped one, but without the error of a manual stop."""
    body = execution(client, n8n.call(n8n.add_workflow("agent"), outcome="timeout", duration_s=3.0))
    original = recorded("exec_agent_workflow_timeout_0")
    assert_like(without_nodes(body), without_nodes(original))
    assert_like(runs(body)["OpenAI Chat Model"], runs(original)["OpenAI Chat Model"])
    assert_like(runs(body)["AI Agent"], runs(original)["AI Agent"])
    assert body["status"] == "canceled"
    assert body["workflowData"]["settings"] == original["workflowData"]["settings"]
    assert body["data"]["resultData"]["error"]["name"] != "ManualExecutionCancelledError"


def test_manual_stop(n8n, client, recorded):
    """An execution stopped by hand is canceled, says so, and has lost what its nodes did."""
    number = n8n.start(n8n.add_workflow("agent"))
    answer = client.post(f"/executions/{number}/stop").json()
    assert_like(answer, recorded("stop_running"))
    assert set(answer) == set(recorded("stop_running"))
    body, original = execution(client, number), recorded("exec_canceled")
    assert_like(without_nodes(body), without_nodes(original))
    assert runs(body) == runs(original) == {}
    assert body["data"]["resultData"]["error"]["name"] == original["data"]["resultData"]["error"]["name"]


def test_crashed(n8n, client, recorded):
    """A crash leaves one run whose time is in seconds, and an end right after the beginning."""
    body = execution(client, n8n.call(n8n.add_workflow("agent"), outcome="crashed", duration_s=60))
    original = recorded("exec_crashed")
    assert_like(without_nodes(body), without_nodes(original))
    run = runs(body)["AI Agent"]
    assert_like(run, runs(original)["Slow call"])
    assert run[0]["startTime"] < 10_000_000_000


def test_running(n8n, client, recorded):
    """A running execution has no end and no runs."""
    body, original = execution(client, n8n.start(n8n.add_workflow("agent"))), recorded("exec_running")
    assert_like(without_nodes(body), without_nodes(original))
    assert set(body) == set(original)
    assert runs(body) == {}


def test_parsed_confidence(n8n, client, recorded):
    """With an output parser the answer is an object, without one it is a string of JSON."""
    parsed = execution(client, n8n.call(n8n.add_workflow("parsed", confidence=True), confidence=0.2))
    original = recorded("exec_agent_parsed")
    assert_like(runs(parsed)["Parser"], runs(original)["Parser"])
    answer = runs(parsed)["AI Agent"][0]["data"]
    assert_like(answer, runs(original)["AI Agent"][0]["data"])
    assert answer["main"][0][0]["json"]["output"]["confidence"] == 0.2
    plain = execution(client, n8n.call(n8n.add_workflow("plain"), confidence=0.31))
    text = runs(plain)["AI Agent"][0]["data"]["main"][0][0]["json"]["output"]
    assert_like(runs(plain)["AI Agent"][0]["data"], runs(recorded("exec_agent_low_confidence"))["AI Agent"][0]["data"])
    assert json.loads(text)["confidence"] == 0.31


def test_plain_http_workflow(n8n, client, recorded):
    """A workflow without an AI node fails as the recorded one does."""
    workflow = n8n.add_workflow("plain", ai=False)
    body, original = execution(client, n8n.call(workflow, outcome="error")), recorded("exec_http_500")
    error, twin = body["data"]["resultData"]["error"], original["data"]["resultData"]["error"]
    assert set(error) <= set(twin)
    assert error["httpCode"] == twin["httpCode"]
    assert runs(execution(client, n8n.call(workflow)))["Call service"][0]["executionStatus"] == "success"


def test_list_rows(n8n, client, recorded):
    """Rows of the list, without and with data, have the recorded keys; so has the page around them."""
    workflow = n8n.add_workflow("agent")
    for _ in range(3):
        n8n.call(workflow)
    page, original = client.get("/executions", params={"limit": 2}).json(), recorded("list_default")
    assert set(page) == set(original) == {"data", "nextCursor"}
    assert_like(page["data"][0], original["data"][0])
    assert set(page["data"][0]) == set(original["data"][0])
    assert json.loads(base64.b64decode(page["nextCursor"])) == {"lastId": "2", "limit": 2}
    full = client.get("/executions", params={"includeData": "true"}).json()["data"][0]
    assert set(full) == set(recorded("list_unredacted")["data"][0])
    assert set(client.get("/executions/1").json()) == set(recorded("exec_nodata"))


def test_workflow_rows(n8n, client, recorded):
    """A row of the list of workflows and a workflow read by its id have the recorded keys and types."""
    workflow = n8n.add_workflow("agent")
    row, original = client.get("/workflows").json()["data"][0], recorded("workflows_active")["data"][0]
    skipped = ("nodes", "connections", "settings")
    assert set(row) == set(original)
    for key in set(row) - {*skipped, "activeVersion"}:
        assert_like(row[key], original[key], key)
    assert set(row["activeVersion"]) == set(original["activeVersion"])
    assert set(client.get(f"/workflows/{workflow}").json()) == set(recorded("workflow_one"))


def test_switch_answers(n8n, client, recorded):
    """Publish and unpublish answer with the workflow, each with the keys of its recording."""
    workflow = n8n.add_workflow("agent")
    version = n8n.workflow(workflow).version_id
    off, original = client.post(f"/workflows/{workflow}/unpublish").json(), recorded("unpublish")
    assert set(off) == set(original)
    assert (off["active"], off["activeVersionId"], off["activeVersion"]) == (False, None, None)
    on = client.post(f"/workflows/{workflow}/publish", json={"versionId": version}).json()
    original = recorded("publish_with_version")
    assert set(on) == set(original)
    assert set(on["activeVersion"]) == set(original["activeVersion"])
    history = on["activeVersion"]["workflowPublishHistory"]
    assert_like(history[0], original["activeVersion"]["workflowPublishHistory"][0])
    assert (on["active"], on["activeVersionId"]) == (True, version)


def test_stop_many(n8n, client, recorded):
    """Stopping a workflow's executions answers with their number, and with the recorded error without a status."""
    workflow = n8n.add_workflow("agent")
    n8n.start(workflow), n8n.start(workflow, status="waiting"), n8n.start(workflow, status="new")
    body = {"status": ["running", "waiting", "queued"], "workflowId": workflow}
    assert client.post("/executions/stop", json=body).json() == recorded("stop_many")
    assert client.post("/executions/stop", json=body).json() == recorded("stop_many_none")
    assert client.post("/executions/stop", json={"workflowId": workflow}).json() == recorded("stop_many_bad")


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        ("GET", "/executions?limit=abc", "list_limit_text", 400),
        ("GET", "/executions?limit=-1", "list_limit_neg", 400),
        ("GET", "/executions?status=bogus", "list_status_bogus", 400),
        ("GET", "/executions?includeData=1", "list_includeData_1", 400),
        ("GET", "/executions?cursor=garbage", "cursor_bad", 400),
        ("GET", "/workflows?cursor=garbage", "workflows_bad_cursor", 400),
        ("GET", "/executions/999999", "exec_unknown", 404),
        ("GET", "/executions/abc", "exec_text_id", 400),
        ("POST", "/executions/99999/stop", "stop_unknown", 404),
        ("GET", "/workflows/nope", "workflow_unknown", 404),
        ("POST", "/workflows/nope/unpublish", "unpublish_unknown_workflow", 404),
        ("POST", "/workflows/nope/publish", "publish_unknown_workflow", 404),
        ("GET", "/nope", "unknown_route", 404),
        ("POST", "/executions", "wrong_method", 405),
    ],
)
def test_errors(client, recorded, method, path, name, status):
    """Every refusal has the recorded status and exactly the recorded words."""
    response = client.request(method, path)
    assert (response.status_code, response.json()) == (status, recorded(name))
    assert "application/json" in response.headers["content-type"]


def test_wrong_key(n8n, recorded):
    """A wrong key, and a key sent as a bearer token, are refused in the recorded words."""
    transport = httpx.WSGITransport(app=n8n)
    for headers in ({"X-N8N-API-KEY": "wrong"}, {"Authorization": "Bearer n8n-key"}, {}):
        with build_client(base_url="http://n8n", headers=headers, transport=transport) as client:
            response = client.get("/api/v1/executions")
            assert (response.status_code, response.json()) == (401, recorded("key_wrong"))


def test_refused_switches(n8n, client, recorded):
    """An unknown version, an archived workflow and a finished execution are refused in the recorded words."""
    workflow = n8n.add_workflow("agent")
    bad = client.post(f"/workflows/{workflow}/publish", json={"versionId": "0" * 8})
    assert (bad.status_code, bad.json()) == (404, recorded("publish_bad_version"))
    n8n.archive(workflow)
    archived = client.post(f"/workflows/{workflow}/publish")
    assert (archived.status_code, archived.json()) == (400, recorded("publish_archived"))
    number = n8n.call(workflow)
    stopped = client.post(f"/executions/{number}/stop")
    assert stopped.status_code == 409
    assert stopped.json()["message"].startswith(recorded("stop_finished")["message"].split(" 58 ")[0])


def test_webhook_of_an_unpublished_workflow(n8n, recorded):
    """The refusal of a webhook has the recorded code and words (the stack trace is for development only)."""
    with build_client(base_url="http://n8n", transport=httpx.WSGITransport(app=n8n)) as client:
        response = client.post("/webhook/r-http")
    original = recorded("webhook_404")
    assert response.status_code == 404
    assert response.json()["message"] == original["message"]
    assert_like(response.json(), original)


def test_an_agent_that_ran_out_of_iterations(n8n, client, recorded):
    """Ten model runs, ten tool runs and an agent that failed, with the recorded keys and words."""
    body = execution(
        client, n8n.call(n8n.add_workflow("agent"), outcome="max_iterations", tokens_in=1200, tokens_out=150)
    )
    original = recorded("exec_agent_max_iterations")
    assert (body["status"], set(body)) == (original["status"], set(original))
    assert_like(without_nodes(body), without_nodes(original))
    pairs = {"OpenAI Chat Model": "OpenAI Chat Model", "lookup_order": "Calculator", "AI Agent": "AI Agent"}
    for node, twin in pairs.items():
        assert len(runs(body)[node]) == len(runs(original)[twin])
        assert set(runs(body)[node][0]) == set(runs(original)[twin][0]), node
    for name in ("message", "name", "messages"):
        assert body["data"]["resultData"]["error"][name] == original["data"]["resultData"]["error"][name]


def test_a_try_that_failed_before(n8n, client, recorded):
    """It is one more failed model run of a node that is set to be tried again, and leaves no other trace."""
    workflow = n8n.add_workflow("agent", retry=True)
    body, original = execution(client, n8n.call(workflow, retries=1)), recorded("exec_agent_node_retry_then_ok")
    failed, twin = runs(body)["OpenAI Chat Model"][0], runs(original)["OpenAI Chat Model"][0]
    assert set(failed) == set(twin)
    assert_like(failed["error"], twin["error"])
    agents = [[node for node in one["workflowData"]["nodes"] if "retryOnFail" in node] for one in (body, original)]
    assert_like(agents[0], agents[1])
    assert body["status"] == "success"


def test_workflow_that_saves_nothing(n8n, client, recorded):
    """Its settings are shown as recorded, and what ends as it is set not to save is a 404 and a hole in the ids."""
    listed = {row["name"]: row for row in recorded("workflows_list_small")["data"]}
    settings = listed["r-nosave-success"]["settings"]
    workflow = n8n.add_workflow("r-nosave-success", settings={"saveDataSuccessExecution": "none"})
    (row,) = client.get("/workflows").json()["data"]
    assert row["settings"] == settings
    good, bad = n8n.call(workflow), n8n.call(workflow, outcome="error")
    assert (client.get(f"/executions/{good}").status_code, client.get(f"/executions/{bad}").status_code) == (404, 200)
    assert [row["id"] for row in client.get("/executions").json()["data"]] == [bad]


def test_workflow_with_a_schedule(n8n, client, recorded):
    """The trigger's rules are where the real one has them."""
    n8n.add_workflow("r-schedule", schedule=[{"field": "seconds", "secondsInterval": 5}])
    kind = "n8n-nodes-base.scheduleTrigger"
    (row,) = client.get("/workflows").json()["data"]
    triggers = [[node for node in one["nodes"] if node["type"] == kind] for one in (row, recorded("publish_schedule"))]
    assert set(triggers[0][0]) == set(triggers[1][0])
    assert triggers[0][0]["parameters"] == triggers[1][0]["parameters"]


def test_every_answer_is_dated_by_its_clock(n8n, client, contracts, clock):
    """As n8n does, in the same form; the clock may be ahead."""
    original = json.loads((contracts / "n8n" / "headers_of_a_list.json").read_text())["Date"]
    n8n.ahead = timedelta(hours=1)
    given = client.get("/executions").headers["Date"]
    assert parsedate_to_datetime(given) == clock.now() + timedelta(hours=1)
    assert (len(given), given[-3:]) == (len(original), "GMT")
