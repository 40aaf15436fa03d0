"""Named sets of limits that an SLA may begin with. What a file says itself comes before what its profile says.

Numbers of guides for supporting small AI automations that differ from the defaults. What these guides also ask for and
no rule of ours can say stands in docs/configuration.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT = "production-support"
# By name, what differs from the defaults of handrail.sla, written as in handrail.yaml.
PROFILES: Mapping[str, Mapping[str, Mapping[str, str | int]]] = {
    # Three calls over 5 s, over 2 % errors in 10 minutes, over 30 % more tokens: the defaults.
    DEFAULT: {},
    # The checklist's quieter error rate, calls that take twice as long as usual, and a fifth more cost in a month.
    "checklist": {
        "errors": {"ratio": "5%", "window": "15m"},
        "slowdown": {"increase": "100%", "min_calls": 3},
        "cost": {"increase": "20%", "window": "28d"},
    },
    # A plan for misbehaving agents: three times the usual tokens are an incident, less is not.
    "incident-response": {"tokens": {"increase": "200%"}},
    # The red flag of a weekly review: a run costs a fifth more than in the week before.
    "weekly-review": {"cost": {"per_call_increase": "20%", "window": "7d"}},
    # The example table of a weekly look at a small workflow; its limits are absolute and meant to be replaced.
    "weekly-monitoring": {
        "percentiles": {"median": "300ms"},
        "tokens": {"per_call": 1200},
        "cost": {"per_day": "20 USD"},
    },
}


def completed(sla: Mapping[str, Any]) -> dict[str, Any]:
    """An SLA as it is written, completed by its profile; one with an unknown profile is left as it is."""
    whole = dict(sla)
    for name, limits in PROFILES.get(str(sla.get("profile", DEFAULT)), {}).items():
        own = whole.get(name, {})
        if isinstance(own, dict):
            whole[name] = {**limits, **own}
    return whole
