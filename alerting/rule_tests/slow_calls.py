"""AgentSlowCallStreak: so many calls in a row over the threshold, counted as the exporter counts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from alerting.rule_tests.case import Case, Kind, Moment, exported, fires, silent, watched
from handrail.sla import LatencySla, Sla

ALERT = "AgentSlowCallStreak"
_GROUPS = ("handrail-agents", "handrail-sla-")
_STEPS = 20
_LONGEST_STEP = timedelta(seconds=15)
# Prometheus' tests begin at the time 0, which to the exporter is never.
_BEGINS = 2


def cases(name: str, sla: Sla) -> Iterator[Case]:
    """The claims for one SLA; one call ends at each step."""
    limits = sla.latency
    step = min(limits.hold / _STEPS, _LONGEST_STEP)
    slow, exact = limits.threshold + timedelta(milliseconds=1), limits.threshold
    needed = limits.consecutive_calls
    breach = step * (_BEGINS + needed - 1)
    over = breach + limits.hold

    def claim(kind: Kind, says: str, calls: Sequence[timedelta], *moments: Moment, down: range = range(0)) -> Case:
        length = over // step + 5
        values = [None if at in down else value for at, value in enumerate(_breaches(limits, calls, step, length))]
        return Case(
            alert=ALERT,
            kind=kind,
            says=says,
            step=step,
            series=(
                *watched(kind, name, length, down=down),
                exported("handrail_slow_streak_last_breach_timestamp_seconds", values, agent=kind),
            ),
            moments=moments,
            subject={"agent": kind, "sla": name},
            groups=_GROUPS,
        )

    row = [slow] * needed
    yield claim("fires", f"{needed} in a row over the threshold", row, fires(breach))
    yield claim("just below", "exactly the threshold is within the SLA", [exact] * needed, silent(breach))
    if needed > 1:
        cut = [*row[1:], exact, *row[1:]]
        yield claim("just below", "a call within the threshold ends the row", cut, silent(breach), silent(breach * 2))
    yield claim("resolves", "ends by itself when the hold is over", row, fires(over - step), silent(over + step))
    yield claim("no data", "no call was slow", [], silent(breach), silent(over))
    away = range(breach // step + 1, breach // step + 3)
    yield claim("restart", "an exporter that restarts changes nothing", row, fires(step * away[-1]), down=away)


def _breaches(limits: LatencySla, calls: Sequence[timedelta], step: timedelta, length: int) -> Iterator[float]:
    streak, last = 0, 0.0
    for at in range(length):
        number = at - _BEGINS
        if 0 <= number < len(calls):
            streak = limits.streak_after(streak, calls[number])
            last = (step * at).total_seconds() if limits.is_broken_by(streak) else last
        yield last
