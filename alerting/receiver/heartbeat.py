"""A service outside hears from here only while the watchdog comes: as long as alerting works from end to end.

No beat without a fresh watchdog and none twice for the same; at most one in `every`, and one that fails is tried again
with the next watchdog. The URL is read for each beat, and stands in no log and in no error: it is the whole secret.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx

from handrail.clock import Clock
from handrail.http import HttpClient
from handrail.logs import Logger, LogOnce
from handrail.secret import Secret, SecretError

LOOK_S = 1.0
# The watchdog comes once a minute. One that is older was kept somewhere, and proves nothing of now.
FRESH_S = 90.0
# A beat is due a little early rather than a whole minute late.
_EARLY_S = 30.0


class Heart:
    """Beats at `url`. `heard` says when the watchdog last came, in epoch seconds; `count` is told sent or failed."""

    def __init__(
        self,
        url: Secret,
        connect: Callable[[], HttpClient],
        clock: Clock,
        *,
        every_s: float,
        heard: Callable[[], float | None],
        count: Callable[[str], None],
        logger: Logger,
    ) -> None:
        self._url = url
        self._connect = connect
        self._clock = clock
        self._pause_s = max(every_s - _EARLY_S, 0.0)
        self._heard = heard
        self._count = count
        self._logger = logger
        self._log_once = LogOnce(logger)
        self._answered = 0.0
        self._sent_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Beat until `stop` is set. An error that nobody foresaw is logged, and the next watchdog is answered."""
        while not stop.wait(LOOK_S):
            try:
                self.beat_if_due()
            except Exception:
                self._logger.exception("worker_failed", lane="heartbeat")

    def beat_if_due(self) -> bool:
        """Answer the newest watchdog, if it is fresh and a beat is due; True when the service took it."""
        heard, now = self._heard() or 0.0, self._clock.now().timestamp()
        if heard <= self._answered or now - heard > FRESH_S or now - self._sent_at < self._pause_s:
            return False
        self._answered = heard
        if (failure := self._beat()) is not None:
            self._count("failed")
            self._log_once.failed("heartbeat", failure)
            return False
        self._sent_at = now
        self._count("sent")
        self._log_once.succeeded("heartbeat")
        return True

    def _beat(self) -> str | None:
        """Why it failed; None if it did not."""
        try:
            # A connection for each: one that is minutes old is closed by somebody in between.
            with self._connect() as client:
                answer = client.get(self._url.read())
        except SecretError as error:
            return str(error)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return None if answer.is_success else f"HTTP {answer.status_code}"
