"""AgentErrorRatioHigh: one failed call more than the SLA allows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import ROUND_FLOOR

from alerting.rule_tests.case import Case, Kind, Moment, counted, fires, silent, stepping, watched
from handrail.sla import Sla

ALERT = "AgentErrorRatioHigh"
_GROUPS = ("handrail-agents", "handrail-error-ratio-", "handrail-sla-")
_STEPS = 40
_SCRAPE = timedelta(seconds=15)


def cases(name: str, sla: Sla) -> Iterator[Case]:
    """The claims for one SLA. The window is forty steps, so that any window takes the same time to prove."""
    limits = sla.errors
    window, step = limits.window, limits.window / _STEPS
    calls = max(1000, limits.min_calls)
    allowed = max(int((limits.ratio * calls).to_integral_value(ROUND_FLOOR)), limits.min_errors - 1)
    soon = step * 5

    def claim(kind: Kind, says: str, errors: int, *moments: Moment, down: range = range(0)) -> Case:
        length = 3 * _STEPS
        return Case(
            alert=ALERT,
            kind=kind,
            says=f"{errors} of {calls} calls failed: {says}",
            step=min(step, _SCRAPE) if down else step,
            series=(
                *watched(kind, name, length, down=down),
                *counted(kind, stepping(length, at=3, to=calls), stepping(length, at=3, to=errors), down=down),
            ),
            moments=moments,
            subject={"agent": kind, "sla": name},
            groups=_GROUPS,
        )

    yield claim("fires", "fires within the window", allowed + 1, fires(soon))
    yield claim("just below", "stays silent", allowed, silent(soon), silent(window))
    yield claim("resolves", "ends with the window", allowed + 1, fires(soon), silent(window + soon))
    yield claim("no data", "no failure, no alert", 0, silent(step * 2), silent(window * 2))
    tick = min(step, _SCRAPE)
    yield claim(
        "restart",
        "an exporter that restarts changes nothing",
        allowed + 1,
        fires(tick * 7),
        fires(tick * 10),
        down=range(6, 9),
    )
    yield claim("restart", "a restart is no failure", allowed, silent(tick * 7), silent(tick * 10), down=range(6, 9))
