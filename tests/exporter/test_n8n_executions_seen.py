"""What the exporter saw end, to be compared with what n8n itself counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from exporter.sources import Batch, SourceDown
from tests.exporter.n8n_reading import Reading


def seen(batch: Batch) -> dict[str, float]:
    """How many executions ended, by status; every status is named."""
    assert all(count.metric == "source_executions" and not count.agent for count in batch.counts)
    assert {count.labels["source"] for count in batch.counts} == {"n8n/main"}
    return {count.labels["status"]: count.amount for count in batch.counts}


NONE = dict.fromkeys(("success", "error", "canceled", "crashed", "unknown"), 0)


def test_every_status_is_there_from_the_start(open_reading: Callable[..., Reading]) -> None:
    """Before anything ended each status stands at 0, so that its first execution is seen as an increase."""
    assert seen(open_reading().poll()) == NONE


def test_all_executions_are_seen_watched_or_not(reading: Reading) -> None:
    """Unwatched workflows, test runs of the editor and sub-workflows are seen too: n8n counts them all."""
    other = reading.n8n.add_workflow("Something else", ai=False)
    reading.n8n.call(other)
    reading.n8n.call(other, outcome="error")
    reading.n8n.call(reading.workflow(), mode="manual")
    reading.n8n.call(reading.workflow(), mode="integrated", outcome="timeout")
    batch = reading.poll()
    assert seen(batch) == NONE | {"success": 2, "error": 1, "canceled": 1}
    assert len(batch.calls) == 1
    assert seen(reading.poll()) == NONE


def test_an_execution_is_seen_when_it_ends_and_once(reading: Reading, clock: Any) -> None:
    """While it runs it is not counted; a poll that fails half-way counts nothing, and the next one does."""
    running = reading.n8n.start(reading.workflow())
    assert seen(reading.poll()) == NONE
    reading.n8n.finish(running)
    reading.n8n.faults.set("unavailable", count=1)
    with pytest.raises(SourceDown):
        reading.poll()
    assert seen(reading.poll()) == NONE | {"success": 1}
    clock.advance(2)
    assert seen(reading.poll()) == NONE
