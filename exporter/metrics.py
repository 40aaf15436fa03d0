"""What /metrics shows, read from the ledger and from what this process saw of its sources; no network, no waiting.

A counter that is new is shown at 0 by the first scrape and at its value from the second on, so that increase() sees
its first count; which ones have been shown is stored, so that a restart shows none of them at 0 again.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString
from sqlalchemy.exc import SQLAlchemyError

from exporter.counts import confidence_bounds, duration_bounds
from exporter.errors import REASONS
from exporter.executions import Heaviest
from exporter.expectation_metrics import about_expectations
from exporter.families import AGENT_COUNTERS, GAUGES, SOURCE_COUNTERS, Family
from exporter.handoffs.wanted import REASONS as HANDOFF_REASONS
from exporter.health import SourceHealth
from exporter.label_sets import OTHER
from exporter.ledger import Ledger
from exporter.ledger_metrics import about_ledger
from exporter.snapshot import Snapshot
from exporter.streaks import Streak
from handrail.database_trouble import WHAT_TO_DO, reason_of, said
from handrail.logs import LogOnce, get_logger
from handrail.settings import Settings

PREFIX = "handrail_"


@dataclass(frozen=True, slots=True)
class _Histogram:
    name: str
    text: str
    bounds: tuple[float, ...]


_DURATION = "Time an agent call took, over the agent and everything it asked for."
_CONFIDENCE = "Confidence that agents stated in their answers."


@dataclass(frozen=True, slots=True)
class _Present:
    """An agent that is watched now."""

    name: str
    sla: str
    owner: str
    source: str


class LedgerCollector:
    """A prometheus_client collector. Collecting is a scrape: it turns every series that was new into a shown one.

    Not so with `peek`, which is for a person: every series has its value, and none counts as shown.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, health: Sequence[SourceHealth], *, peek: bool = False
    ) -> None:
        self._peek = peek
        self._settings = settings
        self._ledger = ledger
        self._health = health
        self._histograms = _histograms(settings)
        self._lock = threading.Lock()
        self._shown: set[str] = set()
        self._seen: set[tuple[str, ...]] = set()
        self._shown_requests: set[tuple[str, str]] = set()
        self._log_once = LogOnce(get_logger("metrics"))

    def reconfigure(self, settings: Settings, health: Sequence[SourceHealth]) -> None:
        """Show these from now on. What was shown at 0 is remembered."""
        with self._lock:
            self._settings, self._health = settings, health
            self._histograms = _histograms(settings)

    def describe(self) -> list[Metric]:
        """Nothing: to describe by collecting would be a scrape that nobody sees."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics as of now."""
        with self._lock:
            snapshot = self._snapshot()
            families = [
                *self._about_polls(),
                *about_ledger(self._ledger, snapshot),
                *(self._of_the_ledger(snapshot) if snapshot else ()),
            ]
        yield from families

    def _snapshot(self) -> Snapshot | None:
        """None when the ledger cannot be read: then its families are left out, and the rest is shown all the same."""
        try:
            snapshot = self._ledger.snapshot()
        except SQLAlchemyError as error:
            reason = reason_of(error)
            self._log_once.failed("ledger", reason, text=said(error), what_to_do=WHAT_TO_DO[reason])
            return None
        self._log_once.succeeded("ledger")
        return snapshot

    def _of_the_ledger(self, snapshot: Snapshot) -> Iterator[Metric]:
        hold = _Hold(None if self._peek else snapshot.shown | self._shown, self._seen)
        agents = list(self._present(snapshot))
        yield from _about_agents(agents, snapshot)
        totals = _by_metric(snapshot)
        yield from (_counter(counter, agents, totals[counter.name], hold) for counter in AGENT_COUNTERS)
        yield from (_histogram(histogram, agents, snapshot, hold) for histogram in self._histograms)
        yield from _about_streaks(agents, snapshot, hold)
        yield from _about_executions(agents, snapshot)
        yield from about_expectations({agent.name for agent in agents}, snapshot, self._settings)
        yield from self._about_sources(snapshot)
        yield from (_source_counter(counter, self._watched, totals[counter.name], hold) for counter in SOURCE_COUNTERS)
        yield from (_readings(family, agents, self._watched, snapshot) for family in GAUGES)
        self._remember(hold.new)

    def _remember(self, new: set[str]) -> None:
        self._shown |= new
        if not new:
            return
        try:
            self._ledger.mark_shown(sorted(self._shown))
        except SQLAlchemyError as error:
            # This process still knows; only a restart before the next scrape could show them at 0 once more.
            self._log_once.failed("shown series", type(error).__name__)
        else:
            self._log_once.succeeded("shown series")
            self._shown.clear()

    @property
    def _watched(self) -> frozenset[str]:
        """The sources that are watched now; the ledger also remembers those that were."""
        return frozenset(health.name for health in self._health)

    def _present(self, snapshot: Snapshot) -> Iterator[_Present]:
        for agent in self._settings.agents:
            yield _Present(agent.name, agent.sla, agent.owner or "", "/".join(agent.source.source_ref))
        configured = {agent.name for agent in self._settings.agents}
        for name, state in sorted(snapshot.agents.items()):
            if state.discovered and name not in configured and state.source in self._watched:
                yield _Present(name, "default", "", state.source)

    def _about_polls(self) -> Iterator[Metric]:
        up = _gauge("source_up", "Whether the last poll of the source succeeded.", "source")
        errors = CounterMetricFamily(f"{PREFIX}source_errors", "Failed polls, by reason.", labels=("source", "reason"))
        requests = CounterMetricFamily(
            f"{PREFIX}source_requests", "Requests to the source, by HTTP status.", labels=("source", "status")
        )
        for health in self._health:
            up.add_metric((health.name,), health.up)
            for reason, count in health.errors.items():
                errors.add_metric((health.name, reason), count)
            for status, count in health.requests.items():
                key = (health.name, status)
                requests.add_metric(key, count if self._peek or key in self._shown_requests else 0)
                self._shown_requests.add(key)
        yield from (up, errors, requests)

    def _about_sources(self, snapshot: Snapshot) -> Iterator[Metric]:
        last = _gauge(
            "source_last_success_timestamp_seconds", "When the source was last read completely; 0 is never.", "source"
        )
        gap = _gauge(
            "source_coverage_gap_calls",
            "Executions or requests the source had and could not show, since the beginning.",
            "source",
        )
        last_gap = _gauge("source_coverage_gap_last_timestamp_seconds", "When that last grew; 0 is never.", "source")
        visible = _gauge("source_visible_workflows", "Workflows that the source's key may see.", "source")
        for health in self._health:
            state = snapshot.sources.get(health.name)
            last.add_metric((health.name,), state.last_success if state else 0)
            gap.add_metric((health.name,), state.gap if state else 0)
            last_gap.add_metric((health.name,), state.last_gap if state else 0)
            if state and state.visible_workflows is not None:
                visible.add_metric((health.name,), state.visible_workflows)
        yield from (last, gap, last_gap, visible)


