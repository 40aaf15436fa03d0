"""What an agent is held to, as values with the defaults of a file that sets nothing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from pydantic import Field, field_validator

from handrail.fields import Duration, Model, PositiveDuration, Ratio


class LatencySla(Model):
    """How many calls in a row may not be slower than the threshold; `hold`: how long a breach fires."""

    threshold: PositiveDuration = timedelta(seconds=5)
    consecutive_calls: int = Field(default=3, ge=1, le=100)
    hold: PositiveDuration = timedelta(minutes=5)


class ErrorSla(Model):
    """Which share of calls may fail in a window."""

    ratio: Ratio = Decimal("0.02")
    window: PositiveDuration = timedelta(minutes=10)
    min_calls: int = Field(default=1, ge=1)
    min_errors: int = Field(default=1, ge=1)

    @field_validator("ratio")
    @classmethod
    def _can_be_exceeded(cls, value: Decimal) -> Decimal:
        if value >= 1:
            raise ValueError("100% of calls cannot be exceeded, so the alert could never fire; write less, e.g. 2%")
        return value


class TokenSla(Model):
    """How far token usage may rise above the same hour of the last days."""

    increase: Ratio = Decimal("0.30")
    baseline_days: int = Field(default=7, ge=3, le=14)
    min_tokens: int = Field(default=1000, ge=0)
    for_: Duration = Field(default=timedelta(minutes=15), alias="for")


class Objective(Model):
    """The availability promised over a window."""

    availability: Ratio = Decimal("0.99")
    window: PositiveDuration = timedelta(days=28)


class HandoffSla(Model):
    """Below which confidence a person takes over."""

    min_confidence: Ratio = Decimal("0.80")


class Sla(Model):
    """What an agent is held to."""

    latency: LatencySla = LatencySla()
    errors: ErrorSla = ErrorSla()
    tokens: TokenSla = TokenSla()
    objective: Objective = Objective()
    handoff: HandoffSla = HandoffSla()
