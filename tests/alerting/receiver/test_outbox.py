"""What must be done is done in order, by who holds the lease and by nobody else, and is forgotten only when done."""

from __future__ import annotations

import pytest

from alerting.receiver import inbox as inbox_module
from alerting.receiver import outbox as queue
from alerting.receiver import retention
from alerting.receiver.retention import Retention
from alerting.receiver.schema import audit, inbox, incidents, outbox, quarantine
from alerting.receiver.worker import Backoff, Lane, Permanent, Transient, Worker
from handrail import logs

LANE = "tickets"


def put(bench, *subjects: str, lane: str = LANE) -> None:
    now = bench.clock.now().timestamp()
    with bench.receiver.engine.begin() as connection:
        for subject in subjects:
            queue.put(connection, lane=lane, kind="do", subject=subject, payload={}, run_at=now)


def worker(bench, do, lost: list[str], dead: list[str]) -> Worker:
    """A second worker of the lane, as of another replica."""
    lane = Lane(LANE, {"do": do}, Backoff(1, 300), lambda connection, item, error: dead.append(error))
    box = queue.Outbox(bench.receiver.engine, bench.clock)
    return Worker(box, lane, clock=bench.clock, logger=logs.get_logger("test"), on_lost=lost.append)


def finished(bench, done: list[int]):
    """A handler that finishes and notes the item."""

    def do(item) -> None:
        with bench.receiver.engine.begin() as connection:
            queue.finish(connection, item)
        done.append(item.id)

    return do


@pytest.mark.parametrize("ending", ["finish", "put off", "give up", "renew"])
def test_a_worker_that_slept_past_its_lease_records_nothing(bench, ending):
    """Another one has taken the item over and done it; the sleeper's word is not taken, whatever it is."""
    lost, dead, done = [], [], []
    put(bench, "s")

    def sleeps(item) -> None:
        bench.clock.advance(queue.LEASE_S + 1)
        assert worker(bench, finished(bench, done), lost, dead).run_once()
        if ending == "put off":
            raise Transient("too late")
        if ending == "give up":
            raise Permanent("too late")
        with bench.receiver.engine.begin() as connection:
            inbox_module._quarantine(connection, "recorded by the sleeper", "test", 0.0)
            if ending == "finish":
                queue.finish(connection, item)
            else:
                queue.renew(connection, item, now=bench.clock.now().timestamp())

    assert worker(bench, sleeps, lost, dead).run_once()
    (row,) = bench.rows(outbox)
    assert (row.state, row.attempts, row.last_error) == ("done", 2, None)
    assert (done, lost, dead) == ([row.id], [LANE], [])
    assert bench.rows(quarantine) == []


def test_a_lease_that_ended_and_was_not_taken_over_still_counts(bench):
    """Slow is not dead: while nobody else has the item, its worker may finish it."""
    lost, done = [], []
    put(bench, "s")

    def slow(item) -> None:
        bench.clock.advance(queue.LEASE_S * 3)
        finished(bench, done)(item)

    assert worker(bench, slow, lost, []).run_once()
    assert (len(done), lost) == (1, [])


def test_a_dead_letter_and_what_follows_from_it_are_one_transaction(bench):
    """A failure in what follows leaves the item to be tried again."""
    put(bench, "s")

    def refused(item) -> None:
        raise Permanent("no")

    def fails(connection, item, error) -> None:
        raise RuntimeError("power cut")

    lane = Lane(LANE, {"do": refused}, Backoff(1, 300), fails)
    box = queue.Outbox(bench.receiver.engine, bench.clock)
    broken = Worker(box, lane, clock=bench.clock, logger=logs.get_logger("test"), on_lost=lambda lane: None)
    with pytest.raises(RuntimeError):
        broken.run_once()
    assert bench.rows(outbox)[0].state == "leased"


def test_items_of_one_subject_are_done_in_order_and_others_pass_by(bench):
    """An item that is put off holds up its own subject, and nothing else."""
    done = []
    put(bench, "a", "a", "b")
    first, second, other = (row.id for row in bench.rows(outbox))
    failing = {first}

    def do(item) -> None:
        if item.id in failing:
            raise Transient("not yet", retry_after_s=30)
        finished(bench, done)(item)

    one = worker(bench, do, [], [])
    while one.run_once():
        pass
    assert done == [other]
    failing.clear()
    bench.clock.advance(31)
    while one.run_once():
        pass
    assert done == [other, first, second]


