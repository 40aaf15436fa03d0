"""The heaviest execution of an agent: a loop that runs away shows in sums over all calls of one execution."""

from __future__ import annotations

from exporter.calls import TokenUsage
from exporter.executions import Heaviest
from exporter.ledger import Ledger
from tests.exporter.making import SOURCE, StandingClock, batch, call

TOKENS = TokenUsage(100, 10, "actual")


def test_calls_of_one_execution_are_summed(ledger: Ledger) -> None:
    """Each of the three is the largest sum of any execution, whichever that is; agents are apart."""
    one = {"execution": "1", "model_calls": 4, "tool_calls": 1, "tokens": TOKENS}
    ledger.commit(SOURCE, batch(call(1, **one), call(2, **one), call(3, execution="2", tool_calls=9)))
    ledger.commit(SOURCE, batch(call(4, agent="b", execution="1", model_calls=1)))
    assert ledger.snapshot().heaviest == {"a": Heaviest(8, 9, 220), "b": Heaviest(1, 0, 0)}


def test_a_call_without_execution_is_one_of_its_own(ledger: Ledger) -> None:
    """Calls that belong to nothing are never added to each other."""
    ledger.commit(SOURCE, batch(*(call(n, model_calls=n, tokens=TOKENS) for n in (1, 2, 3))))
    assert ledger.snapshot().heaviest == {"a": Heaviest(3, 0, 110)}


def test_an_execution_counts_whole_while_a_call_of_it_ended_in_the_last_ten_minutes(
    ledger: Ledger, clock: StandingClock
) -> None:
    """Early calls of a long execution still count when a later one ends; once all are old, none does."""
    ledger.commit(SOURCE, batch(call(0, execution="1", model_calls=5), call(900, execution="1", model_calls=2)))
    clock.advance(1500)
    assert ledger.snapshot().heaviest == {"a": Heaviest(7)}
    clock.advance(1)
    assert ledger.snapshot().heaviest == {}


def test_executions_of_two_sources_with_one_number_are_two(ledger: Ledger) -> None:
    """Every n8n numbers its own executions."""
    ledger.commit(SOURCE, batch(call(1, execution="1", model_calls=3)))
    ledger.commit("n8n/other", batch(call(1, source="n8n/other", execution="1", model_calls=4)))
    assert ledger.snapshot().heaviest == {"a": Heaviest(4)}
