"""One ticket, whatever Jira does: lost answers, limits, refusals, deletions."""

from __future__ import annotations

import json

import pytest

from alerting.receiver.schema import incidents, outbox
from drill.simulators.jira_content import plain_text

TWO = ("14f2e3b0c1d2e3f4", "24f2e3b0c1d2e3f4")


@pytest.fixture(params=["cloud", pytest.param("datacenter", marks=pytest.mark.slow)])
def bench(bench, request):
    """A receiver in front of either Jira."""
    return bench.on(request.param)


def test_a_ticket_carries_its_incident_from_its_first_moment(bench, notification):
    """As a label, which can be searched, and as a property, which cannot be copied; in one request."""
    bench.alert(notification())
    bench.drain()
    (ticket,), (incident,) = bench.jira.issues, bench.rows(incidents)
    assert ticket.properties == {"handrail": {"schema": 1, "incident": incident.key, "episode": 1}}
    assert f"handrail-{incident.key}-1" in ticket.labels


def test_a_ticket_is_open_until_its_incident_is_over(bench, notification):
    """By agent, from 0 on; what has no ticket yet is not one."""
    series = 'handrail_open_tickets{agent="invoice"}'
    assert bench.metric(series) == 0
    bench.alert(notification())
    assert bench.metric(series) == 0
    bench.drain()
    assert bench.metric(series) == 1
    bench.alert(notification(status="resolved"))
    bench.drain()
    assert bench.metric(series) == 0


@pytest.mark.parametrize("how", ["gateway", "late", "reset"])
@pytest.mark.parametrize("lag_s", [0, 60])
def test_a_creation_whose_answer_was_lost_is_found(bench, notification, how, lag_s):
    """However the answer is lost, and although the search does not know the ticket at first."""
    bench.jira.search.lag_s = lag_s
    bench.jira.ambiguous(how=how)
    bench.alert(notification())
    bench.later(400, step=5)
    assert len(bench.jira.issues) == 1
    assert bench.metric('handrail_tickets_total{action="adopted"}') == 1


def test_a_connection_that_ends_before_anything_is_stored_only_delays(bench, notification):
    """Nothing is found, and then the ticket is created after all."""
    bench.jira.ambiguous(how="reset before")
    bench.alert(notification())
    bench.later(200, step=5)
    assert bench.jira.issues == [], "it may still appear in the search"
    bench.later(100, step=5)
    assert len(bench.jira.issues) == 1


def test_a_clone_is_not_taken_for_the_ticket(bench, notification):
    """A person's copy has the label and not the property: it is neither adopted nor closed."""
    bench.alert(notification())
    bench.drain()
    clone = bench.jira.clone(bench.jira.issues[0].key)
    bench.jira.issues = [clone]
    with bench.receiver.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE incidents SET ticket_key = NULL")
        again = outbox.c.kind == "open"
        connection.execute(outbox.update().where(again).values(state="leased", lease_until=0, lease_owner="dead"))
    bench.later(300, step=5)
    ours = [issue for issue in bench.jira.issues if issue is not clone]
    assert len(ours) == 1
    bench.later(5 * 3600, step=600)
    assert bench.open_tickets == [clone, *ours]


def test_two_tickets_after_all_become_one(bench, notification):
    """The search found the first one only after hours: the younger is linked to it, says why and is closed, once."""
    bench.jira.search.lag_s = 3000
    bench.jira.ambiguous()
    bench.alert(notification())
    bench.later(400, step=10)
    assert len(bench.jira.issues) == 2
    bench.later(8 * 3600, step=300)
    elder, younger = bench.jira.issues
    assert bench.open_tickets == [elder]
    assert younger.links == {("Duplicate", elder.key)}
    (said,) = younger.comments
    assert f"A duplicate of {elder.key}" in plain_text(said["body"])
    assert elder.comments == []
    bench.alert(notification(fingerprints=TWO))
    bench.later(5)
    assert len(elder.comments) == 1, "the incident goes on in the elder one"
    assert bench.metric('handrail_tickets_total{action="duplicate"}') == 1


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("before", [0, 70])
def test_a_comment_whose_answer_was_lost_is_recognised(bench, notification, before, listed):
    """By its property, newest first, wherever Jira shows it; nothing of that is seen in the text."""
    bench.jira.comments.list_has_properties = listed
    bench.alert(notification())
    bench.drain()
    (ticket,) = bench.jira.issues
    for number in range(before):
        created = f"2026-11-22T10:00:{number % 60:02d}.000+0000"
        body = ticket.description
        ticket.comments.append({"id": f"old-{number}", "body": body, "created": created, "properties": []})
    bench.jira.comments.lost = 1
    bench.alert(notification(fingerprints=TWO))
    bench.later(10)
    (said,) = ticket.comments[before:]
    assert "handrail-" not in plain_text(said["body"])
    assert said["properties"][0]["value"]["id"].startswith("handrail-")


