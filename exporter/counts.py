"""What calls add to the totals and histograms; added up first, so that a batch costs few statements."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import Connection

from exporter.calls import Call
from exporter.label_sets import OTHER, UNKNOWN, LabelSets
from exporter.sources import Count
from exporter.tables import buckets_table, totals_table, upsert
from handrail.settings import Settings

INFINITY = float("inf")
_Names = tuple[str, ...]
_NO_LABELS = json.dumps([])
_CALL_LABELS, _TOKEN_LABELS = ("source", "model", "outcome"), ("model", "token_type", "basis")
_REASON, _TOOL = ("reason",), ("tool",)


def duration_bounds(settings: Settings) -> tuple[float, ...]:
    """Upper bounds of the duration histogram: a usual ladder, every latency threshold and every percentile's limit."""
    ladder = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
    thresholds = (sla.latency.threshold for sla in settings.slas.values())
    limits = (
        limit.threshold for sla in settings.slas.values() if sla.percentiles for limit in sla.percentiles.limits()
    )
    return tuple(sorted({*ladder, *(bound.total_seconds() for bound in (*thresholds, *limits))}))


def confidence_bounds(settings: Settings) -> tuple[float, ...]:
    """Upper bounds of the confidence histogram: tenths and every confidence below which work is handed off."""
    tenths = (step / 10 for step in range(1, 11))
    return tuple(sorted({*tenths, *(float(sla.handoff.min_confidence) for sla in settings.slas.values())}))


class Counts:
    """What a set of calls adds."""

    def __init__(self, settings: Settings, label_sets: LabelSets) -> None:
        self._settings = settings
        self._label_sets = label_sets
        self._bounds = {
            "call_duration_seconds": duration_bounds(settings),
            "call_confidence_ratio": confidence_bounds(settings),
        }
        self._totals: dict[tuple[str, str, str], float] = defaultdict(float)
        self._buckets: dict[tuple[str, str, float], int] = defaultdict(int)
        self._stored_labels: dict[tuple[str, _Names, tuple[str, ...]], str] = {}

    @property
    def totals(self) -> Mapping[tuple[str, str, str], float]:
        """By metric, agent and labels (JSON, sorted), as they are stored."""
        return self._totals

    @property
    def buckets(self) -> Mapping[tuple[str, str, float], int]:
        """Observations by metric, agent and the smallest bound that they are not above; not cumulated."""
        return self._buckets

    def add(self, call: Call) -> None:
        """Count one call that was not counted before."""
        agent, model = call.agent, call.model or UNKNOWN
        self._count("calls", agent, 1, _CALL_LABELS, (call.source, model, call.outcome))
        self._count("ended_calls", agent)
        if call.error_reason:
            self._count("call_errors", agent, 1, _REASON, (call.error_reason,))
        self._count_tokens(call, model)
        if call.cost_usd:
            self._count("cost_usd", agent, float(call.cost_usd))
        elif call.cost_usd is None and not call.cached:
            self._count("calls_without_cost", agent)
        if call.attempts:
            self._count("attempts", agent, call.attempts)
        if call.tool_calls or call.tool_errors:
            self._count_tools(call)
        if call.retries or call.max_iterations:
            self._count("node_retries", agent, call.retries)
            self._count("max_iterations", agent, call.max_iterations)
        if call.timed:
            self._observe("call_duration_seconds", agent, call.duration.total_seconds())
        if call.confidence is not None:
            self._observe("call_confidence_ratio", agent, call.confidence)
            # A bucket holds what is equal to its bound; exactly the minimum is not low.
            if call.confidence < self._settings.sla_of(agent).handoff.min_confidence:
                self._count("low_confidence_calls", agent)

    def add_count(self, count: Count) -> None:
        """Count what a source counted by itself."""
        if count.amount or count.labels:
            self._count(count.metric, count.agent, count.amount, tuple(count.labels), tuple(count.labels.values()))

    def _count_tokens(self, call: Call, model: str) -> None:
        """What is unknown is no 0; an answer from a cache used none."""
        tokens = call.tokens
        if tokens.tokens_in is not None:
            self._count("tokens", call.agent, tokens.tokens_in, _TOKEN_LABELS, (model, "input", tokens.basis))
        if tokens.tokens_out is not None:
            self._count("tokens", call.agent, tokens.tokens_out, _TOKEN_LABELS, (model, "output", tokens.basis))
        if call.cached:
            self._count("cached_calls", call.agent)
        elif tokens.basis == "unknown":
            self._count("calls_without_usage", call.agent)

    def _count_tools(self, call: Call) -> None:
        """By name what is told by name; the rest of the sums has none."""
        for tool in call.tools:
            self._count("tool_calls", call.agent, tool.calls, _TOOL, (tool.name,))
            self._count("tool_errors", call.agent, tool.errors, _TOOL, (tool.name,))
        calls = call.tool_calls - sum(tool.calls for tool in call.tools)
        errors = call.tool_errors - sum(tool.errors for tool in call.tools)
        self._count("tool_calls", call.agent, max(calls, 0), _TOOL, (OTHER,))
        self._count("tool_errors", call.agent, max(errors, 0), _TOOL, (OTHER,))

    def _count(
        self, metric: str, agent: str, amount: float = 1, labels: _Names = (), values: tuple[str, ...] = ()
    ) -> None:
        self._totals[metric, agent, self._stored(agent, labels, values) if labels else _NO_LABELS] += amount

    def _stored(self, agent: str, labels: _Names, values: tuple[str, ...]) -> str:
        """The labels as they are stored. Calls use few, again and again, and what stands for a name never changes."""
        key = (agent, labels, values)
        if (stored := self._stored_labels.get(key)) is None:
            names = zip(labels, values, strict=True)
            shown = {label: self._label_sets.value(agent, label, name) for label, name in names}
            stored = self._stored_labels[key] = json.dumps(sorted(shown.items()))
        return stored

    def _observe(self, metric: str, agent: str, value: float) -> None:
        bounds = self._bounds[metric]
        place = bisect_left(bounds, value)
        self._buckets[metric, agent, bounds[place] if place < len(bounds) else INFINITY] += 1
        self._count(f"{metric}_sum", agent, value)

    def store(self, connection: Connection) -> None:
        """Add all of it to what is stored."""
        totals = [{"metric": m, "agent": a, "labels": lb, "value": v} for (m, a, lb), v in self._totals.items()]
        buckets = [{"metric": m, "agent": a, "le": le, "observations": n} for (m, a, le), n in self._buckets.items()]
        upsert(connection, totals_table, totals, add=("value",))
        upsert(connection, buckets_table, buckets, add=("observations",))
        self._label_sets.store(connection)
