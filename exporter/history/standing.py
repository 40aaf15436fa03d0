"""How the series of one agent stood after some calls: names, labels and buckets as /metrics has them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.utils import floatToGoString

from exporter.calls import Call
from exporter.counts import INFINITY, Counts, confidence_bounds, duration_bounds
from exporter.families import AGENT_COUNTERS
from exporter.history.openmetrics import Kind, series
from exporter.label_sets import LabelSets
from exporter.metrics import PREFIX, labels_from_the_start
from exporter.streaks import Streak, advance
from handrail.settings import Settings

_HISTOGRAMS = {"call_duration_seconds": duration_bounds, "call_confidence_ratio": confidence_bounds}
_GAUGES: Mapping[str, Callable[[Streak], float]] = {
    "slow_call_streak": lambda streak: streak.length,
    "slow_streak_last_breach_timestamp_seconds": lambda streak: streak.last_breach,
    "last_call_timestamp_seconds": lambda streak: streak.last_call,
}
_TEXT = "Read from the source's past."


@dataclass(frozen=True, slots=True)
class Sums:
    """What the rules add up over all series of an agent."""

    calls: float
    errors: float
    tokens: float


class Standing:
    """One agent's series; `target` is what Prometheus adds to each: job and instance.

    A series is its name and labels as OpenMetrics writes them; `kinds` has the family of each that was ever told.
    """

    def __init__(
        self, settings: Settings, agent: str, source: str, *, label_sets: LabelSets, target: Mapping[str, str]
    ) -> None:
        self._settings = settings
        self._agent = agent
        self._source = source
        self._target = target
        self._counts = Counts(settings, label_sets)
        self._streak = Streak()
        self._names: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self.kinds: dict[str, Kind] = {}

    def add(self, call: Call) -> None:
        """One call more, in the order in which they ended."""
        self._counts.add(call)
        latency = self._settings.sla_of(self._agent).latency
        self._streak = advance(self._streak, call, latency, call.finished_at.timestamp())

    @property
    def sums(self) -> Sums:
        """Over all labels."""
        totals = self._counts.totals.items()

        def total(name: str) -> float:
            return sum(value for (metric, _, _), value in totals if metric == name)

        return Sums(total("ended_calls"), total("call_errors"), total("tokens"))

    def values(self) -> dict[str, float]:
        """Every series with its value."""
        return {**dict(self._counters()), **dict(self._histograms()), **dict(self._streaks())}

    def _counters(self) -> Iterator[tuple[str, float]]:
        for family in AGENT_COUNTERS:
            kind = Kind(f"{PREFIX}{family.name}", "counter", family.text)
            values = {labels: 0.0 for labels in labels_from_the_start(family, self._source)}
            for (metric, _, pairs), value in self._counts.totals.items():
                if metric == family.name:
                    by_label = dict(json.loads(pairs))
                    values[tuple(by_label[label] for label in family.labels)] = value
            for labels, value in values.items():
                yield self._series(kind, "_total", zip(family.labels, labels, strict=True)), value
        breaches = Kind(f"{PREFIX}slow_streak_breaches", "counter", _TEXT)
        yield self._series(breaches, "_total"), self._streak.breaches

    def _histograms(self) -> Iterator[tuple[str, float]]:
        for name, bounds_of in _HISTOGRAMS.items():
            kind = Kind(f"{PREFIX}{name}", "histogram", _TEXT)
            counts = {le: n for (metric, _, le), n in self._counts.buckets.items() if metric == name}
            for bound in (*bounds_of(self._settings), INFINITY):
                le = str(floatToGoString(bound))  # type: ignore[no-untyped-call]  # the library leaves it unannotated
                below = sum(count for stored, count in counts.items() if stored <= bound)
                yield self._series(kind, "_bucket", [("le", le)]), below
            yield self._series(kind, "_count"), sum(counts.values())
            total = self._counts.totals.get((f"{name}_sum", self._agent, "[]"), 0.0)
            yield self._series(kind, "_sum"), total

    def _streaks(self) -> Iterator[tuple[str, float]]:
        for name, value_of in _GAUGES.items():
            kind = Kind(f"{PREFIX}{name}", "gauge", _TEXT)
            yield self._series(kind), value_of(self._streak)

    def _series(self, kind: Kind, suffix: str = "", labels: Iterable[tuple[str, str]] = ()) -> str:
        name, pairs = f"{kind.name}{suffix}", tuple(labels)
        found = self._names.get((name, pairs))
        if found is None:
            found = self._names[name, pairs] = series(name, {"agent": self._agent, **dict(pairs), **self._target})
            self.kinds[found] = kind
        return found
