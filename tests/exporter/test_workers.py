"""Cloudflare's analytics: closed windows, each counted once, and datasets that do not hide each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from drill.simulators.cloudflare_graphql import BUDGET, Refusal
from exporter.ledger import Ledger
from exporter.sources.workers import PIECES
from handrail.database import create_engine
from handrail.settings import parse
from tests.exporter.analytics_reading import ALL_WORKERS, CONFIG, SOURCE, Reading, analytics_reading, minutes

INVOCATIONS, SCHEDULED = "workersInvocationsAdaptive", "workersInvocationsScheduled"
AI, GATEWAY = "aiInferenceAdaptiveGroups", "aiGatewayRequestsAdaptiveGroups"
ALL = {"worker_invocations", "worker_quantiles", "worker_crons", "workers_ai", "ai_gateway"}

Open = Callable[..., Reading]


@pytest.fixture
def open_reading(clock: Any) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda config=CONFIG: stack.enter_context(analytics_reading(clock, config))


@pytest.fixture
def reading(open_reading: Open) -> Reading:
    """A first poll has been made."""
    opened = open_reading()
    opened.read_log()
    opened.poll()
    return opened


def requests(reading: Reading, worker: str = "support-bot", status: str = "success") -> float:
    return reading.total("worker_requests", worker=worker, status=status)


def test_invocations_are_counted_by_status(reading: Reading) -> None:
    """Requests of each status, and the requests a Worker made itself."""
    reading.analytics.invoke("support-bot", subrequests=3)
    reading.analytics.invoke("support-bot", status="exceededResources", subrequests=1)
    reading.later(25)
    assert requests(reading) == 1
    assert requests(reading, status="exceededResources") == 1
    assert reading.total("worker_subrequests", worker="support-bot") == 4


def test_a_window_is_not_read_before_it_is_complete(reading: Reading) -> None:
    """An invocation is shown by Cloudflare fourteen minutes late, and is still counted once."""
    reading.analytics.delay_s = 14 * 60
    for _ in range(40):
        reading.analytics.invoke("support-bot")
        reading.later(1)
    reading.later(30)
    assert requests(reading) == 40


def test_counting_begins_at_the_first_start(open_reading: Open, clock: Any) -> None:
    """What happened before is not counted, whatever is shown of it later."""
    reading = open_reading()
    reading.analytics.invoke("support-bot")
    clock.advance(30)
    reading.poll()
    clock.advance(30)
    reading.analytics.invoke("support-bot")
    for _ in range(6):
        reading.later()
    assert requests(reading) == 1


def test_what_was_not_stored_is_read_again_and_counted_once(reading: Reading) -> None:
    """Watermark and counts are one batch: a commit that failed leaves both as they were."""
    reading.analytics.invoke("support-bot")
    reading.clock.advance(25 * 60)
    assert reading.poll(kept=False).counts
    reading.later()
    reading.later()
    assert requests(reading) == 1


def test_a_restart_goes_on_where_the_ledger_says(tmp_path: Path, open_reading: Open, clock: Any) -> None:
    """Another process finds totals and watermark, and nothing is counted twice or lost between."""
    engine = create_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    ledger = Ledger(engine, parse(CONFIG), clock)
    first = open_reading()
    first.analytics.invoke("support-bot", at=clock.now() + minutes(2))
    first.analytics.invoke("support-bot", at=clock.now() + minutes(30))
    events = first.dataset(INVOCATIONS).events
    for reading in (first, open_reading()):
        reading.dataset(INVOCATIONS).events = events
        for _ in range(6):
            ledger.commit(SOURCE, reading.source.poll(ledger.state(SOURCE)))
            clock.advance(300)
    totals = {labels: value for (metric, _, labels), value in ledger.snapshot().totals.items() if "requests" in metric}
    engine.dispose()
    assert totals[(("source", SOURCE), ("status", "success"), ("worker", "support-bot"))] == 2


def test_an_outage_is_caught_up_with_in_pieces(reading: Reading, clock: Any) -> None:
    """No poll reads more than a few hours; after some polls nothing is missing."""
    for hour in range(30):
        reading.analytics.invoke("support-bot", at=clock.now() + timedelta(hours=hour, minutes=5))
    clock.advance(30 * 3600)
    reading.poll()
    assert requests(reading) == PIECES
    for _ in range(10):
        clock.advance(300)
        reading.poll()
    assert requests(reading) == 30


def test_an_account_that_allows_less_is_asked_for_less(reading: Reading, clock: Any) -> None:
    """A window is never longer than the dataset's maxDuration, down to a part of an hour."""
    reading.dataset(INVOCATIONS).max_duration = 600
    clock.advance(3600)  # the limits are asked for again
    reading.analytics.invoke("support-bot", at=clock.now() - minutes(40))
    for _ in range(4):
        clock.advance(300)
        assert reading.poll().trouble is None
    assert requests(reading) == 1


