"""The share of a Cloudflare account's requests that Handrail allows itself, and how it takes a refusal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from drill.simulators.wire import Response, json_response, serve, text_response
from drill.simulators.wire import answer as wsgi
from exporter.request_budgets import BudgetCollector
from exporter.sources import SourceDown
from exporter.sources.budget import LIMITS, WINDOW_S, Allowance, Budget, Budgets
from exporter.sources.fetch import Answer, Fetcher
from handrail.http import build_client
from tests.conftest import FakeClock

TENTH = Decimal("0.1")


def refused(allowance: Allowance) -> SourceDown | None:
    try:
        allowance.take()
    except SourceDown as down:
        return down
    return None


def test_a_tenth_is_what_handrail_takes_unless_told_otherwise(clock: Any) -> None:
    """Of 1,200 REST requests and 300 GraphQL queries; a share so small that it is none still is one request."""
    budget = Budget(TENTH, clock)
    assert (budget.rest.limit, budget.graphql.limit) == (120, 30)
    assert Budget(Decimal("0.0001"), clock).graphql.limit == 1


def test_what_is_used_up_comes_back_after_its_five_minutes(clock: Any) -> None:
    """The refusal is `budget` and names the moment from which on there is something again."""
    allowance = Allowance("graphql", 2, clock)
    allowance.take()
    clock.advance(100)
    allowance.take()
    down = refused(allowance)
    assert down is not None
    assert (down.reason, down.retry_after_s, allowance.remaining) == ("budget", 200, 0)
    clock.advance(200)
    assert refused(allowance) is None
    assert refused(allowance) is not None


def test_a_pause_refuses_everything_until_it_is_over(clock: Any) -> None:
    """Five minutes where nothing is said, an hour at most; a shorter pause does not shorten a longer one."""
    allowance = Allowance("rest", 100, clock)
    allowance.pause(None)
    allowance.pause(1)
    down = refused(allowance)
    assert down is not None
    assert (down.reason, down.retry_after_s, allowance.remaining) == ("rate_limited", 300, 0)
    clock.advance(300)
    assert (refused(allowance), allowance.remaining) == (None, 99)
    allowance.pause(1e9)
    clock.advance(3600)
    assert refused(allowance) is None


@settings(max_examples=60)
@given(st.lists(st.floats(0, 200), max_size=60), st.integers(1, 8))
def test_no_five_minutes_ever_hold_more_than_the_limit(waits: list[float], limit: int) -> None:
    """However the requests come."""
    clock = FakeClock()
    allowance, made = Allowance("rest", limit, clock), []
    for wait in waits:
        clock.advance(wait)
        if refused(allowance) is None:
            made.append(clock.monotonic())
    for end in made:
        assert len([at for at in made if end - WINDOW_S < at <= end]) <= limit


def test_threads_share_an_allowance(clock: Any) -> None:
    """Two sources that ask at once get together what one would get."""
    allowance, got = Allowance("rest", 500, clock), []

    def ask() -> None:
        got.extend(refused(allowance) is None for _ in range(400))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 500


def test_one_account_has_one_budget(clock: Any) -> None:
    """Also when the configuration is read again with another share: what was spent stays spent."""
    budgets = Budgets(clock)
    budget = budgets.of("a", TENTH)
    budget.rest.take()
    assert budgets.of("a", Decimal("0.5")) is budget
    assert (budget.rest.limit, budget.rest.remaining) == (600, 599)
    assert budgets.of("b", TENTH) is not budget


def test_the_budget_is_shown(clock: Any) -> None:
    """Both of a source's limits and what is left of each."""
    budget = Budget(TENTH, clock)
    budget.rest.take()
    registry = CollectorRegistry()
    registry.register(BudgetCollector(lambda: {"cloudflare/main": budget}))
    for api, limit, left in (("rest", 120, 119), ("graphql", 30, 30)):
        labels = {"source": "cloudflare/main", "api": api}
        assert registry.get_sample_value("handrail_source_request_budget", labels) == limit
        assert registry.get_sample_value("handrail_source_request_budget_remaining", labels) == left
    assert set(LIMITS) == {"rest", "graphql"}


