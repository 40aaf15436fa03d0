"""What a source of calls has to offer, and the one error family that it may raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, get_args

from exporter.calls import Call
from handrail.schedule import Schedule

State = dict[str, Any]

DownReason = Literal[
    "unreachable",
    "timeout",
    "unauthorized",
    "forbidden",
    "rate_limited",
    "server_error",
    "not_json",
    "wrong_shape",
    "wrong_id",
    "unlicensed",
    "too_large",
    "bad_request",
    "not_found",
    "not_success",
    "endless_pages",
    "sampled",
    "budget",
]
DOWN_REASONS: tuple[DownReason, ...] = get_args(DownReason)


class SourceDown(Exception):
    """The source gave no usable answer. Nothing may be concluded from it, least of all that there were no calls."""

    def __init__(self, reason: DownReason, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.reason: DownReason = reason
        self.text = text
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Running:
    """Calls of an agent that have begun and not ended."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Count:
    """Something that happened so many times; `metric` and its labels are declared in `exporter.families`.

    `agent` is empty for what belongs to a source and to no agent.
    """

    metric: str
    amount: float = 1.0
    agent: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A reading of the source, with all its labels; `metric` is declared in `exporter.families`."""

    metric: str
    value: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one poll found. `calls` and `state` belong together: they are stored in one transaction or not at all.

    `agents` are the discovered ones that exist, `enabled` says of any agent whether it is switched on, `gap` is how
    many calls the source had and can no longer show. `trouble` is a failure after the part that is reported here was
    read: the part is good, and the poll as a whole still counts as failed. `counts` are added to the totals in the
    same transaction. `plans` are what agents' own triggers plan. `gauges` replace all that the source reported before;
    None leaves them as they are.
    """

    state: State
    calls: tuple[Call, ...] = ()
    running: Mapping[str, Running] = field(default_factory=dict)
    agents: frozenset[str] = frozenset()
    enabled: Mapping[str, bool] = field(default_factory=dict)
    gap: int = 0
    counts: tuple[Count, ...] = ()
    plans: Mapping[str, tuple[Schedule, ...]] = field(default_factory=dict)
    gauges: tuple[Gauge, ...] | None = None
    visible_workflows: int | None = None
    trouble: SourceDown | None = None


class Source(Protocol):
    """A place that agents' calls are read from. `name` is kind and name, e.g. n8n/main."""

    @property
    def name(self) -> str:
        """The value of the label `source`."""
        ...

    @property
    def poll_interval_s(self) -> float:
        """How often it wants to be polled."""
        ...

    def poll(self, state: State) -> Batch:
        """What is new since `state`, which is empty the very first time. Raises SourceDown; never changes `state`."""
        ...
