"""Alertmanager and agents that send until they are answered, and the truth about what they sent."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import httpx

from handrail.http import HttpClient, build_client

AGENTS = ("billing", "invoices", "search", "support")
ALERTS = ("AgentErrorRatioHigh", "AgentSilent", "AgentStuck")
# One broken tool is one incident, whatever number of hand-offs come of it.
TOOL_ERRORS = ("no route to host", "bad gateway", "not allowed", "disk is full", "unknown column")
Key = tuple[str, str]


# When the first alert began; each notification is told a second after the one before, by the clock of Prometheus.
BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
# An alert by its fingerprint: the numbers of the notifications with which it began and, if it is over, ended.
Alerts = Mapping[str, tuple[int, int | None]]


def at(number: int | None) -> str:
    """A time as Alertmanager writes it; its zero for never."""
    return "0001-01-01T00:00:00Z" if number is None else (BEGAN + timedelta(seconds=number)).isoformat()


def notification(key: Key, alerts: Alerts, *, number: int, peer: str) -> dict[str, Any]:
    """As Alertmanager sends it; `number` tells it from all others."""
    alertname, agent = key
    labels = {"alertname": alertname, "agent": agent, "severity": "critical"}
    one = {
        "labels": labels,
        "annotations": {"summary": "It does not go well.", "description": f"Said for the {number}th time."},
        "generatorURL": f"http://{peer}.example/graph",
    }
    told = [
        {
            **one,
            "status": "firing" if ended is None else "resolved",
            "startsAt": at(began),
            "endsAt": at(ended),
            "fingerprint": fingerprint,
        }
        for fingerprint, (began, ended) in alerts.items()
    ]
    return {
        "version": "4",
        "groupKey": f"notification {number}",
        "truncatedAlerts": 0,
        "status": "firing" if any(ended is None for _, ended in alerts.values()) else "resolved",
        "receiver": "receiver",
        "groupLabels": {"alertname": alertname, "agent": agent},
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": f"http://{peer}.example",
        "alerts": told,
    }


class Sender:
    """A thread of its own that does one thing after the other until it is told to stop.

    It takes one receiver after the other, and the next one where there was no answer within `patience_s`.
    """

    def __init__(
        self,
        urls: Sequence[str],
        act: Callable[[Callable[..., httpx.Response]], None],
        pause: Callable[[], float],
        *,
        patience_s: float = 5,
    ):
        self._clients: list[HttpClient] = [build_client(base_url=url, timeout_s=patience_s) for url in urls]
        self._turns = cycle(self._clients)
        self._act, self._pause = act, pause
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.failed: list[Exception] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After what it is about: whoever sends does not give up."""
        self._stopping.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self._pause()):
                self._act(self._until_answered)
        except Exception as error:  # noqa: BLE001 - the test asks for it
            self.failed.append(error)

    def _until_answered(self, path: str, body: object, headers: dict[str, str]) -> httpx.Response:
        """Like Alertmanager: again after a lost connection and after any 5xx."""
        pause = threading.Event()
        while True:
            try:
                answer = next(self._turns).post(path, content=json.dumps(body), headers=headers)
            except httpx.TransportError:
                pause.wait(0.05)
                continue
            if answer.status_code < 500:
                assert answer.is_success, answer.text
                return answer
            pause.wait(0.05)


class Incidents:
    """Alerts that begin, change, repeat, end and begin again; each group of them is told in order."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._numbers = iter(range(1, 10**9))
        self._lock = threading.Lock()
        # What fires of each group, and the number of the notification with which it began.
        self.firing: dict[Key, dict[str, int]] = {(name, agent): {} for name in ALERTS for agent in AGENTS}
        self.acknowledged: set[int] = set()

    def of(self, agent: str) -> Callable[[Callable[..., httpx.Response]], None]:
        """What is told about one agent, by one sender."""
        keys = [key for key in self.firing if key[1] == agent]

        def act(post: Callable[..., httpx.Response]) -> None:
            with self._lock:
                key, dice, copies = self._rng.choice(keys), self._rng.random(), self._rng.choice((0, 0, 1))
                number, two = next(self._numbers), self._rng.random() < 0.3
            before = self.firing[key]
            if not before:
                wanted = ("a" * 16, "b" * 16) if two else ("a" * 16,)
            elif dice < 0.3:
                wanted = ()
            elif dice < 0.6:
                wanted = tuple(before)  # a repeat
            else:
                wanted = ("a" * 16,) if len(before) == 2 else ("a" * 16, "b" * 16)
            after = {each: before.get(each, number) for each in wanted}
            ended = {each: (began, number) for each, began in before.items() if each not in after}
            alerts = {each: (began, None) for each, began in after.items()} | ended
            for peer in ("one", "two")[: 1 + copies]:
                body = notification(key, alerts, number=number, peer=peer)
                post("/v1/alerts", body, {"authorization": "Bearer webhook-token"})
            with self._lock:
                self.acknowledged.add(number)
            self.firing[key] = after

        return act


class Handoffs:
    """An agent that hands over, some of it twice with the same key."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.accepted: dict[str, str] = {}

    def act(self, post: Callable[..., httpx.Response]) -> None:
        key = f"run-{len(self.accepted)}"
        body = {"task": f"Decide about {key}", "tool_error": self._rng.choice(TOOL_ERRORS), "run_id": key}
        headers = {"authorization": "Bearer handoff-token", "idempotency-key": key}
        ids = {post("/v1/handoffs", body, headers).json()["id"] for _ in range(self._rng.choice((1, 1, 2)))}
        assert len(ids) == 1, f"{key} became {ids}"
        (self.accepted[key],) = ids
