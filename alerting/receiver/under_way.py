"""How much is under way; whoever has time waits until nothing is, though never for long."""

from __future__ import annotations

import threading


class UnderWay:
    """Each `with` block counts from its beginning to its end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            if not self._count:
                self._changed.notify_all()

    def wait_over(self, at_most_s: float) -> None:
        """Until nothing is under way, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count, at_most_s)
