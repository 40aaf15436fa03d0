"""What Cloudflare, or something in its place, may answer: each has its reason, and no good row is lost to a bad one."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import structlog

from drill.simulators.wire import Request, Response, json_response, text_response
from exporter.sources import Batch
from tests.exporter.gateway_reading import CONFIG, OpenGateway, Reading


def reason(batch: Batch) -> str | None:
    return batch.trouble and batch.trouble.reason


def failure(code: int) -> dict[str, Any]:
    return {"success": False, "errors": [{"code": code, "message": "no"}], "messages": [], "result": None}


HTML = text_response("<html>one moment please</html>", content_type="text/html")
DEEP = Response(200, b"[" * 200_000, {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (json_response(failure(10000), 401), "unauthorized"),
        (json_response(failure(1000), 401), "unauthorized"),
        (json_response(failure(9109), 403), "forbidden"),
        (json_response(failure(9109)), "forbidden"),
        (json_response(failure(10000)), "unauthorized"),
        (json_response(failure(7003)), "not_success"),
        (json_response({"success": False, "errors": None}), "not_success"),
        (json_response(failure(7001), 400), "bad_request"),
        (json_response(failure(7002), 404), "not_found"),
        (json_response({"success": "true", "result": []}), "wrong_shape"),
        (json_response({"success": True, "result": {}}), "wrong_shape"),
        (json_response([1, 2]), "wrong_shape"),
        (json_response(None), "wrong_shape"),
        (HTML, "not_json"),
        (text_response("", content_type="application/json"), "not_json"),
        (DEEP, "not_json"),
        (Response(200, b'{"success": true, "result": [{"id"', {"Content-Type": "application/json"}), "not_json"),
        (Response(200, b"no gzip", {"Content-Type": "application/json", "Content-Encoding": "gzip"}), "not_json"),
        (Response(302, b"", {"Location": "http://elsewhere.test/"}), "not_json"),
        (json_response(failure(0), 500), "server_error"),
        (text_response("bad gateway", 502), "server_error"),
        (json_response({"errors": [{"message": "budget depleted"}]}), "rate_limited"),
        (json_response(failure(971), 429), "rate_limited"),
    ],
)
def test_an_answer_that_is_none_has_its_reason(gateway: Reading, response: Response, expected: str) -> None:
    """What is said is never taken for "no calls"; when the answers are good again everything is counted."""
    for _ in range(3):
        gateway.cloudflare.log("support-bot")
    good, gateway.cloudflare.twist = gateway.cloudflare.twist, lambda _request, _response: response
    assert reason(gateway.later()) == expected
    assert not gateway.calls
    gateway.cloudflare.twist = good
    assert reason(gateway.later(400)) is None
    assert len(gateway.calls) == 3


def test_a_token_that_is_wrong(gateway: Reading) -> None:
    """As the simulated Cloudflare itself words it."""
    gateway.cloudflare.faults.set("unauthorized")
    assert reason(gateway.later()) == "unauthorized"


def test_a_hundred_megabytes_are_not_read(open_gateway: OpenGateway) -> None:
    """The answer is cut off at the cap, and the next window is shorter."""
    gateway = open_gateway(max_bytes=100_000)
    gateway.poll()
    gateway.cloudflare.log("support-bot")
    gateway.cloudflare.rows[-1]["path"] = "x" * 200_000
    assert reason(gateway.later()) == "too_large"
    gateway.cloudflare.rows[-1]["path"] = "x"
    assert reason(gateway.later()) is None
    assert len(gateway.calls) == 1


def repeat_first_page(gateway: Reading, *, total: bool) -> None:
    first: list[Response] = []

    def twist(request: Request, response: Response) -> Response:
        if not request.path.endswith("/logs"):
            return response
        first.append(response)
        body = json.loads(first[0].body)
        if not total:
            del body["result_info"]
        return json_response(body)

    gateway.cloudflare.twist = twist


@pytest.mark.parametrize("total", [True, False])
def test_a_page_that_repeats_for_ever_is_not_the_last_one(gateway: Reading, *, total: bool) -> None:
    """What the first page held is counted, and the rest once pages follow each other again."""
    for _ in range(120):
        gateway.clock.advance(0.5)
        gateway.cloudflare.log("support-bot")
    good = gateway.cloudflare.twist
    repeat_first_page(gateway, total=total)
    assert reason(gateway.later()) == "endless_pages"
    assert len(gateway.paths) < 20
    assert 0 < len(gateway.calls) <= 50
    gateway.cloudflare.twist = good
    for _ in range(3):
        gateway.later()
    assert len(gateway.calls) == 120


@pytest.mark.parametrize(
    "columns",
    [
        {"created_at": None},
        {"created_at": "yesterday"},
        {"created_at": 1764000000},
        {"id": None},
        {"id": 7},
        {"duration": None},
        {"duration": "long"},
        {"duration": -5},
        {"duration": 1e300},
        {"duration": float("nan")},
        {"duration": True},
        {"success": None, "status_code": None},
        {"success": "perhaps", "status_code": "perhaps"},
    ],
)
def test_one_bad_row_does_not_lose_the_others(gateway: Reading, columns: dict[str, Any]) -> None:
    """It is counted once as unreadable, however often it is read; the poll is no failure."""
    for number in range(3):
        gateway.cloudflare.log("support-bot")
        if number == 1:
            spoil_in_the_list(gateway, gateway.cloudflare.rows[-1]["id"], columns)
    assert reason(gateway.later()) is None
    gateway.later(30)
    assert (len(gateway.calls), gateway.unreadable) == (2, 1)


def spoil_in_the_list(gateway: Reading, name: str, columns: dict[str, Any]) -> None:
    """On the wire only: the simulator itself has to find the row by its time."""

    def twist(request: Request, response: Response) -> Response:
        if not request.path.endswith("/logs"):
            return response
        body = json.loads(response.body)
        body["result"] = [row | columns if row["id"] == name else row for row in body["result"]]
        return json_response(body)

    gateway.cloudflare.twist = twist


@pytest.mark.parametrize("row", [None, 5, "row", [], {}, {"id": "x"}])
def test_what_is_no_row_at_all_is_a_bad_row(gateway: Reading, row: object) -> None:
    """Among others, too."""
    gateway.cloudflare.log("support-bot")

    def twist(request: Request, response: Response) -> Response:
        body = json.loads(response.body)
        if request.path.endswith("/logs") and body["result"]:
            body["result"].append(row)
            body["result_info"]["total_count"] += 1
        return json_response(body)

    gateway.cloudflare.twist = twist
    assert reason(gateway.later()) is None
    assert (len(gateway.calls), gateway.unreadable) == (1, 1)


def test_a_log_of_nothing_but_bad_rows_is_no_success(gateway: Reading) -> None:
    """Nothing can be said about the traffic then; but it is passed over and does not fail for ever."""
    gateway.cloudflare.log("support-bot")
    gateway.cloudflare.rows[-1]["duration"] = None
    assert reason(gateway.later()) == "wrong_shape"
    assert reason(gateway.later(30)) is None
    assert gateway.unreadable == 1


@pytest.mark.parametrize(
    "columns",
    [
        {"duration": "1500", "status_code": "200", "step": "1", "success": "true", "cached": "false", "tokens_in": "3"},
        {"success": None, "status_code": 200, "step": None, "cached": None},
        {
            "model": None,
            "provider": 5,
            "metadata": {"agent": "support-bot"},
            "user_agent": None,
            "cost": [],
            "path": {},
        },
        {"dlp_action": "EXPLODE", "model_type": "smell", "request_type": None, "new_field": {"deep": [1]}},
        {"created_at": "2026-11-23T13:00:30+01:00"},
        {"event_id": 5, "tokens_in": None, "tokens_out": [], "usage_metadata": "none"},
    ],
)
def test_what_a_call_can_do_without_may_be_anything(gateway: Reading, columns: dict[str, Any]) -> None:
    """Numbers as text, nulls, unknown enum values, a field of another type, another time zone."""
    gateway.cloudflare.log("support-bot", created_at=gateway.clock.now() + timedelta(seconds=30))
    gateway.cloudflare.rows[-1].update(columns)
    assert reason(gateway.later()) is None
    assert (len(gateway.calls), gateway.unreadable) == (1, 0)


def test_an_id_that_comes_back_changed_is_the_same_request(gateway: Reading) -> None:
    """The event tells: the id of a row changed its form once already."""
    gateway.cloudflare.log("support-bot", event="e")
    gateway.later()
    gateway.cloudflare.rows[-1]["id"] = "01JD0000000000000000000000"
    gateway.later(30)
    assert list(gateway.calls) == ["e"]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_an_hour_off_loses_and_doubles_nothing(open_gateway: OpenGateway, hours: int) -> None:
    """Cloudflare's time counts: rows seem to come from the future or from the past, and are counted all the same."""
    gateway = open_gateway()
    gateway.cloudflare.skew = timedelta(hours=hours)
    gateway.poll()
    for _ in range(20):
        gateway.clock.advance(10)
        gateway.cloudflare.log("support-bot")
        gateway.poll()
    gateway.later()
    assert len(gateway.calls) == 20


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_while_we_read_loses_and_doubles_nothing(gateway: Reading, hours: int) -> None:
    """As when somebody repairs the time of the machine."""
    for number in range(20):
        gateway.clock.advance(10)
        gateway.cloudflare.log("support-bot")
        gateway.poll()
        if number == 10:
            gateway.clock.time += timedelta(hours=hours)
            gateway.cloudflare.skew -= timedelta(hours=hours)
    gateway.later()
    assert len(gateway.calls) == 20


