"""The receiver is killed hundreds of times while alerts and hand-offs come and Jira breaks: nothing is lost or doubled.

The places of the kills follow from a seed that is printed. HANDRAIL_RECEIVER_KILLS and HANDRAIL_SEED play it longer or
again.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from sqlalchemy import Engine, select

from alerting.receiver import audit
from alerting.receiver.audit_chain import anchors_in, check
from alerting.receiver.payload import incident_key
from alerting.receiver.schema import handoffs, inbox, incidents, outbox
from drill.simulators.jira import JiraSimulator
from drill.simulators.wire import serve
from handrail.database import open_to_read
from handrail.http import HttpClient, build_client
from tests.faults.fast_clock import FastClock
from tests.faults.processes import free_port
from tests.faults.receiver_forks import Forks, alive, kill
from tests.faults.receiver_traffic import AGENTS, Handoffs, Incidents, Key, Sender
from tests.faults.unsteady_jira import UnsteadyJira

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("HANDRAIL_RECEIVER_KILLS", "300"))
# A lease of a minute ends after a second; searching for a ticket whose answer was lost takes five.
SPEED = 60.0
SEARCH_LAG_S = 40.0
LONGEST_LIFE_S = 0.7
STARTS_WITHIN_S = 0.2
MOST_STATEMENTS = 250
# So long may no item be done; how long all of them take depends on the machine.
STANDS_STILL_S = 60
SETTLES_WITHIN_S = 600
TEAM = "Faults"
EPISODE = re.compile(r"handrail-[0-9a-f]{16}-\d+")
CONFIG = """
team: {name: Faults}
sources: {n8n: [{name: main, url: "http://127.0.0.1:1", api_key_file: FOLDER/webhook-token}]}
agents: [{name: billing, from: {n8n: main, workflow: Billing}, handoff_token_file: FOLDER/handoff-token}]
tickets: {jira: {url: "JIRA", project: OPS, user: handrail@example.com, token_file: FOLDER/jira-token}}
prometheus: {listen: "127.0.0.1:1"}
receiver:
  listen: "127.0.0.1:PORT"
  webhook_token_file: FOLDER/webhook-token
  operator_token_file: FOLDER/operator-token
  database_url: "sqlite:///FOLDER/receiver.sqlite"
