"""What an agent is held to, as values with the defaults of a file that sets nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from handrail.fields import Duration, Model, OrOff, PositiveDuration, Ratio, Usd
from handrail.profiles import DEFAULT, PROFILES, completed
from handrail.quantities import Dollars, format_duration, format_ratio


class LatencySla(Model):
    """How many calls in a row may not be slower than the threshold; `hold`: how long a breach fires."""

    threshold: PositiveDuration = timedelta(seconds=5)
    consecutive_calls: int = Field(default=3, ge=1, le=100)
    hold: PositiveDuration = timedelta(minutes=5)

    def streak_after(self, streak: int, duration: timedelta) -> int:
        """How many calls in a row were slow after one more that took `duration`; exactly the threshold is not slow."""
        return streak + 1 if duration > self.threshold else 0

    def is_broken_by(self, streak: int) -> bool:
        """Whether so many slow calls in a row are too many."""
        return streak >= self.consecutive_calls


@dataclass(frozen=True, slots=True)
class SlowShare:
    """Which share of calls may take longer than a time: a percentile, said without estimating between two bounds."""

    name: str
    share: Decimal
    threshold: timedelta


class PercentileSla(Model):
    """The times within which half of the calls of a window (`median`) and 95 of 100 (`p95`) end.

    Below `min_calls` nothing is said: the 95th percentile of fewer than twenty calls is the slowest one.
    """

    median: Annotated[PositiveDuration | None, OrOff] = None
    p95: Annotated[PositiveDuration | None, OrOff] = None
    window: PositiveDuration = timedelta(hours=1)
    min_calls: int = Field(default=20, ge=1)

    def limits(self) -> Iterator[SlowShare]:
        """A percentile is above its time exactly when more than the rest of the calls took longer."""
        if self.median is not None:
            yield SlowShare("median", Decimal("0.5"), self.median)
        if self.p95 is not None:
            yield SlowShare("p95", Decimal("0.05"), self.p95)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.median is None and self.p95 is None:
            raise ValueError("gives no limit; write e.g. p95: 8s, or percentiles: off")
        if self.median and self.p95 and self.median >= self.p95:
            raise ValueError(
                f"a median above {format_duration(self.median)} is always a p95 above {format_duration(self.p95)} too; "
                "write a shorter median, or leave it out"
            )
        _refuse_beyond_a_day(window=self.window, **{limit.name: limit.threshold for limit in self.limits()})
        return self


class SlowdownSla(Model):
    """How far the mean duration of a window's calls may rise above what is usual at this hour of the last days."""

    increase: Ratio = Decimal(1)
    window: PositiveDuration = timedelta(hours=1)
    baseline_days: int = Field(default=7, ge=3, le=14)
    min_calls: int = Field(default=3, ge=1)

    @model_validator(mode="after")
    def _is_of_an_hour_of_the_day(self) -> Self:
        _refuse_beyond_a_day(window=self.window)
        return self


def _refuse_beyond_a_day(**values: timedelta) -> None:
    for name, value in values.items():
        if value > timedelta(days=1):
            raise ValueError(f"{name} {format_duration(value)} is too long; write 1d or less")


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
    per_call: Annotated[Annotated[int, Field(ge=1)] | None, OrOff] = None


class CostSla(Model):
    """What an agent may cost: in a day, and in a window more than in the one before it, in all and for one call.

    Where `min_cost` or less was spent in the window before, nothing is compared.
    """

    increase: Annotated[Ratio | None, OrOff] = None
    per_call_increase: Annotated[Ratio | None, OrOff] = None
    window: PositiveDuration = timedelta(days=28)
    min_cost: Usd = Dollars(1)
    per_day: Annotated[Usd | None, OrOff] = None

    @property
    def compares(self) -> bool:
        """Whether a window is held against the one before it."""
        return self.increase is not None or self.per_call_increase is not None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.compares and self.per_day is None:
            raise ValueError("gives no limit; write e.g. increase: 20%, or cost: off")
        if self.window < timedelta(days=1):
            raise ValueError("window must be 1d or longer: the hours of a day are not alike")
        return self


