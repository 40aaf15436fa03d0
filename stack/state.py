"""`state.json`: what runs, since when and how often it had to be restarted; replaced whole at every change."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from stack.files import write_atomic
from stack.plan import Part
from stack.processes import Identity

RUNNING, RESTARTING, STOPPED = "running", "restarting", "stopped"


@dataclass(frozen=True, slots=True)
class PartState:
    """One part as its supervisor last saw it."""

    name: str
    url: str
    health_url: str
    status: str = STOPPED
    identity: Identity | None = None
    restarts: int = 0
    last_exit: str | None = None
    started_at: str | None = None

    @classmethod
    def of(cls, part: Part) -> PartState:
        """The state of a part that was not started yet."""
        return cls(name=part.name, url=part.url, health_url=part.health_url)

    def changed(self, **changes: object) -> PartState:
        """A copy with other values."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class StackState:
    """The whole stack as its supervisor last saw it. `supervisor` is None once it was stopped in good order."""

    digest: str = ""
    config: str = ""
    simulated: bool = False
    supervisor: Identity | None = None
    started_at: str | None = None
    parts: tuple[PartState, ...] = field(default_factory=tuple)

    @property
    def supervised(self) -> bool:
        """Does its supervisor run?"""
        return self.supervisor is not None and self.supervisor.alive

    @property
    def left_behind(self) -> list[Identity]:
        """Every process of this stack that is still there, the supervisor first."""
        known = [self.supervisor, *(part.identity for part in self.parts)]
        return [identity for identity in known if identity is not None and identity.alive]


def state_file(state: Path) -> Path:
    """Where the state of the stack is kept."""
    return state / "state.json"


def save(state: Path, stack: StackState) -> None:
    """Writes the state; a reader sees the one before or this one."""
    write_atomic(state_file(state), json.dumps(asdict(stack), indent=1) + "\n")


def read(state: Path) -> StackState:
    """The last state that was written; that of a stack that never ran when there is none or it cannot be read."""
    try:
        data = json.loads(state_file(state).read_text(encoding="utf-8"))
        parts = tuple(PartState(**{**part, "identity": _identity(part["identity"])}) for part in data["parts"])
        return StackState(**{**data, "supervisor": _identity(data["supervisor"]), "parts": parts})
    except (OSError, ValueError, TypeError, KeyError):
        return StackState()


def _identity(data: dict[str, object] | None) -> Identity | None:
    return Identity(**data) if data else None  # type: ignore[arg-type]
