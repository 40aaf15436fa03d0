"""Inbox and outbox against a model, in any order of what can happen: nothing is lost, doubled or out of turn."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, event, select

from alerting.receiver import audit, dead_letters
from alerting.receiver import inbox as inbox_module
from alerting.receiver import outbox as queue
from alerting.receiver.schema import MIGRATIONS, inbox, incidents, outbox
from handrail.database import create_engine, migrate
from handrail.redact import Redactor
from tests.thorough import examples

LANE = queue.TICKETS
MOST_WAITING = 4
NUMBERS = itertools.count()


def play(machine: type[RuleBasedStateMachine], *, few: int, steps: int) -> None:
    """Try it in so many orders."""
    quiet = {"deadline": None, "suppress_health_check": list(HealthCheck)}
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples(few), stateful_step_count=steps, **quiet)
    )


@dataclass(frozen=True)
class Modelled:
    """An item as it must be in the database."""

    subject: str
    state: str
    run_at: float
    attempts: int = 0
    lease: str = ""
    until: float = 0.0

    @property
    def pending(self) -> bool:
        return self.state in ("ready", "leased")


class OutboxMachine(RuleBasedStateMachine):
    """Workers that claim and forget, sleep past their leases and wake, beside a person who retries and drops."""

    context: SimpleNamespace
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.engine, self.clock = self.context.engine, self.context.clock
        with self.engine.begin() as connection:
            connection.execute(delete(outbox))
        self.workers = [queue.Outbox(self.engine, self.clock) for _ in range(2)]
        self.model: dict[int, Modelled] = {}
        self.done: list[int] = []

    @property
    def now(self) -> float:
        return float(self.clock.now().timestamp())

    @rule(subject=st.sampled_from("abc"), later=st.sampled_from([0.0, 0.0, 40.0]))
    def put(self, subject: str, later: float) -> None:
        run_at = self.now + later
        with self.engine.begin() as connection:
            queue.put(connection, lane=LANE, kind="do", subject=subject, payload={}, run_at=run_at)
            number = connection.scalar(select(outbox.c.id).order_by(outbox.c.id.desc()).limit(1))
        self.model[number] = Modelled(subject, "ready", run_at)

    @rule(target=held, worker=st.sampled_from([0, 1]))
    def claim(self, worker: int) -> Any:
        """The one that is due first of those that no older one of their subject holds up."""
        due = [
            (each.run_at, number)
            for number, each in self.model.items()
            if (each.state == "ready" and each.run_at <= self.now) or (each.state == "leased" and each.until < self.now)
            if not any(it.pending and it.subject == each.subject for n, it in self.model.items() if n < number)
        ]
        item = self.workers[worker].claim(LANE)
        if not due:
            assert item is None
            return multiple()
        assert item is not None
        before = self.model[item.id]
        assert item.id == min(due)[1]
        assert (item.reclaimed, item.attempts) == (before.state == "leased", before.attempts + 1)
        until = self.now + queue.LEASE_S
        self.model[item.id] = replace(before, state="leased", attempts=item.attempts, lease=item.lease, until=until)
        return item

    @rule(item=held)
    def renew(self, item: Any) -> None:
        with self._only_as_its_holder(item, until=self.now + queue.LEASE_S), self.engine.begin() as connection:
            queue.renew(connection, item, now=self.now)

    @rule(item=held)
    def finish(self, item: Any) -> None:
        """What is done with it in the same transaction is undone with it."""
        with self._only_as_its_holder(item, state="done"), self.engine.begin() as connection:
            queue.put(connection, lane=queue.KILLS, kind="effect", subject="e", payload={}, run_at=self.now)
            queue.finish(connection, item)
            self.done.append(item.id)

    @rule(item=held, after_s=st.sampled_from([0.0, 90.0]))
    def put_off(self, item: Any, after_s: float) -> None:
        with self._only_as_its_holder(item, state="ready", run_at=self.now + after_s):
            self.workers[0].put_off(item, after_s=after_s, error="not now")

    @rule(item=held)
    def bury(self, item: Any) -> None:
        with self._only_as_its_holder(item, state="dead"):
            self.workers[1].bury(item, error="never", also=lambda connection: None)

    @rule(item=consumes(held))
    def crash(self, item: Any) -> None:
        """Its worker is gone, and only the lease tells of it."""

    @rule(seconds=st.sampled_from([1.0, 30.0, queue.LEASE_S + 1]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), again=st.booleans())
    def person(self, data: st.DataObject, again: bool) -> None:
        """Retries or drops what was given up, and nothing else."""
        number = data.draw(st.sampled_from(sorted(self.model)))
        before = self.model[number]
        try:
            with self.engine.begin() as connection:
                if again:
                    dead_letters.retry(connection, [number], by="ops lead", now=self.now)
                else:
                    dead_letters.drop(connection, [number], by="ops lead", reason="old", now=self.now)
        except dead_letters.NotDead:
            assert before.state != "dead"
        else:
            assert before.state == "dead"
            self.model[number] = replace(before, state="ready" if again else "dropped", run_at=self.now)

    @contextmanager
    def _only_as_its_holder(self, item: Any, **changed: Any) -> Iterator[None]:
        before = self.model[item.id]
        if before.state == "leased" and before.lease == item.lease:
            yield
            self.model[item.id] = replace(before, **changed)
            return
        with pytest.raises(queue.LeaseLost):
            yield

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        with self.engine.connect() as connection:
            found = {row.id: row for row in connection.execute(select(outbox).where(outbox.c.lane == LANE))}
            effects = len(connection.execute(select(outbox.c.id).where(outbox.c.kind == "effect")).all())
        assert {number: (row.subject, row.state, row.run_at, row.attempts) for number, row in found.items()} == {
            number: (each.subject, each.state, each.run_at, each.attempts) for number, each in self.model.items()
        }
        assert effects == len(self.done) == len(set(self.done)), "done once each"
        states = [each.state for each in self.model.values()]
        assert self.workers[0].pending()[LANE][0] == states.count("ready") + states.count("leased")
        assert self.workers[0].dead()[LANE] == states.count("dead")


@pytest.mark.property
def test_the_outbox_does_what_its_model_does(tmp_path, clock, new_database):
    """In the order of each subject, by the holder of the lease alone, and every item is always somewhere."""
    engine = create_engine(new_database() if new_database else f"sqlite:///{tmp_path}/outbox.sqlite")
    migrate(engine, MIGRATIONS)
    machine = type("Machine", (OutboxMachine,), {"context": SimpleNamespace(engine=engine, clock=clock)})
    play(machine, few=10, steps=25)
    engine.dispose()


class InboxMachine(RuleBasedStateMachine):
    """Alertmanagers that tell, copy and are overtaken, and two receivers that decide, one of which may crash."""

    context: SimpleNamespace

    @initialize()
    def begin(self) -> None:
        bench = self.context.bench
        self.bench, self.engine = bench, bench.receiver.engine
        # Other agents than before stand for a new database.
        self.agents = [f"agent-{next(NUMBERS)}" for _ in range(2)]
        self.firing = dict.fromkeys(self.agents, False)
        self.episodes = dict.fromkeys(self.agents, 0)
        self.told: list[bytes] = []
        self.accepted = self._count()
        self.waiting, self.elapsed = 0, 0.0

    def _count(self) -> int:
        with self.engine.connect() as connection:
            return len(connection.execute(select(inbox.c.id)).all())

    def _tell(self, body: bytes) -> bool:
        """Is it taken? Exactly when there is room for it."""
        try:
            asyncio.run(self.context.inbox.accept(body))
        except inbox_module.Full:
            assert self.waiting >= MOST_WAITING
            return False
        assert self.waiting < MOST_WAITING
        self.waiting, self.accepted = self.waiting + 1, self.accepted + 1
        self.told.append(body)
        return True

    def _body(self, status: str, agent: str) -> bytes:
        return json.dumps(self.context.notification(status, agent=agent)).encode()

    @precondition(lambda self: self.waiting < MOST_WAITING)
    @rule(which=st.sampled_from([0, 1]))
    def turn(self, which: int) -> None:
        """It begins or ends."""
        agent = self.agents[which]
        self.firing[agent] = fires = not self.firing[agent]
        self.episodes[agent] += fires
        assert self._tell(self._body("firing" if fires else "resolved", agent))

    @precondition(lambda self: self.waiting < MOST_WAITING - 1)
    @rule(which=st.sampled_from([0, 1]))
    def overtaken(self, which: int) -> None:
        """It begins and ends, and the end is told first: there is nothing left to open a ticket for."""
        agent = self.agents[which]
        if not self.firing[agent]:
            began, ended = self._body("firing", agent), self._body("resolved", agent)
            assert self._tell(ended)
            assert self._tell(began)

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def copy(self, data: st.DataObject) -> None:
        """Anything that was told before, however old."""
        self._tell(data.draw(st.sampled_from(self.told)))

    @rule(replica=st.sampled_from([0, 1]))
    def decide(self, replica: int) -> None:
        assert self.context.intakes[replica].process_one() is (self.waiting > 0)
        self.waiting = max(0, self.waiting - 1)

    @precondition(lambda self: self.waiting)
    @rule()
    def crash(self) -> None:
        """In the middle of a decision: nothing of it stays."""
        before = self._everything()

        def power_cut(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("UPDATE inbox"):
                raise KeyboardInterrupt

        event.listen(self.engine, "before_cursor_execute", power_cut)
        try:
            with pytest.raises(KeyboardInterrupt):
                self.context.intakes[0].process_one()
        finally:
            event.remove(self.engine, "before_cursor_execute", power_cut)
        assert self._everything() == before

    def _everything(self) -> list[int]:
        with self.engine.connect() as connection:
            tables = (inbox, incidents, outbox, audit.audit)
            return [len(connection.execute(select(table.c.id)).all()) for table in tables]

    @precondition(lambda self: self.elapsed < 200)
    @rule(seconds=st.sampled_from([1.0, 30.0]))
    def wait(self, seconds: float) -> None:
        """Not for so long that a late copy would count as news."""
        self.elapsed += seconds
        self.bench.clock.advance(seconds)

    @invariant()
    def what_is_accepted_is_there_and_decided_in_order(self) -> None:
        if not hasattr(self, "agents"):
            return
        with self.engine.connect() as connection:
            found = connection.execute(select(inbox).order_by(inbox.c.id)).all()
            opened = connection.execute(select(incidents).where(incidents.c.agent.in_(self.agents))).all()
        assert len(found) == self.accepted
        decided = [row.processed_at is not None for row in found]
        assert decided == sorted(decided, reverse=True), "an earlier one was passed over"
        assert decided.count(False) == self.waiting
        assert not [row.decision for row in found if (row.decision or "").startswith("not decided")]
        for agent in self.agents if not self.waiting else ():
            mine = sorted(row.episode for row in opened if row.agent == agent)
            assert mine == list(range(1, self.episodes[agent] + 1))
            states = [row.state for row in opened if row.agent == agent]
            assert states.count("firing") == int(self.firing[agent])

    def teardown(self) -> None:
        """Decide what is left; the next ones must find room."""
        while hasattr(self, "agents") and self.waiting:
            self.decide(0)
        if hasattr(self, "agents"):
            self.what_is_accepted_is_there_and_decided_in_order()
            with self.engine.begin() as connection:
                assert audit.first_broken(connection) is None
                connection.execute(delete(outbox))


@pytest.mark.property
def test_the_inbox_opens_what_fires_and_ends_what_ended_whatever_is_repeated(bench, notification, monkeypatch):
    """One episode for each time it fired, decided in the order of arrival; what is too much is refused, never lost."""
    monkeypatch.setattr(inbox_module, "MOST_WAITING", MOST_WAITING)
    second = bench.assemble()
    store = inbox_module.Inbox(bench.receiver.engine, bench.clock, Redactor(b"key"))
    intakes = [bench.receiver.intake, second.intake]
    context = SimpleNamespace(bench=bench, inbox=store, notification=notification, intakes=intakes)
    play(type("Machine", (InboxMachine,), {"context": context}), few=10, steps=20)
    second.engine.dispose()
