"""One thread per source: a source that is down is retried ever more slowly and never holds up another one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from exporter.ledger import Ledger
from exporter.sources import DOWN_REASONS, DownReason, Source, SourceDown
from handrail.logs import Logger, LogOnce

FailureReason = DownReason | Literal["internal"]
FAILURE_REASONS: tuple[FailureReason, ...] = (*DOWN_REASONS, "internal")

MAX_PAUSE_S = 60.0
MAX_RETRY_AFTER_S = 3600.0
_JOIN_S = 10.0


class SourceHealth:
    """What this process has seen of a source; thread-safe. `up` is what the last poll found, False before the first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._up = False
        self._errors: Counter[FailureReason] = Counter()
        self._requests: Counter[str] = Counter()

    @property
    def up(self) -> bool:
        """Whether the last poll succeeded."""
        return self._up

    @property
    def errors(self) -> dict[FailureReason, int]:
        """Failed polls by reason, also those that never occurred."""
        with self._lock:
            return {reason: self._errors[reason] for reason in FAILURE_REASONS}

    @property
    def requests(self) -> dict[str, int]:
        """Requests by HTTP status; `none` where no answer came."""
        with self._lock:
            return {"200": 0, **self._requests}

    def succeeded(self) -> None:
        """The last poll succeeded."""
        self._up = True

    def failed(self, reason: FailureReason) -> None:
        """The last poll failed."""
        with self._lock:
            self._up = False
            self._errors[reason] += 1

    def count_request(self, status: str) -> None:
        """One request was answered with this status."""
        with self._lock:
            self._requests[status] += 1


class Poller:
    """Polls one source and stores what it finds. A failed poll stores nothing that was not read completely."""

    def __init__(self, source: Source, ledger: Ledger, health: SourceHealth, logger: Logger) -> None:
        self._source = source
        self._ledger = ledger
        self._health = health
        self._logger = logger
        self._log_once = LogOnce(logger)
        self._failures = 0

    def poll_once(self) -> float:
        """Poll once; the seconds to wait until the next poll. Raises nothing that a source may do wrong."""
        try:
            batch = self._source.poll(self._ledger.state(self._source.name))
            self._ledger.commit(self._source.name, batch)
            if batch.trouble:
                raise batch.trouble
        except SourceDown as down:
            return self._failed(down.reason, down.text, down.retry_after_s)
        except SQLAlchemyError as error:
            return self._failed("internal", f"the ledger cannot be written: {type(error).__name__}")
        self._failures = 0
        self._health.succeeded()
        self._log_once.succeeded(self._source.name)
        self._warn_of_blindness(batch.visible_workflows)
        return self._source.poll_interval_s

    def _failed(self, reason: FailureReason, text: str, retry_after_s: float | None = None) -> float:
        self._health.failed(reason)
        self._log_once.failed(self._source.name, reason, text=text)
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
                self._ledger.prune()
            except Exception:  # a defect in one source must not end its thread unseen
                self._logger.exception("poll_failed", source=self._source.name)
                pause = self._failed("internal", "a defect of this exporter; see poll_failed")
            stop.wait(pause)


class Pollers:
    """All pollers, each in its own thread."""

    def __init__(self, pollers: Sequence[Poller]) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=poller.run, args=(self._stop,), name="poller", daemon=True) for poller in pollers
        ]

    def start(self) -> None:
        """Begin polling."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End polling; waits for polls in flight as long as a request may take, no longer."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=_JOIN_S)
