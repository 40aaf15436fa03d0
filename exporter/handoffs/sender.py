"""Sends hand-offs to the receiver until it has them: at least once, with a key by which it takes each once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
from sqlalchemy.exc import SQLAlchemyError

from exporter.handoffs.queue import HandoffQueue, Pending
from handrail.clock import Clock
from handrail.http import HttpClient
from handrail.logs import Logger, LogOnce
from handrail.secret import Secret, SecretError

_EVERY_S = 2.0
_REFUSED = (400, 409, 413, 422)


class HandoffSender:
    """A loop beside the pollers. `token` is read for each request, so that a rotated one is used at once."""

    def __init__(
        self, queue: HandoffQueue, connect: Callable[[], tuple[HttpClient, Secret]], clock: Clock, logger: Logger
    ) -> None:
        self._queue = queue
        self._connect = connect
        self._clock = clock
        self._log_once = LogOnce(logger)

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set. A ledger that fails is tried again."""
        while not stop.is_set():
            try:
                self.send_due(stop.is_set)
            except SQLAlchemyError as error:
                self._log_once.failed("handoffs", type(error).__name__)
            stop.wait(_EVERY_S)

    def send_due(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Send over one connection, until nothing is due, the receiver does not take one, or it is `stopped`."""
        handoff = self._next_due()
        if handoff is None:
            return
        client, token = self._connect()
        with client:
            while handoff is not None and not stopped() and self._send(handoff, client, token):
                handoff = self._next_due()

    def _next_due(self) -> Pending | None:
        return self._queue.due(self._clock.now().timestamp())

    def _send(self, handoff: Pending, client: HttpClient, token: Secret) -> bool:
        """Whether it is settled; what is not is put off."""
        try:
            headers = {"authorization": f"Bearer {token.read()}", "idempotency-key": handoff.key}
            response = client.post("/v1/handoffs", json=handoff.body, headers=headers)
        except SecretError as error:
            return self._put_off(handoff, str(error))
        except httpx.HTTPError as error:
            return self._put_off(handoff, f"the receiver does not answer: {type(error).__name__}")
        if response.status_code in (200, 202):
            self._queue.done(handoff)
            self._log_once.succeeded("handoffs")
            return True
        if response.status_code in _REFUSED:
            self._queue.refused(handoff, f"HTTP {response.status_code}")
            self._log_once.failed("handoffs", f"the receiver refuses one: HTTP {response.status_code}")
            return True
        return self._put_off(handoff, f"the receiver answers HTTP {response.status_code}")

    def _put_off(self, handoff: Pending, why: str) -> bool:
        self._queue.put_off(handoff, self._clock.now().timestamp())
        self._log_once.failed("handoffs", why)
        return False
