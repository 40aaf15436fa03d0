"""When a service is asked about a credential: rarely, and at once when something about it has changed."""

from __future__ import annotations

import hashlib

from exporter.sources import SourceDown
from handrail.clock import Clock

ASK_EVERY_S = 3600.0
# Failures that say nothing about the credential: the question is asked again at the next look.
_OUTAGES = frozenset({"unreachable", "timeout", "rate_limited", "server_error", "not_json", "budget"})


class Asking:
    """Remembers what was asked last; of the secret only a digest, and only in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._about: tuple[bytes, bool | None] | None = None
        self._at = 0.0
        self.is_new = False

    def due(self, secret: str, accepted: bool | None) -> bool:  # noqa: FBT001 - the answer of SourceHealth as it is
        """Whether to ask now; from then on it counts as asked. `is_new` says whether this secret was never asked."""
        now, digest = self._clock.monotonic(), hashlib.sha256(secret.encode()).digest()
        self.is_new = self._about is None or self._about[0] != digest
        if (digest, accepted) == self._about and now - self._at < ASK_EVERY_S:
            return False
        self._about, self._at = (digest, accepted), now
        return True

    def is_answered(self, down: SourceDown) -> bool:
        """Whether that failure is an answer all the same. An outage is none: the next look asks again."""
        if down.reason in _OUTAGES:
            self._at -= ASK_EVERY_S
            return False
        return True
