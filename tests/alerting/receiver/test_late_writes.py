"""A receiver that falls asleep just before it writes to Jira writes too late; tickets end as their incidents are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import event

from alerting.receiver import outbox
from drill.simulators.jira_content import plain_text

SLEEP_S = outbox.LEASE_S + 1


@pytest.fixture
def other(bench) -> Iterator[Callable[..., None]]:
    """A second receiver on the same database: it works for so many seconds."""
    replica = bench.assemble()

    def works(seconds: float = 0) -> None:
        for _ in range(int(seconds / 5) + 1):
            while replica.intake.process_one() or replica.workers[outbox.TICKETS].run_once():
                pass
            bench.clock.advance(5)

    yield works
    replica.engine.dispose()


def sleeps_before_it_writes(bench, meanwhile: Callable[[], None], *, renewal: int = 1) -> None:
    """The bench's own receiver sleeps past its lease right after that renewal of it, and then nothing stops it."""
    engine, renewed, slept = bench.receiver.engine, [], []

    @event.listens_for(engine, "before_cursor_execute")
    def notice(_connection, _cursor, statement: str, *_) -> None:
        if statement.startswith("UPDATE outbox SET lease_until"):
            renewed.append(statement)

    @event.listens_for(engine, "checkin")
    def sleep(*_) -> None:
        if len(renewed) == renewal and not slept:
            slept.append(renewal)
            bench.clock.advance(SLEEP_S)
            meanwhile()


def said(ticket) -> str:
    return "\n".join(plain_text(row["body"]) for row in ticket.comments)


@pytest.mark.parametrize("over", [False, True], ids=["fires", "over"])
def test_a_ticket_that_is_created_too_late_is_closed_as_the_duplicate_of_the_other(bench, notification, other, over):
    """The one in which the incident went on, or ended, stays as it is."""
    bench.alert(notification())

    def meanwhile() -> None:
        other(300)
        assert len(bench.jira.issues) == 1
        if over:
            bench.alert(notification("resolved"))
            other()
            assert bench.open_tickets == []

    sleeps_before_it_writes(bench, meanwhile)
    bench.drain()
    first, late = bench.jira.issues
    bench.later(700, step=10)
    assert bench.open_tickets == ([] if over else [first])
    assert late.links == {("Duplicate", first.key)}
    assert first.links == set()
    assert bench.metric('handrail_leases_lost_total{lane="tickets"}') == 1


def test_a_ticket_that_is_closed_too_late_is_opened_again(bench, notification, other):
    """Another receiver had closed it, and it was opened again because the incident came back."""
    bench.alert(notification())
    bench.drain()
    (ticket,) = bench.jira.issues
    bench.alert(notification("resolved"))
    bench.receiver.intake.process_one()

    def meanwhile() -> None:
        other()
        assert bench.open_tickets == []
        bench.alert(notification())
        other()
        assert bench.open_tickets == [ticket]

    # The comment is written after the first renewal, the transition after the second.
    sleeps_before_it_writes(bench, meanwhile, renewal=2)
    bench.later(10)
    assert bench.open_tickets == [ticket]
    assert "too late" in said(ticket)


def test_a_ticket_that_is_opened_again_too_late_is_closed_again(bench, notification, other):
    """Another receiver had opened it again, and closed it because the incident ended."""
    bench.alert(notification())
    bench.drain()
    (ticket,) = bench.jira.issues
    bench.alert(notification("resolved"))
    bench.drain()
    bench.alert(notification())

    def meanwhile() -> None:
        other()
        assert bench.open_tickets == [ticket]
        bench.alert(notification("resolved"))
        other()
        assert bench.open_tickets == []

    sleeps_before_it_writes(bench, meanwhile)
    bench.drain()
    bench.later(10)
    assert bench.open_tickets == []
    assert "too late" in said(ticket)


def test_what_a_person_does_after_a_lost_lease_stays(bench, notification, other):
    """A ticket that a person opens again after its incident ended is not closed by a look that nobody asked for."""
    bench.alert(notification())
    bench.drain()
    (ticket,) = bench.jira.issues
    bench.alert(notification("resolved"))
    bench.drain()
    ticket.status, ticket.status_category, ticket.resolution = "To Do", "new", None
    bench.later(3600, step=60)
    assert bench.open_tickets == [ticket]


@pytest.mark.parametrize("again", [False, True], ids=["over", "came back"])
def test_a_second_ticket_that_is_found_when_its_episode_is_over_leaves_none_open_beside(bench, notification, again):
    """The search knows the first one only after hours: the incident ended, or goes on, in the second."""
    bench.jira.search.lag_s = 3000
    bench.jira.ambiguous()
    bench.alert(notification())
    bench.later(400, step=10)
    elder, younger = bench.jira.issues
    bench.alert(notification("resolved"))
    bench.later(20)
    if again:
        bench.alert(notification())
        bench.later(20)
    bench.later(8 * 3600, step=300)
    assert bench.open_tickets == ([younger] if again else [])
    assert elder.links == {("Duplicate", younger.key)}