def test_what_is_too_old_is_lost_and_said_to_be(reading: Reading, clock: Any) -> None:
    """After a longer outage than Cloudflare keeps data for, the rest is counted and the hole has a size."""
    reading.dataset(INVOCATIONS).not_older_than = 2 * 3600
    began = reading.reached("worker_invocations")
    clock.advance(10 * 3600)
    reading.analytics.invoke("support-bot", at=clock.now() - timedelta(hours=9))
    reading.analytics.invoke("support-bot", at=clock.now() - timedelta(hours=1))
    assert reading.poll().trouble is None
    assert requests(reading) == 1
    lost = timedelta(seconds=reading.total("source_dataset_lost_seconds", dataset="worker_invocations"))
    assert lost == clock.now() - timedelta(hours=2) - began


def test_what_is_lost_is_lost_once(reading: Reading, clock: Any) -> None:
    """Also when what comes after it cannot be read at first."""
    dataset = reading.dataset(INVOCATIONS)
    dataset.not_older_than = 2 * 3600
    began = reading.reached("worker_invocations")
    clock.advance(10 * 3600)
    dataset.rejected.add("sum.requests")
    for _ in range(3):
        reading.poll()
    lost = timedelta(seconds=reading.total("source_dataset_lost_seconds", dataset="worker_invocations"))
    assert lost == clock.now() - timedelta(hours=2) - began


def test_a_wrong_token_is_tried_once_in_a_poll(reading: Reading) -> None:
    """What would end every other query too is not asked for five times."""
    reading.cloudflare.faults.set("unauthorized")
    reading.clock.advance(300)
    reading.statuses.clear()
    down = reading.poll().trouble
    assert down is not None
    assert down.reason == "unauthorized"
    assert reading.statuses == ["401"]


def test_configured_workers_begin_at_zero_before_anything_answers(open_reading: Open) -> None:
    """Also while the API is down: the first failure of a Worker is an increase."""
    reading = open_reading()
    reading.cloudflare.faults.set("unavailable")
    assert reading.poll().trouble is not None
    assert requests(reading, status="scriptThrewException") == 0
    assert ("worker_requests", (("source", SOURCE), ("status", "internalError"), ("worker", "support-bot"))) in (
        reading.totals
    )


def test_other_workers_are_not_shown_where_some_are_named(reading: Reading) -> None:
    """`workers` is the list of those that are wanted."""
    reading.analytics.invoke("marketing-site")
    reading.later(25)
    assert "marketing-site" not in str(reading.totals)


def test_discovered_workers_are_few_for_good(open_reading: Open) -> None:
    """The first fifty keep their names; what more there is adds up under `other`, in counters and in no quantile."""
    reading = open_reading(ALL_WORKERS)
    reading.poll()
    for number in range(60):
        reading.analytics.invoke(f"script-{number:02}")
    reading.later(20)
    names = {dict(key)["worker"] for (metric, key), _ in reading.totals.items() if metric == "worker_requests"}
    assert len(names) == 51
    assert requests(reading, "other") == 10
    assert reading.gauge("worker_cpu_seconds", worker="other", percentile="50") is None
    reading.analytics.invoke("script-00")
    reading.later(20)
    assert requests(reading, "script-00") == 2


