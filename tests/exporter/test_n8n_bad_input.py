"""Whatever n8n answers: a failed poll has a name, nothing is lost or counted twice by it, and a poll stays small."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drill.simulators.wire import Request, Response, json_response, text_response
from exporter.calls import TokenUsage
from exporter.sources import DOWN_REASONS, SourceDown
from exporter.sources.fetch import Fetcher
from exporter.sources.n8n_execution import Unreadable, calls_of
from exporter.sources.n8n_follow import MAX_GAP, MAX_PROBES
from handrail.http import MAX_BYTES, build_client
from tests.exporter.n8n_reading import Reading
from tests.exporter.n8n_recorded import ORIGIN, answered, only_call, recorded, runs_of

Open = Callable[..., Reading]
Make = Callable[[Request], Response]
HTML = "text/html; charset=utf-8"


def page(rows: Iterable[object], cursor: object = None, **more: object) -> Response:
    return json_response({"data": list(rows), "nextCursor": cursor, **more})


ANSWERS: dict[str, tuple[Response, str]] = {
    "a wrong key": (json_response({"message": "Unauthorized"}, 401), "unauthorized"),
    "a missing scope": (json_response({"message": "Forbidden"}, 403), "forbidden"),
    "a firewall's page": (text_response("<h1>Forbidden</h1>", 403, HTML), "forbidden"),
    "a licence": (
        json_response({"message": "Your license does not allow for feat:variables. Upgrade."}, 403),
        "unlicensed",
    ),
    "a page of the editor": (text_response("<!DOCTYPE html>", 200, HTML), "not_json"),
    "a 404 as a page": (text_response("<pre>Cannot GET</pre>", 404, HTML), "not_json"),
    "half an answer": (Response(200, b'{"data": [{"id": "1"', {"Content-Type": "application/json"}), "not_json"),
    "brackets without end": (Response(200, b"[" * 200_000, {"Content-Type": "application/json"}), "not_json"),
    "bytes that are no text": (Response(200, b'{"data": "\xff"}', {"Content-Type": "application/json"}), "not_json"),
    "null": (json_response(None), "wrong_shape"),
    "no list": (json_response({"data": None, "nextCursor": None}), "wrong_shape"),
    "a failure behind a 200": (json_response({"success": False, "data": [], "nextCursor": None}), "not_success"),
    "a cursor that is none": (page([], 7), "wrong_shape"),
    "rows that are none": (page([None]), "wrong_shape"),
    "an id that is null": (page([{"id": None, "status": "success", "workflowId": "w"}]), "wrong_shape"),
    "an id that is a word": (page([{"id": "seven", "status": "success", "workflowId": "w"}]), "wrong_shape"),
    "an id without end": (page([{"id": "9" * 5000, "status": "success", "workflowId": "w"}]), "wrong_shape"),
    "a status that is a number": (page([{"id": "1", "status": 3, "workflowId": "w"}]), "wrong_shape"),
    "an answer to another list": (page([{"name": "x"}]), "wrong_shape"),
}


@pytest.mark.parametrize("which", ["/workflows", "/executions"])
@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_that_is_none_has_its_name(reading: Reading, name: str, which: str) -> None:
    """The poll fails with one of the documented reasons, and the next one counts what happened meanwhile, once."""
    answer, reason = ANSWERS[name]
    assert reason in DOWN_REASONS
    reading.n8n.call(reading.workflow())
    reading.front.instead = lambda request: answer if request.path.endswith(which) else None
    with pytest.raises(SourceDown) as down:
        reading.poll()
    # An execution's broken row is a workflow's as well as long as it has no name.
    assert down.value.reason == reason
    reading.front.instead = lambda _request: None
    reading.poll()
    assert (len(reading.calls), reading.repeated) == (1, 0)


def test_a_licence_that_a_real_n8n_lacks(reading: Reading, contracts: Path) -> None:
    """As recorded: the words of n8n tell it from a missing scope, which has the same status."""
    for name, reason in (("variables_list", "unlicensed"), ("scope_missing_read", "forbidden")):
        reading.front.instead = lambda _request, name=name: answered(contracts, name)  # type: ignore[misc]
        with pytest.raises(SourceDown) as down:
            reading.poll()
        assert down.value.reason == reason


def test_null_where_a_workflow_or_status_should_be_is_no_failure(reading: Reading) -> None:
    """One odd row must not hide the others: it belongs to nobody, and without a status it has not ended."""
    number = reading.n8n.call(reading.workflow())
    good = reading.n8n.execution(number).row()
    odd = [good | {"id": str(int(number) + 1), "workflowId": None}, good | {"id": str(int(number) + 2), "status": None}]
    reading.front.instead = lambda request: (
        page([*reversed(odd), good]) if request.path.endswith("/executions") and "status" not in request.query else None
    )
    batch = reading.poll()
    assert [call.execution for call in batch.calls] == [number]
    assert batch.running["invoices"].count == 1


def test_ids_that_are_numbers_are_ids(reading: Reading) -> None:
    """n8n writes them as text; where it does not, they mean the same."""
    number = reading.n8n.call(reading.workflow())
    reading.front.instead = lambda request: (
        page([reading.n8n.execution(number).row() | {"id": int(number)}])
        if request.path.endswith("/executions") and "status" not in request.query
        else None
    )
    reading.poll()
    reading.poll()
    assert (len(reading.calls), reading.repeated) == (1, 0)


def test_numbers_that_are_text_are_numbers(contracts: Path) -> None:
    """Times and tokens as text mean what they say; what is no number is unknown and never 0."""
    execution = copy.deepcopy(recorded(contracts, "exec_agent_ok_tool_chat"))
    plain = only_call(execution)
    for runs in runs_of(execution).values():
        for run in runs:
            run |= {"startTime": str(run["startTime"]), "executionTime": str(run["executionTime"])}
    usages = [
        run["data"]["ai_languageModel"][0][0]["json"]["tokenUsage"] for run in runs_of(execution)["OpenAI Chat Model"]
    ]
    for usage in usages:
        usage |= {name: str(count) for name, count in usage.items()}
    assert only_call(execution) == plain
    for usage in usages:
        usage |= {"promptTokens": "many", "completionTokens": float("inf")}
    assert only_call(execution).tokens == TokenUsage()


REPEATS: dict[str, Callable[[list[Any], Request], Response]] = {
    "the same cursor": lambda rows, request: page(rows[int("cursor" in request.query) :], "c"),
    "two cursors in turn": lambda rows, request: page(
        [rows[0] | {"id": str(1_000_000 - len(request.query.get("cursor", "")))}],
        "aa" if request.query.get("cursor") == "a" else "a",
    ),
    "the same rows under new cursors": lambda rows, request: page(rows, request.query.get("cursor", "") + "c"),
}


@pytest.mark.parametrize("how", REPEATS)
@pytest.mark.parametrize("which", ["/workflows", "/executions"])
def test_a_page_that_comes_again_is_noticed_at_once(reading: Reading, how: str, which: str) -> None:
    """A cursor or a first row that was there before ends the poll; thousands of requests would help nobody."""
    first = reading.n8n.call(reading.workflow())
    reading.n8n.call(reading.workflow())
    executions = [reading.n8n.execution(number).row() for number in (str(int(first) + 1), first)]
    rows = executions if which == "/executions" else [reading.n8n.workflows[reading.workflow()].row()]
    reading.front.instead = lambda request: REPEATS[how](rows, request) if request.path.endswith(which) else None
    before = reading.requests.count
    with pytest.raises(SourceDown) as down:
        reading.poll()
    assert down.value.reason == "endless_pages"
    assert reading.requests.count - before <= 6


def test_pages_that_never_end_end(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """New rows under new cursors for ever: there is a limit."""
    monkeypatch.setattr("exporter.sources.n8n_api._MAX_PAGES", 20)
    number = reading.n8n.call(reading.workflow())
    row = reading.n8n.execution(number).row()
    reading.front.instead = lambda request: (
        page([row | {"id": str(10**9 - len(reading.front.requests))}], f"c{len(reading.front.requests)}")
        if request.path.endswith("/executions")
        else None
    )
    with pytest.raises(SourceDown, match="pages without end"):
        reading.poll()


def test_an_answer_about_another_execution_is_none(reading: Reading) -> None:
    """Asked for 7 and told of 8: nothing is believed; details that stay wrong are replaced by the row after a while."""
    number = reading.n8n.call(reading.workflow(), duration_s=4)
    other = reading.n8n.call(reading.workflow(), duration_s=9)
    wrong = reading.n8n.execution(other).detail(include_data=True)
    reading.front.instead = lambda request: json_response(wrong) if request.path.endswith(f"/{number}") else None
    troubles = [reading.poll().trouble for _ in range(5)]
    assert [trouble.reason if trouble else None for trouble in troubles] == ["wrong_id"] * 3 + [None] * 2
    assert {call.execution: call.duration.total_seconds() for call in reading.calls.values()} == {number: 4, other: 9}


class _Endless:
    """Answers with more and more bytes, and counts how many were taken."""

    def __init__(self) -> None:
        self.megabytes = 0

    def __call__(self, _environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        for _ in range(100):
            self.megabytes += 1
            yield b" " * 2**20


def test_an_answer_of_100_megabytes_is_cut_off(clock: Any) -> None:
    """It is not read to its end, and the failure says that it was too large."""
    server = _Endless()
    with build_client(base_url="http://n8n.test", transport=httpx.WSGITransport(app=server)) as client:
        fetch = Fetcher(client, credentials=dict, on_request=lambda _: None, now=clock.now)
        with pytest.raises(SourceDown) as down:
            fetch.get("/api/v1/executions")
    assert down.value.reason == "too_large"
    assert server.megabytes * 2**20 <= MAX_BYTES + 2**20


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_an_hour_off_loses_nothing_and_is_shown(open_reading: Open, clock: Any, hours: int) -> None:
    """Ids decide what is new, and n8n's times are compared with n8n's times only."""
    reading = open_reading()
    reading.n8n.add_workflow("Invoice summary")
    reading.poll()
    assert reading.gauge("source_clock_skew_seconds", source="n8n/main") == 0
    reading.n8n.ahead += hours * (clock.now() - clock.now().replace(hour=clock.now().hour - 1))
    running = reading.n8n.start(reading.workflow())
    reading.n8n.call(reading.workflow())
    reading.poll()
    assert reading.gauge("source_clock_skew_seconds", source="n8n/main") == hours * 3600
    reading.n8n.finish(running)
    clock.advance(5)
    reading.n8n.call(reading.workflow())
    batches = [reading.poll() for _ in range(3)]
    assert (len(reading.calls), reading.repeated) == (3, 0)
    assert (sum(batch.gap for batch in batches), batches[-1].state["epoch"]) == (0, 0)


def test_a_service_without_a_date_has_no_skew(open_reading: Open) -> None:
    """Nothing is claimed where nothing was said."""
    reading = open_reading()
    reading.n8n._dated = lambda response: response  # type: ignore[method-assign]
    batch = reading.poll()
    assert "source_clock_skew_seconds" not in {gauge.metric for gauge in batch.gauges or ()}


def test_ids_that_jump_are_not_counted_one_by_one(reading: Reading) -> None:
    """A database may skip a billion of ids: the poll asks for some, and takes neither time nor memory for the rest."""
    number = reading.n8n.call(reading.workflow())
    far = reading.n8n.execution(number).row() | {"id": str(10**12)}
    reading.front.instead = lambda request: (
        page([far])
        if request.path.endswith("/executions") and "status" not in request.query
        else json_response(reading.n8n.execution(number).detail(include_data=True) | {"id": str(10**12)})
        if request.path.endswith(str(10**12))
        else None
    )
    reading.poll()
    before = reading.requests.count
    batch = reading.poll()
    assert MAX_GAP <= batch.gap <= MAX_GAP + MAX_PROBES
    # The probes, the lists, and the details of the one that a probe found.
    assert reading.requests.count - before <= MAX_PROBES + 6 + 1
    assert reading.poll().gap == 0


def test_an_idle_poll_costs_the_same_whatever_the_history(open_reading: Open, clock: Any) -> None:
    """Ten old executions or five thousand: the same few requests, and none of them for an execution."""
    asked = []
    for history in (10, 5000):
        reading = open_reading()
        key = reading.n8n.add_workflow("Invoice summary", ai=False)
        for _ in range(history):
            reading.n8n.call(key)
        reading.poll()
        for _ in range(2):
            clock.advance(10)
            before = len(reading.front.requests)
            reading.poll()
            requests = reading.front.requests[before:]
            asked.append([(request.path, request.query) for request in requests])
    assert all(requests == asked[0] for requests in asked)
    assert len(asked[0]) == 6


def test_big_executions_are_in_memory_one_at_a_time(reading: Reading) -> None:
    """Reading twelve of a megabyte takes little more at its peak than reading one."""
    peaks = []
    for count in (1, 12):
        for _ in range(count):
            number = reading.n8n.call(reading.workflow())
            reading.n8n.execution(number).custom_data = {"padding": "x" * 2**20}
        tracemalloc.start()
        reading.poll()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(reading.calls) == 13
    assert peaks[1] < 2 * peaks[0]


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just("9" * 400),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_execution_is_odd_enough_to_break_the_reader(contracts: Path, data: st.DataObject) -> None:
    """Any value of an execution may be anything: it is read as calls that the ledger can store, or refused."""
    name = data.draw(st.sampled_from(["exec_agent_ok_tool_chat", "exec_agent_llm_500", "exec_http_ok", "exec_crashed"]))
    execution = copy.deepcopy(recorded(contracts, name))
    for _ in range(data.draw(st.integers(1, 3))):
        places = list(_places(execution))
        holder, key = data.draw(st.sampled_from(places))
        holder[key] = data.draw(JUNK)
    try:
        calls = calls_of(execution, ORIGIN)
    except Unreadable:
        return
    for call in calls:
        assert max(call.tokens.tokens_in or 0, call.tokens.tokens_out or 0, call.tool_calls) < 2**63
        assert call.finished_at.timestamp() >= call.started_at.timestamp()
        json.dumps([call.model, call.id, call.url])


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)
