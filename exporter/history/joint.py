"""Where the past ends and live data begins, for each agent, and which agents have to wait. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

# Prometheus writes its memory into blocks after 3 hours.
MEMORY = timedelta(hours=3)
# A stack that started as one: what little ended between its parts is left out rather than waited for.
_TOGETHER = timedelta(minutes=5)
# What the exporter may be about to read and count itself, where nothing tells since when it does.
_IN_FLIGHT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Live:
    """What Prometheus holds: its first sample of each agent, whose past it has, and where its memory begins."""

    first_seen: Mapping[str, datetime] = field(default_factory=dict)
    with_history: frozenset[str] = frozenset()
    memory_begins: datetime | None = None


@dataclass(frozen=True, slots=True)
class Joint:
    """`until`: where each agent's past ends. The others and why: `has_history`, or too early, with when it is not."""

    until: Mapping[str, datetime]
    has_history: tuple[str, ...] = ()
    too_early: Mapping[str, datetime] = field(default_factory=dict)


def joint(
    agents: Iterable[str], *, counted: Mapping[str, datetime], counting: bool, live: Live, now: datetime
) -> Joint:
    """An agent's past ends where it was first counted or first seen, whichever came first.

    It never reaches into what Prometheus keeps in memory: a block that ends later makes Prometheus forget, at its next
    restart, everything of its memory that is older than the block's end.
    """
    until: dict[str, datetime] = {}
    has_history: list[str] = []
    too_early: dict[str, datetime] = {}
    for agent in sorted(agents):
        if agent in live.with_history:
            has_history.append(agent)
            continue
        known = [times[agent] for times in (counted, live.first_seen) if agent in times]
        begins = min(known) if known else now - _IN_FLIGHT if counting else now
        memory = live.memory_begins
        if memory is not None and begins > memory + _TOGETHER:
            too_early[agent] = begins + MEMORY
        else:
            # A second less: the last sample of the past is older than the first one of memory.
            until[agent] = min(begins, memory - timedelta(seconds=1)) if memory is not None else begins
    return Joint(until, tuple(has_history), too_early)
