"""What a person does to a ticket stays: edits, closing, won't fix; and an incident that comes back finds its ticket."""

from __future__ import annotations

import pytest

from alerting.receiver.schema import audit, outbox
from drill.simulators.jira_content import plain_text
from drill.simulators.jira_workflow import Transition

TWO = ("14f2e3b0c1d2e3f4", "24f2e3b0c1d2e3f4")
DAY_S = 86_400
# For so long a firing copy of an alert that ended is taken for a late one.
HOLD_S = 400


@pytest.fixture(params=["cloud", pytest.param("datacenter", marks=pytest.mark.slow)])
def bench(bench, request):
    """A receiver in front of either Jira."""
    return bench.on(request.param)


@pytest.fixture
def ticket(bench, notification):
    """The ticket of an incident that fires."""
    bench.alert(notification())
    bench.drain()
    return bench.jira.issues[0]


def said(ticket) -> list[str]:
    return [plain_text(row["body"]) for row in ticket.comments]


def dead(bench) -> list[str]:
    return [row.last_error for row in bench.rows(outbox) if row.state == "dead"]


def test_nothing_a_person_changed_is_written_again(bench, notification, ticket):
    """Through a change, an end and a return of the incident; the one label more is added."""
    ticket.summary, ticket.description = "Invoices fail since the update", "what we know by now"
    ticket.labels += ["ours", "sprint-7"]
    ticket.fields |= {"priority": {"name": "Low"}, "assignee": {"accountId": "somebody"}}
    before = dict(ticket.fields)
    for body in (notification(fingerprints=TWO), notification("resolved", fingerprints=TWO)):
        bench.alert(body)
        bench.drain()
    bench.clock.advance(HOLD_S)
    bench.alert(notification())
    bench.drain()
    assert (ticket.summary, ticket.description) == ("Invoices fail since the update", "what we know by now")
    assert ticket.fields == before
    assert {"ours", "sprint-7"} < set(ticket.labels)
    assert [
        label.rpartition("-")[2] for label in ticket.labels if label.startswith("handrail-") and label[-2] == "-"
    ] == [
        "1",
        "2",
    ]


def test_an_incident_that_comes_back_within_a_day_goes_on_in_its_ticket(bench, notification, ticket):
    """Out of done, with a comment that has the new numbers; changes and the end are told there too."""
    bench.alert(notification("resolved"))
    bench.later(DAY_S - 60, step=DAY_S / 3)
    bench.alert(notification())
    bench.drain()
    assert bench.open_tickets == [ticket]
    assert "Fires again" in said(ticket)[-1] and "4.2% of 52 calls failed." in said(ticket)[-1]
    assert bench.metric('handrail_tickets_total{action="reopened"}') == 1
    bench.alert(notification("resolved"))
    bench.drain()
    assert bench.open_tickets == []
    assert len(bench.jira.issues) == 1


def test_later_it_gets_a_new_ticket_that_is_linked_to_the_former(bench, notification, ticket):
    """And names it, for a project without that kind of link."""
    bench.alert(notification("resolved"))
    bench.later(DAY_S + 3600, step=DAY_S / 2 + 1800)
    bench.alert(notification())
    bench.drain()
    (second,) = bench.open_tickets
    assert second.links == {("Relates", ticket.key)}
    assert f"Ticket before this one: {ticket.key}" in plain_text(second.description).replace("*", "").replace("\\", "")


def test_a_kind_of_link_that_does_not_exist_is_left_out(bench, notification, ticket):
    """The ticket is named in the text, and nothing else is held up."""
    bench.jira.besides.link_types.clear()
    bench.configure_jira(reopen_within=bench.settings.tickets.jira.reopen_within * 0)
    bench.alert(notification("resolved"))
    bench.later(1)
    bench.alert(notification())
    bench.drain()
    (second,) = bench.open_tickets
    assert second.links == set()
    assert second.remote_links, "the links after it are there"
    assert ticket.key in plain_text(second.description)


@pytest.mark.parametrize("resolution", ["Won't Do", "Won't Fix"])
def test_wont_fix_is_respected(bench, notification, ticket, resolution):
    """Not opened again, no comment, no second ticket, and the audit log says why; a day later it is a new ticket."""
    bench.alert(notification("resolved"))
    bench.drain()
    ticket.close(resolution)
    comments = len(ticket.comments)
    bench.alert(notification())
    bench.alert(notification(fingerprints=TWO))
    bench.alert(notification("resolved", fingerprints=TWO))
    bench.later(5)
    assert (bench.jira.issues, len(ticket.comments)) == ([ticket], comments)
    assert bench.open_tickets == []
    assert bench.metric('handrail_tickets_total{action="not_reopened"}') == 1
    assert any(resolution in row.detail for row in bench.rows(audit) if row.action == "ticket not reopened")
    assert dead(bench) == []
    bench.later(DAY_S + 3600, step=DAY_S / 2 + 1800)
    bench.alert(notification())
    bench.drain()
    assert len(bench.open_tickets) == 1


