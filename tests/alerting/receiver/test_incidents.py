"""Incidents and not notifications: copies, late ones and new episodes are told apart, and every one is counted."""

from __future__ import annotations

from alerting.receiver.retention import KEEP_DONE_S, Retention
from alerting.receiver.schema import MIGRATIONS, alerts, audit, inbox, incidents
from handrail.database import migrate
from handrail.logs import get_logger

ONE, TWO = "14f2e3b0c1d2e3f4", "24f2e3b0c1d2e3f4"


def decided(bench, decision: str, reason: str) -> float:
    return bench.metric(f'handrail_decisions_total{{decision="{decision}",reason="{reason}"}}')


def test_a_late_copy_of_the_firing_opens_nothing(bench, notification):
    """Another Alertmanager had it still under way when the alert resolved: it is held, and says so."""
    late = notification()
    bench.alert(late)
    bench.later(5)
    bench.alert(notification("resolved"))
    bench.later(5)
    bench.alert(late | {"externalURL": "http://other.example"})
    bench.later(5)
    assert len(bench.jira.issues) == 1
    assert bench.open_tickets == []
    assert bench.rows(audit)[-1].detail.count("late copy") == 1
    assert decided(bench, "hold", "late_firing") == 1


def test_one_that_fires_on_long_after_is_no_late_copy(bench, notification):
    """No Alertmanager tries for so long: the alert timed out and came back with its old beginning."""
    late = notification()
    bench.alert(late)
    bench.alert(notification("resolved"))
    bench.later(600, step=100)
    bench.alert(late)
    bench.drain()
    assert len(bench.open_tickets) == 1
    assert decided(bench, "open", "came_back") == 1


def test_a_late_resolved_of_the_episode_before_closes_nothing(bench, notification):
    """The second episode fires on."""
    bench.alert(notification())
    bench.later(5)
    over = notification("resolved")
    bench.alert(over)
    bench.later(60, step=20)
    bench.alert(notification())
    bench.alert(over)
    bench.drain()
    assert len(bench.open_tickets) == 1
    assert decided(bench, "ignore", "resolved_late") == 1


def test_one_of_two_alerts_that_ends_is_told_and_the_ticket_stays(bench, notification):
    """It closes when the other one ends too."""
    bench.alert(notification(fingerprints=(ONE, TWO)))
    bench.alert(notification(fingerprints=(ONE,), resolved=(TWO,)))
    bench.drain()
    (ticket,) = bench.open_tickets
    assert len(ticket.comments) == 1
    bench.alert(notification("resolved", fingerprints=(ONE,)))
    bench.drain()
    assert bench.open_tickets == []


def test_an_alert_that_is_not_told_of_keeps_the_ticket_open(bench, notification):
    """A silenced alert is left out of what Alertmanager tells, and still fires."""
    bench.alert(notification(fingerprints=(ONE, TWO)))
    bench.alert(notification("resolved", fingerprints=(ONE,)))
    bench.drain()
    assert len(bench.open_tickets) == 1
    assert decided(bench, "ask", "rest_not_told") == 1


def test_another_group_key_is_the_same_incident(bench, notification):
    """A parent route was edited."""
    bench.alert(notification())
    bench.alert(notification(groupKey='{}/{severity=~"critical"}:{}'))
    bench.drain()
    assert len(bench.jira.issues) == 1
    assert decided(bench, "repeat", "regrouped") == 1


def test_every_reason_is_a_label_that_begins_at_zero(bench):
    """So that the first of its kind is seen as an increase."""
    text = bench.client.get("/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("handrail_decisions_total{")]
    assert len(lines) == 22
    assert all(line.endswith(" 0.0") for line in lines)


def test_a_database_from_before_goes_on_where_it_was(bench, notification):
    """An incident that was open before alerts were remembered is repeated and resolved, not opened a second time."""
    bench.alert(notification())
    bench.drain()
    with bench.receiver.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE alerts")
        for column in ("sender", "group_key", "muted"):
            connection.exec_driver_sql(f"ALTER TABLE incidents DROP COLUMN {column}")
        connection.exec_driver_sql("ALTER TABLE outbox DROP COLUMN lease_owner")
        connection.exec_driver_sql("DROP INDEX inbox_undecided")
        connection.exec_driver_sql("DELETE FROM schema_migrations WHERE version > 3")
    migrate(bench.receiver.engine, MIGRATIONS)
    bench.alert(notification())
    bench.drain()
    assert len(bench.rows(incidents)) == 1
    assert len(bench.jira.issues) == 1
    bench.alert(notification("resolved"))
    bench.drain()
    assert bench.open_tickets == []
    assert all(row.processed_at for row in bench.rows(inbox))
    with bench.receiver.engine.begin() as connection:
        assert connection.execute(alerts.select()).one().firing is False


def test_an_alert_that_ended_is_forgotten_after_a_week_and_one_that_fires_is_not(bench, notification):
    """By then no copy of it can come any more."""
    bench.alert(notification(fingerprints=(ONE, TWO)))
    bench.alert(notification(fingerprints=(ONE,), resolved=(TWO,)))
    bench.drain()
    bench.clock.advance(KEEP_DONE_S + 1)
    while Retention(bench.receiver.engine, bench.clock, get_logger("test")).tidy():
        pass
    with bench.receiver.engine.begin() as connection:
        assert [row.fingerprint for row in connection.execute(alerts.select())] == [ONE]
