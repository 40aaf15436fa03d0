"""Three calls in a row are slower than the SLA allows."""

from __future__ import annotations

from drill.faults import add_calls, counted, new_agent, resolved
from drill.scenario import Stage


class SlowCalls:
    """Two slow calls and a fast one stay silent; three slow ones alert, tell Slack and open one ticket."""

    name = "slow-calls"
    alertname = "AgentSlowCallStreak"
    title = "Three slow calls in a row"

    def play(self, stage: Stage) -> None:
        agent = new_agent(stage, "slow")
        add_calls(stage, agent, count=2, duration_s=6.5)
        add_calls(stage, agent, count=1, duration_s=1.1)
        counted(stage, agent, 3)
        stage.stays_silent(self.alertname, agent, for_s=12)

        add_calls(stage, agent, count=3, duration_s=6.5)
        stage.injected("three calls of 6.5 s each")
        counted(stage, agent, 6)
        stage.alert_fires(self.alertname, agent, within_s=45)
        ticket = stage.delivered(self.alertname, agent)
        resolved(stage, agent, ticket)
