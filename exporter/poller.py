"""One thread per source: a source that is down is retried ever more slowly and never holds up another one.

Stopping takes `STOP_WITHIN_S` at most: what is not read by then is dropped whole and read again after the next start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from exporter.health import REFUSALS, FailureReason, SourceHealth
from exporter.ledger import Ledger
from exporter.sources import Batch, Source, SourceDown
from handrail.clock import Clock, SystemClock
from handrail.database_trouble import WHAT_TO_DO, reason_of, said
from handrail.logs import Logger, LogOnce

MAX_PAUSE_S = 60.0
MAX_RETRY_AFTER_S = 3600.0
# Less than the 10 s that the stack's supervisor and Docker wait before they kill.
STOP_WITHIN_S = 5.0


class PollStopped(Exception):
    """The process wants to stop, so the poll asks for nothing more. It is neither a success nor a failure."""


class Poller:
    """Polls one source and stores what it finds. A failed poll stores nothing that was not read completely.

    `what_to_do` is asked when the source refuses the credential: how a person mends that.
    """

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        health: SourceHealth,
        logger: Logger,
        *,
        clock: Clock | None = None,
        what_to_do: Callable[[FailureReason], str] | None = None,
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._health = health
        self._logger = logger
        self._log_once = LogOnce(logger)
        self._clock = clock or SystemClock()
        self._what_to_do = what_to_do
        self._failures = 0
        self._committing = threading.Lock()
        self._abandoned = False

    @property
    def name(self) -> str:
        """The name of its source."""
        return self._source.name

    def poll_once(self) -> float:
        """Poll once; the seconds to wait until the next poll. Raises nothing that a source may do wrong."""
        began = self._clock.monotonic()
        try:
            pause = self._poll()
        except PollStopped:
            return self._source.poll_interval_s
        self._health.took(self._clock.monotonic() - began)
        return pause

    def _poll(self) -> float:
        try:
            batch = self._source.poll(self._ledger.state(self._source.name))
            self._commit(batch)
            if batch.trouble:
                raise batch.trouble
        except SourceDown as down:
            return self._failed(down.reason, down.text, down.retry_after_s)
        except SQLAlchemyError as error:
            return self._failed("internal", f"the ledger cannot be used: {said(error)}; {WHAT_TO_DO[reason_of(error)]}")
        self._failures = 0
        self._health.succeeded()
        self._log_once.succeeded(self._source.name)
        self._warn_of_blindness(batch.visible_workflows)
        return self._source.poll_interval_s

    def abandon(self) -> None:
        """From now on nothing that this poller reads is stored; a commit under way is waited for."""
        with self._committing:
            self._abandoned = True

    def _commit(self, batch: Batch) -> None:
        with self._committing:
            if self._abandoned:
                raise PollStopped
            self._ledger.commit(self._source.name, batch)

    def _failed(self, reason: FailureReason, text: str, retry_after_s: float | None = None) -> float:
        details = {"text": text}
        if self._what_to_do and reason in REFUSALS:
            details["what_to_do"] = self._what_to_do(reason)
        self._health.failed(reason, "; ".join(details.values()))
        self._log_once.failed(self._source.name, reason, **details)
        self._failures += 1
        pause = self._source.poll_interval_s * 2.0 ** min(self._failures - 1, 16)
        limit = max(MAX_PAUSE_S, self._source.poll_interval_s)
        return max(min(pause, limit), min(retry_after_s or 0.0, MAX_RETRY_AFTER_S))

    def _warn_of_blindness(self, visible_workflows: int | None) -> None:
        if visible_workflows == 0:
            text = "the key sees no workflow at all; use the key of an owner or an admin"
            self._log_once.failed(f"{self._source.name} workflows", "none_visible", text=text)
        elif visible_workflows:
            self._log_once.succeeded(f"{self._source.name} workflows")

    def run(self, stop: threading.Event) -> None:
        """Poll until told to stop. Whatever a poll does wrong, the next one comes."""
        while not stop.is_set():
            try:
                pause = self.poll_once()
                self._prune()
            except Exception:  # a defect in one source must not end its thread unseen
                self._logger.exception("poll_failed", source=self._source.name)
                pause = self._failed("internal", "a defect of this exporter; see poll_failed")
            stop.wait(pause)

    def _prune(self) -> None:
        try:
            self._ledger.prune()
        except SQLAlchemyError as error:
            self._log_once.failed("retention", reason_of(error), text=said(error))
        else:
            self._log_once.succeeded("retention")


class Pollers:
    """All pollers, each in its own thread. `stopping` is set when they are to end."""

    def __init__(
        self, pollers: Sequence[Poller], logger: Logger, *, stopping: threading.Event, clock: Clock | None = None
    ) -> None:
        self._pollers = pollers
        self._logger = logger
        self._clock = clock or SystemClock()
        self._stopping = stopping
        self._threads = [
            threading.Thread(target=poller.run, args=(stopping,), name="poller", daemon=True) for poller in pollers
        ]

    def start(self) -> None:
        """Begin polling."""
        for thread in self._threads:
            thread.start()

    def poll_once(self) -> None:
        """Poll each once, in this thread."""
        for poller in self._pollers:
            poller.poll_once()

    @property
    def dead(self) -> list[str]:
        """The sources that nobody polls any more though nobody asked for that."""
        if self._stopping.is_set():
            return []
        ended = (thread.ident is not None and not thread.is_alive() for thread in self._threads)
        return [poller.name for poller, has_ended in zip(self._pollers, ended, strict=True) if has_ended]

    def stop(self) -> None:
        """End polling: each poll in flight ends with its present request, or its findings are dropped whole."""
        self._stopping.set()
        deadline = self._clock.monotonic() + STOP_WITHIN_S
        for thread in (thread for thread in self._threads if thread.ident is not None):
            thread.join(timeout=max(0.0, deadline - self._clock.monotonic()))
        for poller, thread in zip(self._pollers, self._threads, strict=True):
            if thread.is_alive():
                poller.abandon()
                self._logger.warning("poll_abandoned", source=poller.name, after_s=STOP_WITHIN_S)
