"""Windows that neither overlap nor leave anything out, whatever the clock does between polls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.windows import MINUTE, Window, newest, next_minute, plan, whole_minute

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@given(st.lists(st.integers(-100, 10_000), max_size=20), st.integers(1, 90), st.integers(1, 5))
def test_windows_follow_each_other(pauses: list[int], longest: int, pieces: int) -> None:
    """Each begins where the last one ended, none is empty or too long, and none ends after it may."""
    now, reached = NOON, NOON
    for pause in pauses:
        now += timedelta(seconds=pause)
        planned = plan(reached, whole_minute(now), oldest=None, longest=timedelta(minutes=longest), pieces=pieces)
        assert len(planned.windows) <= pieces
        for window in planned.windows:
            assert window.since == reached
            assert window.since < window.until <= now
            assert window.until - window.since <= timedelta(minutes=longest)
            reached = window.until


@given(st.integers(0, 5000), st.integers(1, 3000))
def test_what_is_too_old_is_measured(behind: int, shown: int) -> None:
    """What was lost and what is read make up the whole; nothing is asked for that is too old."""
    until = NOON
    reached, oldest = until - timedelta(minutes=behind), until - timedelta(minutes=shown, seconds=30)
    planned = plan(reached, until, oldest=oldest, longest=timedelta(days=9), pieces=1)
    read = sum((window.until - window.since for window in planned.windows), timedelta(0))
    assert planned.lost + read == until - reached
    assert all(window.since >= oldest for window in planned.windows)


def test_a_window_is_divided_down_to_a_minute() -> None:
    """On whole minutes; one minute is not divided."""
    window = Window(NOON, NOON + 3 * MINUTE)
    assert window.halves() == (Window(NOON, NOON + MINUTE), Window(NOON + MINUTE, NOON + 3 * MINUTE))
    assert Window(NOON, NOON + MINUTE).halves() is None


def test_the_newest_window_ends_last_and_is_read_once() -> None:
    """After a pause only what is new of the end is read."""
    assert newest(NOON, NOON + 60 * MINUTE, longest=5 * MINUTE).windows == (
        Window(NOON + 55 * MINUTE, NOON + 60 * MINUTE),
    )
    assert newest(NOON, NOON + 2 * MINUTE, longest=5 * MINUTE).windows == (Window(NOON, NOON + 2 * MINUTE),)
    assert newest(NOON, NOON, longest=5 * MINUTE).windows == ()


def test_minutes() -> None:
    """A whole minute is its own beginning and its own next one."""
    assert whole_minute(NOON + timedelta(seconds=59)) == next_minute(NOON) == NOON
    assert next_minute(NOON + timedelta(seconds=1)) == NOON + MINUTE
