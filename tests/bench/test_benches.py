"""The benchmarks run and count what they claim to; how fast it is here is nobody's concern."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench import console, containers, ingest, scrape, storm, webhook_ack
from bench.measure import Row


def test_ingest_measures_each_step() -> None:
    """Every call it read was counted once, or it would not end."""
    assert [row.what for row in ingest.rows(300)] == [
        "ingest: read the calls",
        "ingest: count them",
        "ingest: all of it",
    ]


def test_a_scrape_has_as_many_series_as_what_it_is_compared_with() -> None:
    """Both sides render the same."""
    (row,) = scrape.rows((3,))
    assert row.value > 0


def test_the_console_shows_every_agent_that_is_measured() -> None:
    """A page that left some out would be small and fast."""
    assert [row.value > 1 for row in console.rows(30)] == [True, True, True]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what processes share")
def test_memory_is_that_of_the_processes_that_are_there() -> None:
    """One that ended has none, and the engine's are known by their names."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    held = containers.memory_of([os.getpid(), ended.pid])
    assert 10_000_000 < held < 2_000_000_000
    assert os.getpid() not in containers.engine_pids()


@pytest.mark.parametrize(("value", "verdict"), [(2.4, "OK"), (2.5, "OK"), (2.51, "MISSED")])
def test_a_goal_is_the_most_that_a_ratio_may_be(value: float, verdict: str) -> None:
    """What is exactly the goal reaches it."""
    assert Row("it", value, "another", 2.5).verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(0.49, "MISSED"), (0.5, "OK"), (2.0, "OK"), (2.1, "MISSED")])
def test_a_goal_may_have_a_lower_bound(value: float, verdict: str) -> None:
    """And both; it says so in signs."""
    row = Row("it", value, "another", goal=2, at_least=0.5)
    assert (row.verdict, row.wanted) == (verdict, "≥ 0.5 ≤ 2")


@pytest.mark.slow
def test_what_the_webhook_acknowledges_is_on_disk() -> None:
    """Or it would not end; each of the other servers is as fast as it is."""
    found = webhook_ack.measure(8, 4, rounds=1, jira_s=0.05)
    assert set(found) == {"stored", "unstored", "synchronous"}
    assert found["synchronous"].p99_s >= 0.05


@pytest.mark.slow
def test_a_storm_is_as_many_tickets_as_groups() -> None:
    """Nothing lost, nothing doubled, no request before Jira wants it, or it would not end."""
    found = storm.measure(10)
    assert found.tickets == 1
    assert found.drained_s > found.busy_s > 0
