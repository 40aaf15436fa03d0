"""Where the past of an agent ends: never in Prometheus' memory, never where it was counted live, and not twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from exporter.history.joint import Live, joint

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


@pytest.mark.parametrize(
    ("counted", "seen", "memory", "until"),
    [
        (None, None, None, ago()),  # counting never began
        (ago(days=2), None, None, ago(days=2)),
        (ago(days=2), ago(days=3), None, ago(days=3)),
        (ago(days=3), ago(days=2), ago(hours=2), ago(days=3)),
        # A stack that was started as one: memory begins with the first scrape of anything.
        (None, ago(minutes=10), ago(minutes=10, seconds=8), ago(minutes=10, seconds=9)),
        (ago(minutes=9), ago(minutes=10), ago(minutes=9), ago(minutes=10)),
    ],
)
def test_the_past_ends_where_counting_or_memory_begins(
    counted: datetime | None, seen: datetime | None, memory: datetime | None, until: datetime
) -> None:
    """Whichever is earliest; a second before memory."""
    live = Live({"a": seen} if seen else {}, memory_begins=memory)
    found = joint(["a"], counted={"a": counted} if counted else {}, counting=bool(counted or seen), live=live, now=NOW)
    assert found.until == {"a": until}


def test_what_may_be_about_to_be_counted_is_left_to_counting() -> None:
    """An exporter that runs and has not counted the agent yet may be reading its calls just now."""
    found = joint(["a"], counted={}, counting=True, live=Live(), now=NOW)
    assert found.until == {"a": ago(minutes=15)}


def test_an_agent_that_is_new_beside_a_long_memory_has_to_wait() -> None:
    """A block that ended inside memory would make Prometheus forget memory at its next restart."""
    live = Live({"a": ago(hours=1)}, memory_begins=ago(hours=2))
    found = joint(["a"], counted={}, counting=True, live=live, now=NOW)
    assert (found.until, found.too_early) == ({}, {"a": NOW + timedelta(hours=2)})


def test_a_past_is_loaded_once() -> None:
    """What Prometheus has already is left out, also when it was counted since."""
    live = Live({"a": ago(days=1), "b": ago(days=1)}, frozenset({"a"}), ago(hours=2))
    found = joint(["a", "b"], counted={}, counting=True, live=live, now=NOW)
    assert (found.has_history, set(found.until)) == (("a",), {"b"})
