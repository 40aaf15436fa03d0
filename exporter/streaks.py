"""How many calls in a row were slow, in the order in which they ended; kept in the ledger, so a restart breaks none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from exporter.calls import Call
from exporter.tables import streaks_table, upsert
from handrail.settings import Settings
from handrail.sla import LatencySla


@dataclass(frozen=True, slots=True)
class Streak:
    """How many calls in a row were slow, when that last went too far (0: never), how often; the last call's end."""

    length: int = 0
    last_breach: float = 0.0
    breaches: int = 0
    last_call: float = 0.0


def advance(streak: Streak, call: Call, sla: LatencySla, now: float) -> Streak:
    """The streak after one more call. A slow call is slow whatever its outcome; any other call ends the streak, but for
    one without a meaningful duration, which changes nothing about it.

    A breach is counted once per streak; its time moves on with every further slow call, so that an alert on it holds.
    """
    last_call = max(streak.last_call, call.finished_at.timestamp())
    if not call.timed:
        return replace(streak, last_call=last_call)
    length = sla.streak_after(streak.length, call.duration)
    if not sla.is_broken_by(length):
        return Streak(length, streak.last_breach, streak.breaches, last_call)
    return Streak(length, now, streak.breaches + (length == sla.consecutive_calls), last_call)


def advance_streaks(connection: Connection, new: Iterable[Call], settings: Settings, now: float) -> None:
    """Move the stored streaks on by calls in the order in which they ended."""
    by_agent: dict[str, list[Call]] = defaultdict(list)
    for call in new:
        by_agent[call.agent].append(call)
    before, rows = streaks_of(connection, by_agent), []
    for agent, calls in by_agent.items():
        sla = settings.sla_of(agent).latency
        streak = before.get(agent, Streak())
        for call in calls:
            streak = advance(streak, call, sla, now)
        values = {"streak": streak.length, "last_breach": streak.last_breach, "breaches": streak.breaches}
        rows.append({"agent": agent, "last_call": streak.last_call} | values)
    upsert(connection, streaks_table, rows, add=())


def streaks_of(connection: Connection, agents: Iterable[str] | None = None) -> dict[str, Streak]:
    """The stored streaks, of all agents or of these."""
    statement = select(streaks_table)
    if agents is not None:
        statement = statement.where(streaks_table.c.agent.in_(sorted(agents)))
    return {
        row.agent: Streak(row.streak, row.last_breach, row.breaches, row.last_call)
        for row in connection.execute(statement)
    }
