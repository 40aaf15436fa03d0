"""The receiver's own metrics: counters of what it did since it started, and gauges read from its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from alerting.receiver import handoff_request
from alerting.receiver.decide import Reason
from alerting.receiver.outbox import LANES, Outbox
from alerting.receiver.reconcile import Finding

_OUTCOMES = ("accepted", "malformed", "unauthorized", "too_large", "limited", "unavailable")
_TICKETS = ("opened", "adopted", "reopened", "not_reopened", "commented", "closed", "duplicate", "mended")
_SLACK_LINKS = ("linked", "not_found", "failed", "refused")
_LOOKS = ("ok", "busy", "unavailable", "garbage")
_HEARTBEATS = ("sent", "failed")
_KILLS = ("confirmed", "not_confirmed")


@dataclass(frozen=True, slots=True)
class Tables:
    """Where the gauges are read.

    `flags` holds the flag of every configured agent, `flags_changed` when it was last set, `unconfirmed` for every
    agent with a switch whether a proof is missing, `handoffs` how many were ever taken, by agent and reason,
    `audited` the number of the audit log's last row, `open_tickets` those of incidents that are not over, by agent.
    """

    outbox: Outbox
    heartbeat: Callable[[], float | None]
    flags: Callable[[], Mapping[str, bool]]
    flags_changed: Callable[[], Mapping[str, float]]
    unconfirmed: Callable[[], Mapping[str, int]]
    handoffs: Callable[[], Mapping[tuple[str, str], int]]
    drills: Callable[[], Mapping[tuple[str, str], float]]
    audited: Callable[[], int]
    open_tickets: Callable[[], Mapping[str, int]]


class _Tables(Collector):
    def __init__(self, tables: Tables) -> None:
        self._outbox = tables.outbox
        self._tables = tables

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("handrail_outbox_pending", "Items that wait to be delivered.", labels=["lane"])
        age = GaugeMetricFamily(
            "handrail_outbox_oldest_age_seconds",
            "Age of the oldest item that waits; 0 when none does.",
            labels=["lane"],
        )
        for lane, (count, seconds) in self._outbox.pending().items():
            waiting.add_metric([lane], count)
            age.add_metric([lane], seconds)
        dead = GaugeMetricFamily("handrail_dead_letters", "Items that were given up and kept.", labels=["lane"])
        for lane, count in self._outbox.dead().items():
            dead.add_metric([lane], count)
        heard = GaugeMetricFamily(
            "handrail_watchdog_last_heard_timestamp_seconds", "When the watchdog's notification last came; 0 for never."
        )
        heard.add_metric([], self._tables.heartbeat() or 0)
        # Kept in the table, so that a restart resets nothing and Prometheus sees every row that is taken away.
        rows = CounterMetricFamily("handrail_audit_rows", "Rows of the audit log.")
        rows.add_metric([], self._tables.audited())
        yield from (
            waiting,
            age,
            dead,
            heard,
            rows,
            *self._flags(),
            self._handoffs(),
            self._unconfirmed(),
            self._open_tickets(),
            self._drills(),
        )

    def _handoffs(self) -> CounterMetricFamily:
        """Counted in the table, so that a restart resets nothing; an agent that never handed over stands at 0."""
        family = CounterMetricFamily("handrail_handoffs", "Hand-offs that were taken.", labels=["agent", "reason"])
        taken = self._tables.handoffs()
        known = {(agent, reason) for agent in self._tables.flags() for reason in handoff_request.REASONS}
        for labels in sorted(known | set(taken)):
            family.add_metric(labels, taken.get(labels, 0))
        return family

    def _flags(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "handrail_agent_flag_enabled", "Whether the flag says that the agent may work.", labels=["agent"]
        )
        for agent, enabled in self._tables.flags().items():
            family.add_metric([agent], enabled)
        changed = GaugeMetricFamily(
            "handrail_agent_flag_changed_timestamp_seconds",
            "When the flag was last set; 0 for never.",
            labels=["agent"],
        )
        for agent, at in self._tables.flags_changed().items():
            changed.add_metric([agent], at)
        yield from (family, changed)

    def _unconfirmed(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "handrail_kills_not_confirmed", "1 while the agent's last switch-off could not be proved.", labels=["agent"]
        )
        for agent, count in self._tables.unconfirmed().items():
            family.add_metric([agent], count)
        return family

    def _open_tickets(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "handrail_open_tickets", "Tickets whose incidents are not over; of no agent where it is about none.",
            labels=["agent"],
        )  # fmt: skip
        found = self._tables.open_tickets()
        for agent in sorted({"", *self._tables.flags(), *found}):
            family.add_metric([agent], found.get(agent, 0))
        return family

    def _drills(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "handrail_drill_last_success_timestamp_seconds",
            "When the scenario last passed; 0 for never.",
            labels=["scenario", "alertname"],
        )
        for labels, at in self._tables.drills().items():
            family.add_metric(labels, at)
        return family


class ReceiverMetrics:
    """Every label set exists at zero from the start, so that the first event is seen as an increase."""

    def __init__(self, tables: Tables) -> None:
        # A second series beside every counter, which nothing reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it unannotated
        self.registry = CollectorRegistry()
        self.registry.register(_Tables(tables))
        self._notifications = self._counter("handrail_notifications", "Notifications by outcome.", "outcome", _OUTCOMES)
        self._tickets = self._counter("handrail_tickets", "What was done to tickets.", "action", _TICKETS)
        self._slack = self._counter(
            "handrail_slack_links", "Searches for an incident's message in Slack.", "outcome", _SLACK_LINKS
        )
        self._kills = self._counter("handrail_kill_operations", "Switch operations by outcome.", "state", _KILLS)
        self._heartbeats = self._counter("handrail_heartbeats", "Heartbeats by outcome.", "outcome", _HEARTBEATS)

        self._decisions = Counter(
            "handrail_decisions", "What notifications meant.", ["decision", "reason"], registry=self.registry
        )
        for reason in Reason:
            self._decisions.labels(reason.verdict, reason.label)
        self._looks = self._counter("handrail_reconciler_looks", "Looks at Alertmanager.", "outcome", _LOOKS)
        findings = tuple(finding.label for finding in Finding)
        self._findings = self._counter(
            "handrail_reconciler_findings", "What was mended, as no notification told it.", "finding", findings
        )
        self._leases = self._counter("handrail_leases_lost", "Leases that were lost to another worker.", "lane", LANES)

    def _counter(self, name: str, text: str, label: str, known: tuple[str, ...]) -> Counter:
        counter = Counter(name, text, [label], registry=self.registry)
        for value in known:
            counter.labels(value)
        return counter

    def notification(self, outcome: str) -> None:
        """Count a notification."""
        self._notifications.labels(outcome).inc()

    def ticket(self, action: str) -> None:
        """Count what was done to a ticket; anything out of the ordinary counts as other."""
        self._tickets.labels(action if action in _TICKETS else "other").inc()

    def slack_link(self, outcome: str) -> None:
        """Count how a search for a message in Slack ended."""
        self._slack.labels(outcome).inc()

    def kill(self, state: str) -> None:
        """Count the end of a switch operation."""
        self._kills.labels(state).inc()

    def heartbeat(self, outcome: str) -> None:
        """Count a beat."""
        self._heartbeats.labels(outcome).inc()

    def lease_lost(self, lane: str) -> None:
        """Count work that another worker had taken over."""
        self._leases.labels(lane).inc()

    def reconciler_look(self, outcome: str) -> None:
        """Count a look at Alertmanager."""
        self._looks.labels(outcome).inc()

    def reconciler_finding(self, finding: Finding) -> None:
        """Count what was found of an incident, and mended."""
        self._findings.labels(finding.label).inc()

    def decision(self, reason: Reason) -> None:
        """Count what a notification meant for one incident."""
        self._decisions.labels(reason.verdict, reason.label).inc()
