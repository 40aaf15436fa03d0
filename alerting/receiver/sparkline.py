"""A line of the last hour as an SVG path, and the same in words for who cannot see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

WIDTH, HEIGHT = 120, 24


def path(values: Sequence[float | None], *, least_top: float) -> str:
    """The `d` of a path in a box of WIDTH by HEIGHT; empty without a value. Where nothing is known there is a gap.

    The box ends at the highest value, but not below `least_top`: noise around nothing must not look like a mountain.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    top, across = max(*known, least_top), WIDTH / max(1, len(values) - 1)
    points = [
        None if value is None else (round(index * across), HEIGHT - 1 - round((HEIGHT - 2) * max(value, 0) / top))
        for index, value in enumerate(values)
    ]
    steps = [f"M{now[0]} {now[1]}h0" if now else "" for now in points[:1]]
    for before, now in pairwise(points):
        if now is not None:
            steps.append(f"L{now[0]} {now[1]}" if before else f"M{now[0]} {now[1]}h0")
    return "".join(steps)


def words(values: Sequence[float | None], unit: Callable[[float], str]) -> str:
    """From the least to the most, and the last; says so where there is nothing."""
    known = [value for value in values if value is not None]
    if not known:
        return "no calls in the last hour"
    last = "no calls now" if values[-1] is None else f"now {unit(values[-1])}"
    return f"{unit(min(known))} to {unit(max(known))} in the last hour, {last}"


def as_seconds(value: float) -> str:
    """As people say it: two digits below ten."""
    return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"


def as_percent(value: float) -> str:
    """With one digit."""
    return f"{value:.1%}"
