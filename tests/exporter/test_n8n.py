"""Reading a simulated n8n: each execution is reported once, and a source that is down is never taken for empty."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from drill.simulators.n8n import N8nSimulator
from drill.simulators.wire import Refused, json_response
from exporter.calls import TokenUsage
from exporter.sources import SourceDown
from handrail.http import build_client
from tests.exporter.n8n_reading import DISCOVER, Reading

Open = Callable[..., Reading]


def test_what_ended_before_the_first_start_is_not_counted(open_reading: Open, clock: Any) -> None:
    """Counting begins at now; what is running then is counted when it ends."""
    reading = open_reading()
    key = reading.n8n.add_workflow("Invoice summary")
    reading.n8n.call(key)
    running = reading.n8n.start(key)
    clock.advance(1)
    assert reading.poll().calls == ()
    reading.n8n.finish(running)
    assert [call.id for call in reading.poll().calls] == [f"{running}/AI Agent/0"]


def test_a_call_is_reported_with_all_that_is_known(reading: Reading) -> None:
    """Agent, duration, outcome, tokens and confidence come from the execution's data."""
    key = reading.workflow()
    number = reading.n8n.call(key, duration_s=7.5, outcome="tool_error", tokens_in=100, tokens_out=20, confidence=0.4)
    (call,) = reading.poll().calls
    assert (call.source, call.agent, call.outcome, call.error_reason) == ("n8n/main", "invoices", "error", "tool_error")
    assert call.duration == timedelta(seconds=7.5)
    assert call.tokens == TokenUsage(100, 20, "actual")
    assert (call.confidence, call.tool_calls, call.tool_errors) == (0.4, 1, 1)
    assert call.url == f"http://n8n.test/workflow/{key}/executions/{number}"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("success", None), ("error", "provider_error"), ("timeout", "timeout"), ("crashed", "crashed")],
)
def test_every_way_to_end_is_told_apart(reading: Reading, outcome: Any, reason: str | None) -> None:
    """A time-out, which n8n writes as canceled, a crash and a failed model each have their reason."""
    reading.n8n.call(reading.workflow(), outcome=outcome)
    (call,) = reading.poll().calls
    assert call.error_reason == reason


def test_started_early_and_finished_late_is_counted_once(reading: Reading, clock: Any) -> None:
    """An execution far below the highest id is found when it ends, however many ended in between."""
    key = reading.workflow()
    early = reading.n8n.start(key)
    for _ in range(5):
        reading.n8n.call(key)
        clock.advance(2)
        reading.poll()
    assert f"{early}/AI Agent/0" not in reading.calls
    reading.n8n.finish(early)
    reading.poll()
    assert reading.calls[f"{early}/AI Agent/0"].duration == timedelta(seconds=10)
    reading.poll()
    assert (len(reading.calls), reading.repeated) == (6, 0)


@pytest.mark.parametrize("status", ["running", "waiting", "new"])
def test_what_has_not_ended_is_no_call_until_it_ends(reading: Reading, clock: Any, status: str) -> None:
    """Running, waiting and queued executions are counted when they end; only running ones can be stuck."""
    number = reading.n8n.start(reading.workflow(), status=status)
    began = clock.now()
    clock.advance(3)
    batch = reading.poll()
    assert batch.calls == ()
    running = batch.running["invoices"]
    assert (running.count, running.oldest) == ((1, began) if status == "running" else (0, None))
    reading.n8n.finish(number)
    batch = reading.poll()
    assert (len(batch.calls), batch.running["invoices"].count) == (1, 0)


def test_a_stop_by_hand_is_canceled(reading: Reading) -> None:
    """A person who stops an execution made no time-out."""
    number = reading.n8n.start(reading.workflow())
    reading.poll()
    stopped = build_client(base_url="http://n8n.test", transport=httpx.WSGITransport(app=reading.n8n))
    with stopped:
        stopped.post(f"/api/v1/executions/{number}/stop", headers={"X-N8N-API-KEY": "n8n-key"})
    (call,) = reading.poll().calls
    assert call.error_reason == "canceled"


@pytest.mark.parametrize(("mode", "counted"), [("manual", 0), ("retry", 1), ("integrated", 1), ("trigger", 1)])
def test_test_runs_of_the_editor_are_not_counted(reading: Reading, mode: str, counted: int) -> None:
    """Retries and watched sub-workflows are calls; what somebody tries out is none."""
    reading.n8n.call(reading.workflow(), mode=mode)
    running = reading.n8n.start(reading.workflow(), mode=mode)
    batch = reading.poll()
    assert (len(batch.calls), batch.running["invoices"].count) == (counted, counted)
    reading.n8n.finish(running)


