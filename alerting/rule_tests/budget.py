"""AgentErrorBudgetBurn: the budget is spent faster than its objective allows, or a quiet agent fails most calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from alerting.rule_tests.case import Case, Kind, Moment, counted, fires, silent, stepping, watched
from handrail.sla import Sla

ALERT = "AgentErrorBudgetBurn"
_GROUPS = ("handrail-agents", "handrail-budget-", "handrail-sla-")
_DELAYS = {"critical": timedelta(minutes=2), "warning": timedelta(minutes=15)}
_PACES = {"critical": "fast", "warning": "slow"}
_BEGINS = 3


def cases(name: str, sla: Sla) -> Iterator[Case]:
    """The claims for one SLA: both paces, and the twin for agents with few calls."""
    yield from _pace(name, sla, "critical", step=timedelta(seconds=30))
    yield from _pace(name, sla, "warning", step=timedelta(minutes=3))
    yield from _quiet(name, sla)


def _pace(name: str, sla: Sla, severity: str, *, step: timedelta) -> Iterator[Case]:
    """The rate that asks for the least of those with this severity is the last to stay silent."""
    rates = [(rate, factor) for rate, factor in sla.objective.burn_rates() if rate.severity == severity]
    factor = min(factor for _, factor in rates)
    limit = factor * (1 - sla.objective.availability)
    calls = _round_number_for(limit, sla.objective.min_calls)
    allowed = int(limit * calls)
    soon = step * _BEGINS + _DELAYS[severity] + step * 2
    over = step * _BEGINS + max(rate.short for rate, _ in rates) + step * 2

    def claim(kind: Kind, says: str, calls: int, errors: int, *moments: Moment, down: range = range(0)) -> Case:
        length = over // step + 10
        agent = f"{kind} {_PACES[severity]}"
        return Case(
            alert=ALERT,
            kind=kind,
            says=f"{_PACES[severity]}: {errors} of {calls} calls failed at once: {says}",
            step=step,
            series=(
                *watched(agent, name, length, down=down),
                *counted(
                    agent, stepping(length, at=_BEGINS, to=calls), stepping(length, at=_BEGINS, to=errors), down=down
                ),
            ),
            moments=moments,
            subject={"agent": agent, "sla": name, "severity": severity, "pace": _PACES[severity]},
            groups=_GROUPS,
        )

    few = sla.objective.min_calls - 1
    yield claim("fires", "fires", calls, allowed + 1, fires(soon))
    yield claim("just below", "stays silent", calls, allowed, silent(soon), silent(over))
    yield claim("resolves", "ends when the short window is clean", calls, allowed + 1, fires(soon), silent(over))
    yield claim("no data", "no failure, no alert", calls, 0, silent(soon))
    if few:
        yield claim("spared", "too few calls to speak of a pace", few, few, silent(soon))
    if step < timedelta(minutes=1):
        down = range(soon // step + 1, soon // step + 3)
        yield claim(
            "restart", "an exporter that restarts changes nothing", calls, allowed + 1, fires(step * (down[-1] + 1)),
            down=down,
        )  # fmt: skip


def _quiet(name: str, sla: Sla) -> Iterator[Case]:
    step, day = timedelta(minutes=15), timedelta(days=1)
    # After an hour without calls even an agent of an SLA with a small min_calls is a quiet one.
    later, over = timedelta(hours=2), day + timedelta(hours=1)

    def claim(kind: Kind, says: str, calls: int, errors: int, *moments: Moment) -> Case:
        length, agent = over // step + 4, f"{kind} quiet"
        return Case(
            alert=ALERT,
            kind=kind,
            says=f"quiet: {errors} of {calls} calls failed: {says}",
            step=step,
            series=(
                *watched(agent, name, length),
                *counted(agent, stepping(length, at=_BEGINS, to=calls), stepping(length, at=_BEGINS, to=errors)),
            ),
            moments=moments,
            subject={"agent": agent, "sla": name, "pace": "quiet"},
            groups=_GROUPS,
        )

    yield claim("fires", "fires", 5, 3, fires(later))
    yield claim("just below", "half of them is not most of them", 6, 3, silent(later), silent(day))
    yield claim("just below", "two failures are not yet many", 2, 2, silent(later), silent(day))
    yield claim("resolves", "ends a day later", 5, 3, fires(later), silent(over))


def _round_number_for(limit: Decimal, at_least: int) -> int:
    """A number of calls of which `limit` is a whole number, so that exactly the limit can be tried."""
    calls = 1000
    while calls < at_least or limit * calls % 1:
        calls *= 10
    return calls
