"""Notifications that arrive together share a transaction: who is told that it is stored finds it there, once."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from alerting.receiver import inbox as inbox_module
from alerting.receiver.group_commit import GroupCommit, NotWritten
from alerting.receiver.inbox import Full, Inbox
from alerting.receiver.schema import inbox
from alerting.receiver.under_way import UnderWay
from handrail.redact import Redactor
from tests.thorough import examples


class Counting(Redactor):
    """Says how many notifications have come as far as the transaction."""

    seen = 0

    def within(self, value):
        self.seen += 1
        return super().within(value)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@contextmanager
def writing(bench) -> Iterator[None]:
    """Somebody else writes meanwhile."""
    with bench.receiver.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        yield


def refuse(bench, word: str) -> None:
    """From now on the database refuses a notification with this word."""
    with bench.receiver.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"ALTER TABLE inbox ADD CHECK (body NOT LIKE '%%{word}%%')")
        else:
            connection.exec_driver_sql(
                f"CREATE TRIGGER refuse BEFORE INSERT ON inbox WHEN NEW.body LIKE '%{word}%' "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )


async def outcomes(box: Inbox, bodies: list[str]) -> list[type[BaseException] | None]:
    """What each is told."""
    sent = (box.accept(json.dumps({"said": body}).encode()) for body in bodies)
    told = await asyncio.gather(*sent, return_exceptions=True)
    return [None if each is None else type(each) for each in told]


def together(bench, bodies: list[str]) -> list[type[BaseException] | None]:
    """They arrive while somebody else writes. What each is told."""
    redactor = Counting(b"key")
    box = Inbox(bench.receiver.engine, bench.clock, redactor)
    with ThreadPoolExecutor(1) as pool:
        with writing(bench):
            told = pool.submit(asyncio.run, outcomes(box, bodies))
            eventually(lambda: redactor.seen == len(bodies))
        return told.result(timeout=30)


def kept(bench) -> list[str]:
    return [json.loads(row.body)["said"] for row in bench.rows(inbox)]


def test_all_that_are_told_so_are_stored_once(bench):
    """Thirty at once take fewer transactions than thirty."""
    commits = []
    event.listen(bench.receiver.engine, "commit", commits.append)
    bodies = [f"notification {number}" for number in range(30)]
    assert together(bench, bodies) == [None] * 30
    assert sorted(kept(bench)) == sorted(bodies)
    assert len(commits) < 30


def test_they_are_acknowledged_at_once_and_each_is_decided(bench, notification):
    """From the wire to the tickets: one for each of eight agents, though two copies of each came together."""
    bodies = [notification(agent=f"agent-{number}") for number in range(8)] * 2
    with ThreadPoolExecutor(16) as pool:
        assert [answer.status_code for answer in pool.map(bench.alert, bodies)] == [200] * 16
    bench.drain()
    assert len(bench.rows(inbox)) == 16
    assert len(bench.open_tickets) == 8


@pytest.mark.property
@settings(max_examples=examples(8), suppress_health_check=list(HealthCheck))
@given(poisoned=st.lists(st.booleans(), min_size=1, max_size=7))
def test_one_that_is_refused_harms_no_other(poisoned, bench):
    """Whichever of them the database refuses: only those are not stored, and only those are told so."""
    if not kept(bench):
        refuse(bench, "poison")
        together(bench, ["first"])
    before = len(kept(bench))
    bodies = [f"{'poison' if bad else 'good'} {number}" for number, bad in enumerate(poisoned)]
    assert together(bench, bodies) == [IntegrityError if bad else None for bad in poisoned]
    assert sorted(kept(bench)[before:]) == [body for body, bad in zip(bodies, poisoned, strict=True) if not bad]


def test_a_transaction_that_is_not_committed_acknowledges_nobody(bench):
    """An end that nobody foresaw, after the insertion and before the commit; afterwards all goes on as before."""

    def end(_) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError

    engine = bench.receiver.engine
    event.listen(engine, "commit", end)
    assert set(together(bench, ["lost"] * 6)) == {RuntimeError, NotWritten}
    event.remove(engine, "commit", end)
    assert kept(bench) == []
    assert together(bench, ["kept"]) == [None]
    assert kept(bench) == ["kept"]


def test_no_more_are_taken_than_may_wait(bench, monkeypatch):
    """Also when they arrive together: those that came first are stored, the others may come again."""
    monkeypatch.setattr(inbox_module, "MOST_WAITING", 5)
    told = together(bench, [str(number) for number in range(9)])
    assert (told.count(None), told.count(Full)) == (5, 4)
    assert len(kept(bench)) == 5
    assert together(bench, ["late"]) == [Full]


class Writer:
    """Writes nothing, and says in which groups it was asked to; not before `go_on` is set."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, items):
        self.groups.append(list(items))
        self.begun.set()
        assert self.go_on.wait(30)
        return [None] * len(items)


