"""Two receivers on one PostgreSQL, of which one sleeps past its lease or is killed: nothing is lost or doubled.

Alerts and hand-offs reach both, copies too, and Jira breaks. What sleeps when follows from a seed that is printed.
HANDRAIL_FREEZES and HANDRAIL_SEED play it longer or again.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from alerting.receiver.schema import outbox
from drill.simulators.fast_clock import FastClock
from drill.simulators.jira import JiraSimulator
from drill.simulators.wire import serve
from handrail.database import create_engine
from handrail.http import build_client
from tests.faults.processes import free_port
from tests.faults.receiver_forks import Forks, alive, asleep, kill
from tests.faults.receiver_oracle import (
    SEARCH_LAG_S,
    SPEED,
    answers,
    configured,
    eventually,
    hold,
    log_end,
    rows,
    say,
    settles,
    unsettled,
)
from tests.faults.receiver_traffic import AGENTS, Handoffs, Incidents, Sender
from tests.faults.unsteady_jira import UnsteadyJira
from tests.postgresql import NewDatabase

pytestmark = pytest.mark.faults

FREEZES = int(os.environ.get("HANDRAIL_FREEZES", "30"))
# How a receiver is stopped, and how often of a hundred times.
WAYS = {
    "at any moment": 20,
    "while Jira is asked": 15,
    "both in turn": 15,
    "before it writes to Jira": 40,
    "killed": 10,
}
# Seconds of sleep and how often; a lease lasts one, searching for a ticket whose answer was lost takes about five.
SLEEPS = {(1.1, 2.5): 70, (2.5, 5.0): 20, (6.0, 9.0): 10}
MOST_RENEWALS = 8
# A load balancer's patience; the other receiver is asked then.
PATIENCE_S = 1.0


class Replica:
    """One receiver, which is started again when it was killed."""

    def __init__(self, forks: Forks, url: str, log: Path) -> None:
        self.url, self.log = url, log
        self._forks = forks
        self._pid = forks.start()
        self.served()

    def served(self) -> None:
        """Wait until it answers."""
        with build_client(base_url=self.url, timeout_s=5) as client:
            assert eventually(lambda: answers(client), 60), log_end(self.log)

    def sleep(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT when the time is over."""
        assert alive(self._pid), log_end(self.log)
        os.kill(self._pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self._pid, signal.SIGCONT)

    def kill(self, *, renewal: int = 0) -> None:
        """SIGKILL, and a new one, which may fall asleep after that renewal of a lease."""
        kill(self._pid)
        self._pid = self._forks.start(renewal=renewal)

    def sleeps_by_itself(self, renewal: int, seconds: float) -> bool:
        """Start it anew so that it falls asleep before it writes to Jira; False when it did not get so far."""
        self.kill(renewal=renewal)
        if not eventually(lambda: asleep(self._pid), 10, 0.005):
            return False
        time.sleep(seconds)
        os.kill(self._pid, signal.SIGCONT)
        return True

    def close(self) -> None:
        self._forks.close()


def disturbed(replicas: list[Replica], rng: random.Random, jira: UnsteadyJira) -> Counter[str]:
    """Stop them FREEZES times. How often in which way."""
    began, ways = time.monotonic(), Counter[str]()
    for number in range(1, FREEZES + 1):
        way, one = rng.choices(list(WAYS), list(WAYS.values()))[0], rng.choice(replicas)
        seconds = [rng.uniform(*rng.choices(list(SLEEPS), list(SLEEPS.values()))[0]) for _ in replicas]
        time.sleep(rng.expovariate(3))
        if way == "while Jira is asked":
            jira.asked.clear()
            jira.asked.wait(5)
        if way == "killed":
            one.kill()
            one.served()
        elif way == "before it writes to Jira":
            if not one.sleeps_by_itself(rng.randint(1, MOST_RENEWALS), seconds[0]):
                way = "not asleep"
        else:
            one.sleep(seconds[0])
            for other in replicas if way == "both in turn" else ():
                if other is not one:
                    other.sleep(seconds[1])
        ways[way] += 1
        if number % 10 == 0:
            say(f"  {time.monotonic() - began:4.0f} s: {number} of {FREEZES} times; {len(jira.jira.issues)} tickets")
    return ways


