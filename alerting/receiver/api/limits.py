"""Each credential may be used at a rate with a burst; what is above is told how long to wait.

Time is monotonic, so a clock that is set does neither lock anybody out nor open the gate. Buckets live in memory: a
restart fills them, and replicas count for themselves.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from handrail.clock import Clock


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests `per_second` in the long run, and up to `burst` at once."""

    per_second: float
    burst: float


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class TokenBuckets:
    """One bucket for each name. Of names that others choose at most `most` are remembered, those used last."""

    def __init__(self, clock: Clock, *, most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, name: str, rate: Rate) -> float:
        """0 if the request may go on; else in how many seconds one may."""
        with self._lock:
            now = self._clock.monotonic()
            bucket = self._buckets.pop(name, None) or _Bucket(rate.burst, now)
            self._buckets[name] = bucket
            if len(self._buckets) > self._most:
                del self._buckets[next(iter(self._buckets))]
            bucket.left = min(rate.burst, bucket.left + max(0.0, now - bucket.at) * rate.per_second)
            bucket.at = now
            if bucket.left < 1:
                return (1 - bucket.left) / rate.per_second
            bucket.left -= 1
            return 0.0