def test_a_group_is_what_came_while_another_was_written():
    """In the order in which they came, and nobody is told before."""
    writer = Writer()
    commit = GroupCommit(writer)

    async def arrive() -> None:
        tasks = [asyncio.create_task(commit(0))]
        await asyncio.to_thread(writer.begun.wait, 30)
        tasks += [asyncio.create_task(commit(number)) for number in range(1, 5)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        writer.go_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(arrive())
    assert writer.groups == [[0], [1, 2, 3, 4]]


def test_those_that_come_one_after_the_other_are_waited_for():
    """One more in every second round of the loop: they share a transaction."""
    writer = Writer()
    writer.go_on.set()
    commit = GroupCommit(writer)

    async def arrive() -> None:
        tasks = []
        for number in range(10):
            tasks.append(asyncio.create_task(commit(number)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(arrive())
    assert writer.groups == [list(range(10))]


def test_a_rush_without_end_is_not_waited_for():
    """More arrive in every round until the first is told, which it is."""
    writer = Writer()
    writer.go_on.set()
    commit = GroupCommit(writer)

    async def arrive() -> None:
        tasks = [asyncio.create_task(commit(0))]
        while not tasks[0].done():
            tasks.append(asyncio.create_task(commit(len(tasks))))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(asyncio.wait_for(arrive(), 30))
    assert sum(map(len, writer.groups)) > len(writer.groups)


def test_who_no_longer_waits_keeps_nobody_from_being_told():
    """It is written all the same: nobody knows whether its sender hears."""
    writer = Writer()
    commit = GroupCommit(writer)

    async def arrive() -> None:
        gone, stays = (asyncio.create_task(commit(number)) for number in (1, 2))
        await asyncio.to_thread(writer.begun.wait, 30)
        gone.cancel()
        writer.go_on.set()
        await stays
        await commit(3)

    asyncio.run(arrive())
    assert writer.groups == [[1, 2], [3]]


def test_several_event_loops_may_write():
    """One thread writes at a time, whoever asks."""
    at_once, most, said = 0, 0, []
    lock = threading.Lock()

    def write(items):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        said.extend(items)
        with lock:
            at_once -= 1
        return [None] * len(items)

    commit = GroupCommit(write)

    async def several(first: int) -> None:
        for number in range(first, first + 20):
            await commit(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda first: asyncio.run(several(first)), range(0, 160, 20)))
    assert sorted(said) == list(range(160))
    assert most == 1


def test_whoever_is_not_said_to_be_stored_is_told_so():
    """A writer that ends in an error nobody foresaw, or tells of each."""
    commit = GroupCommit(lambda items: [ValueError(item) if item == "bad" else None for item in items])
    asyncio.run(commit("good"))
    with pytest.raises(ValueError, match="bad"):
        asyncio.run(commit("bad"))

    def broken(items):
        raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(GroupCommit(broken)("any"))


def test_who_has_time_waits_for_what_is_under_way_but_never_for_long():
    """Until nothing has come for a moment after the last of them ended, or the time is over."""
    taking, waited = UnderWay(), threading.Event()
    taking.wait_over(3600)

    def wait() -> None:
        taking.wait_over(3600)
        waited.set()

    with taking:
        taking.wait_over(0.001)
        with taking:
            threading.Thread(target=wait, daemon=True).start()
        assert not waited.wait(0.05), "one is still under way"
    assert waited.wait(30)


def test_decisions_are_put_off_for_so_long_in_total(bench):
    """Nothing that arrives is under way: nothing waits. A budget that is spent: the same."""
    box = Inbox(bench.receiver.engine, bench.clock, Redactor(b"key"))
    assert box.give_way(3600) == 0
    assert box.give_way(-1) == 0
