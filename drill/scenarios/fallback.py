"""The model stops answering: the caller gets the fallback answer, a person gets the case, and the agent is stopped."""

from __future__ import annotations

from drill.scenario import Missing, Stage

AGENT = "support-bot"


class Fallback:
    """A model time-out ends in a fallback answer, a hand-off ticket, an alert, and a confirmed switch-off."""

    name = "model-timeout"
    alertname = "AgentSlowCallStreak"
    title = "Model time-out, with fallback and switch-off"

    def play(self, stage: Stage) -> None:
        probes = stage.probes
        stage.wait_for(
            f"steady state: {AGENT} is on and no alert fires for it",
            lambda: probes.enabled(AGENT) and not probes.firing(self.alertname, AGENT),
            within_s=120,
        )
        stage.undo_later(f"{AGENT} switched on again", lambda: self._switched_on(stage))
        stage.undo_later("the model answers again", lambda: probes.world("DELETE", "/faults"))
        probes.world("POST", "/faults", {"target": "llm", "kind": "timeout"})
        stage.injected("the model stops answering")

        answer = probes.world("POST", "/ask", {"agent": AGENT, "count": 3})
        if not all(reply["fallback"] for reply in answer["answers"]):
            raise Missing(f"the fallback answer for every caller: got {answer['answers']}")
        stage.note("three callers got the fallback answer")
        handoffs = [reply["handoff_id"] for reply in answer["answers"] if reply["handoff_id"]]
        if not handoffs:
            raise Missing("a hand-off from the caller: none was accepted")
        ticket = stage.wait_for(
            "the hand-off has its ticket", lambda: probes.handoff(handoffs[0]).get("ticket"), within_s=60
        )
        stage.note(f"hand-off ticket {ticket}")

        stage.alert_fires(self.alertname, AGENT, within_s=60)
        stage.delivered(self.alertname, AGENT)
        kill = stage.wait_for("the switch-off is confirmed", lambda: self._confirmed(stage), within_s=120)
        stage.note(f"proof: {kill['proof']}")
        if probes.enabled(AGENT):
            raise Missing("AGENT_ENABLED=false: the agent still reads true")
        stage.note("the agent reads AGENT_ENABLED=false")

    def _confirmed(self, stage: Stage) -> dict[str, object] | None:
        kill = stage.probes.last_kill(AGENT)
        recent = kill and kill["requested_at"] >= stage.steps[0].at.isoformat()[:19]
        return kill if kill and recent and kill["state"] == "confirmed" else None

    def _switched_on(self, stage: Stage) -> None:
        if not stage.probes.enabled(AGENT):
            stage.probes.enable(AGENT)
            stage.wait_for(f"{AGENT} is on again", lambda: stage.probes.enabled(AGENT), within_s=30)
