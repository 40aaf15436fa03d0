"""Calls of the past as Prometheus would have them: the exporter's own series, and what the rules would have recorded.

Counters count up to 0. Counting live begins at 0, so the past joins it without a step: any increase over the joint is
exact, whatever is summed and whichever series come and go. A past that ended high would be a reset, and a sum of
several such resets an increase that never was. A value at some moment is also the same however far back is read.
An agent's history begins with its first call: before it nothing is known.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.calls import Call
from exporter.history.openmetrics import Kind, OpenMetricsFile, series
from exporter.history.spool import Spool
from exporter.history.standing import Standing, Sums
from exporter.label_sets import LabelSets
from exporter.metrics import PREFIX
from handrail.quantities import format_duration
from handrail.settings import Settings

STEP_S = 60
# As often as the rules record a sum to look back on for weeks.
SPARSE_S = 300
JOB = "handrail-exporter"
_HOUR = timedelta(hours=1)
_INFO = "An agent that is watched, and its SLA."
_RECORDED = "As the rule of this name would have recorded it."


@dataclass(frozen=True, slots=True)
class Period:
    """What is written of an agent: calls that ended in [since, until], samples until `until`."""

    agent: str
    source: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """What was written of an agent: when its history begins and ends, and of how many calls it is made."""

    agent: str
    begins: datetime
    ends: datetime
    calls: int


def write_history(
    spool: Spool,
    settings: Settings,
    periods: Iterable[Period],
    file: OpenMetricsFile,
    *,
    label_sets: LabelSets,
    only: Collection[str] | None = None,
) -> Iterator[Written]:
    """Write the periods one after the other; an agent without a call in its period has no history.

    `only`: of the exporter's own series, those of these names; all of them without it.
    """
    for period in periods:
        if span := spool.span(period.agent, since=period.since, until=period.until):
            first, _, count = span
            ends = math.floor(period.until.timestamp())
            steps = math.floor((ends - first.timestamp()) / STEP_S) + 1
            begins = ends - steps * STEP_S
            _Agent(settings, period, file, label_sets, only).write(spool, begins, ends)
            file.end_of_series()
            zone = period.until.tzinfo
            yield Written(period.agent, datetime.fromtimestamp(begins, zone), datetime.fromtimestamp(ends, zone), count)


class _Agent:
    def __init__(
        self,
        settings: Settings,
        period: Period,
        file: OpenMetricsFile,
        label_sets: LabelSets,
        only: Collection[str] | None,
    ) -> None:
        self._only = only
        self._settings = settings
        self._period = period
        self._file = file
        self._label_sets = label_sets
        self._recorded = _Recorded(settings, period, file)

    def write(self, spool: Spool, begins: int, ends: int) -> None:
        """Once through the calls to know where the counters end, and once more to write how they got there."""
        whole = self._standing()
        for call in self._calls(spool, ends):
            whole.add(call)
        end, end_sums = self._wanted(whole.values()), whole.sums
        counters = {name for name, kind in whole.kinds.items() if kind.type != "gauge"}
        now, calls = self._standing(), self._calls(spool, ends)
        following = next(calls, None)
        values, sums = now.values(), now.sums
        for at in range(begins, ends + 1, STEP_S):
            changed = False
            while following is not None and following.finished_at.timestamp() <= at:
                now.add(following)
                following, changed = next(calls, None), True
            if changed:
                values, sums = now.values(), now.sums
            for name, last in end.items():
                value = values.get(name, 0.0)
                self._file.sample(whole.kinds[name], name, value - last if name in counters else value, at)
            self._recorded.write(at, sums, end_sums)

    def _wanted(self, values: dict[str, float]) -> dict[str, float]:
        if self._only is None:
            return values
        return {series: value for series, value in values.items() if series.partition("{")[0] in self._only}

    def _standing(self) -> Standing:
        target = {"instance": self._settings.exporter.listen, "job": JOB}
        return Standing(
            self._settings, self._period.agent, self._period.source, label_sets=self._label_sets, target=target
        )

    def _calls(self, spool: Spool, ends: int) -> Iterator[Call]:
        # What ends after the last sample would never be reached, and the end would not be 0.
        until = min(self._period.until, datetime.fromtimestamp(ends, self._period.until.tzinfo))
        return spool.calls(self._period.agent, since=self._period.since, until=until)


class _Recorded:
    """The recorded series that tomorrow's rules read: sums, increases, and who is held to what."""

    def __init__(self, settings: Settings, period: Period, file: OpenMetricsFile) -> None:
        agent = settings.agent(period.agent)
        sla = settings.sla_of(period.agent)
        self._file = file
        held = {
            "agent": period.agent,
            "sla": agent.sla if agent else "default",
            "owner": (agent.owner if agent else "") or "",
        }
        source = "/".join(agent.source.source_ref) if agent else period.source
        target = {"instance": settings.exporter.listen, "job": JOB}
        bridged = Kind("agent:handrail_agent_info:bridged", "gauge", _RECORDED)
        info = Kind(f"{PREFIX}agent_info", "gauge", _INFO)
        self._info = (
            (bridged, series(bridged.name, held)),
            (info, series(info.name, held | {"source": source} | target)),
        )
        window = sla.errors.window
        self._calls = _Window("agent:handrail_calls", window, period.agent)
        self._errors = _Window("agent:handrail_call_errors", window, period.agent)
        self._tokens = _Window("agent:handrail_tokens", _HOUR, period.agent)
        self._ratio = Kind("agent:handrail_call_error_ratio:sla_window", "gauge", _RECORDED)
        self._held = series(self._ratio.name, held)
        self._sparse_due = 0

    def write(self, at: int, sums: Sums, end: Sums) -> None:
        """What the rules would have recorded at this moment."""
        for kind, name in self._info:
            self._file.sample(kind, name, 1.0, at)
        increases = {}
        for window, value, last in (
            (self._calls, sums.calls, end.calls),
            (self._errors, sums.errors, end.errors),
            (self._tokens, sums.tokens, end.tokens),
        ):
            self._file.sample(window.sum, window.sum_series, value - last, at)
            if at >= self._sparse_due:
                self._file.point(window.sparse, window.sparse_series, value - last, at)
            increases[window.name] = increase = window.increase(value)
            if increase is not None:
                self._file.sample(window.recorded, window.recorded_series, increase, at)
        if at >= self._sparse_due:
            self._sparse_due = at + SPARSE_S
        calls, errors = increases[self._calls.name], increases[self._errors.name]
        if calls and errors is not None:
            self._file.sample(self._ratio, self._held, errors / calls, at)


class _Window:
    """A sum and how much it grew within a window; None until a whole window is known."""

    def __init__(self, name: str, window: timedelta, agent: str) -> None:
        self.name = name
        self.sum = Kind(f"{name}:sum", "gauge", _RECORDED)
        self.recorded = Kind(f"{name}:increase{format_duration(window)}", "gauge", _RECORDED)
        self.sparse = Kind(f"{name}:every5m", "gauge", _RECORDED)
        self.sparse_series = series(self.sparse.name, {"agent": agent})
        self.sum_series = series(self.sum.name, {"agent": agent})
        self.recorded_series = series(self.recorded.name, {"agent": agent})
        self._values: deque[float] = deque(maxlen=max(int(window.total_seconds()) // STEP_S, 1) + 1)

    def increase(self, value: float) -> float | None:
        """With the value of the next step."""
        self._values.append(value)
        return value - self._values[0] if len(self._values) == self._values.maxlen else None
