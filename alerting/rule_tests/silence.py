"""AgentSilent by a schedule: a call later than the SLA allows, by what its source is known to have had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from alerting.rule_tests.case import TARGET, Case, Kind, Moment, Series, exported, fires, silent, watched, without
from handrail.schedule import Cron
from handrail.sla import SilentSla, Sla

ALERT = "AgentSilent"
_GROUPS = ("handrail-agents", "handrail-silence", "handrail-silent-")
_STEP = timedelta(seconds=15)
_LENGTH = 30
# The rule compares what the exporter says and never looks at the clock, so the tests' time may be any.
_BEGIN = 1_795_000_000.0
_EDGE = 5
_OFFICE = Cron("*/15 8-17 * * 1-5", "Europe/Berlin")
_FRIDAY = datetime(2026, 11, 20, 16, 45, 20, tzinfo=UTC)
_RECEIVER = {"job": "handrail-receiver", "instance": "receiver"}
_SOURCE = "n8n/proof"


def cases(name: str, sla: Sla) -> Iterator[Case]:
    """The claims for one SLA; at the fifth step a call is exactly as late as it may be."""
    if sla.silent is None:
        return
    yield from _of_time(name, sla.silent)
    yield from _of_sources(name, sla.silent)
    yield from _of_flags(name, sla.silent)


def _at(step: int) -> timedelta:
    return _STEP * step


def _due(limits: SilentSla) -> float:
    return _BEGIN + (_at(_EDGE) - limits.grace).total_seconds()


def _read(length: int = _LENGTH) -> list[float]:
    """A source that is read at every step."""
    return [_BEGIN + _at(step).total_seconds() for step in range(length)]


def _claim(
    name: str,
    kind: Kind,
    says: str,
    due: Sequence[float],
    *moments: Moment,
    read: Sequence[float] = (),
    down: range = range(0),
    more: tuple[Series, ...] = (),
) -> Case:
    known = read or _read()
    labels = {"agent": kind, "basis": "declared"}
    given = (exported("handrail_agent_next_call_due_timestamp_seconds", without(due, down), **labels),) if due else ()
    return Case(
        alert=ALERT,
        kind=kind,
        says=says,
        step=_STEP,
        series=(
            *watched(kind, name, len(known), down=down),
            *given,
            exported("handrail_source_read_until_timestamp_seconds", without(known, down), source=_SOURCE),
            *more,
        ),
        moments=moments,
        subject={"agent": kind, "sla": name, "basis": "schedule"},
        groups=_GROUPS,
    )


def _of_time(name: str, limits: SilentSla) -> Iterator[Case]:
    due, over = [_due(limits)] * _LENGTH, _at(_EDGE + 1)
    yield _claim(name, "fires", "a call is later than the grace", due, silent(_at(_EDGE - 1)), fires(over))
    yield _claim(name, "just below", "a call is exactly as late as it may be", due, silent(_at(_EDGE)))
    called = [*due[:10], *[_BEGIN + 1e6] * (_LENGTH - 10)]
    yield _claim(name, "resolves", "the call comes", called, fires(_at(9)), silent(_at(10)))
    yield _claim(name, "no data", "no schedule, no silence", (), silent(over), silent(_at(_LENGTH - 1)))
    yield _claim(name, "restart", "an exporter that restarts changes nothing", due, fires(_at(9)), down=range(8, 10))
    below = [_BEGIN + 1e6] * _LENGTH
    yield _claim(name, "restart", "a restart is no silence", below, silent(_at(9)), silent(_at(12)), down=range(8, 10))
    yield _office_hours(name, limits)


def _office_hours(name: str, limits: SilentSla) -> Case:
    """One step is half an hour here, from Friday's last call to Monday morning."""
    due = _OFFICE.due_after(_FRIDAY)
    assert due is not None  # noqa: S101 - of a constant
    pace = timedelta(minutes=30)
    over = (due + limits.grace - _FRIDAY) // pace
    read = [(_FRIDAY + pace * step).timestamp() for step in range(over + 3)]
    quiet = [silent(_at(step)) for step in range(0, over, 12)]
    says = "nights and weekends of an office-hours agent are no silence, Monday morning is"
    times = [due.timestamp()] * len(read)
    return _claim(name, "spared", says, times, *quiet, silent(_at(over)), fires(_at(over + 1)), read=read)


def _of_sources(name: str, limits: SilentSla) -> Iterator[Case]:
    due, late = [_due(limits)] * _LENGTH, _at(_LENGTH - 1)
    stopped = [*_read()[:4], *[_read()[4]] * (_LENGTH - 4)]
    says = "a source that cannot be read says nothing of its agents"
    yield _claim(name, "spared", says, due, silent(_at(_EDGE + 1)), silent(late), read=stopped)
    for source in (_SOURCE, "cloudflare-analytics/proof"):
        of = "cloudflare/proof" if source != _SOURCE else _SOURCE
        gap = [0.0] * 3 + [_due(limits) + 1] * (_LENGTH - 3)
        says = f"calls that {source} could not show since then may have been this agent's"
        yield _gap(name, says, due, gap, source, of, silent(_at(_EDGE + 1)), silent(late))
    before = [_due(limits) - 1] * _LENGTH
    says = "calls that were missing before have nothing to do with it"
    yield _gap(name, says, due, before, _SOURCE, _SOURCE, fires(_at(_EDGE + 1)))


def _gap(
    name: str, says: str, due: Sequence[float], last: Sequence[float], source: str, of: str, *moments: Moment
) -> Case:
    kind: Kind = "fires" if moments[0].firing else "spared"
    metric = "handrail_source_coverage_gap_last_timestamp_seconds"
    # A second source of the other kind must not be taken for it.
    gaps = (Series(metric, {**TARGET, "source": source}, last), Series(metric, {**TARGET, "source": "n8n/x"}, [9e9]))
    moved = {"source": of}
    case = _claim(name, kind, says, due, *moments, more=gaps)
    named = [Series(one.metric, {**one.labels, **moved}, one.values) if _is_of(one) else one for one in case.series]
    return Case(**{field: getattr(case, field) for field in Case.__slots__} | {"series": tuple(named)})


def _is_of(series: Series) -> bool:
    return series.metric in ("handrail_agent_info", "handrail_source_read_until_timestamp_seconds")


def _of_flags(name: str, limits: SilentSla) -> Iterator[Case]:
    due, late = [_due(limits)] * _LENGTH, _at(_LENGTH - 1)
    interval = exported("handrail_agent_schedule_interval_seconds", [60.0] * _LENGTH, agent="spared")

    def flag(enabled: float, changed: float) -> tuple[Series, ...]:
        labels = {**_RECEIVER, "agent": "spared"}
        return (
            interval,
            Series("handrail_agent_flag_enabled", labels, [enabled] * _LENGTH),
            Series("handrail_agent_flag_changed_timestamp_seconds", labels, [changed] * _LENGTH),
        )

    off = flag(0, _due(limits) - 1)
    yield _claim(name, "spared", "switched off by its flag", due, silent(_at(_EDGE + 1)), silent(late), more=off)
    # A minute is what its schedule may be silent: four steps more.
    again = flag(1, _due(limits) + 1)
    says = "switched on again it has as long as its schedule may be silent"
    yield _claim(name, "spared", says, due, silent(_at(_EDGE + 4)), fires(_at(_EDGE + 5)), more=again)
