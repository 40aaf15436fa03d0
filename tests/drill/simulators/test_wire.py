"""The wire: faults of every kind, routes, and the threaded server. Slack and the model serve as examples."""

from __future__ import annotations

import threading

import httpx
import pytest

from drill.simulators.llm import LlmSimulator
from drill.simulators.slack import WEBHOOK_PATH, SlackSimulator
from drill.simulators.wire import FAULT_STATUS, Refused, Request, Router, answer, json_response, serve
from handrail.http import NotJson, build_client, read_json

QUESTION = {"model": "gpt-4o-mini", "messages": []}


@pytest.fixture
def llm(clock):
    """A model."""
    return LlmSimulator(clock)


@pytest.fixture
def client(llm):
    """A client of the model, in process."""
    with build_client(base_url="http://model", transport=httpx.WSGITransport(app=llm)) as client:
        yield client


def ask(client):
    return client.post("/v1/chat/completions", json=QUESTION)


@pytest.mark.parametrize(("kind", "status"), FAULT_STATUS.items())
def test_status_faults(llm, client, kind, status):
    """A fault answers with its status and the service's words until it is cleared."""
    llm.faults.set(kind)
    for _ in range(2):
        response = ask(client)
        assert response.status_code == status
        assert "error" in response.json()
    assert ("retry-after" in response.headers) is (status == 429)
    llm.faults.clear()
    assert ask(client).status_code == 200


def test_counted_fault(llm, client):
    """A counted fault hits exactly that many requests."""
    llm.faults.set("unavailable", count=2)
    assert [ask(client).status_code for _ in range(3)] == [503, 503, 200]
    assert llm.faults.active is None


def test_misleading_faults(llm, client):
    """HTML, another shape and a cut body all come with status 200; only the last two claim to be JSON."""
    llm.faults.set("html", count=1)
    with pytest.raises(NotJson):
        read_json(ask(client))
    llm.faults.set("wrong_shape", count=1)
    assert "choices" not in read_json(ask(client))
    llm.faults.set("truncated", count=1)
    cut = ask(client)
    assert "json" in cut.headers["content-type"]
    with pytest.raises(NotJson):
        read_json(cut)
    assert len(llm.requests) == 1, "a truncated answer is that of a request that ran"


def test_unknown_fault(llm):
    """A fault that is not known is refused with the names of those that are."""
    with pytest.raises(ValueError, match="rate_limited"):
        llm.faults.set("gremlins")


def test_clearing_lets_go(llm):
    """A request that a time-out holds is let go when the fault is cleared; a slow one answers properly."""
    with serve(llm) as server, build_client(base_url=server.url, timeout_s=20) as client:
        for kind, status in (("timeout", 504), ("slow", 200)):
            llm.faults.set(kind, seconds=60)
            timer = threading.Timer(0.1, llm.faults.clear)
            timer.start()
            assert ask(client).status_code == status
            timer.join()


def test_own_timeout(llm):
    """A caller with a shorter time-out than the fault's runs into its own."""
    llm.faults.set("timeout", seconds=60)
    with serve(llm) as server, build_client(base_url=server.url, timeout_s=0.2) as client:
        with pytest.raises(httpx.ReadTimeout):
            ask(client)
        llm.faults.clear()


def test_server_serves_in_parallel(llm):
    """A held request does not keep others waiting, and a closed server frees its port."""
    llm.faults.set("timeout", count=1, seconds=60)
    held = threading.Event()
    with serve(llm) as server:
        port = server.port
        with build_client(base_url=server.url, timeout_s=20) as client:
            thread = threading.Thread(target=lambda: (ask(client), held.set()))
            thread.start()
            while llm.faults.active:
                thread.join(0.01)
            assert ask(client).status_code == 200
            assert not held.is_set()
            llm.faults.clear()
            assert held.wait(10)
            thread.join(10)
    with serve(llm, port) as again:
        assert again.port == port


def test_router():
    """Segments reach the handler by name; another path and another method are told apart."""
    router = Router(json_response("missing", 404), json_response("method", 405))
    router.add("GET", "/a/{name}", lambda _, name: json_response(name))
    assert router(Request("GET", "/a/b c", {}, {}, b"")).body == b'"b c"'
    assert router(Request("POST", "/a/b", {}, {}, b"")).status == 405
    assert router(Request("GET", "/a/b/c", {}, {}, b"")).status == 404


def test_refused_and_broken_handlers():
    """A handler may end with any answer; one that breaks does not hide it."""

    def application(handler):
        return lambda environ, start_response: answer(handler, environ, start_response)

    def refuse(_):
        raise Refused(json_response({"why": "because"}, 418))

    def breaks(_):
        raise ZeroDivisionError

    with build_client(transport=httpx.WSGITransport(app=application(refuse))) as client:
        assert client.get("http://x/").status_code == 418
    broken = httpx.WSGITransport(app=application(breaks))
    with build_client(transport=broken) as client, pytest.raises(ZeroDivisionError):
        client.get("http://x/")
    bad = Request("POST", "/", {}, {}, b"{")
    with pytest.raises(Refused):
        _ = bad.json


def test_slack(clock):
    """Slack takes messages with a content, answers ok as text, and refuses everything else as text."""
    slack = SlackSimulator(clock)
    with build_client(base_url="http://slack", transport=httpx.WSGITransport(app=slack)) as client:
        taken = client.post(WEBHOOK_PATH, json={"text": "hello"})
        assert (taken.status_code, taken.text) == (200, "ok")
        assert taken.headers["content-type"].startswith("text/plain")
        assert client.post(WEBHOOK_PATH, json={"channel": "#x"}).text == "no_text"
        assert client.post(WEBHOOK_PATH, json=["x"]).text == "invalid_payload"
        assert client.post("/services/T1/B1/other", json={"text": "x"}).status_code == 404
    assert slack.messages == [{"text": "hello", "received_at": clock.now().isoformat()}]