class Service:
    """Answers whatever a test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.response = json_response({"ok": True})
        self.asked: list[tuple[str, str, Any]] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        def handle(request: Any) -> Response:
            self.asked.append((request.method, request.path, request.json))
            return self.response

        return wsgi(handle, environ, start_response)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def allowance(clock: Any) -> Allowance:
    return Allowance("graphql", 3, clock)


@pytest.fixture
def fetch(service: Service, allowance: Allowance, clock: Any) -> Iterator[Fetcher]:
    with build_client(base_url="http://service.test", transport=httpx.WSGITransport(app=service)) as client:
        yield Fetcher(client, credentials=dict, on_request=lambda _: None, now=clock.now, allowance=allowance)


def down(ask: Callable[[], Answer]) -> SourceDown:
    with pytest.raises(SourceDown) as caught:
        ask()
    return caught.value


def test_a_post_sends_json_and_fails_as_a_get_does(fetch: Fetcher, service: Service) -> None:
    """The body goes out as JSON, what comes back is JSON."""
    assert fetch.post("/query", {"a": [1]}) == Answer(200, {"ok": True})
    assert service.asked == [("POST", "/query", {"a": [1]})]
    service.response = text_response("<html>", content_type="text/html")
    assert down(lambda: fetch.post("/query", {})).reason == "not_json"


def test_nothing_is_asked_beyond_the_allowance(fetch: Fetcher, service: Service) -> None:
    """The request that is one too many never leaves."""
    for _ in range(3):
        fetch.get("/a")
    assert down(lambda: fetch.post("/a", {})).reason == "budget"
    assert len(service.asked) == 3


@pytest.mark.parametrize(("header", "pause"), [({"Retry-After": "40"}, 40), ({}, 300), ({"Retry-After": "soon"}, 300)])
def test_a_429_pauses_all_requests(fetch: Fetcher, service: Service, clock: Any, header: Any, pause: float) -> None:
    """For as long as it says, or for the 5 minutes that Cloudflare blocks; nothing is sent meanwhile."""
    service.response = json_response({}, 429, header)
    assert down(lambda: fetch.get("/a")).reason == "rate_limited"
    service.response = json_response({})
    clock.advance(pause - 1)
    assert down(lambda: fetch.get("/a")).reason == "rate_limited"
    assert len(service.asked) == 1
    clock.advance(1)
    assert fetch.get("/a").status == 200


@pytest.mark.parametrize(
    "error",
    [
        {"message": "rate limiter budget depleted, try again after 5 minutes", "extensions": None},
        {"message": "no", "extensions": {"code": "budget", "timestamp": "2026-11-23T12:00:00Z"}},
    ],
)
@pytest.mark.parametrize("status", [200, 429])
def test_a_budget_error_pauses_whatever_its_status(
    fetch: Fetcher, service: Service, clock: Any, error: object, status: int
) -> None:
    """GraphQL says it under HTTP 200 and names no time."""
    service.response = json_response({"data": None, "errors": [error]}, status)
    failure = down(lambda: fetch.post("/graphql", {}, usable=range(200, 600)))
    assert (failure.reason, failure.retry_after_s) == ("rate_limited", 300)
    clock.advance(299)
    assert down(lambda: fetch.post("/graphql", {})).reason == "rate_limited"
    assert len(service.asked) == 1


def test_an_error_that_is_not_about_the_budget_pauses_nothing(fetch: Fetcher, service: Service) -> None:
    """A caller that can use such an answer gets it."""
    service.response = json_response({"data": None, "errors": [{"message": "unknown field"}]}, 400)
    assert fetch.post("/graphql", {}, usable=range(200, 600)).status == 400
    assert down(lambda: fetch.post("/graphql", {})).reason == "wrong_shape"
    assert len(service.asked) == 2


def test_an_answer_that_is_too_large_has_its_own_reason(service: Service, clock: Any) -> None:
    """It is cut off while it comes in."""
    service.response = json_response({"rows": "x" * 5000})
    with serve(service) as server, build_client(base_url=server.url, max_bytes=1000) as client:
        fetcher = Fetcher(client, credentials=dict, on_request=lambda _: None, now=clock.now)
        assert down(lambda: fetcher.get("/a")).reason == "too_large"
