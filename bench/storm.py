"""A storm of alerts: what becomes of it in Jira, how long that takes and what memory it needs.

    python -m bench.storm [groups]

Ten alerts a group, told once by each of two Alertmanagers, reach a receiver at once. Its Jira needs a moment for each
answer and now and then asks to be left alone. Whatever is lost, doubled or not waited for ends the benchmark.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

from sqlalchemy import func, select

from alerting.receiver.schema import alerts, incidents
from bench.measure import Row, print_rows
from bench.receiver_process import Running, receiver
from drill.simulators.jira import JiraSimulator
from drill.simulators.wire import serve
from handrail.clock import SystemClock

GROUPS, ALERTS, CONNECTIONS = 500, 10, 40
ANSWER_S = 0.02
LIMITED_EVERY, RETRY_AFTER_S = 50, 2
# The receiver's clock runs faster, so that what it was asked to wait for and its own back-off end within the storm.
SPEED = 10
_STANDS_STILL_S = 60


class LimitingJira:
    """Answers 429 now and then. `busy_s` is the time that its answers and the pauses it asked for took."""

    def __init__(self, jira: JiraSimulator) -> None:
        self._jira = jira
        self._lock = threading.Lock()
        self._requests = 0
        self._not_before = 0.0
        self.limited = 0
        self.impatient = 0
        self.busy_s = 0.0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began = time.monotonic()
        with self._lock:
            self._requests += 1
            self.impatient += began < self._not_before
            limited = self._requests % LIMITED_EVERY == 0
            if limited:
                pause_s = RETRY_AFTER_S / SPEED
                self.limited, self._not_before = self.limited + 1, began + pause_s
                self.busy_s += pause_s
        if limited:
            headers = [("Content-Type", "application/json"), ("Content-Length", "2")]
            start_response("429 Too Many Requests", [*headers, ("Retry-After", str(RETRY_AFTER_S))])
            return [b"{}"]
        time.sleep(ANSWER_S)
        answer = list(self._jira(environ, start_response))
        with self._lock:
            self.busy_s += time.monotonic() - began
        return answer


def notification(number: int, sender: str) -> bytes:
    """A group of firing alerts, as Alertmanager sends it."""
    group = {"alertname": "AgentErrorRatioHigh", "agent": f"agent-{number}"}
    firing = [
        {
            "status": "firing",
            "labels": group | {"severity": "critical", "tool": f"tool-{each}"},
            "annotations": {"summary": "Calls fail.", "description": "4.2% of 52 calls failed."},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph",
            "fingerprint": f"{number * ALERTS + each:016x}",
        }
        for each in range(ALERTS)
    ]
    about = {"version": "4", "groupKey": f"g{number}", "receiver": "receiver", "status": "firing"}
    common = {"groupLabels": group, "commonLabels": group, "commonAnnotations": {}, "externalURL": sender}
    return json.dumps(about | common | {"alerts": firing}).encode()


@dataclass(frozen=True)
class Storm:
    """What came of it and what it took. `busy_s` is Jira's part of `drained_s`."""

    tickets: float
    resident: float
    drained_s: float
    busy_s: float
    limited: int


def measure(groups: int) -> Storm:
    """Send it, wait until all of it is done, and compare. SystemExit for whatever is wrong then."""
    simulator = JiraSimulator(SystemClock())
    jira = LimitingJira(simulator)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(serve(jira)).url
        server = stack.enter_context(receiver(folder / "receiver", url, speed=SPEED))
        # What it needs once is not the storm's: a first incident, told before.
        server.send([notification(groups, "http://a.example")], 1)
        _drain(server)
        before, busy_s, began = server.resident_mib(), jira.busy_s, time.monotonic()
        told = [notification(number, f"http://{name}.example") for name in "ab" for number in range(groups)]
        server.send(told, CONNECTIONS)
        most = _drain(server)
        took = time.monotonic() - began
        _hold(server, simulator, groups + 1)
        if jira.impatient:
            raise SystemExit(f"{jira.impatient} requests came before Jira wanted them")
    return Storm((len(simulator.issues) - 1) / groups, most / before, took, jira.busy_s - busy_s, jira.limited)


def _drain(server: Running) -> float:
    """Wait until nothing is left to do; the most memory that it had meanwhile, in MiB."""
    most, left, moved = 0.0, -1, time.monotonic()
    while left:
        now = server.undecided() + server.undelivered()
        if now != left:
            left, moved = now, time.monotonic()
        if time.monotonic() - moved > _STANDS_STILL_S:
            raise SystemExit(f"{left} are not done, and nothing goes on")
        most = max(most, server.resident_mib())
        time.sleep(0.05)
    return most


def _hold(server: Running, jira: JiraSimulator, groups: int) -> None:
    """Each group one incident and one ticket, each alert known, and no word too many."""
    with server.engine.connect() as connection:
        tickets = connection.scalars(select(incidents.c.ticket_key)).all()
        known = connection.scalar(select(func.count()).select_from(alerts))
    made = Counter(issue.key for issue in jira.issues)
    comments = sum(len(issue.comments) for issue in jira.issues)
    found = (len(tickets), len(made), Counter(tickets) == made, known, comments)
    if found != (groups, groups, True, groups * ALERTS, 0):
        raise SystemExit(f"incidents, tickets, the same ones, alerts, comments: {found} of {groups} groups")


def rows(groups: int = GROUPS) -> list[Row]:
    """The ratios with their goals; they exist only if nothing was lost or doubled."""
    found = measure(groups)
    what = f"storm of {groups * ALERTS:,} alerts in {groups:,} groups"
    return [
        Row(f"{what}: tickets", found.tickets, "a group; none lost, none doubled", goal=1.0, at_least=1.0),
        Row(f"{what}: time until all is in Jira", found.drained_s / found.busy_s, "Jira's answers and pauses", 5.0),
        Row(f"{what}: most memory", found.resident, "before the storm", 1.5),
        Row(f"{what}: answers 429, all waited for", found.limited, "an answer"),
    ]


if __name__ == "__main__":
    print_rows(rows(*map(int, sys.argv[1:])))
