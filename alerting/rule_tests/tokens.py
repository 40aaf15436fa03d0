"""AgentTokenUsageHigh: more tokens in an hour than at this hour of the last days, by more than the SLA allows.

The tokens of each hour are given, so that days of history can be walked through in steps of half an hour; how they are
counted from the calls stands in the tests of the rules themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from alerting.rule_tests.case import Case, Kind, Moment, Series, Values, exported, stepping, watched
from alerting.rule_tests.levels import Reading
from handrail.sla import Sla

ALERT = "AgentTokenUsageHigh"
_GROUPS = ("handrail-agents", "handrail-token-", "handrail-sla-")
_STEP = timedelta(minutes=30)
_HOUR, _SCRAPE = timedelta(hours=1), timedelta(seconds=15)
_DAY = timedelta(days=1) // _STEP
# Days of history that are enough for a baseline.
_KNOWN = 3


def cases(name: str, sla: Sla) -> Iterator[Case]:
    """The claims for one SLA, about the tokens of an hour and about those of one call."""
    yield from _claims(name, sla, "hour")
    yield from _claims(name, sla, "call")
    if sla.tokens.for_ < _HOUR / 2:
        yield from _restart(name, sla)
    if sla.tokens.per_call is not None:
        yield from _limit_of_a_call(name, sla, sla.tokens.per_call)


def _limit_of_a_call(name: str, sla: Sla, most: int) -> Iterator[Case]:
    return Reading(
        alert=ALERT,
        groups=("handrail-agents", "handrail-sla-"),
        metric="agent:handrail_tokens_per_call:increase1h",
        labels={"agent": "limited"},
        good=0,
        edge=most,
        bad=most + 1,
        after=sla.tokens.for_,
        subject={"agent": "limited", "sla": name, "per": "call", "limit": "per_call"},
        world=lambda length: watched("limited", name, length),
    ).cases()


def _claims(name: str, sla: Sla, per: Literal["hour", "call"]) -> Iterator[Case]:
    """After the days that are known, some hours of more tokens follow, then usual ones."""
    limits = sla.tokens
    usual = _usual(sla)
    allowed = int(usual * (1 + limits.increase))
    high = limits.for_ // _STEP + 3

    def claim(
        kind: Kind, says: str, *steps: tuple[int, bool], days: int, before: int, then: int, wild: int = 1
    ) -> Case:
        begins = days * _DAY
        past = [float(before) * (wild if at < _DAY else 1) for at in range(begins)]
        values = [*past, *[float(then)] * high, *[float(before)] * 4]
        return Case(
            alert=ALERT,
            kind=kind,
            says=f"{then} tokens where {before} are usual in one {per}: {says}",
            step=_STEP,
            series=(*watched(kind, name, len(values)), *_history(kind, per, values, float(before))),
            moments=tuple(Moment(_STEP * (begins + at), firing) for at, firing in steps),
            # Another rule of a call has a limit of its own, and says so.
            subject={"agent": kind, "sla": name, "per": per, "limit": ""},
            groups=_GROUPS,
        )

    fires, silent, over = (high - 1, True), (high - 1, False), (high + 1, False)
    yield claim("fires", "fires", fires, days=_KNOWN, before=usual, then=allowed + 1)
    yield claim("just below", "stays silent", silent, days=_KNOWN, before=usual, then=allowed)
    yield claim("resolves", "ends when usage is usual again", fires, over, days=_KNOWN, before=usual, then=allowed + 1)
    yield claim("no data", "two days are no baseline", silent, days=_KNOWN - 1, before=usual, then=allowed * 10)
    yield claim(
        "fires", "one wild day does not move what is usual", fires, days=_KNOWN, before=usual, then=allowed + 1, wild=20
    )
    if few := limits.min_tokens:
        yield claim("spared", "so few are not worth a word", silent, days=_KNOWN, before=few, then=few * 10)


def _restart(name: str, sla: Sla) -> Iterator[Case]:
    """All tokens of an hour at once, from the exporter's own counters; it is away for a moment afterwards."""
    limits, usual = sla.tokens, _usual(sla)
    kind: Kind = "restart"
    allowed = int(usual * (1 + limits.increase))
    length = limits.for_ // _SCRAPE + 20
    for then, firing in ((allowed + 1, True), (allowed, False)):
        tokens = {"agent": kind, "model": "any", "token_type": "input", "basis": "actual"}
        counters = (
            exported("handrail_tokens_total", stepping(length, at=3, to=then), **tokens),
            exported("handrail_ended_calls_total", stepping(length, at=3, to=1), agent=kind),
        )
        yield Case(
            alert=ALERT,
            kind=kind,
            says=f"{then} tokens where {usual} are usual in one hour: the exporter restarts",
            step=_SCRAPE,
            series=(
                *(one.away(range(6, 9)) for one in (*watched(kind, name, length), *counters)),
                Series(
                    f"agent:handrail_tokens_baseline:median{limits.baseline_days}d", {"agent": kind}, [usual] * length
                ),
            ),
            moments=(Moment(_SCRAPE * (length - 1), firing),),
            subject={"agent": kind, "sla": name, "per": "hour"},
            groups=("handrail-agents", "handrail-tokens", "handrail-token-ratio", "handrail-sla-"),
        )


def _history(agent: str, per: Literal["hour", "call"], values: Values, before: float) -> tuple[Series, ...]:
    """What is told of the one goes up; where it is the call's, the hour's stays what it was: as many calls fewer."""
    labels = {"agent": agent}
    if per == "hour":
        return (Series("agent:handrail_tokens:increase1h", labels, values),)
    return (
        Series("agent:handrail_tokens:increase1h", labels, [before] * len(values)),
        Series("agent:handrail_tokens_per_call:increase1h", labels, values),
    )


def _usual(sla: Sla) -> int:
    """A baseline above the least one, of which the allowed increase is a whole number."""
    usual = 1000
    while usual <= sla.tokens.min_tokens or usual * sla.tokens.increase % 1:
        usual *= 10
    return usual
