"""The ledger counts every call once, whatever a source repeats and whenever the exporter restarts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from exporter.calls import TokenUsage, ToolUse
from exporter.counts import confidence_bounds, duration_bounds
from exporter.ledger import Ledger
from exporter.sources import Running, SourceDown
from exporter.streaks import Streak
from handrail.clock import Clock
from handrail.settings import Settings, parse
from tests.exporter.making import CONFIG, SOURCE, START, StandingClock, batch, call, total


def test_calls_and_cursor_are_stored_together(ledger: Ledger) -> None:
    """After a commit both the call and the place to go on from are there."""
    assert ledger.state(SOURCE) == {}
    assert ledger.commit(SOURCE, batch(call(), state={"top": 7})) == 1
    assert ledger.state(SOURCE) == {"top": 7}
    assert total(ledger.snapshot(), "calls") == 1


def test_a_batch_that_cannot_be_stored_leaves_nothing(ledger: Ledger) -> None:
    """When the cursor cannot be written the calls are not counted either; the next poll reads them again."""
    with pytest.raises(TypeError):
        ledger.commit(SOURCE, batch(call(), state={"top": object()}))
    assert total(ledger.snapshot(), "calls") == 0
    assert ledger.state(SOURCE) == {}


def test_another_sources_call_is_refused(ledger: Ledger) -> None:
    """A call is stored only under the source that reported it, because the cursor beside it is that source's."""
    with pytest.raises(ValueError, match="another source"):
        ledger.commit("n8n/other", batch(call()))


def test_everything_about_a_call_is_counted(ledger: Ledger) -> None:
    """Outcome, reason, model, tokens, cost, tools, duration and confidence each add to their total."""
    failed = call(
        1,
        duration_s=3.0,
        outcome="error",
        error_reason="tool_error",
        model="m",
        tokens=TokenUsage(10, 4, "actual"),
        cost_usd=Decimal("0.25"),
        confidence=0.31,
        tool_calls=2,
        tool_errors=1,
        tools=(ToolUse("Search", 1),),
        attempts=3,
    )
    ledger.commit(SOURCE, batch(failed, call(2)))
    totals = ledger.snapshot().totals
    labels = (("model", "m"), ("outcome", "error"), ("source", SOURCE))
    assert totals["calls", "a", labels] == 1
    assert totals["calls", "a", (("model", "unknown"), ("outcome", "success"), ("source", SOURCE))] == 1
    assert totals["call_errors", "a", (("reason", "tool_error"),)] == 1
    assert totals["tokens", "a", (("basis", "actual"), ("model", "m"), ("token_type", "input"))] == 10
    assert totals["tokens", "a", (("basis", "actual"), ("model", "m"), ("token_type", "output"))] == 4
    assert totals["calls_without_usage", "a", ()] == 1
    assert totals["cost_usd", "a", ()] == 0.25
    assert totals["calls_without_cost", "a", ()] == 1
    search, other = (("tool", "Search"),), (("tool", "other"),)
    assert (totals["tool_calls", "a", search], totals["tool_errors", "a", search]) == (1, 0)
    assert (totals["tool_calls", "a", other], totals["tool_errors", "a", other]) == (1, 1)
    assert totals["attempts", "a", ()] == 4
    assert totals["call_duration_seconds_sum", "a", ()] == 4.0
    assert ledger.snapshot().buckets["call_duration_seconds", "a"] == {5.0: 1, 1.0: 1}
    assert ledger.snapshot().buckets["call_confidence_ratio", "a"] == {0.4: 1}


def test_an_answer_from_a_cache_lacks_no_usage(ledger: Ledger) -> None:
    """A cached call asked no provider: it used no tokens, and that is known."""
    ledger.commit(SOURCE, batch(call(1, cached=True, attempts=0), call(2)))
    snapshot = ledger.snapshot()
    assert (total(snapshot, "cached_calls"), total(snapshot, "calls_without_usage"), total(snapshot, "attempts")) == (
        1,
        1,
        1,
    )


def test_a_cost_that_nobody_told_is_not_nothing(ledger: Ledger) -> None:
    """A call that cost 0 and one from a cache have a cost; one whose source said nothing has none."""
    free, untold, cached = call(1, cost_usd=Decimal(0)), call(2), call(3, cached=True, attempts=0)
    ledger.commit(SOURCE, batch(free, untold, cached))
    assert total(ledger.snapshot(), "calls_without_cost") == 1


