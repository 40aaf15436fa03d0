"""The whole world over sockets, without the receiver: its place is taken by a server that records hand-offs."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from drill.simulators.agents import Agents, Call
from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.llm import LlmSimulator
from drill.simulators.n8n import N8nSimulator
from drill.simulators.slack import WEBHOOK_PATH
from drill.simulators.traffic import UNSURE_FIRST, SteadyTraffic
from drill.simulators.wire import answer, json_response, serve
from drill.simulators.world import World
from handrail.clock import SystemClock
from handrail.http import build_client
from handrail.ports import Ports


class Receiver:
    """Accepts every hand-off and remembers it."""

    def __init__(self):
        self.posts = []

    def __call__(self, environ, start_response):
        return answer(self._take, environ, start_response)

    def _take(self, request):
        self.posts.append((request.headers, request.json))
        number = f"h{len(self.posts)}"
        return json_response({"handoff": True, "id": number, "status_url": f"/v1/handoffs/{number}"}, 202)


def free_offset():
    """An offset at which all ports of the world are free; another process that looks for one finds another."""
    offsets = range(2000, 20_000, 50)
    for offset in random.sample(offsets, len(offsets)):
        ports = Ports(offset=offset)
        taken = []
        try:
            for port in range(ports.control, ports.slack + 1):
                taken.append(socket.socket())
                taken[-1].bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for one in taken:
                one.close()
        return offset
    pytest.fail("no free ports")


def eventually(condition, within_s=30.0):
    """Waits until the condition holds."""
    never = threading.Event()
    for _ in range(round(within_s / 0.01)):
        if condition():
            return
        never.wait(0.01)
    pytest.fail("it never became true")


@pytest.fixture
def receiver():
    """A receiver that takes hand-offs only."""
    app = Receiver()
    with serve(app) as server:
        app.url = server.url
        yield app


@pytest.fixture
def env_file(tmp_path):
    """Where support-bot reads whether it is on."""
    return tmp_path / "agent.env"


@pytest.fixture
def world(receiver, env_file):
    """A running world with a caller of little patience, and no steady traffic during a test."""
    with World(
        SystemClock(),
        ports=Ports(offset=free_offset()),
        receiver_url=receiver.url,
        support_bot_token="bot-token",
        refund_desk_token="desk-token",
        support_bot_env=env_file,
        caller_timeout_s=0.3,
        traffic_interval_s=3600,
    ) as running:
        yield running


@pytest.fixture
def control(world):
    """A client of the control API."""
    with build_client(base_url=f"http://127.0.0.1:{world._ports.control}", timeout_s=20) as client:
        yield client


def test_healthy_and_state(control):
    """The world is up, with its three demo agents and no faults."""
    assert control.get("/-/healthy").status_code == 200
    state = control.get("/state").json()
    assert [agent["name"] for agent in state["agents"]] == ["invoice-summary", "support-bot", "refund-desk"]
    assert all(agent["enabled"] for agent in state["agents"])
    assert set(state["faults"].values()) == {None}


def test_agents_and_calls(world, control):
    """A new n8n agent has a published workflow and makes the calls it is told; archived, it is gone."""
    body = {"name": "drill-slow", "kind": "n8n", "workflow_name": "drill-slow"}
    made = control.post("/agents", json=body)
    assert made.status_code == 201
    assert control.post("/agents", json=body).status_code == 409
    order = {
        "agent": "drill-slow",
        "count": 3,
        "duration_s": 6.5,
        "spacing_s": 10,
        "tokens_in": 1600,
        "tokens_out": 400,
    }
    assert control.post("/calls", json=order).json()["calls"] == 3
    rows = [execution.row() for execution in world.n8n.executions]
    assert [row["status"] for row in rows] == ["success"] * 3
    assert sorted(row["stoppedAt"] for row in rows) == [row["stoppedAt"] for row in rows]
    assert len({row["stoppedAt"] for row in rows}) == 3
    assert control.delete("/agents/drill-slow").json() == {"removed": True}
    assert world.n8n.workflow(made.json()["workflow_id"]).archived
    assert control.delete("/agents/drill-slow").json() == {"removed": False}
    assert control.post("/calls", json=order).status_code == 404


def test_gateway_calls(world, control):
    """Calls of an agent behind the gateway are rows of its log; a stated confidence is reported to the receiver."""
    assert control.post("/calls", json={"agent": "refund-desk", "outcome": "error"}).status_code == 201
    assert (world.cloudflare.rows[-1]["success"], world.cloudflare.rows[-1]["status_code"]) == (False, 500)
    assert control.post("/calls", json={"agent": "refund-desk", "outcome": "tool_error"}).status_code == 400


def test_low_confidence(control, receiver):
    """A call that is unsure is handed over with refund-desk's own token."""
    control.post("/calls", json={"agent": "refund-desk", "confidence": 0.4})
    headers, body = receiver.posts[0]
    assert headers["authorization"] == "Bearer desk-token"
    assert headers["idempotency-key"]
    assert (body["agent"], body["reason"], body["confidence"]) == ("refund-desk", "low_confidence", 0.4)


