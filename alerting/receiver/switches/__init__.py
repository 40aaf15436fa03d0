"""The ways to switch an agent off. A new one is a module here and a variant in the settings.

Each is idempotent: it sets a state and never toggles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Work:
    """What was stopped and what of the agent's work still runs, waits or is queued."""

    stopped: int
    remaining: int


class Switch(Protocol):
    """One agent's switch. Raises the worker's Transient and Permanent.

    `settle_s`: how long after switching off a call that had begun before may still come to light.
    """

    settle_s: float

    def remember(self) -> str | None:
        """What `enable` needs to restore exactly what was live; None when there is nothing to know."""
        ...

    def disable(self) -> None:
        """Switch off."""
        ...

    def enable(self, previous: str | None) -> None:
        """Switch on what was live before."""
        ...

    def enabled(self) -> bool:
        """The state, read back from where the agent or its platform reads it."""
        ...

    def stop_work(self) -> Work:
        """Stop what still runs, waits or is queued."""
        ...

    def activity(self) -> str:
        """A mark that changes with every call of the agent: two equal marks prove that none came between them."""
        ...
