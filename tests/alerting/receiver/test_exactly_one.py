"""Whatever comes in which order, and whatever breaks meanwhile: one open ticket while it fires, none afterwards."""

from __future__ import annotations

import pathlib
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.receiver import audit
from tests.thorough import examples

STEPS = st.lists(
    st.sampled_from(
        ["fire", "fire again", "resolve", "copy", "wait", "crash", "ambiguous", "down", "limited", "up", "lag"]
    ),
    min_size=1,
    max_size=14,
)


@pytest.mark.property
@settings(max_examples=examples(8), suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_exactly_one_open_ticket_while_it_fires(steps, build, notification, clock):
    """At no time two open tickets; in the end one if it fires and none if it does not; the audit chain is whole."""
    with tempfile.TemporaryDirectory() as folder:
        for bench in build(pathlib.Path(folder), clock):
            firing = joined = False
            last = None
            for step in steps:
                if step in ("fire", "fire again", "resolve"):
                    firing = step != "resolve"
                    joined |= step == "fire again"
                    prints = ("14f2e3b0c1d2e3f4", "2" * 16) if joined else ("14f2e3b0c1d2e3f4",)
                    joined &= firing
                    last = notification("firing" if firing else "resolved", fingerprints=prints)
                    assert bench.alert(last).status_code == 200
                elif step == "copy" and last is not None:
                    assert bench.alert(last).status_code == 200
                else:
                    _disturb(bench, step)
                assert len(bench.open_tickets) <= 1
            bench.jira.faults.clear()
            bench.later(2000, step=20)
            assert len(bench.open_tickets) == int(firing)
            with bench.receiver.engine.begin() as connection:
                assert audit.first_broken(connection) is None


def _disturb(bench, step: str) -> None:
    jira = bench.jira
    if step == "wait":
        bench.later(20, step=2)
    elif step == "crash":
        bench.receiver.intake.process_one()
        bench.restart()
    elif step == "ambiguous":
        jira.ambiguous()
    elif step == "down":
        jira.faults.set("unavailable")
    elif step == "limited":
        jira.faults.set("rate_limited", count=1)
    elif step == "up":
        jira.faults.clear()
    elif step == "lag":
        jira.search.lag_s = 30


@pytest.mark.parametrize("lane", ["tickets", "kills"])
def test_a_leased_item_is_not_handed_out_twice(bench, lane):
    """Only when its lease has ended, and then it says that its effect is unknown."""
    from alerting.receiver import outbox

    queue = outbox.Outbox(bench.receiver.engine, bench.clock)
    now = bench.clock.now().timestamp()
    with bench.receiver.engine.begin() as connection:
        outbox.put(connection, lane=lane, kind="open", subject="s", payload={}, run_at=now)
        outbox.put(connection, lane=lane, kind="open", subject="s", payload={}, run_at=now)
    first = queue.claim(lane)
    assert first is not None
    assert queue.claim(lane) is None, "the second item of a subject waits for the first"
    bench.clock.advance(outbox.LEASE_S + 1)
    again = queue.claim(lane)
    assert again is not None
    assert (again.id, again.reclaimed, again.attempts) == (first.id, True, 2)