def test_a_jira_that_takes_no_property_shows_the_name_instead(bench, notification):
    """The comment is recognised all the same."""
    bench.jira.comments.takes_properties = False
    bench.alert(notification())
    bench.drain()
    bench.alert(notification(fingerprints=TWO))
    bench.drain()
    (said,) = bench.jira.issues[0].comments
    assert "handrail-" in plain_text(said["body"])


def test_a_handoff_on_a_deleted_ticket_moves_to_the_new_one(bench):
    """What was accepted is on a ticket, whatever happened to the first."""
    case = {"task": "Refund 4711", "confidence": 0.5}
    assert bench.handoff(case).status_code == 202
    bench.drain()
    bench.jira.issues.clear()
    assert bench.handoff(case | {"task": "Refund 4712"}, key="k2").status_code == 202
    bench.later(5)
    (ticket,) = bench.jira.issues
    said = plain_text(ticket.description) + "".join(plain_text(row["body"]) for row in ticket.comments)
    assert "Refund 4711" in said and "Refund 4712" in said


def test_a_ticket_that_takes_no_more_comments_is_followed_by_another(bench, notification):
    """A hand-off goes on in a new ticket; a change of an incident is left out, and its end still closes the ticket."""
    bench.jira.comments.limit = 1
    case = {"task": "Refund 4711", "confidence": 0.5}
    bench.handoff(case)
    bench.drain()
    bench.handoff(case | {"task": "Refund 4712"}, key="k2")
    bench.handoff(case | {"task": "Refund 4713"}, key="k3")
    bench.alert(notification())
    bench.drain()
    bench.alert(notification(fingerprints=TWO))
    bench.alert(notification())
    bench.alert(notification("resolved", fingerprints=TWO))
    bench.later(5)
    full, *others = [issue for issue in bench.jira.issues if "handrail-handoff" in issue.labels]
    assert ("Relates", full.key) in others[-1].links
    assert "Refund 4713" in plain_text(others[-1].comments[0]["body"])
    assert bench.open_tickets == [full, *others], "the incident's own ticket is closed"
    assert bench.metric('handrail_dead_letters{lane="tickets"}') == 0


def test_a_crash_between_creation_and_its_record_adopts_the_ticket(bench, notification):
    """The lease of the lost attempt ends, and the ticket is found by its label."""
    bench.alert(notification())
    bench.drain()
    with bench.receiver.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE incidents SET ticket_key = NULL")
        connection.execute(outbox.update().values(state="leased", lease_until=bench.clock.now().timestamp() + 60))
    bench.restart()
    bench.later(70)
    assert len(bench.jira.issues) == 1
    assert bench.metric('handrail_tickets_total{action="adopted"}') == 1


@pytest.mark.parametrize("fault", ["rate_limited", "unavailable", "server_error"])
def test_a_search_that_fails_after_a_crash_does_not_lead_to_a_second_creation(bench, notification, fault):
    """What is not known after a crash is not forgotten because Jira was busy when it was first asked."""
    bench.alert(notification())
    bench.drain()
    with bench.receiver.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE incidents SET ticket_key = NULL")
        connection.execute(outbox.update().values(state="leased", lease_until=bench.clock.now().timestamp() + 60))
    bench.restart()
    bench.jira.faults.set(fault, count=2)
    bench.later(600)
    assert len(bench.jira.issues) == 1
    assert bench.metric('handrail_tickets_total{action="adopted"}') == 1


@pytest.mark.parametrize("kind", ["rate_limited", "unavailable", "unauthorized", "forbidden", "server_error", "html"])
def test_an_outage_delays_the_ticket_and_loses_nothing(bench, notification, kind):
    """While Jira fails nothing is created; afterwards there is exactly one ticket."""
    bench.jira.faults.set(kind)
    bench.alert(notification())
    bench.later(20)
    assert bench.jira.issues == []
    assert bench.metric('handrail_outbox_pending{lane="tickets"}') == 1
    bench.jira.faults.clear()
    bench.later(700, step=5)
    assert len(bench.jira.issues) == 1
    assert bench.metric('handrail_dead_letters{lane="tickets"}') == 0


def test_a_deleted_ticket_is_opened_again_while_the_incident_fires(bench, notification):
    """The next change finds it gone and asks for a new one."""
    bench.alert(notification())
    bench.drain()
    bench.jira.issues.clear()
    bench.alert(notification(fingerprints=("14f2e3b0c1d2e3f4", "24f2e3b0c1d2e3f4")))
    bench.later(5)
    assert len(bench.open_tickets) == 1


def test_the_token_never_appears_in_what_is_stored(bench, notification):
    """Not in an error, not in the outbox."""
    bench.jira.faults.set("unauthorized")
    bench.alert(notification())
    bench.drain()
    assert "jira-token" not in json.dumps([row._asdict() for row in bench.rows(outbox)], default=str)
