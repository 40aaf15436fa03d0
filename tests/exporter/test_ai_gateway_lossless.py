"""Whatever order, delay, repetition or shift of pages: in the end each request was counted once."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from drill.simulators.wire import Request, Response, json_response
from tests.conftest import FakeClock
from tests.exporter.gateway_reading import CONFIG, Reading, gateway_reading
from tests.thorough import examples

# A row may appear as late as windows overlap.
_LATEST_S = 290
_FAULTS = ("unavailable", "html", "truncated", "rate_limited", "forbidden")


class Mischief:
    """Shuffles each page, repeats rows in it, and lets the oldest row go or an old one come while pages are read."""

    def __init__(self, gateway: Reading, chance: random.Random) -> None:
        self._gateway = gateway
        self._random = chance
        self.logged: set[str] = set()
        self.deletes = self.shifts = True
        self._began = gateway.clock.now()

    def log(self, event: str, steps: int, late_s: float) -> None:
        """A request whose last attempt succeeds and whose rows appear late, in any order."""
        rows = self._gateway.cloudflare.rows
        at = max(self._began, self._gateway.clock.now() - timedelta(seconds=late_s))
        before = len(rows)
        for step in range(steps):
            last = step == steps - 1
            self._gateway.cloudflare.log("support-bot", event=event, step=step, success=last, created_at=at)
        rows[before:] = self._random.sample(rows[before:], len(rows) - before)
        self.logged.add(event)

    def __call__(self, request: Request, response: Response) -> Response:
        if not request.path.endswith(("/logs", "/query")) or self._gateway.cloudflare.faults.active:
            return response
        try:
            body = json.loads(response.body)
        except ValueError:
            return response
        if body["success"] is not True:
            return response
        page = body["result"] if request.path.endswith("/logs") else body["result"]["events"]["events"]
        # Telemetry pages go on after the last event, so that one stays where it is.
        head = page if request.path.endswith("/logs") else page[:-1]
        head = self._random.sample(head, len(head)) + self._random.choices(head, k=min(3, len(head)))
        page[:] = head if request.path.endswith("/logs") else head + page[-1:]
        if page and self.shifts and self._random.random() < 0.5:
            self._shift(page)
        return json_response(body)

    def _shift(self, page: list[dict[str, Any]]) -> None:
        rows = self._gateway.cloudflare.rows
        oldest = min(rows, key=_time)
        ages = [(self._gateway.clock.now() - _time(row)).total_seconds() for row in page if "created_at" in row]
        # As DELETE_OLDEST does it, to a log that holds more than the last minutes: what was just read goes.
        if self.deletes and ages and max(ages) > _LATEST_S and max(ages) - min(ages) > 120:
            if oldest["id"] in {row["id"] for row in page}:
                rows.remove(oldest)
        elif len(self.logged) < 200:
            self.log(f"shifted-{len(self.logged)}", 1, self._random.uniform(0, 60))


def _time(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["created_at"])


requests = st.tuples(st.just("log"), st.integers(1, 60), st.integers(1, 2), st.floats(0, _LATEST_S))
waits = st.tuples(st.just("wait"), st.floats(1, 200))
faults = st.tuples(st.just("fault"), st.sampled_from(_FAULTS), st.integers(1, 4))


@pytest.mark.parametrize("system", ["legacy", "observability"])
@pytest.mark.property
@settings(max_examples=examples(6), phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(st.one_of(requests, waits, faults), min_size=3, max_size=8), st.integers(0, 2**32))
def test_each_request_is_counted_once(system: Any, actions: list[Any], seed: int) -> None:
    """From either log, also across refusals in the middle of a window."""
    with gateway_reading(FakeClock(), CONFIG.replace("hold_back: 60s", "request_share: 100%")) as gateway:
        gateway.cloudflare.log_system = system
        gateway.poll()
        gateway.clock.advance(1)
        mischief = Mischief(gateway, random.Random(seed))  # noqa: S311 - to be repeatable
        gateway.cloudflare.twist = mischief
        mischief.deletes = system == "legacy"
        for number, (action, *how) in enumerate(actions):
            if action == "log":
                count, steps, late_s = how
                for request in range(count):
                    mischief.log(f"{number}-{request}", steps, late_s)
            elif action == "fault":
                # What is deleted before it was read in full is lost to everybody.
                mischief.deletes = False
                gateway.cloudflare.faults.set(how[0], count=how[1])
            else:
                gateway.later(how[0])
        gateway.cloudflare.faults.clear()
        for number in range(7):
            mischief.shifts = number < 3
            gateway.later(100)
        assert {call.outcome for call in gateway.calls.values()} <= {"success"}
        assert set(gateway.calls) == mischief.logged


def test_a_row_that_slips_from_one_page_to_another_is_read_again(gateway: Reading) -> None:
    """Also in a window that no later one overlaps: the log said how many rows there are."""
    for number in range(120):
        gateway.clock.advance(1)
        gateway.cloudflare.log("support-bot", event=str(number))
    gateway.clock.advance(1200)

    def twist(request: Request, response: Response) -> Response:
        if request.path.endswith("/logs") and request.query["page"] == "1":
            del gateway.cloudflare.rows[:1]
        return response

    gateway.cloudflare.twist = twist
    gateway.later()
    assert len(gateway.calls) == 120


def test_a_log_in_another_order_is_read_whole_or_not_at_all(gateway: Reading) -> None:
    """When the newest rows come first, a part of them does not tell how far the log was read."""
    for number in range(120):
        gateway.clock.advance(10)
        gateway.cloudflare.log("support-bot", event=str(number))

    def newest_first(request: Request, response: Response) -> Response:
        body = json.loads(response.body)
        if request.path.endswith("/logs"):
            first = (int(request.query["page"]) - 1) * 50
            since, until = (datetime.fromisoformat(request.query[name]) for name in ("start_date", "end_date"))
            rows = [row for row in gateway.cloudflare.rows[::-1] if since <= _time(row) <= until]
            body["result"] = rows[first : first + 50]
            if failing and first:
                return Response(503)
        return json_response(body)

    gateway.cloudflare.twist = newest_first
    failing = True
    assert gateway.later().trouble is not None
    failing = False
    gateway.later(60)
    assert len(gateway.calls) == 120
