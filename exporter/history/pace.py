"""How fast a service is asked for its past: it keeps most of its time for its own work."""

from __future__ import annotations

from collections.abc import Callable

from handrail.clock import Clock

# n8n answers, runs workflows and serves its editor in one event loop, which an answer with data blocks.
SHARE = 0.25
_LONGEST_PAUSE_S = 10.0


class Pace:
    """Called after each answer; returns when the next request may be made.

    Asking takes at most `SHARE` of the time, whatever an answer costs, and two requests are `least_s` apart.
    """

    def __init__(self, clock: Clock, *, least_s: float = 0.0, count: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._least_s = least_s
        self._count = count
        self._free_at = clock.monotonic()

    def __call__(self, _status: str) -> None:
        self._count()
        took = max(self._clock.monotonic() - self._free_at, 0.0)
        pause = max(took * (1 / SHARE - 1), self._least_s - took)
        self._clock.sleep(min(pause, max(_LONGEST_PAUSE_S, self._least_s)))
        self._free_at = self._clock.monotonic()
