"""How latency and errors went lately, for all agents by one query each, and in detail for one agent.

Prometheus is asked at most once per step for all agents, however many people look; one that is away is asked again
after some seconds.
"""

from __future__ import annotations

import json
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from alerting.receiver.observed import Unavailable, ask
from handrail.clock import Clock
from handrail.http import HttpClient

Values = tuple[float | None, ...]

TREND_S, TREND_STEP_S = 3600, 120
DETAIL_S, DETAIL_STEP_S = 6 * 3600, 300
ASK_AGAIN_S = 10.0
# A window of ten minutes has a call of most agents and still shows when it got worse.
_CALLS = "handrail_call_duration_seconds"
_MEAN = "sum by (agent) (rate({0}_sum{1}[10m])) / (sum by (agent) (rate({0}_count{1}[10m])) > 0)"
_P95 = "histogram_quantile(0.95, sum by (agent, le) (rate({0}_bucket{1}[10m])))"
_ERRORS = "max by (agent) (agent:handrail_call_error_ratio:sla_window{1})"


@dataclass(frozen=True, slots=True)
class Trend:
    """Mean duration in seconds and error ratio at each step; None where there was no call."""

    duration: Values = ()
    errors: Values = ()


@dataclass(frozen=True, slots=True)
class Detail:
    """The same of one agent, with the 95th percentile, for longer and at these times."""

    times: tuple[datetime, ...]
    mean: Values
    p95: Values
    errors: Values

    @property
    def is_empty(self) -> bool:
        """Was there no call at all?"""
        return all(value is None for value in (*self.mean, *self.p95, *self.errors))


class History:
    """Asks Prometheus. Unavailable is what it raises when there is no answer."""

    def __init__(self, client: HttpClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._last: tuple[int, Mapping[str, Trend]] | None = None
        self._failed: tuple[float, str] | None = None

    def trends(self) -> Mapping[str, Trend]:
        """The last hour of every agent."""
        with self._lock:
            end = self._end(TREND_STEP_S)
            if self._last is not None and self._last[0] == end:
                return self._last[1]
            if self._failed is not None and self._clock.monotonic() - self._failed[0] < ASK_AGAIN_S:
                raise Unavailable(self._failed[1])
            try:
                trends = self._trends(end)
            except Unavailable as error:
                self._failed = self._clock.monotonic(), str(error)
                raise
            self._last, self._failed = (end, trends), None
            return trends

    def of(self, agent: str) -> Detail:
        """The last six hours of one agent."""
        end = self._end(DETAIL_STEP_S)
        only = f"{{agent={json.dumps(agent, ensure_ascii=False)}}}"
        read = self._reader(end, DETAIL_S, DETAIL_STEP_S)
        times = range(end - DETAIL_S, end + 1, DETAIL_STEP_S)
        nothing = (None,) * len(times)
        mean, p95, errors = (read(query, only).get(agent, nothing) for query in (_MEAN, _P95, _ERRORS))
        return Detail(tuple(datetime.fromtimestamp(at, UTC) for at in times), mean, p95, errors)

    def _trends(self, end: int) -> dict[str, Trend]:
        read = self._reader(end, TREND_S, TREND_STEP_S)
        duration, errors = read(_MEAN, ""), read(_ERRORS, "")
        return {name: Trend(duration.get(name, ()), errors.get(name, ())) for name in duration.keys() | errors.keys()}

    def _end(self, step: int) -> int:
        return int(self._clock.now().timestamp()) // step * step

    def _reader(self, end: int, length: int, step: int) -> Callable[[str, str], dict[str, Values]]:
        params = {"start": str(end - length), "end": str(end), "step": str(step)}
        steps = length // step + 1

        def read(query: str, only: str) -> dict[str, Values]:
            answer = ask(self._client, "/api/v1/query_range", {"query": query.format(_CALLS, only), **params})
            try:
                return {
                    row["metric"]["agent"]: _placed(row["values"], end - length, step, steps)
                    for row in answer["result"]
                    if row["metric"].get("agent")
                }
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise Unavailable("Prometheus answered something else") from error

        return read


def _placed(samples: Sequence[tuple[float, str]], start: int, step: int, steps: int) -> Values:
    """Each sample at its step; what is no number is nothing."""
    found = defaultdict[int, float | None](lambda: None)
    for at, text in samples:
        value = float(text)
        found[round((at - start) / step)] = value if math.isfinite(value) else None
    return tuple(found[index] for index in range(steps))
