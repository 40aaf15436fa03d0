"""How a benchmark measures and what it says: ratios to a baseline of the same run, with the goal beside.

Both sides of a ratio take turns, and the best turn of each counts: a machine that is busy for a while slows both, and a
disturbance never makes anything faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from handrail.clock import SystemClock

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Row:
    """A ratio to `baseline`, or a number that is the same on every machine.

    `goal` is the most that it may be, `at_least` the least.
    """

    what: str
    value: float
    baseline: str
    goal: float | None = None
    at_least: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the goal is reached; empty where there is none."""
        if self.goal is None and self.at_least is None:
            return ""
        low, high = self.at_least, self.goal
        return "OK" if (low is None or self.value >= low) and (high is None or self.value <= high) else "MISSED"

    @property
    def wanted(self) -> str:
        """The goal in signs."""
        bounds = (("≥", self.at_least), ("≤", self.goal))
        return " ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    began = _CLOCK.monotonic()
    action()
    return _CLOCK.monotonic() - began


def best_of(turns: int, sides: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The seconds of each side's best turn; the sides take turns."""
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(turns):
        for name, action in sides.items():
            best[name] = min(best[name], seconds(action))
    return best


def print_rows(rows: Iterable[Row]) -> None:
    """One line for each."""
    table = Table("what", "ratio", "goal", "", "1 is", box=None, pad_edge=False)
    for column in (1, 2):
        table.columns[column].justify = "right"
    for row in rows:
        table.add_row(row.what, f"{row.value:,.3g}", row.wanted, row.verdict, row.baseline)
    Console(width=140).print(table)
