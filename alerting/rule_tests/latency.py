"""AgentLatencyHigh: more calls over a limit than its percentile leaves, and calls slower than usual at this hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import ROUND_FLOOR

from alerting.rule_tests.baselines import not_ready
from alerting.rule_tests.case import Case, Kind, Moment, Series, exported, fires, silent, stepping, watched
from handrail.quantities import format_duration
from handrail.sla import PercentileSla, Sla, SlowdownSla, SlowShare

ALERT = "AgentLatencyHigh"
_STEPS = 40
_SCRAPE = timedelta(seconds=15)
_NEVER = range(0)
# History is walked through in steps of half an hour.
_HALF_HOUR = timedelta(minutes=30)
_DAY = timedelta(days=1) // _HALF_HOUR
_KNOWN = 3
_USUAL_S = 2.0
_HISTORY = "agent:handrail_call_duration_seconds:mean1h"
_GROUPS = ("handrail-agents", "handrail-latency", "handrail-slow-")
_OF_HISTORY = ("handrail-agents", "handrail-latency-baseline", "handrail-latency-ratio-", "handrail-slow-")


def cases(name: str, sla: Sla) -> Iterator[Case]:
    """The claims for one SLA; none for what is off."""
    if sla.percentiles:
        for limit in sla.percentiles.limits():
            yield from _percentile(name, sla.percentiles, limit)
    if sla.slowdown:
        yield from _slowdown(name, sla.slowdown)
        yield from _restarts(name, sla.slowdown)
        series = f"agent:handrail_call_duration_seconds_baseline:median{sla.slowdown.baseline_days}d"
        yield from not_ready(name, "latency", series, "handrail-slow-")


def _percentile(name: str, limits: PercentileSla, limit: SlowShare) -> Iterator[Case]:
    """The window is forty steps, so that any window takes the same time to prove."""
    calls = max(1000, limits.min_calls)
    allowed = int((limit.share * calls).to_integral_value(ROUND_FLOOR))
    step, tick = limits.window / _STEPS, min(limits.window / _STEPS, _SCRAPE)
    soon, over = step * 5, limits.window + step * 5

    def claim(kind: Kind, says: str, slow: int, *moments: Moment, of: int = calls, down: range = _NEVER) -> Case:
        length = 3 * _STEPS
        bound = str(limit.threshold.total_seconds())
        within = stepping(length, at=3, to=of - slow)
        series = (
            *watched(kind, name, length),
            exported("handrail_call_duration_seconds_count", stepping(length, at=3, to=of), agent=kind),
            exported("handrail_call_duration_seconds_bucket", within, agent=kind, le=bound),
            exported("handrail_call_duration_seconds_bucket", [0.0] * length, agent=kind, le="0.0001"),
        )
        return Case(
            alert=ALERT,
            kind=kind,
            says=f"{limit.name}: {slow} of {of} calls took longer than {bound} s: {says}",
            step=tick if down else step,
            series=tuple(one.away(down) for one in series),
            moments=moments,
            subject={"agent": kind, "sla": name, "limit": limit.name},
            groups=_GROUPS,
        )

    yield claim("fires", "fires within the window", allowed + 1, fires(soon))
    yield claim("just below", "stays silent", allowed, silent(soon), silent(limits.window))
    yield claim("resolves", "ends with the window", allowed + 1, fires(soon), silent(over))
    yield claim("no data", "no slow call, no alert", 0, silent(soon), silent(limits.window))
    if few := limits.min_calls - 1:
        yield claim("spared", "too few to tell a percentile", few, silent(soon), silent(limits.window), of=few)
    away, end = range(6, 9), tick * 10
    yield claim("restart", "an exporter that restarts changes nothing", allowed + 1, fires(end), down=away)
    yield claim("restart", "a restart makes no call slow", allowed, silent(tick * 7), silent(end), down=away)


def _allowed(limits: SlowdownSla) -> float:
    return _USUAL_S * (1 + float(limits.increase))


def _slowdown(name: str, limits: SlowdownSla) -> Iterator[Case]:
    """After the days that are known, some hours of slower calls follow, then usual ones."""
    calls, window = f"agent:handrail_timed_calls:increase{_text(limits)}", _text(limits)
    high = 4

    def claim(
        kind: Kind, says: str, then: float, *steps: tuple[int, bool], days: int = _KNOWN, of: int, wild: int = 1
    ) -> Case:
        begins = days * _DAY
        past = [_USUAL_S * (wild if at < _DAY else 1) for at in range(begins)]
        values = [*past, *[then] * high, *[_USUAL_S] * 4]
        now = f"agent:handrail_call_duration_seconds:mean{window}"
        return Case(
            alert=ALERT,
            kind=kind,
            says=f"{then:g} s on average where {_USUAL_S:g} s are usual: {says}",
            step=_HALF_HOUR,
            series=(
                *watched(kind, name, len(values)),
                *(Series(metric, {"agent": kind}, values) for metric in sorted({_HISTORY, now})),
                Series(calls, {"agent": kind}, [of] * len(values)),
            ),
            moments=tuple(Moment(_HALF_HOUR * (begins + at), firing) for at, firing in steps),
            subject={"agent": kind, "sla": name, "limit": "usual"},
            groups=_OF_HISTORY,
        )

    at_most, more, enough = _allowed(limits), _allowed(limits) * 1.001, limits.min_calls
    on, off, over = (1, True), (1, False), (high + 1, False)
    yield claim("fires", "fires", more, on, of=enough)
    yield claim("just below", "stays silent", at_most, off, of=enough)
    yield claim("resolves", "ends when calls are as usual again", more, on, over, of=enough)
    yield claim("no data", "two days are no baseline", at_most * 10, off, days=_KNOWN - 1, of=enough)
    yield claim("fires", "one wild day does not move what is usual", more, on, of=enough, wild=20)
    if few := enough - 1:
        yield claim("spared", f"{few} calls are too few", at_most * 10, off, of=few)


def _restarts(name: str, limits: SlowdownSla) -> Iterator[Case]:
    """From the exporter's own counters; it is away for a moment after the calls."""
    kind: Kind = "restart"
    length, count = 20, limits.min_calls
    for mean, firing in ((_allowed(limits) * 1.001, True), (_allowed(limits), False)):
        counters = (
            exported("handrail_call_duration_seconds_count", stepping(length, at=3, to=count), agent=kind),
            exported("handrail_call_duration_seconds_sum", stepping(length, at=3, to=mean * count), agent=kind),
        )
        usual = f"agent:handrail_call_duration_seconds_baseline:median{limits.baseline_days}d"
        yield Case(
            alert=ALERT,
            kind=kind,
            says=f"{mean:g} s on average where {_USUAL_S:g} s are usual: the exporter restarts",
            step=_SCRAPE,
            series=(
                *(one.away(range(6, 9)) for one in (*watched(kind, name, length), *counters)),
                Series(usual, {"agent": kind}, [_USUAL_S] * length),
            ),
            moments=tuple(Moment(_SCRAPE * at, firing) for at in (7, length - 1)),
            subject={"agent": kind, "sla": name, "limit": "usual"},
            groups=_GROUPS,
        )


def _text(limits: SlowdownSla) -> str:
    return format_duration(limits.window)