def test_a_retry_never_comes_before_what_the_service_asked_for(bench):
    """Retry-After is a lower bound; without one, the wait doubles up to its limit and is spread downwards by a half."""
    put(bench, "s")

    def limited(item) -> None:
        raise Transient("limited", retry_after_s=120)

    now = bench.clock.now().timestamp()
    assert worker(bench, limited, [], []).run_once()
    assert bench.rows(outbox)[0].run_at >= now + 120
    backoff = Backoff(1, 300)
    for attempts in range(1, 40):
        longest, shortest = backoff.seconds(attempts, spread=0.0), backoff.seconds(attempts, spread=1.0)
        assert longest == min(300, 2 ** (attempts - 1))
        assert shortest == longest / 2


@pytest.mark.parametrize(("lane", "kind"), [("tickets", "sweep"), ("slack", "find")])
def test_what_waits_by_plan_is_old_when_it_is_late(bench, lane, kind):
    """A look for a second ticket, hours later, is no delivery that is stuck."""
    box, now = queue.Outbox(bench.receiver.engine, bench.clock), bench.clock.now().timestamp()
    with bench.receiver.engine.begin() as connection:
        queue.put(connection, lane=lane, kind=kind, subject="planned", payload={}, run_at=now + 600)
    bench.clock.advance(600)
    assert box.pending()[lane] == (1, 0)
    bench.clock.advance(50)
    assert box.pending()[lane] == (1, 50)


def test_what_failed_is_as_old_as_it_is(bench):
    """However late it is tried again."""
    put(bench, "s")

    def fail(item) -> None:
        raise Transient("not yet", retry_after_s=300)

    assert worker(bench, fail, [], []).run_once()
    bench.clock.advance(100)
    assert queue.Outbox(bench.receiver.engine, bench.clock).pending()[LANE] == (1, 100)


def test_what_is_done_is_forgotten_after_a_week_and_nothing_else(bench, notification):
    """Done rows go; what waits, what was given up and the audit log stay, however old they are."""
    bench.alert(notification())
    bench.drain()
    put(bench, "waits", "dead", "newest")
    with bench.receiver.engine.begin() as connection:
        connection.execute(outbox.update().where(outbox.c.subject == "dead").values(state="dead"))
    bench.receiver.engine.dispose()
    audited = len(bench.rows(audit))
    tidy = Retention(bench.receiver.engine, bench.clock, logs.get_logger("test")).tidy
    assert tidy() == 0
    bench.clock.advance(retention.KEEP_DONE_S + 1)
    bench.alert(notification("resolved"))
    assert tidy() == 3, "the notification, its ticket and what stands beside it"
    assert tidy() == 0
    assert {row.subject for row in bench.rows(outbox)} == {"waits", "dead", "newest"}
    assert [row.processed_at for row in bench.rows(inbox)] == [None]
    assert (len(bench.rows(audit)), len(bench.rows(incidents))) == (audited, 1)


def test_a_number_is_never_given_out_twice(bench):
    """The newest row is kept, because numbers are in the markers by which comments are recognised."""
    done = []
    put(bench, "a", "b")
    one = worker(bench, finished(bench, done), [], [])
    while one.run_once():
        pass
    bench.clock.advance(retention.KEEP_DONE_S + 1)
    assert Retention(bench.receiver.engine, bench.clock, logs.get_logger("test")).tidy() == 1
    put(bench, "c")
    assert bench.rows(outbox)[-1].id > max(done)


@pytest.mark.parametrize("full", ["MOST_WAITING", "MOST_UNDELIVERED"])
def test_over_the_limit_notifications_stay_with_alertmanager(bench, notification, monkeypatch, full):
    """503 and never 4xx, until there is room again; what was accepted before is still decided."""
    put(bench, "waits for Jira")
    bench.alert(notification())
    monkeypatch.setattr(inbox_module, full, 1)
    assert bench.alert(notification(agent="support-bot")).status_code == 503
    assert bench.metric('handrail_notifications_total{outcome="unavailable"}') == 1
    monkeypatch.undo()
    assert bench.alert(notification(agent="support-bot")).status_code == 200
    assert bench.receiver.intake.process_one()
    assert bench.receiver.intake.process_one()
    assert len(bench.rows(incidents)) == 2
