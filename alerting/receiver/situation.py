"""What is known of an agent at the moment its ticket is written: its last failing calls, and what its switch did.

The ticket never waits long for it: what cannot be had within seconds is left out, and the ticket says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from sqlalchemy import Engine

from alerting.receiver import flags, kills
from alerting.receiver.text import Block, heading, items, paragraph
from alerting.receiver.ticket_desk import Situation
from alerting.receiver.ticket_port import WebLink
from alerting.receiver.ticket_records import Incident
from handrail.http import HttpClient, NotJson, read_json
from handrail.redact import Redactor
from handrail.settings import Settings

SHOWN = 5
# What the last calls are looked through for; other alerts show the last calls of any kind.
_SHOW = {
    "AgentErrorRatioHigh": "errors",
    "AgentErrorBudgetBurn": "errors",
    "AgentSlowCallStreak": "slow",
}
_TITLES = {"errors": "Last failed calls", "slow": "Last slow calls", "all": "Last calls"}


@dataclass(frozen=True, slots=True)
class _Call:
    line: str
    url: str | None


class SituationReader:
    """Asks the exporter for calls, and the receiver's own tables for the switch."""

    def __init__(self, settings: Settings, engine: Engine, exporter: HttpClient, redact: Redactor) -> None:
        self._settings = settings
        self._engine = engine
        self._exporter = exporter
        self._redact = redact

    def of(self, incident: Incident) -> Situation:
        """The situation of the incident's agent; nothing for an incident about no agent, or for a hand-off."""
        agent = incident.agent
        if not isinstance(agent, str) or incident.alertname == "Handoff":
            return Situation()
        show = _SHOW.get(str(incident.alertname), "all")
        block, links = self._calls(agent, show)
        return Situation(
            (
                heading(_TITLES[show]),
                block,
                heading("Done automatically"),
                self._switch(agent, str(incident.alertname)),
            ),
            links,
        )

    def _calls(self, agent: str, show: str) -> tuple[Block, tuple[WebLink, ...]]:
        try:
            params = {"agent": agent, "show": show, "limit": str(SHOWN)}
            response = self._exporter.get("/v1/calls", params=params)
            rows = read_json(response) if response.status_code == 200 else None
            calls = [_call(row, self._redact) for row in rows["calls"]] if isinstance(rows, dict) else None
        except (httpx.HTTPError, NotJson, KeyError, TypeError, ValueError):
            calls = None
        if calls is None:
            return paragraph(f"Not to be had from the exporter just now; later: handrail calls {agent}"), ()
        if not calls:
            return paragraph("None that Handrail has seen."), ()
        calls = calls[::-1]
        newest = next((call.url for call in calls if call.url), None)
        links = (WebLink("call", f"{_TITLES[show].removesuffix('s')} of {agent}", newest),) if newest else ()
        return items(*((call.line, call.url) for call in calls)), links

    def _switch(self, agent: str, alertname: str) -> Block:
        configured = self._settings.agent(agent)
        if configured is None or configured.kill_switch is None:
            return paragraph(f"Nothing: {agent} has no kill_switch in handrail.yaml, it must be stopped where it runs.")
        operations = kills.of_agent(self._engine, agent, limit=1)
        if not flags.get(self._engine, agent).enabled and operations:
            last = operations[0]
            at = datetime.fromisoformat(last["requested_at"]).strftime("%F %T UTC")
            asked = f"Switch-off asked for by {last['requested_by']} at {at}: {last['reason']}."
            return paragraph(f"{asked} {_STATES.get(str(last['state']), '')}".strip())
        why = "it was switched on again" if alertname in configured.kill_on else "this alert is not in its kill_on"
        return paragraph(f"Nothing: {agent} is on, {why}. A person may switch it off.")


_STATES = {
    "requested": "Not done yet: whether it stopped is said in a comment.",
    "acting": "Under way: whether it stopped is said in a comment.",
    "confirmed": "Confirmed: it stopped.",
    "not_confirmed": "NOT CONFIRMED: switch it off by hand.",
}


def _call(row: dict[str, Any], redact: Redactor) -> _Call:
    """One call in a line; its words come from the ledger, and are cut and cleaned where they are written.

    A model's name is what a workflow says it is. A URL with something to redact in it would lead nowhere.
    """
    at = datetime.fromisoformat(row["finished_at"])
    parts = [
        at.strftime("%F %T UTC"),
        str(row["error_reason"] or row["outcome"]),
        f"{row['duration_s']:.1f} s",
        str(row["model"] or ""),
    ]
    url = row["url"] if isinstance(row["url"], str) and row["url"].startswith(("http://", "https://")) else None
    return _Call(redact(" · ".join(filter(None, parts))), url if url and redact(url) == url else None)