"""


def say(text: str) -> None:
    click.echo(text, err=True)


def eventually(condition: Callable[[], bool], within_s: float, every_s: float = 0.1) -> bool:
    pause, deadline = threading.Event(), time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(every_s)
    return True


def configured(folder: Path, port: int, jira: str) -> Path:
    for name in ("webhook-token", "operator-token", "handoff-token", "jira-token"):
        (folder / name).write_text(name)
    text = CONFIG.replace("FOLDER", str(folder)).replace("PORT", str(port)).replace("JIRA", jira)
    (folder / "handrail.yaml").write_text(text)
    return folder / "handrail.yaml"


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


def answers(client: HttpClient) -> bool:
    try:
        return client.get("/-/healthy").status_code == 200
    except httpx.TransportError:
        return False


def rows(engine: Engine, table: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(table.select().order_by(table.c.id)))


def unsettled(engine: Engine) -> list[str]:
    """What is still to be done."""
    # A sweep looks for a second ticket hours later, when there is nothing to be found here.
    left = outbox.c.state.in_(("ready", "leased")) & (outbox.c.kind != "sweep")
    with engine.connect() as connection:
        undecided = [
            f"inbox {id_}" for id_ in connection.scalars(select(inbox.c.id).where(inbox.c.processed_at.is_(None)))
        ]
        waiting = [
            f"{row.kind} of {row.subject}: {row.state}, {row.attempts} attempts, {row.last_error}"
            for row in connection.execute(select(outbox).where(left).order_by(outbox.c.id))
        ]
    return undecided + waiting


def settles(engine: Engine) -> bool:
    """Is everything done at last? False once nothing went on for STANDS_STILL_S, or after SETTLES_WITHIN_S."""
    began = time.monotonic()
    while left := len(unsettled(engine)):
        say(f"  {left} to be done")
        ends = min(STANDS_STILL_S, began + SETTLES_WITHIN_S - time.monotonic())
        if ends <= 0 or not eventually(lambda left=left: len(unsettled(engine)) < left, ends, 2):
            return False
    return True


def of_label(jira: JiraSimulator) -> Counter[str]:
    """How many tickets there are of each episode."""
    return Counter(label for issue in jira.issues for label in issue.labels if EPISODE.fullmatch(label))


def open_tickets(jira: JiraSimulator, key: Key) -> int:
    identity = incident_key(TEAM, key[0], {"alertname": key[0], "agent": key[1]})
    return sum(
        issue.status_category != "done" and any(label.startswith(f"handrail-{identity}-") for label in issue.labels)
        for issue in jira.issues
    )


def test_nothing_is_lost_or_doubled_however_often_the_receiver_is_killed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One open ticket for what fires, none for what does not; every 200 decided; hand-offs once; a whole chain."""
    seed = int(os.environ.get("HANDRAIL_SEED", str(random.SystemRandom().randrange(10**6))))
    rng, port, began = random.Random(seed), free_port(), time.time()  # noqa: S311 - no secret
    simulator = JiraSimulator(FastClock(began, SPEED))
    simulator.search_lag_s = SEARCH_LAG_S
    jira = UnsteadyJira(simulator, random.Random(seed + 1))  # noqa: S311 - as above
    alerts, handed = Incidents(random.Random(seed + 2)), Handoffs(random.Random(seed + 3))  # noqa: S311 - as above
    url = f"http://127.0.0.1:{port}"
    senders = [Sender(url, alerts.of(agent), lambda: rng.expovariate(8)) for agent in AGENTS]
    senders.append(Sender(url, handed.act, lambda: rng.expovariate(4)))
    log = tmp_path / "receiver.log"
    with capsys.disabled(), serve(jira) as server:
        say(f"\n  HANDRAIL_SEED={seed} HANDRAIL_RECEIVER_KILLS={KILLS}")
        forks = Forks(configured(tmp_path, port, server.url), log, root=root, began=began, speed=SPEED)
        engine = None
        try:
            with sending(senders, forks):
                told = lambda: f"{len(alerts.acknowledged)} notifications, {len(simulator.issues)} tickets"  # noqa: E731
                served = killed(forks, rng, url, told)
            assert served > KILLS // 2
            assert len(alerts.acknowledged) > KILLS, "hardly anything came through"
            assert [error for sender in senders for error in sender.failed] == []
            jira.calm = True
            engine = open_to_read(f"sqlite:///{tmp_path}/receiver.sqlite")
            assert settles(engine), (unsettled(engine), log_end(log))
            hold(engine, simulator, alerts, handed, log)
            happened = ", ".join(f"{count} {name}" for name, count in sorted(jira.happened.items()))
            say(f"  {len(alerts.acknowledged)} notifications, {len(handed.accepted)} hand-offs; Jira: {happened}")
        finally:
            forks.close()
            if engine is not None:
                engine.dispose()


@contextmanager
def sending(senders: list[Sender], forks: Forks) -> Iterator[None]:
    """They send meanwhile; the receiver that is started last answers whoever still waits, and goes on."""
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        forks.start()
        for sender in senders:
            sender.stop()


def hold(engine: Engine, jira: JiraSimulator, alerts: Incidents, handed: Handoffs, log: Path) -> None:
    """Everything that is promised, against what the senders and Jira know."""
    wrong = {key: open_tickets(jira, key) for key, firing in alerts.firing.items()}
    assert wrong == {key: int(bool(firing)) for key, firing in alerts.firing.items()}
    doubled = [label for label, count in of_label(jira).items() if count > 1]
    assert doubled == [], log_end(log)
    stored = {int(json.loads(row.body)["groupKey"].split()[1]) for row in rows(engine, inbox)}
    assert alerts.acknowledged <= stored
    assert not [row.decision for row in rows(engine, inbox) if row.decision.startswith("not decided")]
    assert not [row for row in rows(engine, outbox) if row.state == "dead"]
    assert sorted(row.id for row in rows(engine, handoffs)) == sorted(handed.accepted.values())
    keys = {issue.key for issue in jira.issues}
    tickets = {row.id: row.ticket_key for row in rows(engine, incidents)}
    assert set(tickets.values()) == keys
    assert {tickets[row.incident_id] for row in rows(engine, handoffs)} <= keys
    with engine.connect() as connection:
        anchors = anchors_in(json.dumps([issue.description for issue in jira.issues]) + log.read_text())
        checked = check(audit.entries(connection), anchors)
    assert checked.findings == ()
    assert len(anchors) >= len(keys)


def log_end(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]