def test_an_unknown_status_is_other(reading: Reading) -> None:
    """A label never takes what the API happens to say; known statuses keep their name."""
    reading.analytics.invoke("support-bot", status="exceededMemory")
    reading.analytics.invoke("support-bot", status="struckByLightning")
    reading.later(25)
    assert requests(reading, status="exceededMemory") == 1
    assert requests(reading, status="other") == 1


def test_a_status_stays_when_the_api_fails(reading: Reading) -> None:
    """A counter that was shown once is never taken away by an error."""
    reading.analytics.invoke("support-bot", status="exceededMemory")
    reading.later(25)
    reading.cloudflare.faults.set("unavailable")
    reading.later(60)
    assert requests(reading, status="exceededMemory") == 1


def test_quantiles_are_of_all_invocations_of_a_worker(reading: Reading) -> None:
    """Microseconds become seconds, whatever the status, the place or the minute; a price in GB*s is never asked for."""
    for number in range(100):
        reading.analytics.invoke("support-bot", cpu_us=1000 * (number + 1), wall_us=2_000_000)
        reading.clock.advance(2)
    reading.later(17)
    assert reading.gauge("worker_cpu_seconds", worker="support-bot", percentile="50") == pytest.approx(0.051)
    assert reading.gauge("worker_cpu_seconds", worker="support-bot", percentile="99") == pytest.approx(0.1)
    assert reading.gauge("worker_wall_seconds", worker="support-bot", percentile="90") == 2
    asked = [query for query in reading.analytics.queries if "quantiles" in query]
    assert asked
    assert not [query for query in asked if "uration" in query.partition("filter")[2] or "status" in query]


@pytest.mark.parametrize("down", [False, True])
def test_old_quantiles_vanish(reading: Reading, down: bool) -> None:
    """A Worker that is idle, or a dataset that fails, shows no quantiles of half an hour ago."""
    reading.analytics.invoke("support-bot")
    reading.later(20)
    assert reading.gauge("worker_cpu_seconds", worker="support-bot", percentile="50") is not None
    if down:
        reading.cloudflare.faults.set("unavailable")
    for _ in range(6):
        reading.later()
    assert reading.gauge("worker_cpu_seconds", worker="support-bot", percentile="50") is None
    assert requests(reading) == 1


def test_inference_is_counted_by_model(reading: Reading) -> None:
    """Outcome, tokens, neurons and seconds."""
    reading.analytics.infer("@cf/meta/llama-3.1-8b-instruct", tokens_in=100, tokens_out=20, neurons=2.5, ms=1500)
    reading.analytics.infer("@cf/meta/llama-3.1-8b-instruct", tokens_in=0, tokens_out=0, neurons=0, ms=100, error=3040)
    reading.later(25)
    model = "@cf/meta/llama-3.1-8b-instruct"
    assert reading.total("workers_ai_requests", model=model, outcome="success") == 1
    assert reading.total("workers_ai_requests", model=model, outcome="error") == 1
    assert reading.total("workers_ai_tokens", model=model, token_type="input") == 100
    assert reading.total("workers_ai_tokens", model=model, token_type="output") == 20
    assert reading.total("workers_ai_neurons", model=model) == 2.5
    assert reading.total("workers_ai_inference_seconds", model=model) == pytest.approx(1.6)


def test_every_dataset_says_whether_it_was_read(reading: Reading) -> None:
    """Up, and when."""
    reading.later()
    assert reading.up() == dict.fromkeys(ALL, 1.0)
    last = reading.gauge("source_dataset_last_success_timestamp_seconds", dataset="workers_ai")
    assert last == reading.clock.now().timestamp()


