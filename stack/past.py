"""Asks a Prometheus about the past: when an expression had a result, what fired, and how far back it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from handrail.http import HttpClient, NotJson, read_json
from handrail.quantities import format_duration

# Prometheus refuses more than 11,000 points of a series at once.
_MOST_POINTS = 10_000
_MS = timedelta(milliseconds=1)
_FINEST, _COARSEST = timedelta(seconds=15), timedelta(minutes=5)


class PastUnknown(Exception):
    """Prometheus did not answer, or not with what was asked; the text says what it said."""


@dataclass(frozen=True, slots=True)
class Moments:
    """One series of an expression's result: its labels and the evaluations (epoch ms) at which it was there."""

    labels: Mapping[str, str]
    at: list[int]


@dataclass(frozen=True, slots=True)
class Grid:
    """Evaluations from `first` to `last` (epoch ms), `step` ms apart."""

    first: int
    last: int
    step: int

    @classmethod
    def between(cls, begins: datetime, ends: datetime, step: timedelta) -> Grid:
        """Whole steps of the clock, as Prometheus evaluates."""
        wide = step // _MS
        first = -(-_ms(begins) // wide) * wide
        return cls(first, max(_ms(ends) // wide * wide, first), wide)

    def pieces(self) -> Iterator[Grid]:
        """In order and without overlap, each small enough for one question."""
        span = self.step * (_MOST_POINTS - 1)
        for first in range(self.first, self.last + 1, span + self.step):
            yield Grid(first, min(first + span, self.last), self.step)


class Past:
    """A Prometheus at a URL. PastUnknown when it cannot be asked."""

    def __init__(self, client: HttpClient, url: str) -> None:
        self._client = client
        self._url = url

    def moments(self, expr: str, grid: Grid, *, asked: Callable[[], None] = lambda: None) -> list[Moments]:
        """When each series of the expression was there; `asked` is called after each piece of the grid."""
        found: dict[frozenset[tuple[str, str]], list[int]] = {}
        for piece in grid.pieces():
            times = {"start": _seconds(piece.first), "end": _seconds(piece.last), "step": _seconds(piece.step)}
            for row in self._ask("query_range", {"query": expr, **times}):
                values = found.setdefault(frozenset(row["metric"].items()), [])
                values += [round(float(time) * 1000) for time, _ in row["values"]]
            asked()
        return [Moments(dict(labels), at) for labels, at in found.items()]

    def begins(self, metric: str, *, since: timedelta) -> dict[str, datetime]:
        """By agent, when the metric was first there within `since`, to five minutes or less."""
        step = format_duration(max(_FINEST, min(_COARSEST, since / 500)))
        expr = f"min by (agent) (min_over_time(timestamp({metric})[{format_duration(since)}:{step}]))"
        return {
            row["metric"].get("agent", ""): datetime.fromtimestamp(float(row["value"][1]), UTC)
            for row in self._ask("query", {"query": expr})
        }

    def now(self, expr: str) -> list[tuple[Mapping[str, str], float]]:
        """Labels and value of each series now."""
        return [(row["metric"], float(row["value"][1])) for row in self._ask("query", {"query": expr})]

    def _ask(self, what: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
        # As a form: a long expression does not fit into a URL.
        try:
            response = self._client.post(f"{self._url}/api/v1/{what}", data=dict(params))
            answer = read_json(response)
        except (httpx.TransportError, NotJson) as error:
            raise PastUnknown(f"Prometheus at {self._url} does not answer: {error}") from error
        if not isinstance(answer, dict) or answer.get("status") != "success":
            said = str(answer.get("error", "") if isinstance(answer, dict) else "")[:300]
            raise PastUnknown(f"Prometheus at {self._url} answered HTTP {response.status_code}: {said}")
        rows: list[dict[str, Any]] = answer["data"]["result"]
        return rows


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"
