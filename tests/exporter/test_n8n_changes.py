"""Switching on and off and new versions are counted once, whatever fails or restarts in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from exporter.sources import SourceDown
from tests.exporter.n8n_reading import CONFIG, Reading

ON, OFF = {"agent": "invoices", "to": "true"}, {"agent": "invoices", "to": "false"}


def switched(reading: Reading) -> tuple[float, float]:
    """How often the last poll saw it switched on and off."""
    return reading.counted("agent_enabled_changes", **ON), reading.counted("agent_enabled_changes", **OFF)


def switch(reading: Reading, clock: Any, version: str | None) -> None:
    """Publish that version, or nothing."""
    reading.n8n.workflow(reading.workflow()).switch(version, now=clock.now(), at=clock.monotonic())


def test_what_is_seen_for_the_first_time_has_not_changed(open_reading: Callable[..., Reading]) -> None:
    """A first start counts nothing, whether the workflow is on or off."""
    for active in (True, False):
        reading = open_reading()
        reading.n8n.add_workflow("Invoice summary", active=active)
        reading.poll()
        assert switched(reading) == (0, 0)


def test_each_change_counts_once(reading: Reading, clock: Any) -> None:
    """Off and on again are one change each; while nothing changes nothing is counted."""
    live = reading.n8n.workflow(reading.workflow()).active_version_id
    for version, counted in ((None, (0, 1)), (None, (0, 0)), (live, (1, 0)), (live, (0, 0))):
        switch(reading, clock, version)
        reading.poll()
        assert switched(reading) == counted
        assert reading.counted("workflow_changes", agent="invoices") == 0


def test_a_change_while_nothing_polls_is_counted_after_the_restart(
    reading: Reading, open_reading: Callable[..., Reading], clock: Any
) -> None:
    """The last state is stored with the counts: seen by the next process, and by that one only once."""
    switch(reading, clock, None)
    again = open_reading(CONFIG, reading.n8n)
    again.state = json.loads(json.dumps(reading.state))
    again.poll()
    assert switched(again) == (0, 1)
    again.poll()
    assert switched(again) == (0, 0)


def test_a_poll_that_fails_loses_no_change(reading: Reading, clock: Any) -> None:
    """What a failed poll has seen is not stored, so the next one sees it."""
    switch(reading, clock, None)
    for after in range(1, 5):
        reading.requests.at = reading.requests.count + after
        reading.requests.then = lambda: reading.n8n.faults.set("unavailable", count=1)
        with pytest.raises(SourceDown):
            reading.poll()
    reading.requests.at = -1
    reading.poll()
    assert switched(reading) == (0, 1)


def test_an_archived_agent_was_switched_off(reading: Reading) -> None:
    """Archiving unpublishes."""
    reading.n8n.archive(reading.workflow())
    reading.poll()
    assert switched(reading) == (0, 1)


def test_another_live_version_is_a_change_and_a_draft_is_none(reading: Reading, clock: Any) -> None:
    """Saving changes nothing that runs; publishing what was saved does, once."""
    draft = reading.n8n.edit(reading.workflow())
    reading.poll()
    assert reading.counted("workflow_changes", agent="invoices") == 0
    switch(reading, clock, draft)
    for counted in (1, 0):
        reading.poll()
        assert reading.counted("workflow_changes", agent="invoices") == counted
        assert switched(reading) == (0, 0)


def test_a_workflow_that_is_out_of_sight_is_remembered(reading: Reading, clock: Any) -> None:
    """A key that sees nothing for a while has seen no change; what changed meanwhile is counted when it sees again."""
    hidden, reading.n8n.workflows = reading.n8n.workflows, {}
    reading.poll()
    assert switched(reading) == (0, 0)
    reading.n8n.workflows = hidden
    switch(reading, clock, None)
    reading.poll()
    assert switched(reading) == (0, 1)


def test_an_older_n8n_has_no_versions_to_change(reading: Reading, clock: Any) -> None:
    """n8n 1 shows none; switching on and off is seen all the same."""
    reading.n8n.older_api = True
    reading.poll()
    switch(reading, clock, None)
    reading.poll()
    assert (switched(reading), reading.counted("workflow_changes", agent="invoices")) == ((0, 1), 0)
