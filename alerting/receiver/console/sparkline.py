"""A line of the last hour as an SVG path, and the same in words for who cannot see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

WIDTH, HEIGHT = 120, 24


def path(values: Sequence[float | None], *, least_top: float) -> str:
    """The `d` of a path in a box of WIDTH by HEIGHT; empty without a value. Where nothing is known there is a gap.

    The box ends at the highest value, but not below `least_top`: noise around nothing must not look like a mountain.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    top, across = max(*known, least_top), WIDTH / max(1, len(values) - 1)
    drawn = ""
    for gap, group in groupby(enumerate(values), key=lambda each: each[1] is None):
        if not gap:
            points = [
                f"{round(index * across)} {HEIGHT - 1 - round((HEIGHT - 2) * max(value or 0.0, 0.0) / top)}"
                for index, value in group
            ]
            # A single point is a line of no length, which round ends make a dot.
            drawn += "M" + " ".join(points) + ("h0" if len(points) == 1 else "")
    return drawn


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