def test_a_beginning_that_nobody_answered_is_in_cloudflares_time(open_gateway: OpenGateway) -> None:
    """The first poll reached nobody, so it could not know how wrong the clock is."""
    gateway = open_gateway()
    gateway.cloudflare.skew = timedelta(hours=-1)
    date, gateway.cloudflare.dates = gateway.cloudflare.dates, False
    gateway.cloudflare.faults.set("unavailable")
    assert reason(gateway.poll()) == "server_error"
    gateway.cloudflare.dates = date
    gateway.clock.advance(5)
    gateway.cloudflare.log("support-bot")
    gateway.cloudflare.faults.clear()
    gateway.later(30)
    gateway.later(60)
    assert len(gateway.calls) == 1


def test_the_budget_ends_a_poll_with_what_it_has(open_gateway: OpenGateway) -> None:
    """The next polls go on where it stopped, and in the end nothing is missing and Cloudflare never refused."""
    gateway = open_gateway(CONFIG.replace("hold_back: 60s", "hold_back: 60s\n      request_share: 1%"))
    gateway.poll()
    for _ in range(800):
        gateway.clock.advance(1)
        gateway.cloudflare.log("support-bot")
    first = gateway.later()
    assert reason(first) == "budget"
    assert first.trouble is not None
    assert 0 < (first.trouble.retry_after_s or 0) <= 300
    assert 0 < len(first.calls) < 800
    for _ in range(25):
        gateway.later(150)
    assert len(gateway.calls) == 800
    assert set(gateway.requests) == {"200"}