def streak(ledger: Ledger) -> Streak:
    return ledger.snapshot().streaks["a"]


def test_the_third_slow_call_in_a_row_is_a_breach(ledger: Ledger, clock: StandingClock) -> None:
    """A breach counts once for its streak; its stamp is the time of counting, and each further slow call moves it."""
    ledger.commit(SOURCE, batch(call(1, duration_s=6), call(2, duration_s=6)))
    assert (streak(ledger).length, streak(ledger).breaches, streak(ledger).last_breach) == (2, 0, 0.0)
    clock.time = START + timedelta(minutes=1)
    ledger.commit(SOURCE, batch(call(3, duration_s=6)))
    assert (streak(ledger).length, streak(ledger).breaches) == (3, 1)
    assert streak(ledger).last_breach == clock.time.timestamp()
    clock.time = START + timedelta(minutes=2)
    ledger.commit(SOURCE, batch(call(4, duration_s=6)))
    assert (streak(ledger).length, streak(ledger).breaches) == (4, 1)
    assert streak(ledger).last_breach == clock.time.timestamp()


@pytest.mark.parametrize("outcome", ["success", "error"])
def test_a_call_within_the_threshold_ends_the_streak(ledger: Ledger, outcome: str) -> None:
    """Exactly the threshold is not slow, and a fast failure breaks a streak like a fast success."""
    reason = "other" if outcome == "error" else None
    ledger.commit(SOURCE, batch(call(1, duration_s=6), call(2, duration_s=6)))
    ledger.commit(SOURCE, batch(call(3, duration_s=5, outcome=outcome, error_reason=reason), call(4, duration_s=6)))
    assert (streak(ledger).length, streak(ledger).breaches) == (1, 0)


def test_calls_of_a_batch_count_in_the_order_they_ended(ledger: Ledger) -> None:
    """A source may list calls in any order; the streak follows their ends."""
    slow = [call(n, duration_s=6) for n in (1, 2, 4)]
    ledger.commit(SOURCE, batch(slow[2], call(3), slow[1], slow[0]))
    assert (streak(ledger).length, streak(ledger).breaches) == (1, 0)


def test_a_streak_survives_a_restart(engine: Engine, config: Settings, clock: Clock) -> None:
    """Two slow calls before and one after a restart are three in a row."""
    Ledger(engine, config, clock).commit(SOURCE, batch(call(1, duration_s=6), call(2, duration_s=6)))
    again = Ledger(engine, config, clock)
    again.commit(SOURCE, batch(call(3, duration_s=6)))
    assert streak(again).breaches == 1


def test_the_sources_agents_are_those_of_its_last_batch(ledger: Ledger) -> None:
    """An agent that a source no longer names is gone; what it says of the others is kept."""
    running = {"a": Running(2, START)}
    ledger.commit(SOURCE, batch(agents=frozenset({"b"}), enabled={"a": True, "b": False}, running=running))
    known = ledger.snapshot().agents
    assert (known["a"].enabled, known["a"].running, known["a"].discovered) == (True, 2, False)
    assert (known["b"].enabled, known["b"].discovered) == (False, True)
    ledger.commit(SOURCE, batch(enabled={"a": False}))
    assert set(ledger.snapshot().agents) == {"a"}


def test_a_batch_with_trouble_is_no_success(ledger: Ledger, clock: StandingClock) -> None:
    """What was read before the trouble is kept, but the source was not read completely."""
    trouble = SourceDown("server_error", "HTTP 500")
    ledger.commit(SOURCE, batch(call(1), gap=2, trouble=trouble))
    assert ledger.snapshot().sources[SOURCE].last_success == 0
    ledger.commit(SOURCE, batch(call(2), gap=1))
    state = ledger.snapshot().sources[SOURCE]
    assert (state.last_success, state.gap) == (clock.time.timestamp(), 3)
    assert total(ledger.snapshot(), "calls") == 2


def test_every_threshold_is_a_bucket() -> None:
    """A question like "how many took longer than the SLA allows" has an exact answer."""
    config = parse(CONFIG + 'slas: {s: {latency: {threshold: 7s}, handoff: {min_confidence: "85%"}}, default: {}}\n')
    assert {5.0, 7.0} <= set(duration_bounds(config))
    percentiles = parse(CONFIG + "slas: {default: {percentiles: {median: 1500ms, p95: 8s}}}\n")
    assert {1.5, 8.0} <= set(duration_bounds(percentiles))
    assert {0.8, 0.85} <= set(confidence_bounds(config))
