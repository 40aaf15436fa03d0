"""AgentCostHigh: more than may be spent in a day, and more than in the window before, in all and for one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import accumulate

from alerting.rule_tests.baselines import not_ready
from alerting.rule_tests.case import Case, Kind, Moment, Series, exported, fires, silent, stepping, watched
from handrail.quantities import format_duration
from handrail.sla import CostSla, Sla

ALERT = "AgentCostHigh"
_GROUPS = ("handrail-agents", "handrail-cost", "handrail-spend-")
# A window is so many steps, of which the first two are what counts.
_STEPS = 28
_LENGTH = 3 * _STEPS
_CALLS = 2800
_CENT = 0.01
_SCRAPE, _HALF_HOUR, _DAY = timedelta(seconds=15), timedelta(minutes=30), timedelta(days=1)
_NEVER = range(0)


@dataclass(frozen=True, slots=True)
class _Window:
    """What happened in one window: money that is known, calls, and how many of those have no known cost."""

    cost: float
    calls: int = _CALLS
    unpriced: int = 0


def cases(name: str, sla: Sla) -> Iterator[Case]:
    """The claims for one SLA; none for what is off."""
    cost = sla.cost
    if cost is None:
        return
    if cost.per_day is not None:
        yield from _day(name, cost.per_day)
    if cost.increase is not None:
        yield from _rising(name, cost, "window", float(cost.increase), calls=_CALLS)
    if cost.per_call_increase is not None:
        yield from _rising(name, cost, "call", float(cost.per_call_increase), calls=_CALLS // 2)
    if cost.compares:
        yield from not_ready(name, "cost", f"agent:handrail_spend_usd:before{_text(cost)}", "handrail-spend-")


def _text(cost: CostSla) -> str:
    return format_duration(cost.window)


def _rising(name: str, limits: CostSla, per: str, increase: float, *, calls: int) -> Iterator[Case]:
    """`calls` are those of the second window: for the cost of a call half as many, so that the whole did not rise."""
    usual = max(100.0, float(limits.min_cost) * 10)
    share = calls / _CALLS
    allowed = usual * share * (1 + increase)
    step = limits.window / _STEPS
    end, later = step * 2 * _STEPS, step * (2 * _STEPS + _STEPS // 2)

    def claim(
        kind: Kind, says: str, before: _Window, now: _Window, *moments: Moment, down: range = _NEVER, born: int = 0
    ) -> Case:
        # Then calls that cost nothing.
        windows = (before, now, _Window(0.0))
        return Case(
            alert=ALERT,
            kind=kind,
            says=f"{now.cost:g} USD after {before.cost:g} USD, by the {per}: {says}",
            step=step,
            series=tuple(one.away(down).away(range(born)) for one in _series(kind, name, windows)),
            moments=moments,
            subject={"agent": kind, "sla": name, "per": per},
            groups=_GROUPS,
        )

    before, high, edge = _Window(usual), _Window(allowed + _CENT, calls), _Window(allowed, calls)
    yield claim("fires", "fires", before, high, fires(end))
    yield claim("just below", "stays silent", before, edge, silent(end))
    yield claim("resolves", "ends when it costs less again", before, high, fires(end), silent(later))
    ten = _Window(allowed * 10, calls)
    yield claim("no data", "younger than two windows", before, ten, silent(end), born=2)
    untold = _Window(0.0, unpriced=_CALLS)
    yield claim("no data", "nobody told a cost before", untold, ten, silent(end))
    few = _Window(allowed * 10, calls, calls // 2 + 1)
    yield claim("no data", "most costs are not known", before, few, silent(end))
    half = _Window((allowed + _CENT) / 2, calls, calls // 2)
    yield claim("fires", "a cost that is not known is no 0", before, half, fires(end))
    known_half = _Window(usual / 2, unpriced=_CALLS // 2)
    yield claim("spared", "a cost that was not known was no 0", known_half, edge, silent(end))
    if limits.min_cost:
        little = _Window(float(limits.min_cost))
        yield claim("spared", "so little is not worth a word", little, ten, silent(end))
    away = range(_STEPS + 5, _STEPS + 7)
    yield claim("restart", "an exporter that was away changes nothing", before, high, fires(end), down=away)
    yield claim("restart", "to be away costs nothing", before, edge, silent(end), down=away)


def _series(agent: str, sla: str, windows: Sequence[_Window]) -> tuple[Series, ...]:
    """The counters of the exporter: each window's amounts, evenly in its steps."""

    def counter(metric: str, amounts: Sequence[float]) -> Series:
        steps = [amount / _STEPS for amount in amounts for _ in range(_STEPS)]
        return exported(metric, list(accumulate(steps, initial=0.0)), agent=agent)

    return (
        *watched(agent, sla, _LENGTH + 1),
        counter("handrail_cost_usd_total", [window.cost for window in windows]),
        counter("handrail_ended_calls_total", [window.calls for window in windows]),
        counter("handrail_calls_without_cost_total", [window.unpriced for window in windows]),
    )


def _day(name: str, limit: Decimal) -> Iterator[Case]:
    most, more = float(limit), float(limit) + _CENT

    def claim(kind: Kind, says: str, spent: float, *steps: tuple[int, bool], down: range = _NEVER) -> Case:
        step = _SCRAPE if down else _HALF_HOUR
        length = _DAY // _HALF_HOUR + 10
        cost = exported("handrail_cost_usd_total", stepping(length, at=3, to=spent), agent=kind)
        return Case(
            alert=ALERT,
            kind=kind,
            says=f"{spent:g} USD in a day: {says}",
            step=step,
            series=tuple(one.away(down) for one in (*watched(kind, name, length), cost)),
            moments=tuple(Moment(step * at, firing) for at, firing in steps),
            subject={"agent": kind, "sla": name, "per": "day"},
            groups=_GROUPS,
        )

    over = _DAY // _HALF_HOUR + 5
    yield claim("fires", "fires", more, (2, False), (4, True))
    yield claim("just below", "stays silent", most, (4, False), (over, False))
    yield claim("resolves", "ends with the day", more, (4, True), (over, False))
    yield claim("no data", "nothing was spent", 0.0, (4, False), (over, False))
    yield claim("restart", "an exporter that restarts changes nothing", more, (7, True), (10, True), down=range(6, 9))
    yield claim("restart", "a restart costs nothing", most, (7, False), (10, False), down=range(6, 9))
