"""What must be true of the receiver when everything that was sent to it is done, whatever happened to it meanwhile."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import httpx
from sqlalchemy import Engine, select

from alerting.receiver import audit
from alerting.receiver.audit_chain import anchors_in, check
from alerting.receiver.payload import incident_key
from alerting.receiver.schema import handoffs, inbox, incidents, outbox
from drill.simulators.jira import JiraSimulator
from drill.simulators.jira_model import Issue
from handrail.http import HttpClient
from tests.faults.receiver_traffic import Handoffs, Incidents, Key

# A lease of a minute ends after a second; searching for a ticket whose answer was lost takes five.
SPEED = 60.0
SEARCH_LAG_S = 40.0
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
# Late copies stay held for as long as a campaign lasts: there is no Alertmanager that could be asked.
notify: {group_interval: 3h}
receiver:
  listen: "127.0.0.1:PORT"
  webhook_token_file: FOLDER/webhook-token
  operator_token_file: FOLDER/operator-token
  database_url: "DATABASE"
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


def configured(folder: Path, port: int, *, jira: str, database: str) -> Path:
    """The file of a receiver that listens on that port; its secrets are beside it."""
    for name in ("webhook-token", "operator-token", "handoff-token", "jira-token"):
        (folder / name).write_text(name)
    text = CONFIG.replace("FOLDER", str(folder)).replace("PORT", str(port)).replace("JIRA", jira)
    file = folder / f"handrail-{port}.yaml"
    file.write_text(text.replace("DATABASE", database))
    return file


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


def doubles(jira: JiraSimulator) -> list[Issue]:
    """Second tickets that were found and closed: linked to the first, which they name in a comment."""
    return [
        issue
        for issue in jira.issues
        if issue.status_category == "done"
        for kind, first in issue.links
        if kind == "Duplicate" and f"A duplicate of {first}:" in json.dumps(issue.comments)
    ]


def of_label(issues: Sequence[Issue]) -> Counter[str]:
    """How many tickets there are of each episode."""
    return Counter(label for issue in issues for label in issue.labels if EPISODE.fullmatch(label))


def open_tickets(jira: JiraSimulator, key: Key) -> int:
    identity = incident_key(TEAM, key[0], {"alertname": key[0], "agent": key[1]})
    return sum(
        issue.status_category != "done" and any(label.startswith(f"handrail-{identity}-") for label in issue.labels)
        for issue in jira.issues
    )


def hold(engine: Engine, jira: JiraSimulator, alerts: Incidents, handed: Handoffs, *logs: Path) -> list[Issue]:
    """Everything that is promised, against what the senders and Jira know. The second tickets that were closed."""
    wrong = {key: open_tickets(jira, key) for key, firing in alerts.firing.items()}
    assert wrong == {key: int(bool(firing)) for key, firing in alerts.firing.items()}
    second = doubles(jira)
    issues = [issue for issue in jira.issues if issue not in second]
    doubled = [label for label, count in of_label(issues).items() if count > 1]
    assert doubled == [], log_end(*logs)
    stored = {int(json.loads(row.body)["groupKey"].split()[1]) for row in rows(engine, inbox)}
    assert alerts.acknowledged <= stored
    assert not [row.decision for row in rows(engine, inbox) if row.decision.startswith("not decided")]
    assert not [row for row in rows(engine, outbox) if row.state == "dead"]
    assert sorted(row.id for row in rows(engine, handoffs)) == sorted(handed.accepted.values())
    keys = {issue.key for issue in issues}
    tickets = {row.id: row.ticket_key for row in rows(engine, incidents)}
    assert set(tickets.values()) == keys
    assert {tickets[row.incident_id] for row in rows(engine, handoffs)} <= keys
    said = json.dumps([issue.description for issue in jira.issues]) + "".join(log.read_text() for log in logs)
    with engine.connect() as connection:
        anchors = anchors_in(said)
        checked = check(audit.entries(connection), anchors)
    assert checked.findings == ()
    assert len(anchors) >= len(keys)
    return second


def log_end(*logs: Path) -> str:
    """The last words of each."""
    return "\n".join(log.read_text(errors="replace")[-3000:] for log in logs)