@contextmanager
def started(folder: Path, root: Path, jira: str, database: str, began: float) -> Iterator[list[Replica]]:
    """Two receivers with the same file but for the port."""
    replicas: list[Replica] = []
    try:
        for number in range(2):
            port, log = free_port(), folder / f"receiver-{number}.log"
            config = configured(folder, port, jira=jira, database=database)
            forks = Forks(config, log, root=root, began=began, speed=SPEED)
            replicas.append(Replica(forks, f"http://127.0.0.1:{port}", log))
        yield replicas
    finally:
        for replica in replicas:
            replica.close()


def swept(engine: Engine) -> bool:
    """Has every ticket that may have a double been looked after once?"""
    sweeps = [row for row in rows(engine, outbox) if row.kind == "sweep"]
    return all(row.state == "done" or '"round": 0' not in row.payload for row in sweeps)


def deadlocks(engine: Engine) -> int:
    """How many PostgreSQL found and broke up."""
    with engine.connect() as connection:
        query = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(connection.scalar(query) or 0)


def events(replicas: list[Replica]) -> Counter[str]:
    """What their logs tell of, by the name of the event."""
    said = "".join(replica.log.read_text(errors="replace") for replica in replicas)
    return Counter(re.findall(r'"event": ?"(\w+)"', said))


def test_nothing_is_lost_or_doubled_however_often_a_replica_sleeps_past_its_lease(
    root: Path, tmp_path: Path, postgresql: NewDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """One open ticket for what fires, none for what does not; every 200 decided; hand-offs once; a whole chain."""
    seed = int(os.environ.get("HANDRAIL_SEED", str(random.SystemRandom().randrange(10**6))))
    rng, began, database = random.Random(seed), time.time(), postgresql()  # noqa: S311 - no secret
    simulator = JiraSimulator(FastClock(began, SPEED))
    simulator.search.lag_s = SEARCH_LAG_S
    jira = UnsteadyJira(simulator, random.Random(seed + 1))  # noqa: S311 - as above
    alerts, handed = Incidents(random.Random(seed + 2)), Handoffs(random.Random(seed + 3))  # noqa: S311 - as above
    engine = create_engine(database)
    with capsys.disabled(), serve(jira) as server, started(tmp_path, root, server.url, database, began) as replicas:
        say(f"\n  HANDRAIL_SEED={seed} HANDRAIL_FREEZES={FREEZES}")
        urls, logs = [replica.url for replica in replicas], [replica.log for replica in replicas]
        senders = [Sender(urls, alerts.of(a), lambda: rng.expovariate(1), patience_s=PATIENCE_S) for a in AGENTS]
        senders.append(Sender(urls, handed.act, lambda: rng.expovariate(0.5), patience_s=PATIENCE_S))
        with sending(senders):
            ways = disturbed(replicas, rng, jira)
        assert [error for sender in senders for error in sender.failed] == []
        assert len(alerts.acknowledged) > FREEZES, "hardly anything came through"
        jira.calm = True
        assert settles(engine), (unsettled(engine), log_end(*logs))
        assert eventually(lambda: swept(engine), 60, 0.5), "a second ticket is never looked for"
        assert settles(engine), (unsettled(engine), log_end(*logs))
        second = hold(engine, simulator, alerts, handed, *logs)
        assert deadlocks(engine) == 0
        said = events(replicas)
        assert said["lease_lost"], "nobody slept past a lease"
        counts = ((alerts.acknowledged, "notifications"), (handed.accepted, "hand-offs"), (simulator.issues, "tickets"))
        say("  " + ", ".join(f"{len(found)} {name}" for found, name in counts))
        for what, counted in (("stopped", ways), ("Jira", jira.happened), ("logs", said)):
            say(f"  {what}: " + ", ".join(f"{count} {name}" for name, count in sorted(counted.items())))
        say(f"  second tickets, found and closed: {len(second)}")
    engine.dispose()


@contextmanager
def sending(senders: list[Sender]) -> Iterator[None]:
    """They send meanwhile, and end with what they are about."""
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        for sender in senders:
            sender.stop()
