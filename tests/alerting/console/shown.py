"""A night on call, the same each time: an agent in breach among others, alerts, tickets, hand-offs and drills."""

from __future__ import annotations

import json
import math

from drill.simulators.prometheus import WatchedAgent
from tests.alerting.receiver.conftest import Bench, Telling

CALM = {
    "contract-check": ("legal", 3.1),
    "invoice": ("finance", 1.4),
    "lead-scoring": ("sales", 0.7),
    "meeting-notes": ("", 2.2),
    "refund-desk": ("support", 1.9),
    "translate-listings": ("shop", 0.9),
}


def wave(level: float, *, seed: int) -> WatchedAgent:
    """An agent with nothing wrong about it."""

    def mean(ago: float) -> float | None:
        # Nobody calls it for a while, about once an hour.
        if math.sin(ago / 700 + seed) > 0.96:
            return None
        return level * (1 + 0.25 * math.sin(ago / 410 + seed) + 0.1 * math.sin(ago / 97 + 2 * seed))

    return WatchedAgent(
        mean=mean,
        p95=lambda ago: None if (value := mean(ago)) is None else value * 1.6,
        error_curve=lambda ago: None if mean(ago) is None else 0.004 * (1 + math.sin(ago / 500 + seed)),
        errors=0.0,
        tokens=round(0.04 * math.sin(seed), 2),
    )


def slow_lately(ago: float) -> float:
    """Well until a quarter of an hour ago, and slower ever since."""
    calm = 1.6 + 0.4 * math.sin(ago / 300)
    return calm if ago > 1000 else calm + 5.5 * (1000 - ago) / 1000


def a_night_on_call(bench: Bench, telling: Telling) -> None:
    """Play it on the bench."""
    bench.prometheus.faults.clear()
    for seed, (name, (owner, level)) in enumerate(CALM.items()):
        agent = wave(level, seed=seed)
        agent.owner = owner
        bench.prometheus.agents[name] = agent
    bench.prometheus.agents["support-bot"] = WatchedAgent(
        owner="support",
        source="cloudflare/main",
        streak=2,
        errors=0.043,
        tokens=0.12,
        mean=slow_lately,
        p95=lambda ago: slow_lately(ago) * 1.5,
        error_curve=lambda ago: 0.003 if ago > 1000 else 0.043 * (1000 - ago) / 1000,
    )
    for passed, scenario, alertname in (
        (True, "error_rate", "AgentErrorRatioHigh"),
        (True, "slow_calls", "AgentSlowCallStreak"),
        (True, "token_jump", "AgentTokenUsageHigh"),
    ):
        report = {"scenario": scenario, "alertname": alertname, "passed": passed, "detect_seconds": 34.2}
        bench.operate("POST", "/v1/drills", content=json.dumps({"drill": "nightly", "scenarios": [report]}))
    bench.clock.advance(5 * 3600)
    bench.handoff({"task": "Refund order 4711, customer says it never arrived", "confidence": 0.62}, key="a")
    bench.handoff(
        {"task": "Supplier changed its bank account", "tool_error": "no such account"}, key="b", agent="invoice"
    )
    bench.drain()
    bench.clock.advance(1500)
    since = bench.clock.now().isoformat()
    described = {
        "AgentErrorBudgetBurn": "The error budget of 28 days is used up in 2 days at the rate of the last hour.",
        "AgentErrorRatioHigh": "4.3% of the 93 calls of the last 10m failed. Allowed are 2%.",
    }
    for alertname, severity in (("AgentErrorRatioHigh", "critical"), ("AgentErrorBudgetBurn", "warning")):
        text = described[alertname]
        bench.prometheus.fire(alertname, "support-bot", severity=severity, since=since, description=text)
        fingerprints = (f"{len(bench.prometheus.alerts):016x}",)
        bench.alert(
            telling(alertname=alertname, agent="support-bot", severity=severity, fingerprints=fingerprints)
            | {"groupKey": alertname}
        )
    bench.drain()
    bench.clock.advance(780)
