"""Traps of n8n's HTTP and of its keys: what is no answer is never taken for one, and a key needs little."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drill.simulators.wire import Response, json_response, text_response
from exporter.sources import SourceDown
from tests.exporter.n8n_reading import CONFIG, Reading
from tests.exporter.n8n_recorded import answered

Open = Callable[..., Reading]
HTML = "text/html; charset=utf-8"


def down(reading: Reading) -> SourceDown:
    """The failure of the next poll."""
    with pytest.raises(SourceDown) as caught:
        reading.poll()
    return caught.value


def test_an_n8n_that_starts_is_down_until_it_speaks_json(reading: Reading, contracts: Path) -> None:
    """After a crash n8n says 200 "starting up", then 404 as a page, then its list: nothing is lost or gone by that."""
    crashed = reading.n8n.start(reading.workflow())
    reading.poll()
    timeline = json.loads((contracts / "n8n" / "restart_after_crash_timeline.json").read_text())
    pages = [text_response(body, status, kind) for _, status, kind, body in timeline if "html" in kind]
    assert [page.status for page in pages] == [200, 404]
    for page in pages:
        reading.front.instead = lambda _request, page=page: page  # type: ignore[misc]
        assert down(reading).reason == "not_json"
    # Then the default list shows the dead one as running, and a second later as crashed.
    said = [re.findall(r'"status": "(\w+)"', body) for _, _, kind, body in timeline if "json" in kind]
    assert said == [["running"], ["crashed"]]
    stale = reading.n8n.execution(crashed).row() | {"status": "running"}
    reading.front.instead = lambda request: (
        json_response({"data": [stale], "nextCursor": None})
        if request.path.endswith("/executions") and "status" not in request.query
        else None
    )
    batch = reading.poll()
    assert (batch.calls, batch.gap, batch.running["invoices"].count) == ((), 0, 1)
    reading.front.instead = lambda _request: None
    reading.n8n.finish(crashed, outcome="crashed")
    batch = reading.poll()
    assert ([call.error_reason for call in batch.calls], batch.gap) == (["crashed"], 0)


def test_a_404_that_n8n_did_not_write_makes_nothing_gone(reading: Reading) -> None:
    """A proxy's or a starting n8n's 404 about an execution that ended is down; n8n's own JSON 404 is gone."""
    ended = reading.n8n.start(reading.workflow())
    reading.poll()
    reading.n8n.executions[-1].listed = False
    pages = {
        "not_json": text_response("<pre>Cannot GET</pre>", 404, HTML),
        "wrong_shape": json_response({"error": "no such route"}, 404),
    }
    for reason, page in pages.items():
        reading.front.instead = lambda request, page=page: page if request.path.endswith(ended) else None  # type: ignore[misc]
        assert down(reading).reason == reason
    reading.front.instead = lambda request: (
        json_response({"message": "Not Found"}, 404) if request.path.endswith(ended) else None
    )
    assert reading.poll().gap == 1


def test_a_wrong_base_path_is_down(open_reading: Open) -> None:
    """Under a path that n8n does not serve its editor answers 200 with a page: that is no empty list."""
    reading = open_reading(CONFIG)
    page = text_response("<!DOCTYPE html><html><head></head></html>", 200, HTML)
    reading.front.instead = lambda _request: page
    assert down(reading).reason == "not_json"


@pytest.mark.parametrize("name", ["list_limit_text", "list_status_success_error", "wrong_method", "unknown_route"])
def test_a_refusal_is_down_and_its_words_stay_out_of_logs(reading: Reading, contracts: Path, name: str) -> None:
    """n8n's 400, 404 and 405 are JSON with a message: the poll fails, and says status and path only."""
    refusal = answered(contracts, name)
    reading.front.instead = lambda _request: refusal
    failure = down(reading)
    assert failure.reason == "wrong_shape"
    assert str(refusal.status) in failure.text
    assert json.loads(refusal.body)["message"] not in failure.text


