"""What stands in a ticket's fields and beside it; no field, limit or missing permission costs a ticket."""

from __future__ import annotations

import pytest

from alerting.receiver.jira.tickets import JiraTickets, say_missing_fields
from alerting.receiver.schema import audit, outbox
from drill.simulators.jira_content import plain_text
from drill.simulators.jira_fields import CustomField

ACCOUNT = "5b10a2844c20165700ede21g"


@pytest.fixture(params=["cloud", pytest.param("datacenter", marks=pytest.mark.slow)])
def bench(bench, request):
    """A receiver in front of either Jira."""
    return bench.on(request.param)


def opened(bench, notification, **changes):
    bench.alert(notification(**changes))
    bench.drain()
    return bench.jira.issues[-1]


def last_error(bench) -> str:
    return next(row.last_error for row in bench.rows(outbox) if row.state == "dead")


@pytest.mark.parametrize(("severity", "priority"), [("critical", "Highest"), ("warning", "Medium")])
def test_priority_by_severity(bench, notification, severity, priority):
    """As the team maps it."""
    bench.configure_jira(priority={"critical": "Highest", "warning": "Medium"})
    ticket = opened(bench, notification, severity=severity)
    assert ticket.fields["priority"] == {"name": priority}


def test_assignee_components_labels_and_own_fields(bench, notification):
    """By the owner here; an account id on Cloud, a name on Data Center."""
    cloud = bench.jira.deployment == "cloud"
    bench.jira.fields.custom["customfield_10010"] = CustomField("Impact", allowed=("High", "Low"))
    bench.configure_jira(
        assignee={"finance": ACCOUNT if cloud else "support-lead", "default": "nobody"},
        components=("Automations",),
        labels=("on-call",),
        fields={"customfield_10010": {"value": "High"}},
    )
    ticket = opened(bench, notification)
    assert ticket.fields["assignee"] == ({"accountId": ACCOUNT} if cloud else {"name": "support-lead"})
    assert ticket.fields["components"] == [{"name": "Automations"}]
    assert ticket.fields["customfield_10010"] == {"value": "High"}
    assert "on-call" in ticket.labels


BAD = {
    "priority": {"priority": {"critical": "Urgent!"}},
    "assignee": {"assignee": {"default": "who-left"}},
    "components": {"components": ("Gone",)},
    "customfield_10010": {"fields": {"customfield_10010": {"value": "Middling"}}},
}


@pytest.mark.parametrize("field", [*BAD, "labels"])
def test_a_refused_field_is_left_out_and_the_ticket_says_so(bench, notification, field):
    """One ticket, no dead letter, and the name of the field in its text."""
    bench.jira.fields.custom["customfield_10010"] = CustomField("Impact", allowed=("High", "Low"))
    bench.configure_jira(**BAD.get(field, {}))
    if field == "labels":
        bench.jira.fields.screen.discard("labels")
    ticket = opened(bench, notification)
    assert field not in ticket.fields
    said = plain_text(ticket.description).replace("\\", "")
    assert f"Opened without what Jira refused: {field}" in said
    assert bench.metric('handrail_dead_letters{lane="tickets"}') == 0


def test_a_required_field_is_named_with_its_values_and_what_to_set(bench, notification):
    """In the dead letter, and before that in the log when the receiver starts."""
    bench.jira.fields.custom["customfield_10010"] = CustomField("Impact", required=True, allowed=("High", "Low"))
    opened_before = list(bench.jira.issues)
    bench.alert(notification())
    bench.drain()
    assert bench.jira.issues == opened_before
    wanted = 'Jira requires "Impact"; set tickets.jira.fields.customfield_10010 to one of: High, Low'
    assert wanted in last_error(bench)
    told = Log()
    say_missing_fields(JiraTickets(bench.settings.tickets.jira, bench.clock), told)
    assert told.lines == [("jira_field_missing", wanted)]
    bench.configure_jira(fields={"customfield_10010": {"value": "High"}})
    assert JiraTickets(bench.settings.tickets.jira, bench.clock).required() == []


class Log:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def error(self, event: str, *, error: str) -> None:
        self.lines.append((event, error))

    info = error


def test_an_issue_type_that_does_not_exist_is_said_with_those_that_do(bench):
    """At the start, not with the first incident."""
    bench.configure_jira(issue_type="Störung")
    told = Log()
    say_missing_fields(JiraTickets(bench.settings.tickets.jira, bench.clock), told)
    ((event, text),) = told.lines
    assert event == "jira_field_missing" and "'Störung'" in text and "Bug, Incident, Story, Task" in text


@pytest.mark.parametrize("letter", ["x", "ä", "\N{ROCKET}"])
def test_what_is_too_long_for_a_ticket_is_attached(bench, letter):
    """Characters count, not bytes; the text says where the rest is, and all of it is there."""
    bench.handoff({"task": "Refund", "confidence": 0.5, "prompt": letter * 25_000, "response": letter * 25_000})
    bench.drain()
    (ticket,) = bench.jira.issues
    ((name, content),) = ticket.attachments.items()
    assert name in plain_text(ticket.description).replace("\\", "")
    assert content.decode().count(letter) >= 50_000
    assert letter * 1000 in plain_text(ticket.description), "what has room is shown"


def test_a_long_comment_is_attached_too(bench):
    """Once, although the request for it is repeated."""
    bench.handoff({"task": "Refund", "confidence": 0.5})
    bench.drain()
    bench.handoff({"task": "Refund", "confidence": 0.5, "prompt": "y" * 50_000}, key="k2")
    bench.jira.faults.set("server_error", count=1)
    bench.later(20)
    (ticket,) = bench.jira.issues
    assert [content.count(b"y" * 50_000) for content in ticket.attachments.values()] == [1]


@pytest.mark.parametrize("forbidden", [set(), {"links"}, {"attachments"}])
def test_links_stand_beside_the_ticket_once_and_hold_up_nothing(bench, notification, forbidden):
    """Run-book and dashboard; without the permission they stand in the text only."""
    bench.jira.besides.forbidden = forbidden
    ticket = opened(bench, notification)
    wanted = [] if "links" in forbidden else ["Dashboard", "Run-book"]
    assert sorted(link["object"]["title"] for link in ticket.remote_links) == wanted
    assert "http://handrail.example/runbook/AgentErrorRatioHigh?agent=invoice" in str(ticket.description)
    assert bench.metric('handrail_dead_letters{lane="tickets"}') == 0
    if forbidden == {"links"}:
        assert any("link" in row.detail for row in bench.rows(audit) if row.action == "ticket completed")


def test_a_link_that_is_put_again_replaces_itself(bench, notification):
    """The answer to the first was lost."""
    opened_one = opened(bench, notification)
    with bench.receiver.engine.begin() as connection:
        again = outbox.c.kind == "beside"
        connection.execute(outbox.update().where(again).values(state="ready", run_at=0))
    bench.drain()
    assert len(opened_one.remote_links) == 2


def test_handrail_asks_nothing_it_does_not_need(bench, notification):
    """No list of link types, application links or the bulk of all fields; Jira is asked for one issue at a time."""
    seen = []
    handle = bench.jira._router
    bench.jira._router = lambda request: (seen.append(f"{request.method} {request.path}"), handle(request))[1]
    bench.alert(notification())
    bench.alert(notification("resolved"))
    bench.drain()
    assert not [path for path in seen if "applinks" in path or path.endswith("/createmeta") or "/field" in path]
    assert sum(path.endswith("/issue") and path.startswith("POST") for path in seen) == 1
