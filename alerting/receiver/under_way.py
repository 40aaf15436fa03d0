"""How much is under way; whoever has time waits until nothing is, though never for long."""

from __future__ import annotations

import threading
import time

# Senders that are answered send their next at once: so long may it take to come, and still belong to the same rush.
QUIET_S = 0.02


class UnderWay:
    """Each `with` block counts from its beginning to its end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._entered = 0

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1
            self._entered += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            if not self._count:
                self._changed.notify_all()

    def wait_over(self, at_most_s: float) -> None:
        """Until nothing has been under way for QUIET_S, or for `at_most_s`."""
        ends = time.monotonic() + at_most_s
        with self._changed:
            while (left := ends - time.monotonic()) > 0:
                if self._count:
                    self._changed.wait(left)
                    continue
                entered = self._entered
                self._changed.wait(min(QUIET_S, left))
                if self._entered == entered:
                    return
