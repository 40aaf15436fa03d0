"""The receiver is killed hundreds of times while alerts and hand-offs come and Jira breaks: nothing is lost or doubled.

The places of the kills follow from a seed that is printed. HANDRAIL_RECEIVER_KILLS and HANDRAIL_SEED play it longer or
again.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drill.simulators.fast_clock import FastClock
from drill.simulators.jira import JiraSimulator
from drill.simulators.wire import serve
from handrail.database import open_to_read
from handrail.http import build_client
from tests.faults.processes import free_port
from tests.faults.receiver_forks import Forks, alive, kill
from tests.faults.receiver_oracle import (
    SEARCH_LAG_S,
    SPEED,
    answers,
    configured,
    eventually,
    hold,
    log_end,
    say,
    settles,
    unsettled,
)
from tests.faults.receiver_traffic import AGENTS, Handoffs, Incidents, Sender
from tests.faults.unsteady_jira import UnsteadyJira

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("HANDRAIL_RECEIVER_KILLS", "300"))
LONGEST_LIFE_S = 0.7
STARTS_WITHIN_S = 0.2
MOST_STATEMENTS = 250


def killed(forks: Forks, rng: random.Random, url: str, told: Callable[[], str]) -> int:
    """Start and kill it KILLS times: half of them between two statements, the others at any moment.

    How many of them served when they were killed.
    """
    began, served = time.monotonic(), 0
    with build_client(base_url=url, timeout_s=1) as client:
        for number in range(1, KILLS + 1):
            statement = rng.randrange(1, MOST_STATEMENTS) if number % 2 else 0
            pid = forks.start(statement)
            if number % 4 == 0:
                lives(pid, rng.uniform(0, STARTS_WITHIN_S))
            elif eventually(lambda pid=pid: not alive(pid) or answers(client), 30, 0.005):
                served += 1
                lives(pid, LONGEST_LIFE_S if statement else rng.uniform(0, LONGEST_LIFE_S))
            kill(pid)
            if number % 25 == 0:
                say(f"  {time.monotonic() - began:4.0f} s: killed {number} of {KILLS} times; {told()}")
    return served


def lives(pid: int, seconds: float) -> None:
    """Wait so long, or until it killed itself."""
    eventually(lambda: not alive(pid), seconds, 0.005)


def test_nothing_is_lost_or_doubled_however_often_the_receiver_is_killed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One open ticket for what fires, none for what does not; every 200 decided; hand-offs once; a whole chain."""
    seed = int(os.environ.get("HANDRAIL_SEED", str(random.SystemRandom().randrange(10**6))))
    rng, port, began = random.Random(seed), free_port(), time.time()  # noqa: S311 - no secret
    simulator = JiraSimulator(FastClock(began, SPEED))
    simulator.search.lag_s = SEARCH_LAG_S
    jira = UnsteadyJira(simulator, random.Random(seed + 1))  # noqa: S311 - as above
    alerts, handed = Incidents(random.Random(seed + 2)), Handoffs(random.Random(seed + 3))  # noqa: S311 - as above
    url = f"http://127.0.0.1:{port}"
    senders = [Sender((url,), alerts.of(agent), lambda: rng.expovariate(8)) for agent in AGENTS]
    senders.append(Sender((url,), handed.act, lambda: rng.expovariate(4)))
    log = tmp_path / "receiver.log"
    with capsys.disabled(), serve(jira) as server:
        say(f"\n  HANDRAIL_SEED={seed} HANDRAIL_RECEIVER_KILLS={KILLS}")
        database = f"sqlite:///{tmp_path}/receiver.sqlite"
        config = configured(tmp_path, port, jira=server.url, database=database)
        forks = Forks(config, log, root=root, began=began, speed=SPEED)
        engine = None
        try:
            with sending(senders, forks, url):
                told = lambda: f"{len(alerts.acknowledged)} notifications, {len(simulator.issues)} tickets"  # noqa: E731
                served = killed(forks, rng, url, told)
            assert served > KILLS // 2
            assert len(alerts.acknowledged) > KILLS, "hardly anything came through"
            assert [error for sender in senders for error in sender.failed] == []
            jira.calm = True
            engine = open_to_read(database)
            assert settles(engine), (unsettled(engine), log_end(log))
            assert hold(engine, simulator, alerts, handed, log) == [], "a killed receiver opens no second ticket"
            happened = ", ".join(f"{count} {name}" for name, count in sorted(jira.happened.items()))
            say(f"  {len(alerts.acknowledged)} notifications, {len(handed.accepted)} hand-offs; Jira: {happened}")
        finally:
            forks.close()
            if engine is not None:
                engine.dispose()


@contextmanager
def sending(senders: list[Sender], forks: Forks, url: str) -> Iterator[None]:
    """They send meanwhile; the receiver that is started last answers whoever still waits, and goes on."""
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        goes_on(forks, url)
        for sender in senders:
            sender.stop()


def goes_on(forks: Forks, url: str) -> None:
    """Start one that serves; for a moment somebody else may have had its port."""
    with build_client(base_url=url, timeout_s=1) as client:
        for _ in range(10):
            pid = forks.start()
            if eventually(lambda pid=pid: not alive(pid) or answers(client), 30, 0.005) and alive(pid):
                return
    raise AssertionError("no receiver could be started")
