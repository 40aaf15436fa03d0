"""Every agent in one list: what Prometheus says, which tickets are open, and the state of its switch."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select

from alerting.receiver import flags, kills
from alerting.receiver.observed import FiringAlert, Observed, PrometheusReader, Unavailable
from alerting.receiver.schema import handoffs, incidents
from handrail.database import reading
from handrail.quantities import format_duration, format_ratio
from handrail.settings import Settings

# Newest first; each holds its ticket's text, so that many more would take their time.
READ_INCIDENTS = 1_000
# What a hand-off's incident is called, beside those of alerts.
HANDOFF = "Handoff"


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
    breached: bool = False

    @property
    def state(self) -> str:
        """The worst thing about it: off, breach, ok or unknown."""
        if not self.enabled:
            return "off"
        if self.breached:
            return "breach"
        return "ok" if any(check.state == "ok" for check in self.checks) else "unknown"


@dataclass(frozen=True, slots=True)
class View:
    """The overview. `problem` says why numbers are missing; then nothing is known of what fires either.

    `open_tickets` and `open_handoffs` count all that are open, of which `incidents` are the newest.
    """

    agents: tuple[AgentView, ...]
    incidents: tuple[dict[str, Any], ...]
    problem: str | None
    firing: tuple[FiringAlert, ...]
    open_tickets: int
    open_handoffs: int


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
        observed, firing, problem = dict[str, Observed](), list[FiringAlert](), None
        try:
            observed, firing = self._prometheus.agents(), self._prometheus.alerts()
        except Unavailable as error:
            problem = str(error)
        fires, open_ = defaultdict[str, list[FiringAlert]](list), self._open_incidents()
        counted = self._counted()
        for alert in firing:
            if alert.agent:
                fires[alert.agent].append(alert)
        names = {agent.name for agent in self._settings.agents} | set(observed) | set(fires)
        enabled, newest = flags.of(self._engine, names), kills.newest(self._engine)
        listed = defaultdict[str, list[dict[str, Any]]](list)
        for row in open_:
            listed[row["agent"]].append(row)
        agents = [
            self._agent(
                name,
                observed.get(name, Observed()),
                fires[name],
                open_incidents=listed[name],
                enabled=enabled[name],
                kill=newest.get(name),
            )
            for name in names
        ]
        rank = {"breach": 0, "off": 1, "unknown": 2, "ok": 3}
        agents.sort(key=lambda agent: (rank[agent.state], agent.name))
        handed_over = counted.get(HANDOFF, 0)
        open_tickets = sum(counted.values()) - handed_over
        return View(tuple(agents), tuple(open_), problem, tuple(firing), open_tickets, handed_over)

    def _agent(
        self,
        name: str,
        observed: Observed,
        firing: Sequence[FiringAlert],
        *,
        open_incidents: Sequence[dict[str, Any]],
        enabled: bool,
        kill: dict[str, Any] | None,
    ) -> AgentView:
        configured = self._settings.agent(name)
        switch = configured.kill_switch if configured else None
        names = {alert.alertname for alert in firing}
        return AgentView(
            name=name,
            owner=observed.owner or (configured.owner if configured else None),
            source=observed.source,
            checks=self._checks(name, observed, names),
            firing=tuple(sorted(names)),
            incidents=tuple(open_incidents),
            enabled=enabled,
            switch=switch.kind if switch else None,
            last_kill=kill,
            breached=any(alert.severity != "info" for alert in firing),
        )

    def _checks(self, name: str, observed: Observed, firing: set[str]) -> tuple[Check, ...]:
        sla = self._settings.sla_of(name)
        limit = sla.latency.consecutive_calls
        streak, errors, tokens = observed.slow_streak, observed.error_ratio, observed.token_increase
        threshold, window = format_duration(sla.latency.threshold), format_duration(sla.errors.window)
        return (
            Check(
                f"Latency, {limit} calls in a row over {threshold}",
                _state(fires="AgentSlowCallStreak" in firing, known=streak is not None),
                "not known" if streak is None else f"{streak} slow in a row",
            ),
            Check(
                f"Errors over {format_ratio(sla.errors.ratio)} in {window}",
                _state(fires="AgentErrorRatioHigh" in firing, known=errors is not None),
                f"no calls in {window}" if errors is None else f"{errors:.1%}",
            ),
            Check(
                f"Tokens {format_ratio(sla.tokens.increase)} above baseline",
                _state(fires="AgentTokenUsageHigh" in firing, known=tokens is not None),
                "no baseline yet (needs 3 days)" if tokens is None else f"{tokens:+.0%}",
            ),
        )

    def _counted(self) -> dict[str, int]:
        """How many incidents of each name are open."""
        query = select(incidents.c.alertname, func.count()).where(incidents.c.state == "firing")
        with reading(self._engine).connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(incidents.c.alertname))}

    def _open_incidents(self) -> list[dict[str, Any]]:
        query = select(incidents).where(incidents.c.state == "firing").order_by(incidents.c.opened_at.desc())
        jira = self._settings.tickets.jira
        with reading(self._engine).connect() as connection:
            rows = connection.execute(query.limit(READ_INCIDENTS)).all()
            counted = select(handoffs.c.incident_id, func.count()).group_by(handoffs.c.incident_id)
            ids = [row.id for row in rows if row.alertname == HANDOFF]
            handed_over = {row[0]: row[1] for row in connection.execute(counted.where(handoffs.c.incident_id.in_(ids)))}
        return [
            {
                "id": row.id,
                "alertname": row.alertname,
                "agent": row.agent,
                "opened_at": flags.iso(row.opened_at),
                "ticket": row.ticket_key,
                "ticket_url": jira.browse(row.ticket_key) if jira and row.ticket_key else None,
                "summary": str(json.loads(row.report).get("summary", "")),
                "handed_over": handed_over.get(row.id, 0),
            }
            for row in rows
        ]


def _state(*, fires: bool, known: bool) -> str:
    if fires:
        return "breach"
    return "ok" if known else "unknown"
