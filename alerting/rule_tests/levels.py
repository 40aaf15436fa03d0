"""Claims about an alert with one limit: a reading goes over it, stays at it, and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from alerting.rule_tests.case import Case, Kind, Moment, Series, Values, fires, silent

_AT = 5
# So many scrapes fail while a part restarts.
_AWAY = 2

_NEVER = range(0)

World = Callable[[int], tuple[Series, ...]]


def nothing(_length: int) -> tuple[Series, ...]:
    """A world without anything else."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A series that breaks an alert's limit when it goes from `good` to `bad`; `after` that time the alert fires.

    `edge` is the worst value that is still good; `lasts` is how long the alert looks back. `world` gives what else the
    rule needs for so many steps; `groups` are the rule groups, by the beginnings of their names.
    """

    alert: str
    metric: str
    labels: Mapping[str, str]
    good: float
    edge: float
    bad: float
    subject: Mapping[str, str]
    groups: tuple[str, ...]
    after: timedelta = timedelta(0)
    lasts: timedelta = timedelta(0)
    step: timedelta = timedelta(minutes=1)
    world: World = nothing

    def cases(self) -> Iterator[Case]:
        """Every claim about it."""
        step, begins = self.step, self.step * _AT
        on, over = begins + self.after, begins + self.after + self.lasts + 3 * step
        length = over // step + 3
        until = (begins + self.after + 2 * step) // step
        good, edge, bad = [self.good] * _AT, [self.edge] * (length - _AT), [self.bad] * (length - _AT)
        yield self._claim("fires", f"goes to {self.bad:g}", [*good, *bad], fires(on))
        yield self._claim("just below", f"goes no further than {self.edge:g}", [*good, *edge], silent(on), silent(over))
        # What looks back over a while ends by itself; a level ends when it is good again.
        back = [*good, *bad[: until - _AT], *[self.bad if self.lasts else self.good] * (length - until)]
        yield self._claim("resolves", "comes back", back, fires(on), silent(over))
        yield self._claim("no data", "is not there", (), silent(on), silent(over))
        yield from self._restarts(until)
        if self.after:
            brief = [*good, *bad[: self.after // step - 1], *[self.good] * 5]
            yield self._claim("spared", "was bad for a moment only", brief, silent(on), silent(on + step))

    def _restarts(self, until: int) -> Iterator[Case]:
        """A part that is away for two scrapes breaks no limit by it, and what was broken before is broken after it."""
        away, again = range(until, until + _AWAY), self.after // self.step + 3
        end = self.step * (until + _AWAY + again - 1)
        for worst, moment in ((self.edge, silent(end)), (self.bad, fires(end))):
            values = [*[self.good] * _AT, *[worst] * (until + _AWAY + again - _AT)]
            yield self._claim("restart", f"is {worst:g} before and after a restart", values, moment, away=away)

    def _claim(self, kind: Kind, says: str, values: Values, *moments: Moment, away: range = _NEVER) -> Case:
        return _case(self, kind, says, values, moments, away=away)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A time stamp that breaks an alert's limit just after `reached`, until it is renewed.

    Prometheus' tests begin at the time 0, so a limit of thirty days is broken after thirty days of such a test.
    """

    alert: str
    metric: str
    labels: Mapping[str, str]
    stamp: timedelta
    renewed: timedelta
    reached: timedelta
    subject: Mapping[str, str]
    groups: tuple[str, ...]
    step: timedelta
    world: World = nothing

    def cases(self) -> Iterator[Case]:
        """Every claim about it."""
        at, step = self.reached, self.step
        before = at // step + 2
        old = [self.stamp.total_seconds()] * (before + 4)
        renewed = [*old[:before], *[self.renewed.total_seconds()] * 4]
        yield self._claim("fires", "is too far away", old, fires(at + step))
        yield self._claim("just below", "is exactly at the limit", old, silent(at))
        yield self._claim("resolves", "is renewed", renewed, fires(at + step), silent(at + 2 * step))
        yield self._claim("no data", "is not there", (), silent(at), silent(at + step))
        away = range(before - 2 - _AWAY, before - 2)
        yield self._claim("restart", "is at the limit after a restart", old, silent(at), fires(at + step), away=away)

    def _claim(self, kind: Kind, says: str, values: Values, *moments: Moment, away: range = _NEVER) -> Case:
        return _case(self, kind, says, values, moments, away=away)


def _case(
    about: Reading | Stamp, kind: Kind, says: str, values: Values, moments: tuple[Moment, ...], *, away: range
) -> Case:
    """While a part is `away`, all that it shows is."""
    given = (Series(about.metric, about.labels, values),) if values else ()
    job = about.labels.get("job")
    shown = [
        one.away(away) if job and one.labels.get("job") == job else one
        for one in (*given, *about.world(len(values) or 30))
    ]
    return Case(
        alert=about.alert,
        kind=kind,
        says=f"{about.metric} {says}",
        step=about.step,
        series=tuple(shown),
        moments=moments,
        subject=about.subject,
        groups=about.groups,
    )
