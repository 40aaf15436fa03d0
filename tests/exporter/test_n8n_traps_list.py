"""Traps of n8n's lists: order, cursors, statuses that change, and what a list of workflows says of an agent."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from drill.simulators.wire import Request, json_response
from exporter.sources import SourceDown
from exporter.sources.n8n_execution import TERMINAL
from exporter.sources.n8n_rows import has_ended
from handrail.http import build_client
from tests.exporter.n8n_reading import DISCOVER, Reading
from tests.exporter.n8n_recorded import only_call, recorded

Open = Callable[..., Reading]


def documented(contracts: Path, path: str) -> set[str]:
    """The parameters that n8n documents for a list."""
    found = json.loads((contracts / "n8n" / "openapi_subset.json").read_text())["paths"][path]["get"]["parameters"]
    return {item.rpartition("/")[2] if isinstance(item, str) else item["name"] for item in found}


def test_only_documented_parameters_are_sent(reading: Reading, contracts: Path) -> None:
    """n8n ignores what it does not know: a parameter such as stoppedAfter would change nothing, silently."""
    for _ in range(260):
        reading.n8n.call(reading.workflow())
    reading.poll()
    queries = [(request.path.removeprefix("/api/v1"), request.query) for request in reading.front.requests]
    for path in ("/executions", "/workflows"):
        sent = {name for asked, query in queries if asked == path for name in query}
        assert sent <= documented(contracts, path)
    details = {name for asked, query in queries if asked.count("/") == 2 for name in query}
    assert details <= documented(contracts, "/executions/{executionId}")
    # startedAfter drops rows that never started, and a limit of 0 is one answer of all rows.
    assert not {"startedAfter", "startedBefore"} & {name for _, query in queries for name in query}
    assert all(1 <= int(query.get("limit", "1")) <= 250 for _, query in queries)
    assert all(query.get("includeData", "true") == "true" for _, query in queries)


def test_each_unfinished_status_is_asked_for_by_itself(reading: Reading) -> None:
    """n8n takes one status only and knows no "queued"; what is queued is new."""
    reading.front.requests.clear()
    reading.poll()
    assert [request.query["status"] for request in reading.front.requests if "status" in request.query] == [
        "running",
        "waiting",
        "new",
    ]


def test_ids_are_compared_as_numbers(reading: Reading) -> None:
    """Ids are text: as text "9" would come after "10", and everything from the tenth on would be lost."""
    for _ in range(12):
        reading.n8n.call(reading.workflow())
        reading.poll()
    assert (len(reading.calls), reading.repeated) == (12, 0)


def test_what_ends_while_pages_are_read_is_counted_once(reading: Reading) -> None:
    """Between two pages new executions arrive and running ones end; none is lost and none counted twice."""
    key = reading.workflow()
    running = [reading.n8n.start(key) for _ in range(3)]
    for _ in range(520):
        reading.n8n.call(key)

    def arrive(request: Request) -> None:
        if "cursor" in request.query and running:
            reading.n8n.finish(running.pop())
            reading.n8n.call(key)

    reading.front.instead = arrive  # type: ignore[assignment]
    for _ in range(6):
        reading.poll()
    assert not running
    assert (len(reading.calls), reading.repeated) == (len(reading.n8n.executions), 0)


def test_a_cursor_into_pruned_ids_ends_the_list(reading: Reading) -> None:
    """Past the end n8n answers 200 with an empty page: that is the end and no failure."""
    for _ in range(300):
        reading.n8n.call(reading.workflow())
    empty = json_response({"data": [], "nextCursor": None})
    reading.front.instead = lambda request: empty if "cursor" in request.query else None
    assert reading.poll().trouble is None


def test_an_editor_without_end_is_no_list(reading: Reading) -> None:
    """Whoever answers a cursor with the same page again (n8n does, to a cursor of another list) ends in a failure."""
    number = reading.n8n.call(reading.workflow())
    row = reading.n8n.execution(number).row()
    same = json_response({"data": [row], "nextCursor": "eyJsaW1pdCI6Mn0="})
    reading.front.instead = lambda request: same if request.path.endswith("/executions") else None
    with pytest.raises(SourceDown, match="the same page again"):
        reading.poll()


def test_what_is_listed_late_is_no_gap(reading: Reading) -> None:
    """An execution that no list shows for one poll, because it began or ended in between, is counted by the next."""
    key = reading.workflow()
    late = reading.n8n.execution(reading.n8n.call(key))
    late.listed = False
    reading.n8n.call(key)
    assert reading.poll().gap == 0
    late.listed = True
    batches = [reading.poll(), reading.poll()]
    assert (sum(batch.gap for batch in batches), len(reading.calls), reading.repeated) == (0, 2, 0)


@pytest.mark.parametrize("name", ["list_waiting_3600", "list_default_while_waiting_3600"])
def test_a_waiting_execution_has_not_ended_though_it_has_a_stop_time(contracts: Path, name: str) -> None:
    """n8n writes stoppedAt when an execution begins to wait; only its status says that it goes on."""
    (row,) = recorded(contracts, name)["data"]
    assert (row["status"], row["stoppedAt"] is None) == ("waiting", False)
    assert not has_ended(row)


def test_a_waiting_execution_is_one_call_under_its_old_id(reading: Reading, clock: Any) -> None:
    """While it waits it is no call and not stuck, and it is counted once when it resumes and ends."""
    number = reading.n8n.start(reading.workflow(), status="waiting")
    for _ in range(3):
        clock.advance(60)
        batch = reading.poll()
        assert (batch.calls, batch.running["invoices"].count) == ((), 0)
        assert reading.gauge("waiting_calls") == 1
    reading.n8n.finish(number)
    reading.poll()
    reading.poll()
    assert (len(reading.calls), reading.repeated) == (1, 0)


def test_the_time_a_wait_node_slept_is_not_slowness(contracts: Path) -> None:
    """A run that slept for 66 s took no time of its own, before and after the kill switch."""
    for name in ("exec_wait_resumed", "exec_waiting_resumed_after_kill"):
        execution = recorded(contracts, name)
        assert only_call(execution).duration < timedelta(milliseconds=50)


def test_a_queued_execution_has_no_start(reading: Reading, contracts: Path) -> None:
    """new: startedAt is null, and so there is no oldest one to be stuck; stopped in the queue it took no time."""
    assert recorded(contracts, "exec_new")["startedAt"] is None
    number = reading.n8n.start(reading.workflow(), status="new")
    running = reading.poll().running["invoices"]
    assert (running.count, running.oldest, reading.gauge("queued_calls")) == (0, None, 1)
    stopped = reading.n8n.execution(number).row() | {"status": "canceled", "stoppedAt": "2026-11-23T12:00:01.000Z"}
    assert only_call(stopped).duration == timedelta(0)


def test_status_decides_and_not_finished(contracts: Path) -> None:
    """`finished` is deprecated: false for what failed, true for a success; only the status tells ended from running."""
    rows = recorded(contracts, "list_mixed_sample")["data"]
    ended = [row for row in rows if has_ended(row)]
    assert {row["finished"] for row in ended} == {True, False}
    assert {row["status"] for row in ended} <= TERMINAL


def test_an_ended_row_that_changes_is_not_counted_again(reading: Reading) -> None:
    """A retry writes retrySuccessId into the original, and each restart amends a crashed row: both count once."""
    key = reading.workflow()
    for outcome in ("error", "crashed"):
        reading.n8n.call(key, outcome=outcome)
    reading.poll()
    changed = [execution.row() | {"retrySuccessId": "99"} for execution in reversed(reading.n8n.executions)]
    reading.front.instead = lambda request: (
        json_response({"data": changed, "nextCursor": None}) if request.path.endswith("/executions") else None
    )
    for _ in range(3):
        batch = reading.poll()
        assert (batch.calls, sum(count.amount for count in batch.counts)) == ((), 0)


def test_a_retry_by_api_is_a_call_of_its_own(contracts: Path) -> None:
    """The original stays an error, the retry is a new execution of mode retry: one failed call and one good one."""
    original, retry = recorded(contracts, "exec_retried_original"), recorded(contracts, "retry")
    assert (original["retrySuccessId"], retry["retryOf"], retry["mode"]) == (retry["id"], original["id"], "retry")
    calls = [only_call(original), only_call(retry | {"stoppedAt": "2026-11-23T07:33:04.709Z"})]
    assert [call.outcome for call in calls] == ["error", "success"]
    assert calls[0].id != calls[1].id


def test_stopping_many_is_seen_as_canceled(reading: Reading) -> None:
    """Stopped by hand, running, waiting and queued ones alike end as canceled, each once."""
    key = reading.workflow()
    for status in ("running", "waiting", "new"):
        reading.n8n.start(key, status=status)
    reading.poll()
    everything = {"status": ["running", "waiting", "queued"], "workflowId": key}
    with build_client(base_url="http://n8n.test", transport=httpx.WSGITransport(app=reading.n8n)) as person:
        stopped = person.post("/api/v1/executions/stop", json=everything, headers={"X-N8N-API-KEY": "n8n-key"})
    assert stopped.json() == {"stopped": 3}
    batch = reading.poll()
    assert [call.error_reason for call in batch.calls] == ["canceled"] * 3
    assert batch.running["invoices"].count == 0


def test_published_is_what_n8n_says_now(open_reading: Open, contracts: Path) -> None:
    """A draft beside the published version changes nothing; unpublished is off, whatever newer draft there is."""
    reading = open_reading(DISCOVER)
    key = reading.n8n.add_workflow("Helper")
    reading.n8n.edit(key)
    assert reading.poll().enabled == {"helper": True}
    inactive = recorded(contracts, "workflow_inactive_get")
    assert (inactive["active"], inactive["activeVersionId"], bool(inactive["versionId"])) == (False, None, True)
    reading.n8n.workflows[key].active_version_id = None
    assert reading.poll().enabled == {"helper": False}


def test_workflows_are_found_by_their_whole_name(open_reading: Open) -> None:
    """n8n's own filter by name matches parts: an agent of "Invoice" must not be "Invoice summary (copy)"."""
    reading = open_reading()
    copy = reading.n8n.add_workflow("Invoice summary (copy)")
    reading.n8n.call(copy)
    assert "invoices" not in reading.poll().enabled
    reading.n8n.add_workflow("Invoice summary")
    assert reading.poll().enabled == {"invoices": True}
    assert not any("name" in request.query for request in reading.front.requests)


