"""What this process has seen of a source since it started, also across a reload of the configuration; thread-safe."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from exporter.sources import DOWN_REASONS, DownReason

FailureReason = DownReason | Literal["internal"]
FAILURE_REASONS: tuple[FailureReason, ...] = (*DOWN_REASONS, "internal")
# What a source says when it does not take the credential; every other failure says nothing about it.
REFUSALS: frozenset[FailureReason] = frozenset({"unauthorized", "forbidden"})

DURATION_BOUNDS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last poll failed. `text` names places and statuses, never a secret."""

    reason: FailureReason
    text: str


@dataclass(frozen=True, slots=True)
class Durations:
    """How long polls took: how many up to each bound (the last one is infinite, not cumulative), and the sum."""

    counts: tuple[int, ...]
    sum_s: float


class SourceHealth:
    """The polls of one source. `up` is what the last poll found, False before the first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._up = False
        self._failure: Failure | None = None
        self._accepted: bool | None = None
        self._succeeded = 0
        self._errors: Counter[FailureReason] = Counter()
        self._requests: Counter[str] = Counter()
        self._counts = [0] * (len(DURATION_BOUNDS_S) + 1)
        self._sum_s = 0.0

    @property
    def up(self) -> bool:
        """Whether the last poll succeeded."""
        return self._up

    @property
    def polled(self) -> bool:
        """Whether a poll has ended, either way."""
        return self._up or self._failure is not None

    @property
    def failure(self) -> Failure | None:
        """Why the last poll failed; None when it did not."""
        return self._failure

    @property
    def credential_accepted(self) -> bool | None:
        """Whether the source took the credential when it last said anything about it; None before that."""
        return self._accepted

    @property
    def polls(self) -> dict[Literal["success", "error"], int]:
        """Polls that ended, by outcome."""
        with self._lock:
            return {"success": self._succeeded, "error": self._errors.total()}

    @property
    def durations(self) -> Durations:
        """How long polls took."""
        with self._lock:
            return Durations(tuple(self._counts), self._sum_s)

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
        with self._lock:
            self._up, self._failure, self._accepted = True, None, True
            self._succeeded += 1

    def failed(self, reason: FailureReason, text: str = "") -> None:
        """The last poll failed."""
        with self._lock:
            self._up, self._failure = False, Failure(reason, text)
            self._errors[reason] += 1
            if reason in REFUSALS:
                self._accepted = False

    def took(self, seconds: float) -> None:
        """A poll ended after so long."""
        with self._lock:
            self._counts[bisect_left(DURATION_BOUNDS_S, seconds)] += 1
            self._sum_s += seconds

    def count_request(self, status: str) -> None:
        """One request was answered with this status."""
        with self._lock:
            self._requests[status] += 1
