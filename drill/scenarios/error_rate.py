"""More calls fail than the SLA allows."""

from __future__ import annotations

from drill.faults import add_calls, counted, new_agent, resolved
from drill.scenario import Stage


class ErrorRate:
    """Exactly 2 % stays silent; one more failed call alerts, tells Slack and opens one ticket."""

    name = "error-rate"
    alertname = "AgentErrorRatioHigh"
    title = "Error rate above 2 %"

    def play(self, stage: Stage) -> None:
        agent = new_agent(stage, "errors")
        add_calls(stage, agent, count=49, duration_s=1.0)
        add_calls(stage, agent, count=1, duration_s=1.0, outcome="error")
        counted(stage, agent, 50)
        stage.stays_silent(self.alertname, agent, for_s=12)

        add_calls(stage, agent, count=2, duration_s=1.0, outcome="error")
        stage.injected("two more of 52 calls fail: 5.8 %")
        counted(stage, agent, 52)
        stage.alert_fires(self.alertname, agent, within_s=45)
        ticket = stage.delivered(self.alertname, agent)
        resolved(stage, agent, ticket)
