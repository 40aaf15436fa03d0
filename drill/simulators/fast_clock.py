"""A clock that runs faster than the machine's, the same in every process: leases and back-offs end within seconds."""

from __future__ import annotations

from datetime import UTC, datetime

from handrail.clock import SystemClock


class FastClock:
    """`speed` seconds pass in one; it stood at the machine's time at `began`, in epoch seconds."""

    def __init__(self, began: float, speed: float) -> None:
        self._began = began
        self._speed = speed
        self._machine = SystemClock()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._began + (self._machine.now().timestamp() - self._began) * self._speed, UTC)

    def monotonic(self) -> float:
        return self._machine.monotonic() * self._speed

    def sleep(self, seconds: float) -> None:
        self._machine.sleep(seconds / self._speed)
