"""What the person on call needs to see, gathered at the moment somebody asks; what cannot be had is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from alerting.receiver import audit, kills
from alerting.receiver.audit_chain import Entry
from alerting.receiver.console import sparkline
from alerting.receiver.console.history import Detail, History, Trend
from alerting.receiver.drills import DrillLog, LastDrill
from alerting.receiver.observed import FiringAlert, Unavailable
from alerting.receiver.overview import HANDOFF, AgentView, Overview, View
from handrail.clock import Clock
from handrail.redact import clean, redact

SHOWN_ALERTS = 100
SHOWN_IN_FULL = 25
SHOWN_AUDIT = 15
SHOWN_OPERATIONS = 10
SHOWN_TICKETS = 100
_SEVERITIES = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Line:
    """A sparkline and what it says in words."""

    path: str
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """An agent with the lines of its last hour."""

    agent: AgentView
    duration: Line
    errors: Line


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert that fires, or that the receiver was told of; `incident` has its ticket, once it was told."""

    alert: FiringAlert
    incident: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the audit log; `said` is what of its detail a person reads."""

    entry: Entry
    at: datetime
    said: str


@dataclass(frozen=True, slots=True)
class Board:
    """All of it. `problems` say what is missing; `rest` are the agents that need nobody.

    Of tickets and hand-offs the newest are listed; `open_tickets` and `open_handoffs` count all.
    """

    at: datetime
    problems: tuple[str, ...]
    alarms: tuple[Alarm, ...]
    alarms_left_out: int
    needing: tuple[Row, ...]
    rest: tuple[Row, ...]
    tickets: tuple[dict[str, Any], ...]
    handoffs: tuple[dict[str, Any], ...]
    open_tickets: int
    open_handoffs: int
    drills: tuple[LastDrill, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class AgentBoard:
    """One agent; `detail` is None where Prometheus told no history."""

    at: datetime
    problems: tuple[str, ...]
    row: Row
    alarms: tuple[Alarm, ...]
    tickets: tuple[dict[str, Any], ...]
    detail: Detail | None
    operations: tuple[dict[str, Any], ...]
    events: tuple[Event, ...]


class Boards:
    """Gathers it from Prometheus and the receiver's own tables, each of which may be missing."""

    def __init__(self, engine: Engine, clock: Clock, overview: Overview, history: History, drill_log: DrillLog) -> None:
        self._engine = engine
        self._clock = clock
        self._overview = overview
        self._history = history
        self._drill_log = drill_log

    def all(self) -> Board:
        """Every agent, those that need somebody first."""
        view, trends, problems = self._look()
        rows = [_row(agent, trends) for agent in view.agents]
        needing = [row for row in rows if _needs_somebody(row.agent)][:SHOWN_IN_FULL]
        shown = {row.agent.name for row in needing}
        alarms = _alarms(view)
        return Board(
            at=self._clock.now(),
            problems=problems,
            alarms=tuple(map(_readable, alarms[:SHOWN_ALERTS])),
            alarms_left_out=max(0, len(alarms) - SHOWN_ALERTS),
            needing=tuple(needing),
            rest=tuple(row for row in rows if row.agent.name not in shown),
            tickets=tuple(row for row in view.incidents if row["alertname"] != HANDOFF)[:SHOWN_TICKETS],
            handoffs=tuple(row for row in view.incidents if row["alertname"] == HANDOFF)[:SHOWN_TICKETS],
            open_tickets=view.open_tickets,
            open_handoffs=view.open_handoffs,
            drills=tuple(self._drill_log.last()),
            events=self._events(None),
        )

    def of(self, name: str) -> AgentBoard | None:
        """One agent; None when nobody knows it."""
        view, trends, problems = self._look()
        agent = next((agent for agent in view.agents if agent.name == name), None)
        if agent is None:
            return None
        detail = None
        if not problems:
            try:
                detail = self._history.of(name)
            except Unavailable as error:
                problems = (f"{error}: there is no history",)
        return AgentBoard(
            at=self._clock.now(),
            problems=problems,
            row=_row(agent, trends),
            alarms=tuple(_readable(alarm) for alarm in _alarms(view) if alarm.alert.agent == name),
            tickets=agent.incidents,
            detail=detail,
            operations=tuple(kills.of_agent(self._engine, name, limit=SHOWN_OPERATIONS)),
            events=self._events(name),
        )

    def _look(self) -> tuple[View, Mapping[str, Trend], tuple[str, ...]]:
        view = self._overview.read()
        if view.problem:
            gone = f"{view.problem}: SLA numbers are not known. Alerts are those that the receiver was told of"
            return view, {}, (gone,)
        try:
            return view, self._history.trends(), ()
        except Unavailable as error:
            return view, {}, (f"{error}: there is no history",)

    def _events(self, agent: str | None) -> tuple[Event, ...]:
        rows = audit.recent(self._engine, since=None, agent=agent, limit=SHOWN_AUDIT)
        return tuple(Event(row, datetime.fromtimestamp(row.at, UTC), _said(row)) for row in reversed(rows))


def _needs_somebody(agent: AgentView) -> bool:
    last = agent.last_kill
    return agent.state in ("breach", "off") or (last is not None and last["state"] == "not_confirmed")


def _row(agent: AgentView, trends: Mapping[str, Trend]) -> Row:
    trend = trends.get(agent.name, Trend())
    duration = Line(
        sparkline.path(trend.duration, least_top=1.0), sparkline.words(trend.duration, sparkline.as_seconds)
    )
    errors = Line(sparkline.path(trend.errors, least_top=0.05), sparkline.words(trend.errors, sparkline.as_percent))
    return Row(agent, duration, errors)


def _alarms(view: View) -> list[Alarm]:
    """The worst first, then the newest. Without Prometheus it is what the receiver was told of."""
    open_ = {(row["alertname"], row["agent"]): row for row in reversed(view.incidents)}
    if view.problem:
        told = [row for row in view.incidents if row["alertname"] != HANDOFF]
        return [_told(row) for row in told]
    alarms = [Alarm(alert, open_.get((alert.alertname, alert.agent))) for alert in view.firing]
    return sorted(alarms, key=lambda one: (_SEVERITIES.get(one.alert.severity, 1), -_moment(one.alert.since)))


def _told(row: Mapping[str, Any]) -> Alarm:
    since = datetime.fromisoformat(row["opened_at"])
    return Alarm(FiringAlert(row["alertname"], "", row["agent"], since, row["summary"], ""), row)


def _moment(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0


def _readable(alarm: Alarm) -> Alarm:
    """Its words may repeat what a model wrote."""
    summary, description = redact(clean(alarm.alert.summary)), redact(clean(alarm.alert.description))
    return replace(alarm, alert=replace(alarm.alert, summary=summary, description=description))


def _said(entry: Entry) -> str:
    detail = json.loads(entry.detail)
    return " · ".join(f"{name} {value}" for name, value in detail.items() if _is_told(name, value))


def _is_told(name: str, value: object) -> bool:
    return value not in (None, "", []) and name not in ("hash", "key", "body")