def test_a_page_without_a_list_is_down(reading: Reading) -> None:
    """JSON of another shape, an error behind a 200, a row that is none: down, never "no executions"."""
    for body in ({"message": "oops"}, {"data": None}, [], {"data": [{"id": 7}], "nextCursor": None}):
        reading.front.instead = lambda _request, body=body: json_response(body)  # type: ignore[misc]
        assert down(reading).reason == "wrong_shape"


def test_a_zipped_answer_is_read(reading: Reading) -> None:
    """n8n zips what is large when it may; the exporter says that it may and reads it."""
    number = reading.n8n.call(reading.workflow())
    row = reading.n8n.execution(number).row()
    body = gzip.compress(json.dumps({"data": [row], "nextCursor": None}).encode())
    headers = {"Content-Type": "application/json; charset=utf-8", "Content-Encoding": "gzip"}
    reading.front.instead = lambda request: (
        Response(200, body, headers) if request.path.endswith("/executions") and "status" not in request.query else None
    )
    assert len(reading.poll().calls) == 1
    assert all("gzip" in request.headers["accept-encoding"] for request in reading.front.requests)


def test_the_key_is_sent_in_its_own_header(reading: Reading) -> None:
    """n8n refuses a key as bearer token, although its documentation lists that."""
    reading.poll()
    assert {request.headers.get("x-n8n-api-key") for request in reading.front.requests} == {"n8n-key"}
    assert not any("authorization" in request.headers for request in reading.front.requests)


@pytest.mark.parametrize("name", ["key_wrong", "key_none", "key_expired", "key_tampered", "key_as_bearer"])
def test_every_bad_key_is_unauthorized(reading: Reading, contracts: Path, name: str) -> None:
    """Wrong, missing, expired or an API that is switched off: one and the same answer, so the text claims no cause."""
    reading.front.instead = lambda _request: answered(contracts, name)
    failure = down(reading)
    assert failure.reason == "unauthorized"
    assert "n8n-key" not in failure.text
    assert "expired" not in failure.text


def test_a_missing_scope_is_forbidden(reading: Reading, contracts: Path) -> None:
    """A key without execution:read is told apart from a wrong key."""
    number = reading.n8n.call(reading.workflow())
    reading.front.instead = lambda request: (
        answered(contracts, "scope_missing_read") if request.path.endswith(f"/{number}") else None
    )
    trouble = reading.poll().trouble
    assert trouble is not None
    assert trouble.reason == "forbidden"


def test_few_scopes_are_enough_to_watch(reading: Reading, contracts: Path) -> None:
    """Only lists and details of executions and workflows are asked for, nothing that a licence or a scope gates."""
    hidden = reading.n8n.start(reading.workflow())
    reading.n8n.call(reading.workflow())
    reading.poll()
    reading.n8n.finish(hidden)
    reading.poll()
    described = json.loads((contracts / "n8n" / "openapi_subset.json").read_text())["paths"]
    asked = {(request.method.lower(), request.path.removeprefix("/api/v1")) for request in reading.front.requests}
    operations = {(method, re.sub(r"/\d+$", "/{executionId}", path)) for method, path in asked}
    scopes = {described[path][method]["scope"] for method, path in operations}
    assert scopes == {"execution:list", "execution:read", "workflow:list"}


def test_a_members_key_that_sees_nothing_says_so(reading: Reading, contracts: Path) -> None:
    """A member's lists are 200 and empty: the source is up, sees no workflow, and that number is shown."""
    empty: dict[str, Any] = {
        "/api/v1/workflows": answered(contracts, "member_workflows"),
        "/api/v1/executions": answered(contracts, "member_executions"),
    }
    reading.front.instead = lambda request: empty.get(request.path)
    batch = reading.poll()
    assert (batch.visible_workflows, batch.calls, batch.trouble) == (0, (), None)
