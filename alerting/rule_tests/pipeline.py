"""The alerts about Handrail itself. The watchdog has no limit to stay below and is tested apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from alerting.rule_tests.case import TARGET, Case, Series
from alerting.rule_tests.levels import Reading, Stamp, World

_GROUPS = ("handrail-pipeline",)
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def _beside(metric: str, value: timedelta) -> World:
    return lambda length: (Series(metric, TARGET, [value.total_seconds()] * length),)


RECEIVER = {"job": "handrail-receiver", "instance": "receiver"}
SOURCE = {**TARGET, "source": "n8n/main"}
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
