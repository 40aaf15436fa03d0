"""The alerts about Handrail itself. The watchdog has no limit to stay below and is tested apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from alerting.rule_tests.case import TARGET, Case, Kind, Moment, Series, Values, fires, silent, without
from alerting.rule_tests.levels import Reading, Stamp, World

_GROUPS = ("handrail-pipeline",)
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def _beside(metric: str, value: timedelta) -> World:
    return lambda length: (Series(metric, TARGET, [value.total_seconds()] * length),)


RECEIVER = {"job": "handrail-receiver", "instance": "receiver"}
SOURCE = {**TARGET, "source": "n8n/main"}
DATASET = {**TARGET, "source": "cloudflare-analytics/main", "dataset": "worker_crons"}
_DATASET_READ = "handrail_source_dataset_last_success_timestamp_seconds"
KEY = {**TARGET, "credential": "n8n/main"}

_LEVELS = (
    Reading(
        alert="HandrailPartDown",
        groups=_GROUPS,
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
        groups=_GROUPS,
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
        groups=_GROUPS,
        metric="handrail_source_coverage_gap_calls",
        labels=SOURCE,
        good=7,
        edge=7,
        bad=8,
        lasts=_HOUR,
        subject={"source": "n8n/main"},
    ),
    Reading(
        alert="HandrailDatasetDown",
        groups=_GROUPS,
        metric="handrail_source_dataset_up",
        labels=DATASET,
        good=1,
        edge=1,
        bad=0,
        after=30 * _MINUTE,
        subject={"source": "cloudflare-analytics/main", "dataset": "worker_crons"},
        world=lambda length: (Series(_DATASET_READ, DATASET, [60.0] * length),),
    ),
    Reading(
        alert="WorkerCronMissed",
        groups=_GROUPS,
        metric="handrail_worker_cron_missed_total",
        labels={**TARGET, "source": "cloudflare-analytics/main", "worker": "w", "cron": "*/5 * * * *"},
        good=2,
        edge=2,
        bad=3,
        lasts=_HOUR,
        subject={"worker": "w", "cron": "*/5 * * * *"},
    ),
    Reading(
        alert="HandrailLedgerDown",
        groups=_GROUPS,
        metric="handrail_ledger_up",
        labels=TARGET,
        good=1,
        edge=1,
        bad=0,
        after=2 * _MINUTE,
        subject={"instance": "exporter"},
    ),
    Reading(
        alert="HandrailConfigReloadFailed",
        groups=_GROUPS,
        metric="handrail_config_last_reload_successful",
        labels=TARGET,
        good=1,
        edge=1,
        bad=0,
        subject={"job": "handrail-exporter"},
    ),
    Reading(
        alert="HandrailCredentialRefused",
        groups=_GROUPS,
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
        groups=_GROUPS,
        metric="handrail_outbox_oldest_age_seconds",
        labels={**RECEIVER, "lane": "tickets"},
        good=0,
        edge=900,
        bad=901,
        subject={"lane": "tickets", "severity": "warning"},
    ),
    Reading(
        alert="HandrailDeliveryStuck",
        groups=_GROUPS,
        metric="handrail_outbox_oldest_age_seconds",
        labels={**RECEIVER, "lane": "kills"},
        good=0,
        edge=120,
        bad=121,
        subject={"lane": "kills", "severity": "critical"},
    ),
    Reading(
        alert="HandrailDeadLetters",
        groups=_GROUPS,
        metric="handrail_dead_letters",
        labels={**RECEIVER, "lane": "tickets"},
        good=0,
        edge=0,
        bad=1,
        subject={"lane": "tickets"},
    ),
    Reading(
        alert="HandrailNotificationsFailing",
        groups=_GROUPS,
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
        groups=_GROUPS,
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
        groups=_GROUPS,
        metric="handrail_kills_not_confirmed",
        labels={**RECEIVER, "agent": "a"},
        good=0,
        edge=0,
        bad=1,
        subject={"agent": "a"},
    ),
)

_STAMPS = (
    Stamp(
        alert="HandrailSourceStale",
        groups=_GROUPS,
        metric="handrail_source_last_success_timestamp_seconds",
        labels=SOURCE,
        stamp=5 * 10 * _MINUTE - 30 * _MINUTE,
        renewed=70 * _MINUTE,
        reached=5 * 10 * _MINUTE,
        step=10 * _MINUTE,
        subject={"source": "n8n/main"},
    ),
    Stamp(
        alert="HandrailCredentialExpiring",
        groups=_GROUPS,
        metric="handrail_credential_expiry_timestamp_seconds",
        labels=KEY,
        stamp=14 * _DAY + 5 * _HOUR,
        renewed=90 * _DAY,
        reached=5 * _HOUR,
        step=_HOUR,
        subject={"credential": "n8n/main"},
        world=_beside("handrail_credential_warn_before_seconds", 14 * _DAY),
    ),
    Stamp(
        alert="HandrailCredentialOld",
        groups=_GROUPS,
        metric="handrail_credential_issued_timestamp_seconds",
        labels=KEY,
        stamp=5 * _DAY - 3 * _DAY,
        renewed=7 * _DAY,
        reached=5 * _DAY,
        step=_DAY,
        subject={"credential": "n8n/main"},
        world=_beside("handrail_credential_max_age_seconds", 3 * _DAY),
    ),
    Stamp(
        alert="HandrailDrillStale",
        groups=_GROUPS,
        metric="handrail_drill_last_success_timestamp_seconds",
        labels={**RECEIVER, "scenario": "slow-calls", "alertname": "AgentSlowCallStreak"},
        stamp=(5 - 3) * 10 * _DAY,
        renewed=65 * _DAY,
        reached=5 * 10 * _DAY,
        step=10 * _DAY,
        subject={"scenario": "slow-calls", "drilled": "AgentSlowCallStreak"},
    ),
)


def cases() -> Iterator[Case]:
    """The claims about each of them."""
    for one in (*_LEVELS, *_STAMPS):
        yield from one.cases()
    yield _never_offered()
    yield from _coverage_unknown()


def _never_offered() -> Case:
    """An account that does not have a dataset is not told so for ever."""
    series = (Series("handrail_source_dataset_up", DATASET, [0.0] * 60), Series(_DATASET_READ, DATASET, [0.0] * 60))
    return Case(
        alert="HandrailDatasetDown",
        kind="spared",
        says="a dataset that never could be read",
        step=_MINUTE,
        series=series,
        moments=(silent(50 * _MINUTE),),
        groups=_GROUPS,
    )


def _coverage_unknown() -> Iterator[Case]:
    """A check comes every ten minutes, until the sixtieth step; a step is five minutes."""
    step, stops, length = 5 * _MINUTE, 60, 140
    checks = [float(min(at, stops) // 2) for at in range(length)]
    unread = [float(at // 2) for at in range(length)]
    again = [*checks[:110], *[checks[-1] + 1] * (length - 110)]
    begins = [*[None] * 50, *[0.0] * 9, *[float(at // 2) for at in range(2, length - 57)]]
    after = stops * step + 3 * _HOUR

    def claim(kind: Kind, says: str, compared: Values, *moments: Moment) -> Case:
        labels = {**TARGET, "source": "cloudflare-analytics/main", "gateway": "prod"}
        metric = "handrail_gateway_coverage_checks_total"
        given = (
            Series(metric, {**labels, "verdict": "missing"}, compared),
            Series(metric, {**labels, "verdict": "unread"}, unread),
        )
        return Case(
            alert="HandrailCoverageUnknown",
            kind=kind,
            says=says,
            step=step,
            series=given if compared else (),
            moments=moments,
            subject={"source": "cloudflare-analytics/main", "gateway": "prod"},
            groups=_GROUPS,
        )

    yield claim("fires", "nothing was compared for three hours", checks, silent(after - 3 * step), fires(after + step))
    yield claim("just below", "something is compared now and then", unread, silent(after), silent(after + _HOUR))
    yield claim("resolves", "a comparison comes", again, fires(109 * step), silent(110 * step))
    yield claim("no data", "analytics that are not read", (), silent(after + step))
    restarted = without(checks, range(112, 114))
    yield claim(
        "restart", "an exporter that restarts compares nothing", restarted, fires(111 * step), fires(115 * step)
    )
    yield claim("spared", "a beginning takes its time", begins, silent(58 * step), silent(62 * step), silent(90 * step))
