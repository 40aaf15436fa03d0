"""A disk that is full, another writer, an hour without Jira, a clock that is set: nothing acknowledged is lost."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest
from sqlalchemy import event

from alerting.receiver import audit
from alerting.receiver.schema import inbox
from tests.alerting.receiver.conftest import build_bench


@pytest.fixture
def sqlite_bench(tmp_path, clock):
    """What only a file can have."""
    yield from build_bench(tmp_path, clock)


def whole(bench) -> bool:
    with bench.receiver.engine.begin() as connection:
        return audit.first_broken(connection) is None


def test_a_full_disk_is_told_503_and_loses_nothing(sqlite_bench, notification):
    """What was answered 200 is decided once there is room again, and what was answered 503 is taken then."""
    bench, room = sqlite_bench, {"pages": 10**6}
    event.listen(
        bench.receiver.engine,
        "checkout",
        lambda it, *_: it.execute(f"PRAGMA max_page_count={room['pages']}").fetchall(),
    )
    assert bench.alert(notification()).status_code == 200
    room["pages"] = 1  # SQLite takes it for as many as there are
    agents = iter(range(10_000))
    statuses = [200]
    while statuses[-1] == 200:
        assert len(statuses) < 500, "it never becomes full"
        body = notification(agent=f"agent-{next(agents)}", padding="x" * 4000)
        statuses.append(bench.alert(body).status_code)
    assert statuses[-1] == 503
    acknowledged = statuses.count(200)
    room["pages"] = 10**6
    assert len(bench.rows(inbox)) == acknowledged
    assert bench.alert(notification(agent="the last")).status_code == 200
    bench.later(600, step=5)
    assert all(row.processed_at for row in bench.rows(inbox))
    assert len(bench.open_tickets) == acknowledged + 1
    assert whole(bench)


def test_another_writer_is_waited_for_and_then_told_503(sqlite_bench, notification, tmp_path):
    """A backup that holds the database for longer than the busy time-out."""
    bench = sqlite_bench
    event.listen(bench.receiver.engine, "checkout", lambda it, *_: it.execute("PRAGMA busy_timeout=100").fetchall())
    other = sqlite3.connect(tmp_path / "receiver.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert bench.alert(notification()).status_code == 503
    assert bench.client.get("/-/healthy").status_code == 200
    assert bench.client.get("/v1/agents").status_code == 200, "readers wait for nobody"
    other.execute("ROLLBACK")
    other.close()
    assert bench.alert(notification()).status_code == 200
    bench.later(5)
    assert len(bench.open_tickets) == 1


def test_an_hour_without_jira_delays_tickets_and_loses_none(sqlite_bench, notification):
    """What began and ended meanwhile leaves a closed ticket, what goes on an open one, each one."""
    bench = sqlite_bench
    bench.jira.faults.set("unavailable")
    for agent in ("invoice", "support-bot"):
        assert bench.alert(notification(agent=agent)).status_code == 200
    bench.later(3600, step=120)
    assert bench.alert(notification("resolved")).status_code == 200
    assert bench.jira.issues == []
    bench.jira.faults.clear()
    bench.later(900, step=15)
    assert len(bench.jira.issues) == 2
    assert [issue.summary.split(" · ")[1] for issue in bench.open_tickets] == ["support-bot"]
    assert whole(bench)


@pytest.mark.parametrize("step_s", [-7200, 7200], ids=["back", "forward"])
def test_a_clock_that_is_set_delays_nothing_for_good(sqlite_bench, notification, step_s):
    """By two hours, while one ticket is put off and another comes; each gets its one ticket."""
    bench = sqlite_bench
    bench.jira.faults.set("unavailable")
    bench.alert(notification())
    bench.later(20)
    bench.clock.time += timedelta(seconds=step_s)  # the wall's clock alone: the monotonic one is not set
    bench.jira.faults.clear()
    assert bench.alert(notification(agent="support-bot")).status_code == 200
    bench.later(60)
    assert "support-bot" in bench.open_tickets[-1].summary
    bench.later(7300, step=100)
    assert len(bench.open_tickets) == len(bench.jira.issues) == 2
    assert whole(bench)
