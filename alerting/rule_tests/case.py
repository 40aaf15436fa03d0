"""One claim about one alert, as values: what Prometheus is given, and when the alert fires and when it does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from typing import Literal

Kind = Literal["fires", "just below", "resolves", "no data", "restart", "spared"]
Values = Sequence[float | None]

# The labels that Prometheus gives everything it scrapes from the exporter.
TARGET: Mapping[str, str] = {"job": "handrail-exporter", "instance": "exporter"}


@dataclass(frozen=True, slots=True)
class Series:
    """A series by its name and labels, with one value for each step from 0 on; None is a scrape without it."""

    metric: str
    labels: Mapping[str, str]
    values: Values

    def away(self, steps: range) -> Series:
        """The same while scrapes fail: nothing but `up`, which is 0 then."""
        missing = 0.0 if self.metric == "up" else None
        values = [missing if step in steps else value for step, value in enumerate(self.values)]
        return replace(self, values=values) if steps else self

    @property
    def selector(self) -> str:
        """The series as PromQL writes it."""
        pairs = ", ".join(f'{name}="{value}"' for name, value in sorted(self.labels.items()))
        return f"{self.metric}{{{pairs}}}"

    @property
    def notation(self) -> str:
        """The values as promtool reads them; a series that ends is marked stale, as a failed scrape marks it."""
        words: list[str] = []
        for value, run in groupby(self.values):
            repeats = len(list(run)) - 1
            if value is not None:
                words.append(f"{value:.12g}" + (f"x{repeats}" if repeats else ""))
            elif words:
                words += ["stale", *([f"_x{repeats}"] if repeats else [])]
            else:
                words.append(f"_x{repeats + 1}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Moment:
    """Whether the alert fires for the subject, so long after the beginning."""

    at: timedelta
    firing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A claim. `subject` are labels that the alert must carry, e.g. its agent; `step` is the time between two values.

    `groups` are the rule groups it needs, by the beginnings of their names; empty is all of them.
    """

    alert: str
    kind: Kind
    says: str
    step: timedelta
    series: tuple[Series, ...]
    moments: tuple[Moment, ...]
    subject: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


def fires(at: timedelta) -> Moment:
    """It fires by then."""
    return Moment(at, firing=True)


def silent(at: timedelta) -> Moment:
    """It does not fire then."""
    return Moment(at, firing=False)


def exported(metric: str, values: Values, **labels: str) -> Series:
    """A series as the exporter shows it and Prometheus stores it."""
    return Series(metric, {**TARGET, **labels}, values)


def stepping(length: int, *, at: int, to: float, start: float = 0.0) -> list[float | None]:
    """`length` values that go from `start` to `to` at one step, as a counter does or a gauge that changes once."""
    return [start if step < at else to for step in range(length)]


def without(values: Values, steps: Iterable[int]) -> list[float | None]:
    """The values, missing at the steps where the exporter did not answer."""
    missing = set(steps)
    return [None if step in missing else value for step, value in enumerate(values)]


def watched(agent: str, sla: str, length: int, *, down: Iterable[int] = ()) -> tuple[Series, ...]:
    """An agent that is held to an SLA for `length` steps, by an exporter that does not answer at the steps `down`."""
    missing = set(down)
    labels = {"agent": agent, "sla": sla, "owner": "proof", "source": "n8n/proof"}
    return (
        exported("handrail_agent_info", without([1.0] * length, missing), **labels),
        exported("up", [float(step not in missing) for step in range(length)]),
    )


def counted(agent: str, calls: Values, errors: Values, *, down: Iterable[int] = ()) -> tuple[Series, ...]:
    """The counters of an agent's calls and failed calls."""
    missing = set(down)
    return (
        exported("handrail_ended_calls_total", without(calls, missing), agent=agent),
        exported("handrail_call_errors_total", without(errors, missing), agent=agent, reason="other"),
    )