def test_a_refusal_for_too_many_requests_is_waited_out(gateway: Reading) -> None:
    """Nobody is asked before the time that Cloudflare named, and then everything is counted."""
    gateway.cloudflare.limit.limit = 0
    gateway.cloudflare.log("support-bot")
    assert reason(gateway.later()) == "rate_limited"
    asked = len(gateway.requests)
    assert reason(gateway.later(200)) == "rate_limited"
    assert len(gateway.requests) == asked
    gateway.cloudflare.limit.limit = 1200
    assert reason(gateway.later(101)) is None
    assert len(gateway.calls) == 1


def test_a_gateway_that_collects_no_logs_is_said(open_gateway: OpenGateway) -> None:
    """Asked once an hour; the gauge is 0 until the gateway's setting is changed."""

    def shown(batch: Batch) -> list[float]:
        return [gauge.value for gauge in batch.gauges or () if gauge.metric == "gateway_logs_enabled"]

    gateway = open_gateway()
    gateway.cloudflare.settings["collect_logs"] = False
    assert shown(gateway.poll()) == [0]
    gateway.cloudflare.settings["collect_logs"] = True
    assert shown(gateway.later(60)) == [0]
    assert shown(gateway.later(3600)) == [1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"collect_logs": False}, "logs_disabled"),
        ({"log_management_strategy": "STOP_INSERTING"}, "stop_inserting"),
        ({"collect_logs": None, "log_management_strategy": 5}, None),
    ],
)
def test_settings_that_will_blind_us_are_logged_once(
    open_gateway: OpenGateway, settings: dict[str, Any], said: str | None
) -> None:
    """With what to change; a value that is not understood says nothing."""
    gateway = open_gateway()
    gateway.cloudflare.settings.update(settings)
    with structlog.testing.capture_logs() as logged:
        gateway.poll()
        gateway.later(3600)
    assert [entry["reason"] for entry in logged if entry["event"] == "failed"] == [said] * (said is not None)