def test_a_ticket_closed_while_it_fires_stays_closed_and_is_told_once(bench, notification, ticket):
    """Three changes, one comment; the end adds its own, and a return opens it again."""
    ticket.close()
    for prints in (TWO, TWO[:1], TWO):
        bench.alert(notification(fingerprints=prints))
        bench.later(2)
    assert bench.open_tickets == []
    (once,) = said(ticket)
    assert "still fires" in once
    bench.alert(notification("resolved", fingerprints=TWO))
    bench.drain()
    bench.clock.advance(HOLD_S)
    bench.alert(notification())
    bench.drain()
    assert bench.open_tickets == [ticket]


def test_a_switch_that_was_not_proved_is_told_on_a_closed_ticket_too(bench, notification):
    """That an agent may still run must not be lost because somebody was quick."""
    bench.alert(notification(alertname="AgentSlowCallStreak", agent="support-bot"))
    bench.drain()
    bench.jira.issues[0].close()
    bench.calls.count += 1
    for _ in range(40):
        bench.calls.count += 1
        bench.later(8, step=8)
    assert any("NOT CONFIRMED" in line for line in said(bench.jira.issues[0]))


GERMAN = [
    Transition("4", "Anfangen", "In Arbeit", "indeterminate"),
    Transition("5", "Verwerfen", "Verworfen", "done", {"reason": True}),
    Transition("6", "Erledigen", "Erledigt", "done"),
]


def test_statuses_are_told_by_their_category(bench, notification, ticket):
    """In a project whose names are German; a transition that asks for nothing is preferred."""
    bench.jira.workflow = GERMAN
    bench.alert(notification("resolved"))
    bench.drain()
    assert ticket.status == "Erledigt"
    bench.alert(notification())
    bench.drain()
    assert ticket.status == "In Arbeit"


def test_the_configured_transition_comes_first(bench, notification, ticket):
    """By name or id; its screen is filled in with the configured resolution."""
    closing = Transition("7", "Schließen", "Geschlossen", "done", {"resolution": True})
    bench.jira.workflow = [*GERMAN, closing, Transition("8", "Wieder auf", "Offen", "new")]
    bench.configure_jira(close_transition="schließen", reopen_transition="8", resolution="Cannot Reproduce")
    bench.alert(notification("resolved"))
    bench.drain()
    assert (ticket.status, ticket.resolution) == ("Geschlossen", "Cannot Reproduce")
    bench.alert(notification())
    bench.drain()
    assert (ticket.status, ticket.resolution) == ("Offen", None)


def test_a_closing_screen_that_cannot_be_filled_in_is_a_dead_letter_that_says_what_to_set(bench, notification, ticket):
    """It names the transition, the field and the setting; the comment stands once."""
    bench.jira.workflow = [Transition("7", "Close", "Closed", "done", {"resolution": True})]
    bench.alert(notification("resolved"))
    bench.drain()
    (error,) = dead(bench)
    assert '"Close" asks for resolution' in error and "tickets.jira.resolution" in error and ticket.key in error
    assert len(ticket.comments) == 1


DONE = Transition("31", "Done", "Done", "done")


@pytest.mark.parametrize("back", [[], [Transition("1", "Reopen", "Open", "new", {"reason": True})]])
def test_a_workflow_without_a_way_back_gets_a_new_ticket(bench, notification, ticket, back):
    """The closed one is not taken for it when the answer to the creation is lost."""
    bench.jira.workflow = [DONE, *back]
    bench.alert(notification("resolved"))
    bench.drain()
    bench.jira.ambiguous()
    bench.alert(notification())
    bench.later(20, step=5)
    (second,) = bench.open_tickets
    assert second.key != ticket.key
    assert second.links == {("Relates", ticket.key)}


def test_a_full_ticket_is_opened_again_without_a_word(bench, notification, ticket):
    """Rather than a second one beside it."""
    bench.alert(notification("resolved"))
    bench.drain()
    bench.jira.comments.limit = 1
    bench.alert(notification())
    bench.drain()
    assert bench.open_tickets == [ticket]


def test_a_former_ticket_that_was_deleted_is_not_missed(bench, notification, ticket):
    """The incident comes back and gets a new one."""
    bench.alert(notification("resolved"))
    bench.drain()
    bench.jira.issues.clear()
    bench.alert(notification())
    bench.drain()
    assert len(bench.open_tickets) == 1


def test_a_moved_ticket_is_followed(bench, notification, ticket):
    """Jira answers by the old key with the ticket under its new one."""
    old = ticket.key
    found = bench.jira.issue
    ticket.key = "NEW-7"
    bench.jira.issue = lambda key: ticket if key == old else found(key)
    bench.alert(notification("resolved"))
    bench.drain()
    assert ticket.status_category == "done"