def _histograms(settings: Settings) -> tuple[_Histogram, ...]:
    return (
        _Histogram("call_duration_seconds", _DURATION, duration_bounds(settings)),
        _Histogram("call_confidence_ratio", _CONFIDENCE, confidence_bounds(settings)),
    )


class _Hold:
    """Whether a series has been shown before; remembers those that have not. None: all count as shown.

    `seen` is kept from scrape to scrape: those for which the answer was yes.
    """

    def __init__(self, shown: frozenset[str] | None, seen: set[tuple[str, ...]]) -> None:
        self._shown = shown
        self._seen = seen
        self.new: set[str] = set()

    def __call__(self, name: str, labels: tuple[str, ...]) -> bool:
        key = (name, *labels)
        if self._shown is None or key in self._seen:
            return True
        series = json.dumps(key)
        if series in self._shown:
            self._seen.add(key)
            return True
        self.new.add(series)
        return False


# Of one metric: an agent, the pairs of labels, and the value.
_Totals = list[tuple[str, tuple[tuple[str, str], ...], float]]


def _by_metric(snapshot: Snapshot) -> Mapping[str, _Totals]:
    totals: dict[str, _Totals] = defaultdict(list)
    for (metric, agent, pairs), value in snapshot.totals.items():
        totals[metric].append((agent, pairs, value))
    return totals


def _counter(counter: Family, agents: list[_Present], totals: _Totals, hold: _Hold) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}{counter.name}", counter.text, labels=("agent", *counter.labels))
    names = {agent.name for agent in agents}
    values = {(who.name, *labels): 0.0 for who in agents for labels in labels_from_the_start(counter, who.source)}
    for agent, pairs, value in totals:
        if agent in names:
            values[agent, *_in_order(pairs, counter.labels)] = value
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value if hold(family.name, labels) else 0.0)
    return family