def test_workflows_beyond_the_first_page_are_known(open_reading: Open) -> None:
    """The list of workflows has pages of its own, by offset: the 251st agent is watched like the first."""
    reading = open_reading(DISCOVER)
    for number in range(260):
        reading.n8n.add_workflow(f"Agent {number}")
    assert len(reading.poll().agents) == 260


def test_calls_of_an_unpublished_workflow_still_count(open_reading: Open, clock: Any) -> None:
    """After a kill running ones finish, waiting ones resume, queued ones run, and a retry works: all are calls."""
    reading = open_reading(DISCOVER)
    key = reading.n8n.add_workflow("Helper")
    reading.poll()
    survivors = [reading.n8n.start(key, status=status) for status in ("running", "waiting", "new")]
    reading.n8n.workflow(key).switch(None, now=clock.now(), at=clock.monotonic())
    assert reading.poll().enabled == {"helper": False}
    for number in survivors:
        reading.n8n.finish(number)
    reading.n8n.call(key, mode="retry")
    reading.poll()
    assert len(reading.calls) == 4


def test_the_older_api_is_read_too(open_reading: Open) -> None:
    """n8n 1 knows no versions: `active` alone says whether an agent is on."""
    reading = open_reading(DISCOVER)
    reading.n8n.older_api = True
    reading.n8n.call(reading.n8n.add_workflow("Helper"))
    assert reading.poll().enabled == {"helper": True}
