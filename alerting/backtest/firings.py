"""From the moments at which an expression had a result to the times for which its alert fired. Pure.

The rules are those of Prometheus (rules/alerting.go, AlertingRule.Eval): an alert fires at the first evaluation that is
`for` after the first of an unbroken row of results; it is over at the first evaluation without one, or, with
`keep_firing_for`, at the first without one that is so much later than the first without one. Times are milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

# An alert that is over and back within this time has told the team twice about one thing.
FLAP_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Firing:
    """From the evaluation that fired to the one that found it over, or to the last one if `open`."""

    begins: int
    ends: int
    open: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """How often an alert fired, for how long in all and at the longest, and how often shortly after it was over."""

    fired: int
    total: timedelta
    longest: timedelta
    flaps: int


def firings(
    results: Sequence[int], *, last: int, step: int, for_: int = 0, keep_firing_for: int = 0
) -> Iterator[Firing]:
    """The firings of one alert: `results` are the evaluations with a result, `step` apart from each other; `last` is
    the last evaluation there was."""
    begins: int | None = None
    over = 0
    for first, final in _rows(results, step):
        if begins is not None and first > over:
            yield Firing(begins, over)
            begins = None
        if begins is None:
            fires = first + _up(for_, step)
            if fires > final:
                continue
            begins = fires
        over = final + step + _up(keep_firing_for, step)
    if begins is not None:
        yield Firing(begins, over) if over <= last else Firing(begins, last, open=True)


def together(each: Iterable[Firing]) -> list[Firing]:
    """Firings of several rules as the team sees them: overlapping ones are one."""
    merged: list[Firing] = []
    for firing in sorted(each, key=lambda one: one.begins):
        if merged and firing.begins <= merged[-1].ends:
            before = merged[-1]
            merged[-1] = Firing(before.begins, max(before.ends, firing.ends), before.open or firing.open)
        else:
            merged.append(firing)
    return merged


def summary(each: Sequence[Firing]) -> Summary:
    """Of firings in the order of time."""
    lengths = [firing.ends - firing.begins for firing in each]
    within = FLAP_WITHIN // timedelta(milliseconds=1)
    return Summary(
        len(each),
        timedelta(milliseconds=sum(lengths)),
        timedelta(milliseconds=max(lengths, default=0)),
        sum(after.begins - before.ends <= within for before, after in pairwise(each)),
    )


def _rows(results: Sequence[int], step: int) -> Iterator[tuple[int, int]]:
    """First and last of every unbroken row."""
    if not results:
        return
    first = results[0]
    for before, after in pairwise(results):
        if after - before != step:
            yield first, before
            first = after
    yield first, results[-1]


def _up(duration: int, step: int) -> int:
    """To the next evaluation."""
    return -(-duration // step) * step