@pytest.mark.parametrize(
    ("node", "hit"),
    [
        (INVOCATIONS, {"worker_invocations", "worker_quantiles"}),
        (SCHEDULED, {"worker_crons"}),
        (AI, {"workers_ai"}),
        (GATEWAY, {"ai_gateway"}),
    ],
)
def test_one_failing_dataset_hides_no_other(reading: Reading, node: str, hit: set[str]) -> None:
    """The poll failed, the others were read, and what was not read is made up for later."""
    reading.analytics.invoke("support-bot")
    reading.analytics.infer("@cf/x")
    reading.dataset(node).fields = ("nothing",)
    batch = reading.later(25)
    assert batch.trouble is not None
    assert {name for name, up in reading.up().items() if not up} == hit
    counted = {"worker_invocations": requests(reading) == 1}
    counted["workers_ai"] = reading.total("workers_ai_requests", model="@cf/x", outcome="success") == 1
    assert all(is_counted or name in hit for name, is_counted in counted.items())


@pytest.mark.parametrize("refusal", ["disabled", "denied", "unknown"])
def test_a_dataset_that_was_never_to_be_had_is_not_a_failure(open_reading: Open, refusal: str) -> None:
    """Not enabled, no permission, or not in the schema: it is down, the source is not, and nothing is owed."""
    reading = open_reading()
    if refusal == "unknown":
        gone = reading.analytics.datasets.pop(AI)
    else:
        gone = reading.dataset(AI)
        gone.enabled, gone.denied = refusal != "disabled", refusal == "denied"
    for _ in range(6):
        assert reading.later().trouble is None
    assert reading.up() == dict.fromkeys(ALL, 1.0) | {"workers_ai": 0.0}
    reading.analytics.datasets[AI] = gone
    gone.enabled, gone.denied = True, False
    reading.clock.advance(3600)
    reading.later(1)
    reading.analytics.infer("@cf/x")
    for _ in range(6):
        reading.later()
    assert reading.up()["workers_ai"] == 1
    assert reading.total("workers_ai_requests", model="@cf/x", outcome="success") == 1


def test_a_permission_that_is_taken_away_is_a_failure(reading: Reading) -> None:
    """What could be read before must not vanish in silence; when it is given back, nothing is missing."""
    reading.later()
    reading.dataset(INVOCATIONS).denied = True
    reading.analytics.invoke("support-bot")
    down = reading.later(25).trouble
    assert down is not None
    assert down.reason == "forbidden"
    reading.dataset(INVOCATIONS).denied = False
    assert reading.later().trouble is None
    assert requests(reading) == 1


@pytest.mark.parametrize("refusal", [BUDGET, Refusal("rate limiter budget depleted, try again after 5 minutes", 429)])
def test_a_used_up_budget_stops_everything_for_its_time(reading: Reading, refusal: Refusal) -> None:
    """Also as HTTP 200: no further query in this poll, none within five minutes, and afterwards all is made up for."""
    reading.analytics.invoke("support-bot")
    reading.clock.advance(25 * 60)
    reading.analytics.refusals.append(refusal)
    asked = len(reading.analytics.queries)
    down = reading.poll().trouble
    assert down is not None
    assert down.reason == "rate_limited"
    assert len(reading.analytics.queries) == asked + 1
    reading.clock.advance(299)
    reading.poll()
    assert len(reading.analytics.queries) == asked + 1
    reading.clock.advance(1)
    assert reading.poll().trouble is None
    assert requests(reading) == 1


def test_its_share_of_the_budget_is_enough(reading: Reading) -> None:
    """An hour of polls after a day's outage stays within a tenth of Cloudflare's 300 queries in five minutes."""
    reading.clock.advance(24 * 3600)
    least = reading.allowance.limit
    for _ in range(12):
        reading.clock.advance(300)
        assert reading.poll().trouble is None
        least = min(least, reading.allowance.remaining)
    assert 0 <= least < reading.allowance.limit


def test_cloudflares_clock_decides(open_reading: Open, clock: Any) -> None:
    """A clock of ours that is hours ahead reads no window early and loses none."""
    reading = open_reading()
    reading.cloudflare.skew = -timedelta(hours=3)
    reading.poll()
    assert reading.reached("worker_invocations") == clock.now() - timedelta(hours=3)
    for _ in range(12):
        reading.analytics.invoke("support-bot")
        reading.later()
    reading.later(30)
    assert requests(reading) == 12
