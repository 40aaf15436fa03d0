"""Traps of what n8n does not show: what was not saved, pruned or queued is a gap or found, never silence or a guess."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.calls import TokenUsage
from tests.exporter.n8n_reading import Reading

Open = Callable[..., Reading]


@pytest.mark.parametrize("shape", ["r-nosave/200", "r-nosave/500", "r-nosave-success/200"])
def test_an_execution_that_is_not_saved_is_a_gap(reading: Reading, contracts: Path, shape: str) -> None:
    """It is shown while it runs; when it ends n8n deletes it, answers 404, and the next id leaves a hole."""
    timeline = json.loads((contracts / "n8n" / "hidden_executions.json").read_text())[shape]
    assert timeline["detail_after"] == [404, {"message": "Not Found"}]
    assert timeline["id_of_next_saved"] == timeline["top_before"] + 2
    hidden = reading.n8n.start(reading.workflow())
    assert reading.poll().running["invoices"].count == 1
    reading.n8n.execution(hidden).kept = False
    batch = reading.poll()
    assert (batch.gap, batch.calls, batch.running["invoices"].count) == (1, (), 0)
    reading.n8n.call(reading.workflow())
    assert [(batch.gap, len(batch.calls)) for batch in (reading.poll(), reading.poll())] == [(0, 1), (0, 0)]


def test_a_failure_that_is_saved_is_a_call_though_successes_are_not(reading: Reading, contracts: Path) -> None:
    """A workflow may save failures only: they are counted as calls, its successes as gap."""
    timeline = json.loads((contracts / "n8n" / "hidden_executions.json").read_text())["r-nosave-success/500"]
    assert timeline["detail_after"] == [200, "error"]
    good, bad = (reading.n8n.start(reading.workflow()) for _ in range(2))
    reading.poll()
    reading.n8n.execution(good).kept = False
    reading.n8n.finish(bad, outcome="error")
    batch = reading.poll()
    assert (batch.gap, [call.outcome for call in batch.calls]) == (1, ["error"])


def test_a_fast_one_that_is_not_saved_is_found_by_its_missing_id(reading: Reading) -> None:
    """Between two polls it began, ended and was deleted: ids are sequential, so a hole is an execution."""
    for _ in range(3):
        reading.n8n.execution(reading.n8n.call(reading.workflow())).kept = False
    reading.n8n.call(reading.workflow())
    assert sum(reading.poll().gap for _ in range(3)) == 3
    assert len(reading.calls) == 1


def test_pruning_takes_back_nothing_that_was_counted(reading: Reading, contracts: Path) -> None:
    """n8n prunes thousands of rows in one step; what was read stays counted, and is no gap."""
    before, after = json.loads((contracts / "n8n" / "pruning_timeline.json").read_text())
    assert (before["visible"], after["visible"], before["top"]) == (2312, 100, after["top"])
    for _ in range(20):
        reading.n8n.call(reading.workflow())
    reading.poll()
    reading.poll()
    for execution in reading.n8n.executions[:15]:
        execution.kept = False
    assert sum(reading.poll().gap for _ in range(3)) == 0
    reading.n8n.call(reading.workflow())
    reading.poll()
    assert (len(reading.calls), reading.repeated) == (21, 0)


def test_what_was_pruned_before_it_was_read_is_a_gap(reading: Reading) -> None:
    """After a long outage of the exporter the oldest rows are gone: their number is known, nothing else."""
    for _ in range(120):
        reading.n8n.call(reading.workflow())
    for execution in reading.n8n.executions[:90]:
        execution.kept = False
    gap = sum(reading.poll().gap for _ in range(4))
    assert (gap, len(reading.calls)) == (90, 30)


def test_an_n8n_that_pruned_everything_is_not_a_new_one(reading: Reading, clock: Any) -> None:
    """An empty list, or lower ids than before with old starts, is pruning and no reset: the ids go on."""
    for _ in range(5):
        reading.n8n.call(reading.workflow())
        clock.advance(1)
    reading.poll()
    for execution in reading.n8n.executions:
        execution.kept = False
    assert reading.poll().state["epoch"] == 0
    reading.n8n.executions[2].kept = True
    assert reading.poll().state["epoch"] == 0
    reading.n8n.call(reading.workflow())
    reading.poll()
    assert (len(reading.calls), reading.repeated) == (6, 0)


def test_details_that_were_pruned_leave_the_row(reading: Reading) -> None:
    """Between its row and its details an execution may be pruned: it is counted by what the row said."""
    number = reading.n8n.call(reading.workflow(), outcome="error", duration_s=4)

    def prune(_request: object) -> None:
        if reading.front.requests[-1].path.endswith(f"/{number}"):
            reading.n8n.execution(number).kept = False

    reading.front.instead = prune  # type: ignore[assignment]
    (call,) = reading.poll().calls
    assert (call.id, call.outcome, call.duration) == (number, "error", timedelta(seconds=4))
    assert call.tokens == TokenUsage()


def test_a_job_that_waits_in_a_queue_is_found_by_its_id(reading: Reading) -> None:
    """In queue mode no list names what waits in Redis; its id is looked up, kept open, and it counts when it ends."""
    queued = reading.n8n.execution(reading.n8n.start(reading.workflow(), status="new"))
    queued.listed = False
    reading.n8n.call(reading.workflow())
    assert [reading.poll().gap for _ in range(4)] == [0] * 4
    queued.listed = True
    reading.n8n.finish(str(queued.id))
    reading.poll()
    assert (len(reading.calls), reading.repeated) == (2, 0)


def test_a_job_of_a_dead_worker_stays_running_until_n8n_says_otherwise(reading: Reading, clock: Any) -> None:
    """Its age is shown for as long as n8n calls it running; the crash counts when n8n writes it, at its next start."""
    begun = clock.now()
    number = reading.n8n.start(reading.workflow())
    for _ in range(3):
        clock.advance(3600)
        running = reading.poll().running["invoices"]
        assert (running.count, running.oldest) == (1, begun)
    reading.n8n.finish(number, outcome="crashed")
    (call,) = reading.poll().calls
    assert call.error_reason == "crashed"


def test_a_plain_high_water_mark_would_lose_what_ends_late(reading: Reading) -> None:
    """Ids are given at the start and listed at the end: a reader of "ids above the highest" loses the slow ones."""
    key = reading.workflow()
    highest, naive = 0, 0
    slow: list[str] = []
    for step in range(30):
        if step % 3 == 0:
            slow.append(reading.n8n.start(key))
        reading.n8n.call(key)
        if len(slow) > 2:
            reading.n8n.finish(slow.pop(0))
        reading.poll()
        listed = [found.id for found in reading.n8n.executions if found.status != "running" and found.id > highest]
        naive, highest = naive + len(listed), max([highest, *listed])
    for number in slow:
        reading.n8n.finish(number)
    reading.poll()
    assert (len(reading.calls), reading.repeated) == (len(reading.n8n.executions), 0)
    assert naive < len(reading.n8n.executions) - len(slow)


def test_what_is_open_survives_a_restart_of_the_exporter(reading: Reading, open_reading: Open) -> None:
    """Floor, open ids and unread details are stored with the counts; the next process goes on where this one stood."""
    running = reading.n8n.start(reading.workflow())
    reading.n8n.call(reading.workflow())
    reading.poll()
    reading.n8n.finish(running)
    reading.n8n.call(reading.workflow())
    restarted = open_reading(n8n=reading.n8n)
    restarted.state = json.loads(json.dumps(reading.state))
    restarted.poll()
    assert not set(restarted.calls) & set(reading.calls)
    assert len(restarted.calls | reading.calls) == len(reading.n8n.executions)


def test_few_requests_find_all_of_many(reading: Reading) -> None:
    """What is still running is not asked for one by one: a poll costs its lists, and a request for each that ended."""
    key = reading.workflow()
    for _ in range(40):
        reading.n8n.start(key)
    reading.poll()
    before = reading.requests.count
    reading.poll()
    # The workflows, the newest row, three lists of unfinished ones, the list of ended ones.
    assert reading.requests.count - before <= 6
