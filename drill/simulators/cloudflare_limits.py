"""The simulated request limit of a Cloudflare user: one request too many, and everything is refused for 5 minutes."""

from __future__ import annotations

import threading
from collections import deque

from handrail.clock import Clock

WINDOW_S = 300.0


class RequestLimit:
    """At most `limit` requests in 5 minutes, 1,200 as Cloudflare documents it. `with_retry_after` says when it ends."""

    def __init__(self, clock: Clock, limit: int = 1200) -> None:
        self.limit = limit
        self.with_retry_after = True
        self._clock = clock
        self._lock = threading.Lock()
        self._made: deque[float] = deque()
        self._blocked_until = 0.0

    def refusal(self) -> dict[str, str] | None:
        """Count one request; the headers of its refusal, None when it may pass."""
        with self._lock:
            now = self._clock.monotonic()
            while self._made and self._made[0] <= now - WINDOW_S:
                self._made.popleft()
            if now >= self._blocked_until and len(self._made) < self.limit:
                self._made.append(now)
                return None
            if now >= self._blocked_until:
                self._blocked_until = now + WINDOW_S
            left = f"{self._blocked_until - now:.0f}"
            return {"Retry-After": left} if self.with_retry_after else {}
