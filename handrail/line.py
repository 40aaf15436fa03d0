"""Whoever comes first is served first: a lock that is handed over and never snatched away.

SQLite lets a second writer look again and again whether the first has ended, at longer and longer intervals. One that
writes without a break is then hardly ever found pausing, and the other gives up.
"""

from __future__ import annotations

import threading
from collections import deque


class Line:
    """Threads that stand in line for something that one of them may have at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    def enter(self, patience_s: float) -> bool:
        """Wait for the turn; False when it did not come in time, and then it is not had."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            turn = threading.Event()
            self._waiting.append(turn)
        if turn.wait(patience_s):
            return True
        with self._lock:
            if turn.is_set():  # handed over at this very moment
                return True
            self._waiting.remove(turn)
            return False

    def leave(self) -> None:
        """Hand the turn to who has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False
