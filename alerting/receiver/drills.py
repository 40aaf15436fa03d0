"""Every drill that was reported is kept and audited, so that an alert nobody has tried lately does not stay unseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine, func, insert, select

from alerting.receiver import audit
from alerting.receiver.bodies import validated
from alerting.receiver.schema import drills
from handrail.clock import Clock
from handrail.database import reading

MAX_BYTES = 65_536

_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class DrillScenario(BaseModel):
    """How one scenario ended."""

    model_config = ConfigDict(extra="forbid")

    scenario: _Word
    alertname: _Word
    passed: bool
    detect_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class DrillReport(BaseModel):
    """What a drill reports when it ends."""

    model_config = ConfigDict(extra="forbid")

    drill: _Word
    scenarios: tuple[DrillScenario, ...] = Field(max_length=200)


def parse(body: bytes) -> DrillReport:
    """The report in a request's body; Malformed says what is wrong with it."""
    return validated(DrillReport, body)


@dataclass(frozen=True, slots=True)
class LastDrill:
    """How a scenario ended when it was played last, and when, in epoch seconds."""

    scenario: str
    alertname: str
    passed: bool
    detect_seconds: float | None
    at: float


class DrillLog:
    """The drills as the receiver remembers them."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def record(self, report: DrillReport, *, by: str) -> None:
        """Store a report and its audit row together."""
        now = self._clock.now().timestamp()
        rows = [{"drill": report.drill, "at": now, **scenario.model_dump()} for scenario in report.scenarios]
        with self._engine.begin() as connection:
            if rows:
                connection.execute(insert(drills), rows)
            passed = sum(scenario.passed for scenario in report.scenarios)
            audit.append(
                connection,
                now,
                actor=by,
                action="drill reported",
                subject=f"drill/{report.drill}",
                passed=passed,
                failed=len(rows) - passed,
            )

    def last(self) -> list[LastDrill]:
        """How each (scenario, alertname) ended last, by name."""
        newest = select(func.max(drills.c.id)).group_by(drills.c.scenario, drills.c.alertname)
        query = select(drills).where(drills.c.id.in_(newest)).order_by(drills.c.scenario, drills.c.alertname)
        with reading(self._engine).connect() as connection:
            return [
                LastDrill(row.scenario, row.alertname, row.passed, row.detect_seconds, row.at)
                for row in connection.execute(query)
            ]

    def last_successes(self) -> Mapping[tuple[str, str], float]:
        """When each (scenario, alertname) last passed, as a Unix time; 0 for one that never has."""
        newest = select(
            drills.c.scenario, drills.c.alertname, func.max(drills.c.at).filter(drills.c.passed).label("at")
        ).group_by(drills.c.scenario, drills.c.alertname)
        with reading(self._engine).connect() as connection:
            return {(row.scenario, row.alertname): row.at or 0.0 for row in connection.execute(newest)}