@lru_cache(maxsize=4096)
def _in_order(pairs: tuple[tuple[str, str], ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """The values of the labels in the order in which the metric has their names."""
    by_label = dict(pairs)
    return tuple(by_label[name] for name in names)


def labels_from_the_start(counter: Family, source: str) -> list[tuple[str, ...]]:
    """The label values that are known before the first call; models are not, so calls begin with an unknown one."""
    if counter.name == "calls":
        return [(source, "unknown", outcome) for outcome in ("success", "error")]
    if counter.name == "call_errors":
        return [(reason,) for reason in REASONS]
    if counter.name == "handoffs_raised":
        return [(reason,) for reason in HANDOFF_REASONS]
    if counter.labels == ("to",):
        return [("false",), ("true",)]
    if counter.labels == ("tool",):
        return [(OTHER,)]
    return [()] if not counter.labels else []


def _source_counter(counter: Family, watched: frozenset[str], totals: _Totals, hold: _Hold) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}{counter.name}", counter.text, labels=counter.labels)
    for agent, pairs, value in sorted(totals):
        if not agent and dict(pairs).get("source", "") in watched | {""}:
            labels = _in_order(pairs, counter.labels)
            family.add_metric(labels, value if hold(family.name, labels) else 0.0)
    return family


def _readings(gauge: Family, agents: list[_Present], watched: frozenset[str], snapshot: Snapshot) -> Metric:
    family = _gauge(gauge.name, gauge.text, *gauge.labels)
    names = {agent.name for agent in agents}
    for (metric, pairs), value in sorted(snapshot.gauges.items()):
        labels = dict(pairs)
        present = labels.get("agent", "") in names | {""} and labels.get("source", "") in watched | {""}
        if metric == gauge.name and present:
            family.add_metric(tuple(labels[label] for label in gauge.labels), value)
    return family


def _histogram(histogram: _Histogram, agents: list[_Present], snapshot: Snapshot, hold: _Hold) -> Metric:
    family = HistogramMetricFamily(f"{PREFIX}{histogram.name}", histogram.text, labels=("agent",))
    for agent in agents:
        shown = hold(family.name, (agent.name,))
        counts: Mapping[float, int] = snapshot.buckets.get((histogram.name, agent.name), {}) if shown else {}
        # Bounds may have changed since a call was counted; it stays below every bound it was below then.
        buckets = [
            (_go(bound), sum(count for stored, count in counts.items() if stored <= bound))
            for bound in (*histogram.bounds, float("inf"))
        ]
        total = snapshot.totals.get((f"{histogram.name}_sum", agent.name, ()), 0.0) if shown else 0.0
        family.add_metric((agent.name,), buckets, total)
    return family


def _about_agents(agents: list[_Present], snapshot: Snapshot) -> Iterator[Metric]:
    info = _gauge("agent_info", "An agent that is watched, and its SLA.", "agent", "sla", "owner", "source")
    enabled = _gauge("agent_enabled", "Whether the agent is switched on, where its source tells.", "agent")
    running = _gauge("running_calls", "Calls that have begun and not ended.", "agent")
    oldest = _gauge(
        "oldest_running_call_timestamp_seconds", "When the oldest call that has not ended began; 0 is none.", "agent"
    )
    last = _gauge("last_call_timestamp_seconds", "When the agent's last call ended; 0 is never.", "agent")
    for agent in agents:
        info.add_metric((agent.name, agent.sla, agent.owner, agent.source), 1)
        last.add_metric((agent.name,), snapshot.streaks.get(agent.name, Streak()).last_call)
        state = snapshot.agents.get(agent.name)
        if state is None:
            continue
        if state.enabled is not None:
            enabled.add_metric((agent.name,), state.enabled)
            running.add_metric((agent.name,), state.running)
            oldest.add_metric((agent.name,), state.oldest_running or 0)
    yield from (info, enabled, running, oldest, last)


def _about_streaks(agents: list[_Present], snapshot: Snapshot, hold: _Hold) -> Iterator[Metric]:
    length = _gauge("slow_call_streak", "Calls in a row that were slower than the SLA allows.", "agent")
    breach = _gauge(
        "slow_streak_last_breach_timestamp_seconds",
        "When a call was last counted in a streak that is too long; 0 is never.",
        "agent",
    )
    breaches = CounterMetricFamily(
        f"{PREFIX}slow_streak_breaches", "Streaks of slow calls that became too long.", labels=("agent",)
    )
    for agent in agents:
        streak = snapshot.streaks.get(agent.name, Streak())
        length.add_metric((agent.name,), streak.length)
        breach.add_metric((agent.name,), streak.last_breach)
        breaches.add_metric((agent.name,), streak.breaches if hold(breaches.name, (agent.name,)) else 0)
    yield from (length, breach, breaches)


def _about_executions(agents: list[_Present], snapshot: Snapshot) -> Iterator[Metric]:
    recent = "in one execution, the most among those with a call that ended in the last 10 minutes."
    for name, text in (("model_calls", "Model calls"), ("tool_calls", "Tool calls"), ("tokens", "Tokens")):
        family = _gauge(f"execution_{name}_max", f"{text} {recent}", "agent")
        for agent in agents:
            family.add_metric((agent.name,), getattr(snapshot.heaviest.get(agent.name, Heaviest()), name))
        yield family


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", text, labels=labels)


def _go(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]  # the library leaves it unannotated
