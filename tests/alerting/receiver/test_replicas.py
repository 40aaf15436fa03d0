"""Several receivers on one PostgreSQL: each notification is decided once, each ticket opened once, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from alerting.receiver import audit, outbox
from alerting.receiver.schema import MIGRATIONS, inbox, incidents, quarantine
from handrail import database
from handrail.database import create_engine, migrate, schema_version


def together(*tasks: Callable[[], object]) -> None:
    """Run them at once, and raise what any of them raised."""
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], object]) -> None:
        start.wait(30)
        task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        for running in [pool.submit(run, task) for task in tasks]:
            running.result(timeout=60)


def test_replicas_that_start_together_make_one_schema(postgresql):
    """None of them fails, and every migration was applied once."""
    url = postgresql()
    engines = [create_engine(url) for _ in range(4)]
    together(*(lambda engine=engine: migrate(engine, MIGRATIONS) for engine in engines))
    with engines[0].connect() as connection:
        assert schema_version(connection) == len(MIGRATIONS)
    for engine in engines:
        engine.dispose()


def test_two_replicas_decide_each_notification_once_and_open_each_ticket_once(postgresql_bench, notification):
    """Copies of forty notifications about ten agents reach both at once."""
    bench = postgresql_bench
    replicas = [bench.receiver, bench.assemble()]
    for agent in range(10):
        for _ in range(4):
            bench.alert(notification(agent=f"agent-{agent}"))

    def work(replica) -> Callable[[], None]:
        def run() -> None:
            while replica.intake.process_one() or replica.workers[outbox.TICKETS].run_once():
                pass

        return run

    together(*(work(replica) for replica in replicas for _ in range(2)))
    bench.drain()
    assert all(row.processed_at for row in bench.rows(inbox))
    assert sorted(row.agent for row in bench.rows(incidents)) == sorted(f"agent-{agent}" for agent in range(10))
    assert len(bench.jira.issues) == 10
    with bench.receiver.engine.begin() as connection:
        assert audit.first_broken(connection) is None
    replicas[1].engine.dispose()


def test_numbers_of_a_subject_follow_the_order_of_the_commits(postgresql_bench):
    """The second of two transactions waits for the first, so that a later item is never seen alone."""
    engine = postgresql_bench.receiver.engine
    now = postgresql_bench.clock.now().timestamp()
    began, both = threading.Event(), []

    def put(subject: str) -> None:
        with engine.begin() as connection:
            outbox.put(connection, lane=outbox.TICKETS, kind="do", subject=subject, payload={}, run_at=now)
            both.append(connection.scalar(select(outbox.outbox.c.id).order_by(outbox.outbox.c.id.desc())))

    with engine.begin() as connection:
        outbox.put(connection, lane=outbox.TICKETS, kind="do", subject="s", payload={}, run_at=now)
        late = threading.Thread(target=lambda: (began.set(), put("s")))
        late.start()
        began.wait(10)
        put("other")
        assert late.is_alive()
        assert len(both) == 1
    late.join(timeout=30)
    assert len(both) == 2
    assert both[1] > both[0]


def test_a_replica_that_freezes_in_a_transaction_does_not_hold_up_the_others(postgresql, monkeypatch):
    """Its session is ended and with it what it had not committed; awake again it goes on with a new one."""
    monkeypatch.setattr(database, "IDLE_IN_TRANSACTION_S", 0.3)
    frozen, other = [create_engine(url) for url in [postgresql()] * 2]
    migrate(other, MIGRATIONS)
    with pytest.raises(DBAPIError), frozen.begin() as connection:
        audit.append(connection, 1.0, actor="frozen", action="a", subject="s")
        with other.begin() as one:
            audit.append(one, 2.0, actor="other", action="a", subject="s")
        connection.execute(select(1))
    with frozen.begin() as connection:
        audit.append(connection, 3.0, actor="awake", action="a", subject="s")
        assert [entry.actor for entry in audit.entries(connection)] == ["other", "awake"]
        assert audit.first_broken(connection) is None
    for engine in (frozen, other):
        engine.dispose()


def test_what_postgresql_cannot_store_is_taken_out(postgresql_bench, notification):
    """A NUL in a label, which PostgreSQL stores nowhere: the alert gets its ticket without it."""
    bench = postgresql_bench
    bench.alert(notification(alertname="Broken\x00name"))
    bench.alert(notification())
    bench.drain()
    assert len(bench.open_tickets) == 2
    assert bench.rows(quarantine) == []
