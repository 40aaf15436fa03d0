"""The cross-check of Cloudflare's own count against the log that was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.ai_gateway import log_in
from exporter.sources.gateway_coverage import VERDICTS, WINDOWS, settle
from exporter.sources.gateway_tally import KEEP, Log, tallied
from exporter.sources.windows import Window
from tests.exporter.analytics_reading import Reading, analytics_reading, minutes

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
GATEWAY = "aiGatewayRequestsAdaptiveGroups"


@pytest.fixture
def reading(clock: Any) -> Iterator[Reading]:
    """Both sources have been polled once."""
    with analytics_reading(clock) as opened:
        opened.read_log()
        opened.poll()
        yield opened


def verdicts(reading: Reading) -> dict[str, float]:
    counted = {one: reading.total("gateway_coverage_checks", gateway="prod", verdict=one) for one in VERDICTS}
    return {verdict: count for verdict, count in counted.items() if count}


def call(reading: Reading, minutes_: int = 30, agent: str | None = "nobody") -> None:
    """A request every minute, of an agent that is not watched."""
    for _ in range(minutes_):
        reading.cloudflare.log(agent)
        reading.clock.advance(60)
        reading.read_log()
        if reading.clock.now().minute % 5 == 0:
            reading.poll()


def test_what_was_counted_and_what_was_read_are_equal(reading: Reading) -> None:
    """Requests of all agents, watched or not, are on both sides."""
    call(reading)
    reading.later(30)
    assert set(verdicts(reading)) == {"equal"}
    assert reading.gap == 0
    assert not reading.gateway_state["discovered"]


def test_a_verdict_begins_at_zero(reading: Reading) -> None:
    """The first gap is an increase."""
    assert {dict(key)["verdict"] for (name, key) in reading.totals if name == "gateway_coverage_checks"} == {*VERDICTS}


def test_requests_that_the_log_does_not_show_are_a_gap(reading: Reading) -> None:
    """Sent with logging switched off: Cloudflare counts them, and there is no row."""
    call(reading)
    for _ in range(3):
        reading.dataset(GATEWAY).events.append({"at": reading.clock.now(), "gateway": "prod", "count": 1})
    call(reading)
    for _ in range(20):
        reading.later()
    assert reading.gap == 3
    assert verdicts(reading)["missing"] == 1


def test_an_empty_log_is_not_no_traffic(reading: Reading) -> None:
    """An account whose logs are kept elsewhere answers with nothing, and every request is missed."""
    rows = [{"at": reading.clock.now() + minutes(2 * each), "gateway": "prod", "count": 1} for each in range(20)]
    reading.dataset(GATEWAY).events += rows
    for _ in range(30):
        reading.later()
    assert reading.gap == 20


def test_another_gateway_is_not_compared(reading: Reading) -> None:
    """Only the gateways that are read."""
    reading.dataset(GATEWAY).events.append({"at": reading.clock.now() + minutes(3), "gateway": "dev", "count": 9})
    for _ in range(10):
        reading.later()
    assert reading.gap == 0


def test_more_rows_than_requests_are_no_gap(reading: Reading) -> None:
    """Attempts at a provider may be rows of their own; they never make a gap smaller than it was counted."""
    for _ in range(30):
        reading.cloudflare.log("nobody", step=0)
        reading.clock.advance(60)
        reading.read_log()
    reading.analytics.gateway_rows_uncounted = 10
    for _ in range(25):
        reading.later()
    assert reading.gap == 0
    assert verdicts(reading)["extra"] >= 1


def test_a_request_near_a_border_is_no_gap(reading: Reading) -> None:
    """Cloudflare counts it some seconds after the log's own time, in the next window."""
    reading.analytics.gateway_shift = timedelta(seconds=50)
    for each in range(120):
        reading.cloudflare.log("nobody")
        reading.clock.advance(37)
        reading.read_log()
        if each % 8 == 0:
            reading.poll()
    assert {"missing", "extra"} & set(verdicts(reading))
    assert reading.gap == 0