def test_only_watched_workflows_are_read_in_detail(reading: Reading) -> None:
    """Other people's prompts stay where they are: no data is asked for and nothing is reported."""
    other = reading.n8n.add_workflow("Something else")
    reading.n8n.call(other)
    before = reading.requests.count
    assert reading.poll().calls == ()
    # Two lists of workflows (one because of an unknown id), the newest row, three lists of unfinished, the list.
    assert reading.requests.count - before <= 7


def test_more_than_a_page_is_read_to_the_end(reading: Reading) -> None:
    """After a busy time every page down to the known ones is read; details are read in several polls."""
    for _ in range(260):
        reading.n8n.call(reading.workflow())
    reading.poll()
    reading.poll()
    assert (len(reading.calls), reading.repeated) == (260, 0)


def test_an_execution_that_vanishes_is_a_gap(reading: Reading) -> None:
    """A workflow that does not save its successes leaves a 404: it ran, and that is all that is known."""
    reading.n8n.start(reading.workflow())
    reading.poll()
    lost = reading.n8n.executions.pop()
    reading.n8n.executions.append(lost)
    with _gone(reading, lost):
        batch = reading.poll()
    assert (batch.calls, batch.gap) == ((), 1)
    assert reading.poll().gap == 0


class _gone:  # noqa: N801 - reads as a statement
    """While it lasts the simulator knows nothing of an execution."""

    def __init__(self, reading: Reading, execution: Any) -> None:
        self._n8n, self._execution = reading.n8n, execution

    def __enter__(self) -> None:
        self._kept = self._n8n.executions
        self._n8n.executions = [found for found in self._kept if found is not self._execution]

    def __exit__(self, *_: object) -> None:
        self._n8n.executions = self._kept


