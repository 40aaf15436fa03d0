"""Tickets follow what Alertmanager knows, also where it never tells; what it does not say changes nothing."""

from __future__ import annotations

import json

import httpx
import pytest

from alerting.receiver.reconcile import Finding
from alerting.receiver.schema import audit, incidents

ONE, TWO = "14f2e3b0c1d2e3f4", "24f2e3b0c1d2e3f4"


def found(bench, finding: Finding) -> float:
    return bench.metric(f'handrail_reconciler_findings_total{{finding="{finding.label}"}}')


def opened(bench, body) -> None:
    """An incident that Alertmanager told of and still knows."""
    bench.alertmanager.fires(body)
    bench.alert(body)
    bench.drain()
    assert len(bench.open_tickets) == 1


def test_a_ticket_whose_alert_is_not_known_any_more_is_closed_and_says_why(bench, notification):
    """Only after several looks: an Alertmanager that restarts knows nothing for a minute."""
    opened(bench, notification())
    bench.alertmanager.known.clear()
    bench.look(3)
    (ticket,) = bench.open_tickets
    bench.look()
    assert bench.open_tickets == []
    assert "Ended without a notification" in json.dumps(ticket.comments[-1])
    assert found(bench, Finding.ENDED) == 1
    assert any((row.actor, row.action) == ("reconciler", "ended") for row in bench.rows(audit))


def test_an_alertmanager_that_restarts_closes_nothing(bench, notification):
    """Prometheus tells it again within a minute, and the looks are counted anew."""
    body = notification()
    opened(bench, body)
    for _ in range(4):
        bench.alertmanager.known.clear()
        bench.look(2)
        bench.alertmanager.fires(body)
        bench.look()
    assert len(bench.open_tickets) == len(bench.jira.issues) == 1


@pytest.mark.parametrize(
    ("broken", "outcome"),
    [
        (None, "unavailable"),
        (httpx.Response(503), "unavailable"),
        (httpx.Response(200, text="<html>", headers={"content-type": "text/html"}), "garbage"),
        (httpx.Response(200, json={"status": "success"}), "garbage"),
        (httpx.Response(200, json=[{"labels": 1}]), "garbage"),
    ],
)
def test_one_that_is_away_or_answers_garbage_changes_nothing(bench, notification, broken, outcome):
    """Unknown is not gone, however long it lasts; the counting of looks does not go on either."""
    opened(bench, notification())
    bench.alertmanager.known.clear()
    bench.alertmanager.away, bench.alertmanager.broken = broken is None, broken
    bench.look(10)
    assert len(bench.open_tickets) == 1
    assert bench.metric(f'handrail_reconciler_looks_total{{outcome="{outcome}"}}') == 10


def test_an_alert_that_was_never_told_gets_one_ticket(bench, notification):
    """Its notification, which comes at last, is a repeat."""
    body = notification()
    bench.alertmanager.fires(body)
    bench.look()
    assert bench.jira.issues == [], "its notification may still be under way"
    bench.look(4)
    assert len(bench.open_tickets) == 1
    bench.alert(body)
    bench.drain()
    assert len(bench.jira.issues) == 1
    assert (found(bench, Finding.MISSED), len(bench.rows(incidents))) == (1, 1)


@pytest.mark.parametrize(
    ("how", "finding"),
    [("silencedBy", Finding.SILENCED), ("inhibitedBy", Finding.INHIBITED), ("mutedBy", Finding.MUTED)],
)
def test_a_muted_incident_says_so_once_and_closes_when_it_is_really_over(bench, notification, how, finding):
    """And a muted alert without an incident gets none."""
    opened(bench, notification())
    bench.alertmanager.mute(how)
    bench.look(5)
    (ticket,) = bench.open_tickets
    assert len(ticket.comments) == 1
    assert finding.label in json.dumps(ticket.comments[0]).lower()
    bench.alertmanager.known.clear()
    bench.look(4)
    assert bench.open_tickets == []
    bench.alertmanager.fires(notification(agent="other"))
    bench.alertmanager.mute(how)
    bench.look(5)
    assert len(bench.jira.issues) == 1


def test_watchdog_and_information_are_not_opened(bench, notification):
    """As when they are told."""
    bench.alertmanager.fires(notification(alertname="HandrailWatchdog", severity="info"))
    bench.alertmanager.fires(notification(alertname="SomethingToKnow", severity="info", fingerprints=(TWO,)))
    bench.look(5)
    assert bench.jira.issues == []


@pytest.mark.parametrize("fires", [True, False])
def test_a_late_copy_is_asked_about_before_it_is_dropped_or_opened(bench, notification, fires):
    """After the time in which another copy could still come."""
    late = notification()
    bench.alert(late)
    bench.later(5)
    bench.alert(notification("resolved"))
    bench.alert(late)
    bench.drain()
    if fires:
        bench.alertmanager.fires(late)
    bench.look(5)
    assert bench.open_tickets == []
    bench.look(2)
    assert len(bench.open_tickets) == int(fires)
    assert found(bench, Finding.CAME_BACK if fires else Finding.LATE_COPY) == 1


def test_the_rest_of_an_incident_that_was_not_told_of_ends_too(bench, notification):
    """One alert resolved as told, the other while it was silenced."""
    opened(bench, notification(fingerprints=(ONE, TWO)))
    bench.alertmanager.known.clear()
    bench.alert(notification("resolved", fingerprints=(ONE,)))
    bench.drain()
    assert len(bench.open_tickets) == 1
    bench.look(4)
    assert bench.open_tickets == []


def test_a_handoff_is_no_alert_and_stays_open(bench):
    """Alertmanager never knew it."""
    bench.handoff({"task": "Refund", "confidence": 0.1})
    bench.drain()
    bench.look(6)
    assert len(bench.open_tickets) == 1


def test_nothing_is_done_while_notifications_wait(bench, notification):
    """What seems to be missing may be among them."""
    body = notification()
    bench.alertmanager.fires(body)
    bench.alert(body)
    bench.receiver.reconciler.look()
    assert bench.metric('handrail_reconciler_looks_total{outcome="busy"}') == 1
    assert bench.rows(incidents) == []
