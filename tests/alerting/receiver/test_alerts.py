"""From a notification to a ticket: exactly one while it fires, closed when it resolves, and nothing lost on the way."""

from __future__ import annotations

import json

import jsonschema
import pytest

from alerting.receiver.schema import audit, inbox, quarantine


def test_a_firing_alert_becomes_one_ticket_with_its_numbers_and_links(bench, notification):
    """The ticket says which agent, what happened, whom to ask and where to look."""
    assert bench.alert(notification()).status_code == 200
    bench.drain()
    (ticket,) = bench.jira.issues
    assert ticket.summary == "AgentErrorRatioHigh · invoice · Calls fail more often than the SLA allows."
    assert {"handrail", "handrail-agent-invoice"} < set(ticket.labels)
    said = json.dumps(ticket.description)
    for expected in ("4.2% of 52 calls failed.", "finance", "On-call, #ops", "2026-11-23 11:59:00 UTC", "critical"):
        assert expected in said
    assert "http://handrail.example/runbook/AgentErrorRatioHigh?agent=invoice" in said
    assert "http://handrail.example/agents/invoice/switch" in said


def test_it_is_on_disk_before_it_is_acknowledged(bench, notification):
    """After the 200 and before any work, a crash loses nothing."""
    bench.alert(notification())
    bench.restart()
    bench.drain()
    assert len(bench.open_tickets) == 1


def test_repeats_and_copies_change_nothing(bench, notification):
    """The same state again, also from another Alertmanager, is neither a ticket nor a comment."""
    for url in ("http://a.example", "http://b.example", "http://a.example"):
        bench.alert(notification(externalURL=url))
        bench.later(1)
    assert len(bench.jira.issues) == 1
    assert bench.jira.issues[0].comments == []


def test_another_alert_in_the_group_is_a_comment(bench, notification):
    """A change of the incident is told on its ticket."""
    bench.alert(notification())
    bench.alert(notification(fingerprints=("14f2e3b0c1d2e3f4", "24f2e3b0c1d2e3f4")))
    bench.drain()
    (ticket,) = bench.jira.issues
    assert "Still firing: 2 of 2" in json.dumps(ticket.comments[0])


def test_resolving_closes_the_ticket_and_firing_again_opens_it_again(bench, notification):
    """The second episode has the same state as the first and is not swallowed as a repeat."""
    bench.alert(notification())
    bench.alert(notification("resolved"))
    bench.drain()
    (first,) = bench.jira.issues
    assert first.status_category == "done"
    assert "Resolved" in json.dumps(first.comments[0])
    bench.alert(notification())
    bench.drain()
    assert bench.open_tickets == [first]


def test_a_ticket_closed_by_a_person_is_left_alone(bench, notification):
    """Neither reopened nor transitioned again."""
    bench.alert(notification())
    bench.drain()
    bench.jira.issues[0].status_category = "done"
    bench.alert(notification("resolved"))
    bench.drain()
    assert len(bench.jira.issues) == 1
    assert bench.metric('handrail_outbox_pending{lane="tickets"}') == 0


def test_watchdog_and_information_open_no_ticket(bench, notification):
    """The heartbeat is remembered; severity info is for the pages."""
    bench.alert(notification(alertname="HandrailWatchdog", severity="info"))
    bench.alert(notification(alertname="SomethingToKnow", severity="info"))
    bench.drain()
    assert bench.jira.issues == []
    assert bench.metric("handrail_watchdog_last_heard_timestamp_seconds") == bench.clock.now().timestamp()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"not json", "the body is not JSON"),
        (b"[]", "the body"),
        (b'{"version": "3"}', "version"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
    ],
)
def test_what_is_no_notification_is_refused_kept_and_counted(bench, body, reason):
    """4xx with the reason, a row in quarantine, and the inbox stays empty."""
    answer = bench.alert(body)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    (kept,) = bench.rows(quarantine)
    assert reason in kept.reason
    assert bench.metric('handrail_notifications_total{outcome="malformed"}') == 1
    assert bench.rows(inbox) == []


def test_too_large_a_body_is_refused_unread(bench):
    """413, by its header or by what arrives."""
    assert bench.alert(b" " * (1024 * 1024 + 1)).status_code == 413
    assert bench.metric('handrail_notifications_total{outcome="too_large"}') == 1


def test_a_wrong_token_is_refused(bench, notification):
    """401, and nothing is stored."""
    assert bench.alert(notification(), token="wrong").status_code == 401
    assert bench.client.post("/v1/alerts", json=notification()).status_code == 401
    assert bench.rows(inbox) == []
    assert bench.metric('handrail_notifications_total{outcome="unauthorized"}') == 2


def test_what_cannot_be_stored_is_not_acknowledged(bench, notification):
    """503, which is what makes Alertmanager try again."""
    with bench.receiver.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE inbox RENAME TO elsewhere")
    assert bench.alert(notification()).status_code == 503
    with bench.receiver.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO inbox")
    assert bench.alert(notification()).status_code == 200


def test_a_payload_of_the_contract_is_accepted_and_ours_follows_the_contract(bench, notification, contracts):
    """The recorded sample is accepted; what these tests send is what Alertmanager sends."""
    folder = contracts / "alertmanager"
    sample = json.loads((folder / "webhook-v4.sample.json").read_text())
    assert bench.alert(sample).status_code == 200
    jsonschema.validate(notification(), json.loads((folder / "webhook-v4.schema.json").read_text()))


def test_one_notification_that_cannot_be_decided_does_not_stop_the_next(bench, notification):
    """It is put into quarantine; the one behind it gets its ticket."""
    bench.alert(notification(agent="first"))
    with bench.receiver.engine.begin() as connection:
        connection.execute(inbox.update().values(body='{"version": "3"}'))
    bench.alert(notification())
    bench.drain()
    assert len(bench.open_tickets) == 1
    assert bench.rows(quarantine)[0].reason.startswith("not decided: Malformed")


def test_every_step_is_in_the_audit_log(bench, notification):
    """Who decided what about which incident, and which ticket it became."""
    bench.alert(notification())
    bench.alert(notification("resolved"))
    bench.drain()
    actions = [row.action for row in bench.rows(audit)]
    assert actions == ["incident opened", "incident ended", "ticket opened", "ticket closed", "ticket completed"]