FAULTS = [
    ("unauthorized", "unauthorized"),
    ("forbidden", "forbidden"),
    ("rate_limited", "rate_limited"),
    ("unavailable", "server_error"),
    ("server_error", "server_error"),
    ("html", "not_json"),
    ("wrong_shape", "wrong_shape"),
    ("truncated", "not_json"),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_a_source_that_is_down_says_why_and_loses_nothing(reading: Reading, fault: str, reason: str) -> None:
    """Whatever n8n answers instead, what was open and what ended meanwhile is counted once it is back."""
    key = reading.workflow()
    running = reading.n8n.start(key)
    reading.n8n.call(key)
    reading.n8n.faults.set(fault)
    with pytest.raises(SourceDown) as down:
        reading.poll()
    assert down.value.reason == reason
    assert (down.value.retry_after_s == 1.0) == (fault == "rate_limited")
    reading.n8n.finish(running)
    reading.n8n.faults.clear()
    reading.poll()
    assert (len(reading.calls), reading.repeated) == (2, 0)


@pytest.mark.parametrize("fault", [fault for fault, _ in FAULTS])
@pytest.mark.parametrize("after", range(1, 9))
def test_a_failure_in_the_middle_of_a_poll_loses_nothing(reading: Reading, fault: str, after: int) -> None:
    """Whichever request of a poll fails, what the poll could not read is read by the next ones, and once."""
    key = reading.workflow()
    running = [reading.n8n.start(key) for _ in range(2)]
    reading.poll()
    for number in running:
        reading.n8n.finish(number)
    reading.n8n.call(key)
    reading.requests.at = reading.requests.count + after
    reading.requests.then = lambda: reading.n8n.faults.set(fault, count=1)
    for _ in range(3):
        try:
            reading.poll()
        except SourceDown:
            continue
    assert (len(reading.calls), reading.repeated) == (3, 0)
    assert all(call.tokens.basis != "unknown" for call in reading.calls.values())


def test_details_that_can_never_be_read_do_not_stop_the_rest(reading: Reading) -> None:
    """An execution whose data n8n cannot give is counted by its row after three tries, and others are not held up."""
    key = reading.workflow()
    broken = reading.n8n.call(key, outcome="error", duration_s=4)
    reading.n8n.execution(broken).detail = _raise_server_error  # type: ignore[method-assign,assignment]
    reading.n8n.call(key)
    troubles = [reading.poll().trouble for _ in range(5)]
    assert [trouble.reason if trouble else None for trouble in troubles] == ["server_error"] * 3 + [None] * 2
    assert set(reading.calls) == {broken, f"{int(broken) + 1}/AI Agent/0"}
    call = reading.calls[broken]
    assert (call.outcome, call.duration, call.tokens) == ("error", timedelta(seconds=4), TokenUsage())


def _raise_server_error(**_: object) -> None:
    raise Refused(json_response({"message": "cannot read the data"}, 500))


def test_a_key_that_cannot_be_read_is_unauthorized(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text names the place of the secret; a new secret works without a restart."""
    monkeypatch.delenv("N8N_KEY")
    with pytest.raises(SourceDown, match="N8N_KEY") as down:
        reading.poll()
    assert down.value.reason == "unauthorized"
    monkeypatch.setenv("N8N_KEY", "n8n-key")
    assert reading.poll().visible_workflows == 1


def test_discovery_watches_published_agents(open_reading: Open) -> None:
    """Every published workflow with an AI root node is an agent, unless it is excluded or configured already."""
    reading = open_reading(DISCOVER)
    for name, more in (
        ("Invoice summary", {}),
        ("Support: Mail & Chat!", {}),
        ("Private", {}),
        ("Draft", {"active": False}),
        ("Plain", {"ai": False}),
    ):
        reading.n8n.add_workflow(name, **more)
    batch = reading.poll()
    assert batch.agents == {"support-mail-chat"}
    assert batch.enabled == {"invoices": True, "support-mail-chat": True}
    reading.n8n.call(reading.workflow("Support: Mail & Chat!"))
    assert [call.agent for call in reading.poll().calls] == ["support-mail-chat"]


def test_a_workflow_made_since_the_last_poll_is_counted_at_once(open_reading: Open) -> None:
    """A call of a workflow that is not known yet makes the list be read again."""
    reading = open_reading(DISCOVER)
    reading.poll()
    reading.n8n.call(reading.n8n.add_workflow("New one"))
    assert [call.agent for call in reading.poll().calls] == ["new-one"]


def test_names_that_collide_are_told_apart_and_stay(open_reading: Open) -> None:
    """Two workflows of one name are two agents, and which is which does not change when one goes."""
    reading = open_reading(DISCOVER)
    keys = [reading.n8n.add_workflow(name) for name in ("Helper", "helper", "Invoices")]
    names = dict(reading.poll().state["discovered"])
    assert len(set(names.values())) == 3
    assert "helper" in names.values()
    assert names[keys[2]] != "invoices"
    reading.n8n.archive(next(key for key, name in names.items() if name == "helper"))
    batch = reading.poll()
    assert batch.state["discovered"] == names
    assert batch.agents == {*names.values()} - {"helper"}


def test_an_unpublished_agent_stays_and_an_archived_one_goes(open_reading: Open, clock: Any) -> None:
    """Switched off is not gone: a discovered agent is shown as off until its workflow is archived."""
    reading = open_reading(DISCOVER)
    key = reading.n8n.add_workflow("Helper")
    assert reading.poll().enabled == {"helper": True}
    reading.n8n.workflow(key).switch(None, now=clock.now(), at=clock.monotonic())
    batch = reading.poll()
    assert (batch.agents, batch.enabled) == ({"helper"}, {"helper": False})
    reading.n8n.archive(key)
    batch = reading.poll()
    assert (batch.agents, batch.enabled) == (frozenset(), {})


def test_an_n8n_that_counts_anew_is_noticed(reading: Reading, open_reading: Open, clock: Any) -> None:
    """After a reset the same ids mean other executions; they are counted as what they are."""
    for _ in range(5):
        reading.n8n.call(reading.workflow())
    reading.poll()
    reading.n8n.start(reading.workflow())
    reading.poll()
    reading.poll()
    clock.advance(60)
    anew = open_reading(n8n=N8nSimulator(clock))
    anew.state = reading.state
    key = anew.n8n.add_workflow("Invoice summary")
    running = anew.n8n.start(key)
    assert anew.poll().gap == 1
    clock.advance(1)
    anew.n8n.call(key)
    anew.n8n.finish(running)
    anew.poll()
    assert set(anew.calls) == {"1:1/AI Agent/0", "1:2/AI Agent/0"}
    assert not set(anew.calls) & set(reading.calls)
