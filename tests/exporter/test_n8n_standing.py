"""How agents stand now: what runs, waits and queues, what is not saved, and how long a schedule may be silent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from drill.simulators.wire import Request, Response, json_response
from exporter.sources.n8n_follow import MAX_LOOK_UPS
from handrail.schedule import Cron
from tests.exporter.n8n_reading import CONFIG, Reading

Open = Callable[..., Reading]


def unfinished(reading: Reading) -> tuple[int, float, float]:
    """How many run, wait and are queued."""
    assert reading.last is not None
    return reading.last.running["invoices"].count, reading.gauge("waiting_calls"), reading.gauge("queued_calls")


def test_running_waiting_and_queued_are_three_things(reading: Reading, clock: Any) -> None:
    """A run that waits for a person is not stuck, and a queue is not load; only what runs has an age."""
    assert unfinished(reading) == (0, 0, 0)
    begun = clock.now()
    for status in ("running", "waiting", "new"):
        reading.n8n.start(reading.workflow(), status=status)
        clock.advance(60)
    for mode in ("running", "waiting"):
        reading.n8n.start(reading.workflow(), status=mode, mode="manual")
    batch = reading.poll()
    assert unfinished(reading) == (1, 1, 1)
    assert batch.running["invoices"].oldest == begun


def test_a_job_that_only_its_id_finds_is_queued(reading: Reading) -> None:
    """In queue mode no list names what waits in Redis: it is found by the hole in the ids, and seen as queued."""
    queued = reading.n8n.execution(reading.n8n.start(reading.workflow(), status="new"))
    queued.listed = False
    reading.n8n.call(reading.workflow())
    reading.poll()
    for _ in range(3):
        reading.poll()
        assert unfinished(reading) == (0, 0, 1)
    queued.listed = True
    reading.n8n.finish(str(queued.id))
    reading.poll()
    assert (unfinished(reading), len(reading.calls)) == ((0, 0, 0), 2)


def test_a_long_queue_is_looked_up_in_parts(reading: Reading) -> None:
    """A poll asks for so many ids and no more, each has its turn, and what ends is counted once."""
    jobs = [reading.n8n.start(reading.workflow()) for _ in range(MAX_LOOK_UPS + 30)]
    reading.poll()
    for number in jobs:
        reading.n8n.execution(number).listed = False
    for _ in range(3):
        before = reading.requests.count
        reading.poll()
        assert reading.requests.count - before <= MAX_LOOK_UPS + 6
        assert unfinished(reading) == (len(jobs), 0, 0)
    for number in jobs:
        reading.n8n.finish(number)
    for _ in range(4):
        reading.poll()
    assert (len(reading.calls), reading.repeated) == (len(jobs), 0)


def test_who_ends_at_the_back_of_a_long_queue_is_found(reading: Reading) -> None:
    """Those at the front stay where they are, and each has its turn all the same."""
    jobs = [reading.n8n.start(reading.workflow()) for _ in range(MAX_LOOK_UPS + 30)]
    reading.poll()
    for number in jobs:
        reading.n8n.execution(number).listed = False
    reading.n8n.finish(jobs[-1])
    for _ in range(2):
        reading.poll()
    assert [call.execution for call in reading.calls.values()] == [jobs[-1]]


def test_a_status_that_nobody_knows_is_running_and_said_once(reading: Reading, clock: Any) -> None:
    """A later n8n may have more of them: such an execution stays open, is seen to be stuck, and counts when it ends."""
    number = reading.n8n.start(reading.workflow())
    reading.n8n.execution(number).status = "paused"
    with capture_logs() as logs:
        for _ in range(4):
            clock.advance(60)
            batch = reading.poll()
            assert (batch.calls, unfinished(reading)) == ((), (1, 0, 0))
    assert [said["reason"] for said in logs if said["event"] == "failed"] == ["'paused'"]
    reading.n8n.execution(number).status = "running"
    reading.n8n.finish(number)
    reading.poll()
    assert (len(reading.calls), unfinished(reading)) == (1, (0, 0, 0))


@pytest.mark.parametrize(
    ("settings", "hidden"),
    [
        ({}, (0, 0)),
        ({"saveDataSuccessExecution": "none"}, (1, 0)),
        ({"saveDataErrorExecution": "none"}, (0, 1)),
        ({"saveDataSuccessExecution": "none", "saveDataErrorExecution": "none"}, (1, 1)),
        ({"saveDataSuccessExecution": "all", "saveDataErrorExecution": "DEFAULT"}, (0, 0)),
    ],
)
def test_what_is_not_saved_is_shown(open_reading: Open, settings: dict[str, str], hidden: tuple[int, int]) -> None:
    """The settings of the workflow say it before anything is lost."""
    reading = open_reading()
    reading.n8n.add_workflow("Invoice summary", settings=settings)
    reading.poll()
    shown = [reading.gauge("agent_hidden_outcomes", agent="invoices", outcome=name) for name in ("success", "error")]
    assert tuple(shown) == hidden


def test_how_to_have_it_saved_is_said_once(open_reading: Open) -> None:
    """When it begins, and when it ends."""
    reading = open_reading()
    key = reading.n8n.add_workflow("Invoice summary", settings={"saveDataSuccessExecution": "none"})
    with capture_logs() as logs:
        for _ in range(3):
            reading.poll()
    (said,) = (entry for entry in logs if entry["event"] == "failed")
    assert (said["subject"], said["reason"]) == ("agent invoices saves", "hidden_success")
    assert "success" in said["what_to_do"]
    reading.n8n.workflow(key).settings = {}
    with capture_logs() as logs:
        reading.poll()
    assert [entry["event"] for entry in logs] == ["recovered"]


def test_a_hidden_call_is_its_agents_where_it_was_seen_to_run(open_reading: Open) -> None:
    """Seen while it ran, it is known whose it was; between two polls it is a hole in the ids and nobody's."""
    reading = open_reading()
    key = reading.n8n.add_workflow("Invoice summary", settings={"saveDataSuccessExecution": "none"})
    other = reading.n8n.add_workflow("Something else", settings={"saveDataSuccessExecution": "none"})
    reading.poll()
    running = [reading.n8n.start(key), reading.n8n.start(other), reading.n8n.start(key, mode="manual")]
    reading.poll()
    for number in running:
        reading.n8n.finish(number)
    gap = reading.poll().gap
    assert (gap, reading.counted("agent_hidden_calls", agent="invoices")) == (1, 1)
    reading.n8n.call(key)
    reading.n8n.call(key, outcome="error")
    gap = sum(reading.poll().gap for _ in range(2))
    assert (gap, reading.counted("agent_hidden_calls", agent="invoices"), len(reading.calls)) == (1, 0, 1)


