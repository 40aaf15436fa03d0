"""Calls without a meaningful duration, and what a call says about its own retries."""

from __future__ import annotations

from exporter.ledger import Ledger
from tests.exporter.making import SOURCE, batch, call, total


def test_a_crashed_call_has_no_duration(ledger: Ledger) -> None:
    """It is a call and an error, but neither in the histogram nor in its sum."""
    crashed = call(1, duration_s=900, outcome="error", error_reason="crashed", timed=False)
    ledger.commit(SOURCE, batch(crashed, call(2, duration_s=2)))
    snapshot = ledger.snapshot()
    assert (total(snapshot, "calls"), total(snapshot, "call_errors")) == (2, 1)
    assert snapshot.buckets["call_duration_seconds", "a"] == {2.5: 1}
    assert total(snapshot, "call_duration_seconds_sum") == 2


def test_a_crash_neither_prolongs_nor_ends_a_streak(ledger: Ledger) -> None:
    """Two slow calls, a crash and a slow call are three slow calls in a row; the crash still is the last call."""
    slow = [call(number, duration_s=9) for number in (1, 2, 4)]
    crash = call(3, duration_s=0.006, outcome="error", error_reason="crashed", timed=False)
    ledger.commit(SOURCE, batch(slow[0], slow[1], crash))
    assert ledger.snapshot().streaks["a"].length == 2
    assert ledger.snapshot().streaks["a"].last_call == crash.finished_at.timestamp()
    ledger.commit(SOURCE, batch(slow[2]))
    assert (ledger.snapshot().streaks["a"].length, ledger.snapshot().streaks["a"].breaches) == (3, 1)


def test_retries_and_iterations_count_with_their_call_and_once(ledger: Ledger) -> None:
    """A call that is reported again, in the same batch or later, adds nothing."""
    tried = call(1, retries=2, max_iterations=True, outcome="error", error_reason="other")
    ledger.commit(SOURCE, batch(tried, tried, call(2)))
    ledger.commit(SOURCE, batch(tried))
    assert total(ledger.snapshot(), "node_retries") == 2
    assert total(ledger.snapshot(), "max_iterations") == 1