def test_switched_off_agents_make_no_calls(world, control, env_file):
    """An unpublished workflow and AGENT_ENABLED=false both end the calls: 409."""
    workflow = next(iter(world.n8n.workflows))
    url = f"http://127.0.0.1:{world._ports.n8n}/api/v1/workflows/{workflow}/unpublish"
    assert control.post(url, headers={"X-N8N-API-KEY": "n8n-key"}).status_code == 200
    env_file.write_text("OTHER=1\nAGENT_ENABLED=false\n")
    for agent in ("invoice-summary", "support-bot"):
        assert control.post("/calls", json={"agent": agent}).status_code == 409
    assert [agent["enabled"] for agent in control.get("/state").json()["agents"]] == [False, False, True]
    answers = control.post("/ask", json={"agent": "support-bot"}).json()["answers"]
    assert (answers[0]["fallback"], answers[0]["handoff_id"]) == (True, None)
    assert world.llm.requests == []
    env_file.write_text("AGENT_ENABLED=true\n")
    assert control.post("/calls", json={"agent": "support-bot"}).status_code == 201


def test_ask(world, control, receiver):
    """The model's answer reaches the customer through the gateway, which logs it."""
    answers = control.post("/ask", json={"agent": "support-bot", "count": 2}).json()["answers"]
    assert answers == [{"fallback": False, "answer": world.llm.reply, "handoff_id": None}] * 2
    assert len(world.cloudflare.rows) == 2
    assert receiver.posts == []
    assert control.post("/ask", json={"agent": "refund-desk"}).status_code == 404


def test_model_timeout(world, control, receiver):
    """A model that does not answer: fallback answer, hand-off with the bot's token, and a slow row in the log."""
    assert control.post("/faults", json={"target": "llm", "kind": "timeout"}).status_code == 201
    answers = control.post("/ask", json={"agent": "support-bot", "count": 3}).json()["answers"]
    assert all(reply["fallback"] for reply in answers)
    assert [reply["handoff_id"] for reply in answers] == ["h1", "h2", "h3"]
    headers, body = receiver.posts[0]
    assert headers["authorization"] == "Bearer bot-token"
    assert (body["agent"], body["reason"], body["tool_error"]) == ("support-bot", "tool_error", "model timeout")
    # The gateway gives up at the same moment as the caller, so its last row may come a little after the answer.
    eventually(lambda: len(world.cloudflare.rows) == 3)
    for row in world.cloudflare.rows:
        assert (row["success"], json.loads(row["metadata"])) == (False, {"agent": "support-bot"})
        assert row["duration"] >= 300
    assert control.get("/state").json()["faults"]["llm"] == "timeout"
    control.delete("/faults")
    assert control.post("/ask", json={"agent": "support-bot"}).json()["answers"][0]["fallback"] is False


def test_other_failures_of_the_model(control, receiver):
    """A model that answers an error, or nonsense, ends in the fallback too."""
    for kind in ("server_error", "wrong_shape"):
        control.post("/faults", json={"target": "llm", "kind": kind, "count": 1})
        reply = control.post("/ask", json={"agent": "support-bot"}).json()["answers"][0]
        assert (reply["fallback"], bool(reply["handoff_id"])) == (True, True)
    assert receiver.posts[0][1]["tool_error"] == "model answered HTTP 500"


def test_faults_of_every_target(world, control):
    """Each simulator can be broken for a number of requests; unknown targets and kinds are refused."""
    ports = world._ports
    for target in ("n8n", "cloudflare", "llm", "jira", "slack"):
        assert control.post("/faults", json={"target": target, "kind": "unavailable", "count": 1}).status_code == 201
        prefix = {"n8n": "/api/v1/workflows", "cloudflare": "/client/v4/user/tokens/verify"}.get(
            target, "/rest/api/3/myself"
        )
        url = f"http://127.0.0.1:{getattr(ports, target)}{prefix}"
        assert control.get(url).status_code == 503
        assert control.get(url).status_code != 503
    assert control.post("/faults", json={"target": "moon", "kind": "unavailable"}).status_code == 400
    assert control.post("/faults", json={"target": "n8n", "kind": "gremlins"}).status_code == 400
    assert control.post("/faults", json={"target": "n8n", "kind": "html", "typo": 1}).status_code == 400