def test_a_schedule_is_shown_while_it_is_live(open_reading: Open, clock: Any) -> None:
    """What is switched off plans nothing, and an agent that is called by webhook has no such series."""
    reading = open_reading()
    rule = {"field": "minutes", "minutesInterval": 15}
    key = reading.n8n.add_workflow("Invoice summary", schedule=[rule])
    reading.poll()
    assert reading.gauge("agent_schedule_interval_seconds") == 900
    reading.n8n.workflow(key).switch(None, now=clock.now(), at=clock.monotonic())
    batch = reading.poll()
    assert "agent_schedule_interval_seconds" not in {gauge.metric for gauge in batch.gauges or ()}


def test_the_start_of_the_newest_run_is_a_sign_of_life(reading: Reading, clock: Any) -> None:
    """Of those that run or wait; one that is queued has not begun, and may never."""
    reading.n8n.start(reading.workflow(), status="running")
    clock.advance(60)
    reading.n8n.start(reading.workflow(), status="waiting")
    newest = clock.now().timestamp()
    clock.advance(60)
    reading.n8n.start(reading.workflow(), status="new")
    reading.poll()
    assert reading.gauge("newest_running_call_timestamp_seconds") == pytest.approx(newest, abs=1)


def test_what_is_still_to_be_read_is_not_read(reading: Reading, clock: Any) -> None:
    """Calls are known up to the poll; while the details of a run cannot be had, up to the end of that run only."""
    reading.poll()
    until = reading.gauge("source_read_until_timestamp_seconds", source="n8n/main")
    assert until == pytest.approx(clock.now().timestamp(), abs=1)
    reading.n8n.call(reading.workflow())
    ended = clock.now().timestamp()
    clock.advance(600)
    reading.front.instead = lambda request: Response(500) if "includeData" in request.query else None
    reading.poll()
    assert reading.gauge("source_read_until_timestamp_seconds", source="n8n/main") <= ended + 5
    reading.front.instead = lambda _request: None
    reading.poll()
    until = reading.gauge("source_read_until_timestamp_seconds", source="n8n/main")
    assert until == pytest.approx(clock.now().timestamp(), abs=1)


def test_the_plan_of_a_live_workflow_is_reported(open_reading: Open, clock: Any) -> None:
    """By the time zone of the workflow, else by that of its n8n; what is unpublished plans nothing."""
    reading = open_reading(CONFIG.replace("poll_interval: 2s", "poll_interval: 2s, timezone: Asia/Kolkata"))
    nine = {"field": "cronExpression", "expression": "0 9 * * 1-5"}
    key = reading.n8n.add_workflow("Invoice summary", schedule=[nine])
    assert reading.poll().plans == {"invoices": (Cron("0 9 * * 1-5", "Asia/Kolkata", timedelta(minutes=1)),)}
    reading.n8n.workflow(key).settings["timezone"] = "Europe/Berlin"
    clock.advance(60)
    assert reading.poll().plans == {"invoices": (Cron("0 9 * * 1-5", "Europe/Berlin", timedelta(minutes=1)),)}
    reading.n8n.workflow(key).switch(None, now=clock.now(), at=clock.monotonic())
    assert reading.poll().plans == {"invoices": ()}


def test_retries_and_iterations_reach_the_call(open_reading: Open) -> None:
    """As n8n records them: failed tries as failed model runs, and ten rounds that led nowhere."""
    reading = open_reading()
    key = reading.n8n.add_workflow("Invoice summary", retry=True)
    reading.poll()
    reading.n8n.call(key, retries=2)
    reading.n8n.call(key, outcome="max_iterations")
    first, second = reading.poll().calls
    assert (first.retries, first.outcome, first.max_iterations) == (2, "success", False)
    assert (second.retries, second.outcome, second.max_iterations, second.model_calls) == (0, "error", True, 10)


def test_nothing_but_the_public_api_is_asked(reading: Reading) -> None:
    """n8n Cloud has no /metrics, no /healthz and no internals: lists and single executions have to do."""
    number = reading.n8n.start(reading.workflow())
    reading.poll()
    reading.n8n.execution(number).listed = False
    seen: list[Request] = []

    def only_the_api(request: Request) -> Response | None:
        seen.append(request)
        return None if request.path.startswith("/api/v1/") else json_response({"message": "not found"}, 404)

    reading.front.instead = only_the_api
    reading.poll()
    assert {request.path.split("/")[3] for request in seen} == {"workflows", "executions"}
    assert {request.method for request in seen} == {"GET"}
