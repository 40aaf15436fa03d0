"""Names from outside make a bounded number of series, and the same ones after a restart."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from exporter.calls import ToolUse
from exporter.label_sets import printable
from exporter.ledger import Ledger
from handrail.clock import Clock
from handrail.settings import parse
from tests.exporter.making import CONFIG, SOURCE, batch, call


def values(ledger: Ledger, metric: str, label: str, agent: str = "a") -> dict[str, float]:
    found: dict[str, float] = {}
    for (name, who, labels), value in ledger.snapshot().totals.items():
        if (name, who) == (metric, agent):
            found[dict(labels)[label]] = found.get(dict(labels)[label], 0) + value
    return found


def test_the_21st_tool_of_an_agent_is_other_also_after_a_restart(engine: Engine, clock: Clock) -> None:
    """Twenty names are kept in the order they came; what comes later is counted together, another agent apart."""
    ledger = Ledger(engine, parse(CONFIG), clock)
    first = [ToolUse(f"tool {n}", 2, 1) for n in range(20)]
    ledger.commit(SOURCE, batch(call(1, tools=tuple(first), tool_calls=40, tool_errors=20)))
    ledger = Ledger(engine, parse(CONFIG), clock)
    late = (ToolUse("late", 5, 2), ToolUse("tool 3", 1))
    ledger.commit(SOURCE, batch(call(2, tools=late, tool_calls=6), call(3, agent="b", tools=late, tool_calls=6)))
    assert values(ledger, "tool_calls", "tool") == {f"tool {n}": 2 + (n == 3) for n in range(20)} | {"other": 5}
    assert values(ledger, "tool_errors", "tool")["other"] == 2
    assert values(ledger, "tool_calls", "tool", "b") == {"late": 5, "tool 3": 1, "other": 0}


def test_the_21st_model_of_an_agent_is_other_and_unknown_takes_no_place(engine: Engine, clock: Clock) -> None:
    """A client that makes model names up cannot make series without end; tokens follow the same names."""
    ledger = Ledger(engine, parse(CONFIG), clock)
    ledger.commit(SOURCE, batch(call(0), *(call(n, model=f"m{n}") for n in range(1, 26))))
    assert values(ledger, "calls", "model") == {f"m{n}": 1 for n in range(1, 21)} | {"other": 5, "unknown": 1}


def test_a_tool_that_cannot_be_named_is_other(engine: Engine, clock: Clock) -> None:
    """A name of nothing but control characters and spaces leaves nothing to show."""
    ledger = Ledger(engine, parse(CONFIG), clock)
    ledger.commit(SOURCE, batch(call(1, tools=(ToolUse("\n \x00", 3),), tool_calls=3)))
    assert values(ledger, "tool_calls", "tool") == {"other": 3}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Web search", "Web search"),
        (" a\nb\x00\x7f ", "ab"),
        ("\u202egnirts", "gnirts"),
        ("x" * 65, "x" * 64),
        ("x" * 63 + " y", "x" * 63),
        ("broken \ud800 half", "broken  half"),
    ],
)
def test_only_printable_characters_stay(name: str, shown: str) -> None:
    """No line breaks, no characters that turn the text around, at most 64."""
    assert printable(name, 64) == shown
