"""Every agent in one list: what Prometheus says, which tickets are open, and the state of its switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select

from alerting.receiver import flags, kills
from alerting.receiver.observed import Observed, PrometheusReader, Unavailable
from alerting.receiver.schema import incidents
from handrail.database import reading
from handrail.quantities import format_duration, format_ratio
from handrail.settings import Settings

SHOWN_INCIDENTS = 100


@dataclass(frozen=True, slots=True)
class Check:
    """One SLA of one agent: `state` is ok, breach or unknown; `text` is what a person reads."""

    name: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class AgentView:
    """One row of the overview."""

    name: str
    owner: str | None
    source: str | None
    checks: tuple[Check, ...]
    firing: tuple[str, ...]
    incidents: tuple[dict[str, Any], ...]
    enabled: bool
    switch: str | None
    last_kill: dict[str, Any] | None

    @property
    def state(self) -> str:
        """The worst thing about it: off, breach, ok or unknown."""
        if not self.enabled:
            return "off"
        if self.firing:
            return "breach"
        return "ok" if any(check.state == "ok" for check in self.checks) else "unknown"


@dataclass(frozen=True, slots=True)
class View:
    """The overview. `problem` says why numbers are missing."""

    agents: tuple[AgentView, ...]
    incidents: tuple[dict[str, Any], ...]
    problem: str | None


class Overview:
    """Reads the overview. A Prometheus that is down leaves the numbers unknown, never zero, and the rest intact."""

    def __init__(self, settings: Settings, engine: Engine, prometheus: PrometheusReader) -> None:
        self._settings = settings
        self._engine = engine
        self._prometheus = prometheus

    def knows(self, agent: str) -> bool:
        """Is it configured, or watched by discovery?"""
        if self._settings.agent(agent) is not None:
            return True
        try:
            return agent in self._prometheus.agents()
        except Unavailable:
            return False

    def read(self) -> View:
        """All agents, those in breach first, then by name."""
        problem = None
        try:
            observed = self._prometheus.agents()
        except Unavailable as error:
            observed, problem = {}, str(error)
        names = {agent.name for agent in self._settings.agents} | set(observed)
        open_incidents = self._open_incidents()
        agents = [self._agent(name, observed.get(name, Observed()), open_incidents) for name in names]
        rank = {"breach": 0, "off": 1, "unknown": 2, "ok": 3}
        agents.sort(key=lambda agent: (rank[agent.state], agent.name))
        return View(tuple(agents), tuple(open_incidents), problem)

    def _agent(self, name: str, observed: Observed, open_incidents: list[dict[str, Any]]) -> AgentView:
        configured = self._settings.agent(name)
        switch = configured.kill_switch if configured else None
        operations = kills.of_agent(self._engine, name, limit=1)
        return AgentView(
            name=name,
            owner=observed.owner or (configured.owner if configured else None),
            source=observed.source,
            checks=self._checks(name, observed),
            firing=tuple(sorted(observed.firing)),
            incidents=tuple(row for row in open_incidents if row["agent"] == name),
            enabled=flags.get(self._engine, name).enabled,
            switch=switch.kind if switch else None,
            last_kill=operations[0] if operations else None,
        )

    def _checks(self, name: str, observed: Observed) -> tuple[Check, ...]:
        sla = self._settings.sla_of(name)
        limit = sla.latency.consecutive_calls
        streak, errors, tokens = observed.slow_streak, observed.error_ratio, observed.token_increase
        threshold, window = format_duration(sla.latency.threshold), format_duration(sla.errors.window)
        return (
            Check(
                f"Latency, {limit} calls in a row over {threshold}",
                _state("AgentSlowCallStreak", observed, known=streak is not None),
                "not known" if streak is None else f"{streak} slow in a row",
            ),
            Check(
                f"Errors over {format_ratio(sla.errors.ratio)} in {window}",
                _state("AgentErrorRatioHigh", observed, known=errors is not None),
                f"no calls in {window}" if errors is None else f"{errors:.1%}",
            ),
            Check(
                f"Tokens {format_ratio(sla.tokens.increase)} above baseline",
                _state("AgentTokenUsageHigh", observed, known=tokens is not None),
                "no baseline yet (needs 3 days)" if tokens is None else f"{tokens:+.0%}",
            ),
        )

    def _open_incidents(self) -> list[dict[str, Any]]:
        query = select(incidents).where(incidents.c.state == "firing").order_by(incidents.c.opened_at.desc())
        jira = self._settings.tickets.jira
        with reading(self._engine).connect() as connection:
            return [
                {
                    "id": row.id,
                    "alertname": row.alertname,
                    "agent": row.agent,
                    "opened_at": flags.iso(row.opened_at),
                    "ticket": row.ticket_key,
                    "ticket_url": jira.browse(row.ticket_key) if jira and row.ticket_key else None,
                }
                for row in connection.execute(query.limit(SHOWN_INCIDENTS))
            ]


def _state(alertname: str, observed: Observed, *, known: bool) -> str:
    if alertname in observed.firing:
        return "breach"
    return "ok" if known else "unknown"
