"""AgentBaselineNotReady: nothing is known yet to compare an agent with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from alerting.rule_tests.case import Case, Kind, Moment, Series, Values, counted, fires, silent, watched

_STEP = timedelta(seconds=30)
_PATIENCE, _LENGTH = 120, 150
_NEVER = range(0)


def not_ready(name: str, baseline: str, series: str, group: str) -> Iterator[Case]:
    """The claims for one SLA. `series` is what is known when it is ready, `group` where the alert stands."""

    def claim(kind: Kind, says: str, known: Values, *moments: Moment, down: range = _NEVER, calls: bool = True) -> Case:
        length = _LENGTH
        of_agent = counted(kind, [1.0] * length, [0.0] * length) if calls else ()
        return Case(
            alert="AgentBaselineNotReady",
            kind=kind,
            says=f"{baseline}: {says}",
            step=_STEP,
            series=(
                *(one.away(down) for one in (*watched(kind, name, length), *of_agent)),
                *((Series(series, {"agent": kind}, known),) if any(value is not None for value in known) else ()),
            ),
            moments=moments,
            subject={"agent": kind, "sla": name, "baseline": baseline},
            groups=("handrail-agents", group),
        )

    late, end = _STEP * (_PATIENCE + 1), _STEP * (_LENGTH - 1)
    known, unknown, away = [3.0] * _LENGTH, [None] * _LENGTH, range(60, 61)
    yield claim("fires", "nothing to compare with for an hour", unknown, fires(late))
    yield claim("just below", "not for an hour yet", unknown, silent(_STEP * (_PATIENCE - 1)))
    yield claim("just below", "there is something to compare with", known, silent(late), silent(end))
    yield claim(
        "resolves",
        "it is known now",
        [None] * (_PATIENCE + 10) + [3.0] * (_LENGTH - _PATIENCE - 10),
        fires(late),
        silent(end),
    )
    yield claim("no data", "an agent of which nothing is known", unknown, silent(late), silent(end), calls=False)
    yield claim("restart", "an exporter that restarts changes nothing", unknown, fires(late), down=away)
    yield claim("restart", "a restart makes nothing unknown", known, silent(late), silent(end), down=away)
