"""How a scenario gets an agent of its own in the simulated n8n, and calls with the numbers it needs."""

from __future__ import annotations

from drill.scenario import Stage

# An agent is discovered by the exporter's next look at n8n and must then be scraped once at zero before it counts.
DISCOVERY_S = 60.0
COUNTED_S = 45.0


def new_agent(stage: Stage, purpose: str) -> str:
    """An n8n agent that only this drill knows, watched and at zero; it is archived in the end."""
    agent = f"drill-{purpose}-{stage.drill_id}"
    stage.undo_later(f"agent {agent} archived", lambda: stage.probes.world("DELETE", f"/agents/{agent}"))
    stage.probes.world("POST", "/agents", {"name": agent, "kind": "n8n", "workflow_name": agent})
    stage.wait_for(
        f"steady state: {agent} is watched",
        lambda: (
            stage.probes.query(f'handrail_agent_info{{agent="{agent}"}}')
            and stage.probes.query(f'sum(count_over_time(handrail_calls_total{{agent="{agent}"}}[5m])) >= 2')
        ),
        within_s=DISCOVERY_S,
    )
    return agent


def add_calls(stage: Stage, agent: str, **call: object) -> None:
    """Let the agent make calls; see the control API of the simulated world."""
    stage.probes.world("POST", "/calls", {"agent": agent, **call})


def counted(stage: Stage, agent: str, calls: int) -> None:
    """Wait until Prometheus has seen that many calls of the agent."""
    stage.wait_for(
        f"{calls} calls are counted",
        lambda: (stage.probes.value(f'sum(handrail_calls_total{{agent="{agent}"}})') or 0) >= calls,
        within_s=COUNTED_S,
    )


def resolved(stage: Stage, agent: str, ticket: str) -> None:
    """Take the agent away, so that its alert resolves, and wait until its ticket is closed."""
    stage.probes.world("DELETE", f"/agents/{agent}")
    stage.wait_for(
        f"ticket {ticket} is closed after the alert resolved", lambda: stage.probes.ticket_done(ticket), within_s=120
    )
