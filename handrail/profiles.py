"""Named sets of limits that an SLA may begin with. What a file says itself comes before what its profile says.

Numbers of guides for supporting small AI automations that differ from the defaults. What these guides also ask for and
no rule of ours can say truthfully is left out: latency and cost against an earlier month.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT = "production-support"
# By name, what differs from the defaults of handrail.sla, written as in handrail.yaml.
PROFILES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    # Three calls over 5 s, over 2 % errors in 10 minutes, over 30 % more tokens: the defaults.
    DEFAULT: {},
    # The checklist's quieter error rate.
    "checklist": {"errors": {"ratio": "5%", "window": "15m"}},
    # A plan for misbehaving agents: three times the usual tokens are an incident, less is not.
    "incident-response": {"tokens": {"increase": "200%"}},
}


def completed(sla: Mapping[str, Any]) -> dict[str, Any]:
    """An SLA as it is written, completed by its profile; one with an unknown profile is left as it is."""
    whole = dict(sla)
    for name, limits in PROFILES.get(str(sla.get("profile", DEFAULT)), {}).items():
        own = whole.get(name, {})
        if isinstance(own, dict):
            whole[name] = {**limits, **own}
    return whole
