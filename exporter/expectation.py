"""By which plan each agent is expected to be called, and since when; kept in the ledger, as its calls are.

A plan that is new or changed, and an agent that is switched on, begin now: what was due before is not asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Connection, delete, select

from exporter.sources import Batch
from exporter.tables import expectations_table, upsert
from handrail.schedule import Cron, Every, Schedule
from handrail.settings import Settings

Basis = Literal["declared", "n8n"]


@dataclass(frozen=True, slots=True)
class Expected:
    """Who says when the agent is called (handrail.yaml or its workflow), the plan as stored, and since when it holds.

    While the agent is switched off nothing is due.
    """

    basis: Basis
    plan: str
    enabled: bool
    since: float

    def due_after(self, call: float) -> float | None:
        """When the first call after the one at `call` (0: never) is due, in epoch seconds; None where none is."""
        return _due(self.plan, max(call, self.since)) if self.enabled else None


def store_expectations(connection: Connection, source: str, batch: Batch, settings: Settings, now: float) -> None:
    """Take over the plans of the source's agents as they are now. Only what changed is written."""
    before = {agent: expected for agent, (of, expected) in _stored(connection).items() if of == source}
    plans = {agent: (basis, plan) for agent, basis, plan in _plans(source, batch, settings)}
    rows: list[dict[str, Any]] = []
    for agent, (basis, plan) in plans.items():
        enabled, was = batch.enabled.get(agent, True), before.get(agent)
        if was is None or (was.basis, was.plan, was.enabled) != (basis, plan, enabled):
            row = {"agent": agent, "source": source, "basis": basis, "plan": plan, "enabled": enabled, "since": now}
            rows.append(row)
    upsert(connection, expectations_table, rows, add=())
    if gone := before.keys() - plans.keys():
        connection.execute(delete(expectations_table).where(expectations_table.c.agent.in_(sorted(gone))))


def expectations_of(connection: Connection) -> Mapping[str, Expected]:
    """What is stored, by agent."""
    return {agent: expected for agent, (_source, expected) in _stored(connection).items()}


def _stored(connection: Connection) -> dict[str, tuple[str, Expected]]:
    rows = connection.execute(select(expectations_table))
    return {row.agent: (row.source, Expected(row.basis, row.plan, row.enabled, row.since)) for row in rows}


def _plans(source: str, batch: Batch, settings: Settings) -> Iterator[tuple[str, Basis, str]]:
    """What is declared goes before what the workflow says."""
    declared = {
        agent.name: agent.schedule
        for agent in settings.agents
        if agent.schedule and "/".join(agent.source.source_ref) == source
    }
    for agent, schedule in declared.items():
        yield agent, "declared", _dump((schedule,))
    for agent, plan in batch.plans.items():
        if plan and agent not in declared:
            yield agent, "n8n", _dump(plan)


def _dump(plan: tuple[Schedule, ...]) -> str:
    return json.dumps(
        [
            ["every", one.interval.total_seconds(), one.slack.total_seconds()]
            if isinstance(one, Every)
            else ["cron", one.expression, one.timezone, one.slack.total_seconds()]
            for one in plan
        ]
    )


def _load(text: str) -> Iterator[Schedule]:
    for kind, *rest in json.loads(text):
        if kind == "every":
            interval, slack = rest
            yield Every(timedelta(seconds=interval), timedelta(seconds=slack))
        else:
            expression, timezone, slack = rest
            yield Cron(expression, timezone, timedelta(seconds=slack))


@lru_cache(maxsize=4096)
def _due(plan: str, since: float) -> float | None:
    moment = datetime.fromtimestamp(since, UTC)
    times = [schedule.due_after(moment) for schedule in _load(plan)]
    return min((time.timestamp() for time in times if time), default=None)