def test_slack_and_jira_are_shown(world, control):
    """What was sent to Slack and Jira can be read."""
    control.post(f"http://127.0.0.1:{world._ports.slack}{WEBHOOK_PATH}", json={"text": "FIRING"})
    assert control.get("/slack/messages").json()[0]["text"] == "FIRING"
    paragraph = {"type": "paragraph", "content": [{"type": "text", "text": "Slow calls"}]}
    fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Slow", "labels": ["a"]}
    fields["description"] = {"type": "doc", "version": 1, "content": [paragraph]}
    url = f"http://127.0.0.1:{world._ports.jira}/rest/api/3/issue"
    assert control.post(url, json={"fields": fields}, auth=("handrail@example.com", "jira-token")).status_code == 201
    shown = control.get("/jira/issues").json()[0]
    expected = {"key": "OPS-1", "summary": "Slow", "status": "To Do", "labels": ["a"], "comments": []}
    assert shown == expected | {"description": "Slow calls\n", "links": {}}


def test_traffic_switch(world, control):
    """Steady traffic can be switched off and on."""
    assert control.post("/traffic", json={"on": False}).json() == {"on": False}
    assert control.get("/state").json()["traffic"] == {"on": False, "calls": 0, "failures": 0}
    assert control.post("/traffic", json={}).status_code == 400


def test_world_frees_its_ports_when_one_is_taken(receiver, env_file):
    """If a port is taken, starting fails and the ports that were opened are free again."""
    ports = Ports(offset=free_offset())
    facts = {"receiver_url": receiver.url, "support_bot_token": "t", "refund_desk_token": "t"}
    with serve(receiver, ports.slack):
        world = World(SystemClock(), ports=ports, support_bot_env=env_file, **facts)
        with pytest.raises(OSError, match="in use"):
            world.__enter__()
    with World(SystemClock(), ports=ports, support_bot_env=env_file, **facts):
        pass


RUN = """
import pathlib, sys
from drill.simulators.world import run
from handrail.ports import Ports
run(Ports(int(sys.argv[1])), receiver_url="http://127.0.0.1:1", support_bot_token="t", refund_desk_token="t",
    support_bot_env=pathlib.Path(sys.argv[2]))
"""


def test_run_ends_on_sigterm(root, env_file):
    """As a process of its own the world serves until SIGTERM and then ends in good order."""
    offset = free_offset()
    process = subprocess.Popen([sys.executable, "-c", RUN, str(offset), str(env_file)], cwd=root)
    try:
        with build_client(base_url=f"http://127.0.0.1:{Ports(offset=offset).control}", timeout_s=5) as client:

            def healthy():
                try:
                    return client.get("/-/healthy").is_success
                except httpx.TransportError:
                    return False

            eventually(healthy, within_s=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def agents(clock):
    """The demo agents, in process."""
    cloudflare = CloudflareSimulator(clock)
    reports = []
    found = Agents(clock, N8nSimulator(clock), cloudflare)
    found.add_n8n("invoice-summary", "Invoice summary", confidence=True)
    found.add_gateway("support-bot")
    found.add_gateway("refund-desk", report=reports.append)
    found.reports, found.n8n, found.cloudflare = reports, found._n8n, cloudflare
    yield found
    cloudflare.close()


def test_steady_traffic_is_within_the_sla(agents):
    """Every agent calls in turn, none of them slowly or with an error, and refund-desk is unsure now and then."""
    traffic = SteadyTraffic(agents, model_is_faulty=lambda: False)
    for _ in range(3 * (UNSURE_FIRST + 1)):
        traffic.turn()
    assert traffic.calls == 3 * (UNSURE_FIRST + 1)
    for execution in agents.n8n.executions:
        assert execution.status == "success"
        assert (execution.stopped - execution.started).total_seconds() < 5
    assert all(row["success"] and row["duration"] < 5000 for row in agents.cloudflare.rows)
    assert len(agents.reports) == 1
    assert agents.reports[0] < 0.8


def test_steady_traffic_respects_the_switches(agents):
    """A switched-off agent makes no steady call, and nobody behind the gateway calls a faulty model."""
    agents.n8n.archive(next(iter(agents.n8n.workflows)))
    traffic = SteadyTraffic(agents, model_is_faulty=lambda: True)
    for _ in range(6):
        traffic.turn()
    assert (traffic.calls, traffic.failures) == (0, 0)


def test_failed_turns_are_counted(agents):
    """A turn that fails is counted, and the traffic goes on."""
    done = threading.Event()
    turns = iter([True, False])

    def faulty():
        if next(turns, None) is None:
            done.set()
        raise RuntimeError("the model is not there")

    traffic = SteadyTraffic(agents, model_is_faulty=faulty, interval_s=0.001)
    traffic.start()
    assert done.wait(10)
    traffic.close()
    assert traffic.failures >= 2
    assert traffic.calls >= 1


def test_call_facts(agents, clock):
    """A call reaches n8n with what was said about it."""
    agents.call("invoice-summary", Call(outcome="timeout", duration_s=9.0), finished_at=clock.now())
    execution = agents.n8n.executions[-1]
    assert (execution.status, (execution.stopped - execution.started).total_seconds()) == ("canceled", 9.0)
    assert LlmSimulator(clock).tokens[0] > 0
