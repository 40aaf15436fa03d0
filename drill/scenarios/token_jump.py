"""An agent burns more tokens than the same hour of its last days."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from drill.faults import add_calls, counted, new_agent, resolved
from drill.scenario import Stage

HOURLY_TOKENS = 40_000
SERIES = "agent:handrail_tokens:increase1h"
# Prometheus looks for new blocks once a minute.
BLOCKS_S = 150.0


class TokenJump:
    """With a week of planted history, 10 % more stays silent; 60 % more alerts, tells Slack and opens one ticket."""

    name = "token-jump"
    alertname = "AgentTokenUsageHigh"
    title = "Token usage 60 % above the same hour of the last week"

    def play(self, stage: Stage) -> None:
        agent = new_agent(stage, "tokens")
        self._plant(stage, agent)
        add_calls(stage, agent, count=22, duration_s=1.0, tokens_in=1600, tokens_out=400)
        counted(stage, agent, 22)
        stage.stays_silent(self.alertname, agent, for_s=12)

        add_calls(stage, agent, count=10, duration_s=1.0, tokens_in=1600, tokens_out=400)
        stage.injected("64,000 tokens in an hour that usually takes 40,000")
        counted(stage, agent, 32)
        stage.alert_fires(self.alertname, agent, within_s=60)
        ticket = stage.delivered(self.alertname, agent)
        resolved(stage, agent, ticket)

    def _plant(self, stage: Stage, agent: str) -> None:
        selector = f'{{__name__="{SERIES}",agent="{agent}"}}'
        with tempfile.TemporaryDirectory() as folder:
            history = Path(folder) / "history.om"
            history.write_text(openmetrics(agent, now=stage.clock.now()), encoding="utf-8")
            stage.undo_later("planted history", lambda: stage.probes.forget_series(selector))
            stage.probes.plant_history(history)
        stage.wait_for(
            "a week of history is planted and read",
            lambda: stage.probes.query(f'agent:handrail_tokens_baseline:median7d{{agent="{agent}"}}'),
            within_s=BLOCKS_S,
        )


def openmetrics(agent: str, *, now: datetime, days: int = 7) -> str:
    """Seven days of the recorded hourly token use, flat at HOURLY_TOKENS, every two minutes, until four hours ago.

    The last hours are left to Prometheus itself: they are in its head block, into which nothing can be planted.
    """
    lines = [f"# TYPE {SERIES} gauge"]
    at, end = now - timedelta(days=days, hours=1), now - timedelta(hours=4)
    while at < end:
        lines.append(f'{SERIES}{{agent="{agent}"}} {HOURLY_TOKENS} {at.timestamp():.0f}')
        at += timedelta(minutes=2)
    return "\n".join([*lines, "# EOF", ""])
