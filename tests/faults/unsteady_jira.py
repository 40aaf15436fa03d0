"""A simulated Jira that breaks connections before and after it did what was asked, and answers 429, 500 or late."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from drill.simulators.jira import JiraSimulator

# Of a hundred requests, how many go wrong in which way; the others are answered.
FAULTS = {"reset before": 4, "reset after": 5, "500 before": 3, "500 after": 4, "429": 4, "late": 5}
LATE_S = 0.2


class UnsteadyJira:
    """Stands in front of the simulator. `calm` ends all faults; `happened` says how often there was which.

    `asked` is set with every request.
    """

    def __init__(self, jira: JiraSimulator, rng: random.Random) -> None:
        self.jira = jira
        self.calm = False
        self.asked = threading.Event()
        self.happened: Counter[str] = Counter()
        self._rng = rng
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        fault = self._next()
        self.asked.set()
        if fault == "reset before":
            return _reset(environ, start_response)
        if fault == "500 before":
            return _refuse(start_response, "500 Internal Server Error")
        if fault == "429":
            return _refuse(start_response, "429 Too Many Requests", ("Retry-After", "2"))
        if fault in ("reset after", "500 after"):
            list(self.jira(environ, lambda status, headers, *_: lambda data: None))
            if fault == "reset after":
                return _reset(environ, start_response)
            return _refuse(start_response, "500 Internal Server Error")
        if fault == "late":
            threading.Event().wait(LATE_S)
        return self.jira(environ, start_response)

    def _next(self) -> str | None:
        with self._lock:
            number = self._rng.randrange(100)
            for name, share in FAULTS.items() if not self.calm else ():
                if number < share:
                    self.happened[name] += 1
                    return name
                number -= share
        return None


def _reset(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What is answered finds nobody there any more."""
    connection: socket.socket = environ["wsgi.input"].raw._sock
    connection.shutdown(socket.SHUT_RDWR)
    return _refuse(start_response, "500 Internal Server Error")


def _refuse(start_response: StartResponse, status: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    body = b'{"errorMessages": ["simulated"], "errors": {}}'
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers])
    return [body]
