"""The alerts about Handrail itself: a reading goes over its limit, stays at it, and comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from alerting.rule_tests.case import Case, Kind, Moment, Series, Values, fires, silent

_GROUPS = ("handrail-pipeline",)
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_AT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A series that breaks an alert's limit when it goes from `good` to `bad`, `after` which the alert fires.

    `edge` is the worst value that is still good. `beside` are series that the rule needs and that never change.
    """

    alert: str
    metric: str
    labels: Mapping[str, str]
    good: float
    edge: float
    bad: float
    after: timedelta = timedelta(0)
    lasts: timedelta = timedelta(0)
    subject: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, float] = field(default_factory=dict)
    step: timedelta = _MINUTE


EXPORTER = {"job": "handrail-exporter", "instance": "exporter"}
RECEIVER = {"job": "handrail-receiver", "instance": "receiver"}
SOURCE = {**EXPORTER, "source": "n8n/main"}
KEY = {**EXPORTER, "credential": "n8n/main"}

_LEVELS = (
    Reading(
        alert="HandrailPartDown",
        metric="up",
        labels=RECEIVER,
        good=1,
        edge=1,
        bad=0,
        after=5 * _MINUTE,
        subject={"job": "handrail-receiver"},
    ),
    Reading(
        alert="HandrailSourceDown",
        metric="handrail_source_up",
        labels=SOURCE,
        good=1,
        edge=1,
        bad=0,
        after=10 * _MINUTE,
        subject={"source": "n8n/main"},
    ),
    Reading(
        alert="HandrailCoverageGap",
        metric="handrail_source_coverage_gap_calls",
        labels=SOURCE,
        good=7,
        edge=7,
        bad=8,
        lasts=_HOUR,
        subject={"source": "n8n/main"},
    ),
    Reading(
        alert="HandrailLedgerDown",
        metric="handrail_ledger_up",
        labels=EXPORTER,
        good=1,
        edge=1,
        bad=0,
        after=2 * _MINUTE,
        subject={"instance": "exporter"},
    ),
    Reading(
        alert="HandrailConfigReloadFailed",
        metric="handrail_config_last_reload_successful",
        labels=EXPORTER,
        good=1,
        edge=1,
        bad=0,
        subject={"job": "handrail-exporter"},
    ),
    Reading(
        alert="HandrailCredentialRefused",
        metric="handrail_credential_valid",
        labels=KEY,
        good=1,
        edge=1,
        bad=0,
        after=2 * _MINUTE,
        subject={"credential": "n8n/main"},
    ),
    Reading(
        alert="HandrailDeliveryStuck",
        metric="handrail_outbox_oldest_age_seconds",
        labels={**RECEIVER, "lane": "tickets"},
        good=0,
        edge=900,
        bad=901,
        subject={"lane": "tickets", "severity": "warning"},
    ),
    Reading(
        alert="HandrailDeliveryStuck",
        metric="handrail_outbox_oldest_age_seconds",
        labels={**RECEIVER, "lane": "kills"},
        good=0,
        edge=120,
        bad=121,
        subject={"lane": "kills", "severity": "critical"},
    ),
    Reading(
        alert="HandrailDeadLetters",
        metric="handrail_dead_letters",
        labels={**RECEIVER, "lane": "tickets"},
        good=0,
        edge=0,
        bad=1,
        subject={"lane": "tickets"},
    ),
    Reading(
        alert="HandrailNotificationsFailing",
        metric="alertmanager_notifications_failed_total",
        labels={"job": "alertmanager", "instance": "am", "integration": "slack"},
        good=2,
        edge=5,
        bad=6,
        lasts=15 * _MINUTE,
        subject={"integration": "slack"},
    ),
    Reading(
        alert="HandrailRulesFailing",
        metric="prometheus_rule_evaluation_failures_total",
        labels={"job": "prometheus", "instance": "p", "rule_group": "rules;handrail-agents"},
        good=2,
        edge=2,
        bad=3,
        lasts=15 * _MINUTE,
        subject={"rule_group": "rules;handrail-agents"},
    ),
    Reading(
        alert="HandrailKillNotConfirmed",
        metric="handrail_kills_not_confirmed",
        labels={**RECEIVER, "agent": "a"},
        good=0,
        edge=0,
        bad=1,
        subject={"agent": "a"},
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A time stamp that breaks an alert's limit when it is reached at the step `_AT`, until it is renewed."""

    alert: str
    metric: str
    labels: Mapping[str, str]
    stamp: float
    renewed: float
    subject: Mapping[str, str]
    step: timedelta
    beside: Mapping[str, float] = field(default_factory=dict)


def _seconds(duration: timedelta) -> float:
    return duration.total_seconds()


# Prometheus' tests begin at the time 0, so a limit of thirty days is broken after thirty days of such a test.
_STAMPS = (
    Stamp(
        alert="HandrailSourceStale",
        metric="handrail_source_last_success_timestamp_seconds",
        labels=SOURCE,
        stamp=_seconds(_AT * 10 * _MINUTE - 30 * _MINUTE),
        renewed=_seconds(60 * _MINUTE),
        step=10 * _MINUTE,
        subject={"source": "n8n/main"},
    ),
    Stamp(
        alert="HandrailCredentialExpiring",
        metric="handrail_credential_expiry_timestamp_seconds",
        labels=KEY,
        stamp=_seconds(14 * _DAY + _AT * _HOUR),
        renewed=_seconds(90 * _DAY),
        step=_HOUR,
        subject={"credential": "n8n/main"},
        beside={"handrail_credential_warn_before_seconds": _seconds(14 * _DAY)},
    ),
    Stamp(
        alert="HandrailCredentialOld",
        metric="handrail_credential_issued_timestamp_seconds",
        labels=KEY,
        stamp=_seconds(_AT * _DAY - 3 * _DAY),
        renewed=_seconds(6 * _DAY),
        step=_DAY,
        subject={"credential": "n8n/main"},
        beside={"handrail_credential_max_age_seconds": _seconds(3 * _DAY)},
    ),
    Stamp(
        alert="HandrailDrillStale",
        metric="handrail_drill_last_success_timestamp_seconds",
        labels={**RECEIVER, "scenario": "slow-calls", "alertname": "AgentSlowCallStreak"},
        stamp=_seconds((_AT - 3) * 10 * _DAY),
        renewed=_seconds(55 * _DAY),
        step=10 * _DAY,
        subject={"scenario": "slow-calls", "drilled": "AgentSlowCallStreak"},
    ),
)


def cases() -> Iterator[Case]:
    """The claims about every alert of the pipeline; the watchdog has no limit to stay below and is tested apart."""
    for reading in _LEVELS:
        yield from _level(reading)
    for stamp in _STAMPS:
        yield from _stamp(stamp)


def _level(reading: Reading) -> Iterator[Case]:
    step, begins = reading.step, reading.step * _AT
    on, over = begins + reading.after, begins + reading.after + reading.lasts + 3 * step
    length = over // step + 3
    until = (begins + reading.after + 2 * step) // step

    def claim(kind: Kind, says: str, values: Values, *moments: Moment) -> Case:
        given = (Series(reading.metric, reading.labels, values),) if values else ()
        return _case(reading, kind, f"{reading.metric} {says}", given, moments)

    good, edge, bad = [reading.good] * _AT, [reading.edge] * (length - _AT), [reading.bad] * (length - _AT)
    yield claim("fires", f"goes to {reading.bad:g}", [*good, *bad], fires(on))
    yield claim("just below", f"goes no further than {reading.edge:g}", [*good, *edge], silent(on), silent(over))
    back = [*good, *bad[: until - _AT], *[reading.bad if reading.lasts else reading.good] * (length - until)]
    yield claim("resolves", "comes back", back, fires(on), silent(over))
    yield claim("no data", "is not there", (), silent(on), silent(over))
    if reading.after:
        brief = [*good, *bad[: reading.after // step - 1], *[reading.good] * 5]
        yield claim("spared", "was bad for a moment only", brief, silent(on), silent(on + step))


def _stamp(stamp: Stamp) -> Iterator[Case]:
    step, at = stamp.step, stamp.step * _AT

    def claim(kind: Kind, says: str, values: Values, *moments: Moment) -> Case:
        given = (Series(stamp.metric, stamp.labels, values),) if values else ()
        return _case(stamp, kind, f"{stamp.metric} {says}", given, moments)

    old = [stamp.stamp] * (_AT + 4)
    yield claim("fires", "is too far away", old, fires(at + step))
    yield claim("just below", "is exactly at the limit", old, silent(at))
    yield claim(
        "resolves",
        "is renewed",
        [*old[: _AT + 2], stamp.renewed, stamp.renewed],
        fires(at + step),
        silent(at + 2 * step),
    )
    yield claim("no data", "is not there", (), silent(at), silent(at + step))


def _case(
    about: Reading | Stamp, kind: Kind, says: str, given: tuple[Series, ...], moments: tuple[Moment, ...]
) -> Case:
    length = max((len(series.values) for series in given), default=30)
    beside = tuple(Series(metric, EXPORTER, [value] * length) for metric, value in about.beside.items())
    return Case(
        alert=about.alert,
        kind=kind,
        says=says,
        step=about.step,
        series=(*given, *beside),
        moments=moments,
        subject=about.subject,
        groups=_GROUPS,
    )