@dataclass(frozen=True, slots=True)
class BurnRate:
    """When the error budget is spent too fast: `share` of it within the `long` window, and still in the `short` one.

    The windows and shares are those of the Google SRE workbook, "Alerting on SLOs".
    """

    severity: Literal["critical", "warning"]
    share: Decimal
    long: timedelta
    short: timedelta

    def factor(self, window: timedelta) -> Decimal:
        """How many times faster than evenly over `window` that is; never below 1, which is the even pace itself."""
        exact = self.share * Decimal(window // timedelta(seconds=1)) / Decimal(self.long // timedelta(seconds=1))
        return max(Decimal(1), exact.quantize(Decimal("0.0001"), ROUND_HALF_EVEN).normalize())


BURN_RATES = (
    BurnRate("critical", Decimal("0.02"), timedelta(hours=1), timedelta(minutes=5)),
    BurnRate("critical", Decimal("0.05"), timedelta(hours=6), timedelta(minutes=30)),
    BurnRate("warning", Decimal("0.10"), timedelta(days=1), timedelta(hours=2)),
    BurnRate("warning", Decimal("0.10"), timedelta(days=3), timedelta(hours=6)),
)


class Objective(Model):
    """The availability promised over a window; below `min_calls` in an hour an agent counts as quiet."""

    availability: Ratio = Decimal("0.99")
    window: PositiveDuration = timedelta(days=28)
    min_calls: int = Field(default=20, ge=1)

    def burn_rates(self) -> Iterator[tuple[BurnRate, Decimal]]:
        """Every burn rate with its factor for this objective."""
        return ((rate, rate.factor(self.window)) for rate in BURN_RATES)

    @model_validator(mode="after")
    def _can_be_met_and_missed(self) -> Self:
        if not 0 < self.availability < 1:
            raise ValueError(
                f"availability {format_ratio(self.availability)} cannot be kept or cannot be missed; write e.g. 99%"
            )
        if self.window < (shortest := BURN_RATES[-1].long):
            raise ValueError(f"window must be at least {format_duration(shortest)}, the longest its alert looks at")
        budget = 1 - self.availability
        for rate, factor in self.burn_rates():
            if factor * budget >= 1:
                needed = format_ratio((factor * budget).quantize(Decimal("0.01")))
                possible = format_ratio((1 - 1 / factor).quantize(Decimal("0.001"), ROUND_CEILING))
                raise ValueError(
                    f"availability {format_ratio(self.availability)} over {format_duration(self.window)}: the alert on "
                    f"{format_duration(rate.long)} would need {needed} of calls to fail and could never fire; "
                    f"promise more than {possible}, or shorten the window"
                )
        return self


class HandoffSla(Model):
    """Below which confidence a person takes over, and how far hand-offs may rise above an average hour of 7 days."""

    min_confidence: Ratio = Decimal("0.80")
    increase: Ratio = Decimal("2")
    min_handoffs: int = Field(default=5, ge=1)


class ConfidenceSla(Model):
    """Which share of the answers of a window may state less than `handoff.min_confidence`."""

    low_share: Ratio = Decimal("0.20")
    window: PositiveDuration = timedelta(hours=1)
    min_answers: int = Field(default=5, ge=1)

    @field_validator("low_share")
    @classmethod
    def _can_be_exceeded(cls, value: Decimal) -> Decimal:
        if value >= 1:
            raise ValueError("100% of answers cannot be exceeded, so the alert could never fire; write less, e.g. 20%")
        return value


class StuckSla(Model):
    """How long an execution may run; waiting ones, which sleep on purpose, do not count."""

    after: PositiveDuration = timedelta(minutes=30)


class SilentSla(Model):
    """How long after its time a call may come. Where no schedule is known, an hour in which at least `min_calls` are
    usual may not be without any.
    """

    grace: PositiveDuration = timedelta(minutes=15)
    min_calls: int = Field(default=10, ge=1)


class RunawaySla(Model):
    """How much one execution may do before it is taken for a loop."""

    model_calls: int = Field(default=100, ge=1)
    tool_calls: int = Field(default=100, ge=1)
    tokens: int = Field(default=500_000, ge=1)


class Sla(Model):
    """What an agent is held to; `profile` names the limits that hold where none is given."""

    profile: str = DEFAULT
    latency: LatencySla = LatencySla()
    errors: ErrorSla = ErrorSla()
    tokens: TokenSla = TokenSla()
    objective: Objective = Objective()
    handoff: HandoffSla = HandoffSla()
    confidence: ConfidenceSla = ConfidenceSla()
    stuck: StuckSla = StuckSla()
    runaway: RunawaySla = RunawaySla()
    silent: Annotated[SilentSla | None, OrOff] = SilentSla()
    percentiles: Annotated[PercentileSla | None, OrOff] = None
    slowdown: Annotated[SlowdownSla | None, OrOff] = None
    cost: Annotated[CostSla | None, OrOff] = None

    @model_validator(mode="before")
    @classmethod
    def _begins_with_its_profile(cls, data: Any) -> Any:
        return completed(data) if isinstance(data, dict) else data

    @field_validator("profile")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in PROFILES:
            raise ValueError(f"no profile is named {value!r}; there are: {', '.join(PROFILES)}")
        return value
