"""Asks the parts whether they work, and waits until they do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from handrail.clock import Clock
from handrail.http import HttpClient
from stack.state import PartState, StackState, read

WAIT_S = 60.0
# A part that ended this often while it was waited for will not become healthy by waiting longer.
_HOPELESS_AFTER = 4


class Unhealthy(Exception):
    """A part does not answer as it should; `name` says which, so that its log can be shown."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is not healthy: {reason}")
        self.name = name


def is_healthy(client: HttpClient, url: str) -> bool:
    """Does the part answer 200 on its health path? One with TLS, which may ask for a certificate, need only listen."""
    address = urlsplit(url)
    try:
        if address.scheme == "https":
            with socket.create_connection((address.hostname, address.port), timeout=2):
                return True
        return client.get(url).status_code == httpx.codes.OK
    except (httpx.HTTPError, OSError):
        return False


class HealthWait:
    """Waits for the parts of the stack that a supervisor writes into `state.json`."""

    def __init__(self, client: HttpClient, state: Path, *, clock: Clock, timeout_s: float = WAIT_S) -> None:
        self._client = client
        self._state = state
        self._clock = clock
        self._timeout_s = timeout_s

    def wait(self, names: Sequence[str], *, supervisor_runs: Callable[[], bool], say: Callable[[str], None]) -> None:
        """Returns when every part answered healthy, saying each as it does; Unhealthy names one that did not."""
        deadline = self._clock.monotonic() + self._timeout_s
        waiting, before = list(names), _restarts(read(self._state))
        while True:
            stack = read(self._state)
            for part in [part for part in stack.parts if part.name in waiting and self._answers(part)]:
                waiting.remove(part.name)
                say(part.name)
            if not waiting:
                return
            if not supervisor_runs():
                raise Unhealthy("supervisor", "it ended")
            for part in stack.parts:
                if part.name in waiting and part.restarts - before.get(part.name, 0) >= _HOPELESS_AFTER:
                    raise Unhealthy(part.name, f"it ends again and again ({part.last_exit})")
            if self._clock.monotonic() >= deadline:
                raise Unhealthy(waiting[0], f"no good answer within {self._timeout_s:.0f} s")
            self._clock.sleep(0.1)

    def _answers(self, part: PartState) -> bool:
        # Without a process of ours, whoever answers on that port is somebody else.
        return part.identity is not None and part.identity.alive and is_healthy(self._client, part.health_url)


def _restarts(stack: StackState) -> dict[str, int]:
    return {part.name: part.restarts for part in stack.parts}
