"""What does "on disk before 200" cost, and what does it save? Alertmanager's notifications while Jira takes 2 s a call.

    python -m bench.webhook_ack [notifications] [connections]

The receiver works meanwhile on what it has acknowledged. It is held against the same server that stores nothing, and
against one that opens the ticket in the request; each is a process of its own, and they take turns.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.measure import Row, print_rows
from bench.receiver_process import Running, receiver, until
from drill.simulators.jira import JiraSimulator
from drill.simulators.wire import serve
from handrail.clock import SystemClock

ROUNDS = 3
JIRA_S = 2.0
NOTIFICATIONS, CONNECTIONS = 600, 40
_AGENTS = 50


def notification(number: int) -> bytes:
    """One firing alert, as Alertmanager sends it."""
    labels = {"alertname": "AgentErrorRatioHigh", "agent": f"agent-{number % _AGENTS}", "severity": "critical"}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "Calls fail.", "description": "4.2% of 52 calls failed."},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": f"{number:016x}",
    }
    group = {name: labels[name] for name in ("alertname", "agent")}
    body = {"version": "4", "groupKey": "g", "status": "firing", "receiver": "handrail", "groupLabels": group}
    return json.dumps(
        body | {"commonLabels": labels, "commonAnnotations": {}, "externalURL": "", "alerts": [alert]}
    ).encode()


@dataclass(frozen=True)
class Turn:
    """How many notifications were acknowledged in a second, and how long one in a hundred of them took at least."""

    per_second: float
    p99_s: float


def turn(server: Running, bodies: Sequence[bytes], connections: int) -> Turn:
    """Every connection sends its share, one after the other."""
    began = time.perf_counter()
    took = sorted(server.send(bodies, connections))
    return Turn(len(bodies) / (time.perf_counter() - began), took[int(len(took) * 0.99)])


def measure(notifications: int, connections: int, *, rounds: int = ROUNDS, jira_s: float = JIRA_S) -> dict[str, Turn]:
    """The best turn of each. SystemExit if what was acknowledged is not on disk."""
    jira = JiraSimulator(SystemClock())
    jira.faults.set("slow", seconds=jira_s)
    numbers, turns = count(), dict[str, list[Turn]]()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(serve(jira)).url
        kinds: dict[str, tuple[str, ...]] = {"stored": (), "unstored": ("unstored",), "synchronous": ("synchronous",)}
        servers = {name: stack.enter_context(receiver(folder / name, url, *kind)) for name, kind in kinds.items()}
        for round_ in range(1 + rounds):
            for name, server in servers.items():
                # Two for each connection show what Jira's pace allows, however many there were.
                size = 2 * connections if name == "synchronous" else notifications
                if name == "synchronous" and round_ > 1:
                    continue
                found = turn(server, [notification(next(numbers)) for _ in range(size)], connections)
                turns.setdefault(name, []).append(found)
                until(lambda: servers["stored"].undecided() == 0, "the inbox is not decided", within_s=300)
        if servers["stored"].stored() != notifications * (1 + rounds):
            raise SystemExit("what was acknowledged is not on disk")
        jira.faults.clear()
    # Before the first turn ends everything is cold.
    return {
        name: Turn(max(each.per_second for each in found[1:]), min(each.p99_s for each in found[1:]))
        for name, found in turns.items()
    }


def rows(notifications: int = NOTIFICATIONS, connections: int = CONNECTIONS) -> list[Row]:
    """The ratios with their goals."""
    best = measure(notifications, connections)
    stored, unstored, synchronous = best["stored"], best["unstored"], best["synchronous"]
    same, in_request = "the same server, without storing", "the same server, calling Jira in the request"
    return [
        Row("webhook: acknowledged on disk, a second", stored.per_second / unstored.per_second, same, at_least=0.5),
        Row(
            "webhook: acknowledged on disk, a second",
            stored.per_second / synchronous.per_second,
            in_request,
            at_least=20,
        ),
        Row("webhook: p99 until acknowledged", stored.p99_s / unstored.p99_s, same),
        Row(
            "webhook: p99 until acknowledged", stored.p99_s / JIRA_S, f"one call of Jira, which takes {JIRA_S:g} s", 0.5
        ),
    ]


if __name__ == "__main__":
    print_rows(rows(*map(int, sys.argv[1:])))
