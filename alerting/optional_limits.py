"""The limits of an SLA that are off unless they are set, as the mixin's `_config` has them; None is off."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from handrail.quantities import format_dollars, format_duration, format_ratio
from handrail.sla import CostSla, PercentileSla, SlowdownSla

# The window before is looked up half an hour either side of one window ago.
_EITHER_SIDE = timedelta(minutes=30)
# How many points of a window are looked at for a ledger that was lost.
_STEPS = 60


def percentiles(limits: PercentileSla | None) -> dict[str, object] | None:
    """`percentiles` of an SLA."""
    if limits is None:
        return None
    return {
        "window": format_duration(limits.window),
        "minCalls": limits.min_calls,
        "limits": [
            {
                "name": limit.name,
                "share": plain(limit.share),
                "percent": format_ratio(limit.share),
                "threshold": format_duration(limit.threshold),
                "thresholdSeconds": plain(Decimal(str(limit.threshold.total_seconds()))),
            }
            for limit in limits.limits()
        ],
    }


def slowdown(limits: SlowdownSla | None) -> dict[str, object] | None:
    """`slowdown` of an SLA."""
    if limits is None:
        return None
    return {
        "increase": plain(limits.increase),
        "percent": format_ratio(limits.increase),
        "window": format_duration(limits.window),
        "baselineDays": limits.baseline_days,
        "minCalls": limits.min_calls,
    }


def cost(limits: CostSla | None) -> dict[str, object] | None:
    """`cost` of an SLA."""
    if limits is None:
        return None
    return {
        "window": format_duration(limits.window),
        "middle": format_duration(limits.window - _EITHER_SIDE),
        "step": format_duration(limits.window / _STEPS),
        "minCost": plain(limits.min_cost),
        "increase": _increase(limits.increase),
        "perCallIncrease": _increase(limits.per_call_increase),
        "perDay": limits.per_day and {"usd": plain(limits.per_day), "text": format_dollars(limits.per_day)},
    }


def _increase(ratio: Decimal | None) -> dict[str, str] | None:
    return None if ratio is None else {"ratio": plain(ratio), "percent": format_ratio(ratio)}


def plain(value: Decimal) -> str:
    """`0.30` as `0.3` and `3E+2` as `300`: the digits PromQL reads, without a float in between."""
    return f"{value.normalize():f}"
