"""One agent call as a value: immutable, complete when it is made, the same for every source."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from exporter.errors import Reason

Outcome = Literal["success", "error"]
TokenBasis = Literal["actual", "estimate", "unknown"]


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one call. `unknown` carries no numbers: a missing usage is never a usage of 0."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    basis: TokenBasis = "unknown"

    def __post_init__(self) -> None:
        if (self.basis == "unknown") != (self.tokens_in is None and self.tokens_out is None):
            raise ValueError("usage is unknown exactly when there are no numbers")
        if min(self.tokens_in or 0, self.tokens_out or 0) < 0:
            raise ValueError("a usage is never negative")


@dataclass(frozen=True, slots=True)
class ToolUse:
    """How often a call used one tool, and how often that failed. `name` is what the source calls the tool."""

    name: str
    calls: int
    errors: int = 0


# What a hand-off shows of a prompt or a response, in characters (a ticket shows less), and how many steps.
MAX_TEXT, MAX_STEPS = 10_000, 30


@dataclass(frozen=True, slots=True, repr=False)
class Transcript:
    """What was said in a call, as it was said: secrets and customers included, so it is in memory only and never shown.

    `prompt` is what the agent was asked last, `response` what came out, `tool_errors` what each tool said that failed,
    by its name, `steps` at most MAX_STEPS lines of what was tried. What is not known is empty. A text may have been
    cut, but so far beyond MAX_TEXT that a secret across that limit is whole.
    """

    prompt: str = ""
    response: str = ""
    tool_errors: tuple[tuple[str, str], ...] = ()
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A finished call. (source, id) names it for ever, so that it can be read twice and counted once.

    Both times are aware; an error carries its reason and a success has none. `execution` is what several calls may
    belong to, e.g. one run of a workflow; empty where the source knows of no such thing. `attempts` are those at the
    provider: 0 for an answer from a cache. `retries` are repeated tries of the agent itself, `max_iterations` says that
    it was stopped because it went round too often. A call that is not `timed` has a duration that means nothing, e.g.
    because it crashed: it enters no statistics of durations and neither prolongs nor ends a streak. `transcript` is
    there where a hand-off may need it.
    """

    source: str
    id: str
    agent: str
    started_at: datetime
    finished_at: datetime
    duration: timedelta
    outcome: Outcome
    error_reason: Reason | None = None
    model: str = ""
    provider: str = ""
    tokens: TokenUsage = field(default_factory=TokenUsage)
    cost_usd: Decimal | None = None
    confidence: float | None = None
    tool_calls: int = 0
    tool_errors: int = 0
    tools: tuple[ToolUse, ...] = ()
    model_calls: int = 0
    attempts: int = 1
    cached: bool = False
    url: str | None = None
    execution: str = ""
    retries: int = 0
    max_iterations: bool = False
    timed: bool = True
    transcript: Transcript | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.started_at.tzinfo is None or self.finished_at.tzinfo is None:
            raise ValueError("the times of a call must be aware")
        if self.duration < timedelta(0):
            raise ValueError("a call cannot take less than no time")
        if (self.outcome == "error") != (self.error_reason is not None):
            raise ValueError("an error has a reason and a success has none")
