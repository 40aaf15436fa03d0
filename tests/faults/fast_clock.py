"""A clock that runs faster than the machine's, the same in every process: leases and back-offs end within seconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class FastClock:
    """`speed` seconds pass in one; it stood at the machine's time at `began`, in epoch seconds."""

    def __init__(self, began: float, speed: float) -> None:
        self._began = began
        self._speed = speed

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._began + (time.time() - self._began) * self._speed, UTC)

    def monotonic(self) -> float:
        return time.monotonic() * self._speed

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self._speed)