def test_a_sampled_answer_is_refused(reading: Reading) -> None:
    """Its counts are estimates: no gap can be made of them, and the windows are told."""
    reading.dataset(GATEWAY).sample_interval = 10
    call(reading)
    reading.later(30)
    assert "sampled" in verdicts(reading)
    assert not {"missing", "extra"} & set(verdicts(reading))


def test_a_log_that_is_behind_is_waited_for(reading: Reading) -> None:
    """Rows that are read late are no gap."""
    for _ in range(12):
        reading.cloudflare.log("nobody")
        reading.clock.advance(300)
        reading.poll()
    assert not verdicts(reading)
    reading.read_log()
    for _ in range(6):
        reading.later()
    assert set(verdicts(reading)) == {"equal"}


def test_a_log_that_stays_behind_is_not_waited_for_forever(reading: Reading) -> None:
    """After two hours a window is left unchecked, and that is told."""
    for _ in range(40):
        reading.clock.advance(300)
        reading.poll()
    assert set(verdicts(reading)) == {"unread"}
    assert reading.gap == 0


def settled(differences: Iterable[int]) -> int:
    recent: list[int] = []
    gap = 0
    for difference in differences:
        confirmed, recent = settle(recent, difference)
        gap += confirmed
    return gap


@given(st.lists(st.lists(st.integers(0, 9), max_size=WINDOWS - 1), max_size=6))
def test_a_difference_that_is_given_back_is_no_gap(groups: list[list[int]]) -> None:
    """Requests that are in another window than in the log, however many, as long as an hour has one window without."""
    shifted = [0, *(shift for group in groups for shift in [*group, 0])]
    assert settled(after - before for before, after in pairwise(shifted)) == 0


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 1000))
def test_what_is_missing_and_not_given_back_is_the_gap(missing: list[int], surplus: int) -> None:
    """Each request once, an hour later, also in a log that had more rows than requests before."""
    quiet = [0] * WINDOWS
    assert settled([-surplus, *quiet, *missing, *quiet]) == sum(missing)


@given(
    st.lists(st.integers(0, 3600), max_size=40),
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 600)), min_size=1, max_size=20),
)
def test_a_tally_knows_exactly_what_was_read_whole(rows: list[int], reads: list[tuple[int, int]]) -> None:
    """However windows overlap, a minute has its true count or none."""
    times = [NOON + timedelta(seconds=row) for row in rows]
    tally: dict[str, int] = {}
    end = NOON
    whole: set[datetime] = set()
    for back, ahead in reads:
        since, end = max(NOON, end - timedelta(seconds=back)), end + timedelta(seconds=ahead)
        tally = tallied(tally, [time for time in times if since <= time < end], since=since, until=end)
        whole |= {
            minute
            for minute in (NOON + timedelta(minutes=each) for each in range(200))
            if since <= minute and minute + timedelta(minutes=1) <= end
        }
    log = Log(end + timedelta(hours=1), tally)
    for each in range(60):
        minute = NOON + timedelta(minutes=each)
        window = Window(minute, minute + timedelta(minutes=1))
        true = sum(window.since <= time < window.until for time in times)
        known = minute in whole and minute >= (end - KEEP).replace(second=0)
        assert log.rows(window) == (true if known else None)


def test_a_window_is_known_only_when_all_of_it_is_final() -> None:
    """A log that may still get rows is not compared."""
    tally = tallied({}, [NOON], since=NOON, until=NOON + minutes(10))
    log = Log(NOON + minutes(5), tally)
    assert log.rows(Window(NOON, NOON + minutes(5))) == 1
    assert log.rows(Window(NOON, NOON + minutes(6))) is None
    assert log.rows(Window(NOON - minutes(1), NOON + minutes(5))) is None


def test_the_log_counts_rows_and_not_calls(reading: Reading) -> None:
    """Two attempts of one request are two rows."""
    reading.cloudflare.log("nobody", step=0, success=False, status_code=500, event="e")
    reading.cloudflare.log("nobody", step=1, event="e")
    for _ in range(10):
        reading.clock.advance(60)
        reading.read_log()
    log = log_in(reading.gateway_state, "prod")
    assert log is not None
    assert log.rows(Window(NOON, NOON + minutes(2))) == 2
