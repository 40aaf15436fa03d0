"""One ticket, whatever Jira does: lost answers, limits, refusals, deletions."""

from __future__ import annotations

import json

import pytest

from alerting.receiver.schema import outbox


def test_a_creation_whose_answer_was_lost_is_found_again(bench, notification):
    """The ticket exists although Jira answered 504: it is adopted, not created a second time."""
    bench.jira.ambiguous()
    bench.alert(notification())
    bench.later(30)
    assert len(bench.jira.issues) == 1
    assert bench.metric('handrail_tickets_total{action="adopted"}') == 1


def test_a_search_that_lags_behind_is_asked_again_before_a_second_creation(bench, notification):
    """Jira's search knows a new ticket only after a minute."""
    bench.jira.search_lag_s = 60
    bench.jira.ambiguous()
    bench.alert(notification())
    bench.later(400)
    assert len(bench.jira.issues) == 1


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


def test_what_jira_will_never_accept_is_a_dead_letter_that_says_why(bench, notification):
    """The labels field is not on the screen: counted, kept, and named."""
    bench.jira.screen.discard("labels")
    bench.alert(notification())
    bench.drain()
    assert bench.metric('handrail_dead_letters{lane="tickets"}') == 1
    assert "labels" in bench.rows(outbox)[0].last_error


def test_a_deleted_ticket_is_opened_again_while_the_incident_fires(bench, notification):
    """The next change finds it gone and asks for a new one."""
    bench.alert(notification())
    bench.drain()
    bench.jira.issues.clear()
    bench.alert(notification(fingerprints=("14f2e3b0c1d2e3f4", "24f2e3b0c1d2e3f4")))
    bench.later(5)
    assert len(bench.open_tickets) == 1


def test_a_comment_whose_answer_was_lost_is_not_written_twice(bench, notification):
    """The attempt is recognised by its marker."""
    bench.alert(notification())
    bench.drain()
    bench.jira.faults.set("truncated", count=1)
    bench.alert(notification(fingerprints=("14f2e3b0c1d2e3f4", "24f2e3b0c1d2e3f4")))
    bench.later(10)
    assert len(bench.jira.issues[0].comments) == 1


def test_the_token_never_appears_in_what_is_stored(bench, notification):
    """Not in an error, not in the outbox."""
    bench.jira.faults.set("unauthorized")
    bench.alert(notification())
    bench.drain()
    assert "jira-token" not in json.dumps([row._asdict() for row in bench.rows(outbox)], default=str)


def test_data_center_gets_wiki_text_and_a_bearer_token(tmp_path, clock, build, notification, monkeypatch):
    """The same incident on Jira Data Center."""
    for bench in build(tmp_path, clock):
        bench.jira.deployment = "datacenter"
        jira = bench.settings.tickets.jira.model_copy(update={"deployment": "datacenter", "user": None})
        tickets = bench.settings.tickets.model_copy(update={"jira": jira})
        bench.settings = bench.settings.model_copy(update={"tickets": tickets})
        bench.restart()
        bench.alert(notification())
        bench.alert(notification("resolved"))
        bench.drain()
        (ticket,) = bench.jira.issues
        assert "*Agent:* invoice" in ticket.description
        assert ticket.status_category == "done"
