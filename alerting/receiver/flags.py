"""The flag an agent reads before it works: false from the moment somebody asked for it, whatever else is down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, insert, select, update

from alerting.receiver.schema import flags
from handrail.database import reading


@dataclass(frozen=True, slots=True)
class Flag:
    """`revision` counts the changes; 0 is an agent that was never switched."""

    enabled: bool = True
    revision: int = 0


def put(connection: Connection, agent: str, *, enabled: bool, now: float) -> None:
    """Set the agent's flag in the caller's transaction."""
    changed = update(flags).where(flags.c.agent == agent)
    values = {"enabled": enabled, "changed_at": now}
    if connection.execute(changed.values(**values, revision=flags.c.revision + 1)).rowcount == 0:
        connection.execute(insert(flags).values(agent=agent, **values, revision=1))


def get(engine: Engine, agent: str) -> Flag:
    """The agent's flag; an agent nobody ever switched is on."""
    with reading(engine).connect() as connection:
        row = connection.execute(select(flags).where(flags.c.agent == agent)).first()
    return Flag(row.enabled, row.revision) if row else Flag()


def of(engine: Engine, agents: Iterable[str]) -> dict[str, bool]:
    """The flag of each of these agents."""
    with reading(engine).connect() as connection:
        off = set(connection.scalars(select(flags.c.agent).where(flags.c.enabled.is_(False))))
    return {agent: agent not in off for agent in agents}


def changed(engine: Engine, agents: Iterable[str]) -> dict[str, float]:
    """When the flag of each of these agents was last set, in epoch seconds; 0 for one that nobody ever switched."""
    with reading(engine).connect() as connection:
        found = {row.agent: row.changed_at for row in connection.execute(select(flags.c.agent, flags.c.changed_at))}
    return {agent: found.get(agent, 0.0) for agent in agents}


def iso(seconds: float | None) -> str | None:
    """Epoch seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds is not None else None
