"""AgentSilent by history: no call in an hour in which, by the same weekday of four weeks, some are usual."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from alerting.rule_tests.case import Case, Kind, Moment, Series, exported, fires, silent, watched
from handrail.sla import SilentSla, Sla

ALERT = "AgentSilent"
_GROUPS = ("handrail-silence", "handrail-silent-")
_HOUR = timedelta(hours=1)
_WEEK = 7 * 24
_NOW = 4 * _WEEK + 14
_LENGTH = _NOW + 3 * 24

Calls = Callable[[int], float | None]


def cases(name: str, sla: Sla) -> Iterator[Case]:
    """The claims for one SLA; a step is an hour, and the tests' first hour that of a Thursday."""
    if sla.silent is None:
        return
    yield from _of_history(name, sla.silent)
    yield from _of_hours(name, sla.silent)
    yield from _of_sources(name, sla.silent)


def _claim(
    name: str, kind: Kind, says: str, calls: Calls | None, *moments: Moment, more: tuple[Series, ...] = ()
) -> Case:
    read = [(_HOUR * step).total_seconds() for step in range(_LENGTH)]
    given = () if calls is None else (Series(_RECORDED, {"agent": kind}, [calls(step) for step in range(_LENGTH)]),)
    has_read = any(one.metric == _READ for one in more)
    return Case(
        alert=ALERT,
        kind=kind,
        says=says,
        step=_HOUR,
        series=(
            *watched(kind, name, _LENGTH),
            # As the group of the agents records it, which is not worth evaluating for weeks.
            Series(
                "agent:handrail_agent_info:bridged", {"agent": kind, "sla": name, "owner": "proof"}, [1.0] * _LENGTH
            ),
            *given,
            *(() if has_read else (exported(_READ, read, source="n8n/proof"),)),
            *more,
        ),
        moments=moments,
        subject={"agent": kind, "sla": name, "basis": "history"},
        groups=_GROUPS,
    )


_RECORDED = "agent:handrail_calls:increase1h"
_READ = "handrail_source_read_until_timestamp_seconds"


def _at(step: int) -> timedelta:
    return _HOUR * step


def _until(calls: float, *, end: int = _NOW, begin: int = 0) -> Calls:
    return lambda step: calls if begin <= step < end else 0.0


def _of_history(name: str, limits: SilentSla) -> Iterator[Case]:
    usual = limits.min_calls
    yield _claim(
        name, "fires", "an hour without the usual calls", _until(usual), silent(_at(_NOW - 1)), fires(_at(_NOW))
    )
    yield _claim(name, "just below", "one call less than min_calls is usual", _until(usual - 1), silent(_at(_NOW)))
    few: Calls = lambda step: usual if step < _NOW else 1.0  # noqa: E731
    yield _claim(name, "just below", "a single call is no silence", few, silent(_at(_NOW)))
    back: Calls = lambda step: usual if step != _NOW else 0.0  # noqa: E731
    yield _claim(name, "resolves", "calls come again", back, fires(_at(_NOW)), silent(_at(_NOW + 1)))
    yield from _restarts(name, usual)
    yield _claim(name, "no data", "an agent that never made a call", None, silent(_at(_NOW)))
    young = [Series(_RECORDED, {"agent": "no data"}, [None] * (2 * _WEEK) + [usual] * (2 * _WEEK + 14) + [0.0] * 72)]
    yield _claim(name, "no data", "two weeks are no history", None, silent(_at(_NOW)), more=tuple(young))


def _restarts(name: str, usual: int) -> Iterator[Case]:
    """The exporter was away for an hour two weeks ago and for one just before: what is usual is known all the same."""
    away = {_NOW - 2 * _WEEK, _NOW - 2}
    read = [None if step in away else (_HOUR * step).total_seconds() for step in range(_LENGTH)]
    more = (exported(_READ, read, source="n8n/proof"),)
    fell: Calls = lambda step: None if step in away else usual if step < _NOW else 0.0  # noqa: E731
    says = "what is usual outlives an exporter that restarts"
    yield _claim(name, "restart", says, fell, silent(_at(_NOW - 2)), fires(_at(_NOW)), more=more)
    calls: Calls = lambda step: None if step in away else usual  # noqa: E731
    says = "a restart is no silence"
    yield _claim(
        name, "restart", says, calls, silent(_at(_NOW - 2)), silent(_at(_NOW - 1)), silent(_at(_NOW)), more=more
    )


def _of_hours(name: str, limits: SilentSla) -> Iterator[Case]:
    def office(shift: int, *, stops: int = _LENGTH, holiday: int = -1) -> Calls:
        """Ten to eighteen o'clock, Monday to Friday; day 4 of the tests' time is a Monday."""

        def calls(step: int) -> float:
            day, hour = divmod(step - (shift if step >= 4 * _WEEK else 0), 24)
            works = 10 < hour <= 18 and (day + 3) % 7 < 5 and day != holiday and step < stops
            return float(limits.min_calls) if works else 0.0

        return calls

    every = [silent(_at(step)) for step in range(4 * _WEEK, _LENGTH)]
    yield _claim(name, "spared", "nights and weekends of an office-hours agent", office(0), *every)
    for shift in (-1, 1):
        says = "working hours that the change of the clocks moves by an hour"
        yield _claim(name, "spared", f"{says} ({shift:+d})", office(shift), *every)
    hour = 4 * _WEEK + 14
    yield _claim(name, "fires", "a working hour without a call", office(0, stops=hour), fires(_at(hour)))
    after = office(0, stops=hour, holiday=3 * 7)
    yield _claim(name, "fires", "one holiday does not hide what is usual", after, fires(_at(hour)))


def _of_sources(name: str, limits: SilentSla) -> Iterator[Case]:
    gone = _until(limits.min_calls)
    read = [(_HOUR * min(step, _NOW - 1)).total_seconds() for step in range(_LENGTH)]
    # An hour behind; where the SLA's grace is longer, as far behind as it takes.
    lag = max(_HOUR, limits.grace + timedelta(seconds=1)).total_seconds()
    stopped = exported(_READ, [min(value, _at(_NOW).total_seconds() - lag) for value in read], source="n8n/proof")
    yield _claim(name, "spared", "a source that cannot be read", gone, silent(_at(_NOW)), more=(stopped,))
    gap = exported(
        "handrail_source_coverage_gap_last_timestamp_seconds",
        [_at(_NOW).total_seconds() - 60] * _LENGTH,
        source="n8n/proof",
    )
    yield _claim(name, "spared", "calls that could not be shown", gone, silent(_at(_NOW)), more=(gap,))
    due = exported("handrail_agent_next_call_due_timestamp_seconds", [9e9] * _LENGTH, agent="spared", basis="n8n")
    yield _claim(name, "spared", "a schedule that is known counts alone", gone, silent(_at(_NOW)), more=(due,))
    running = exported(
        "handrail_newest_running_call_timestamp_seconds", [_at(_NOW).total_seconds() - 600] * _LENGTH, agent="spared"
    )
    yield _claim(name, "spared", "a long run is a call", gone, silent(_at(_NOW)), more=(running,))
    off = exported("handrail_agent_enabled", [0.0] * _LENGTH, agent="spared")
    yield _claim(name, "spared", "an agent that is switched off", gone, silent(_at(_NOW)), more=(off,))
