"""Containers or processes of this machine: the decision, with its reason, and what was decided last."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from stack.files import write_atomic

Runtime = Literal["docker", "native"]
Asked = Literal["auto", "docker", "native"]


@dataclass(frozen=True, slots=True)
class Choice:
    """How the stack is to run, and why not in containers if not."""

    runtime: Runtime
    reason: str = ""


class NotPossible(Exception):
    """Containers were asked for and cannot be; the text says why, and what can be done."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was decided last: the project of the containers, and whether they are the simulated world's."""

    runtime: Runtime
    project: str
    simulated: bool
    without: tuple[str, ...] = ()


def choose(asked: Asked, *, last: Chosen | None, measured_natively: bool, why_not: Callable[[], str | None]) -> Choice:
    """Containers wherever they can be had, unless `asked` says otherwise or what was measured would be left behind.

    `last` is what the team's own stack ran as before, None in the simulated world, which forgets anyway. `why_not` asks
    the engine and fetches images, so it is called only if the answer counts. NotPossible when nothing can be chosen.
    """
    if asked == "native":
        return Choice("native", "RUNTIME=native")
    if asked == "auto" and measured_natively and (last is None or last.runtime == "native"):
        return Choice("native", "what it has measured and decided lies in .handrail; RUNTIME=docker begins anew")
    reason = why_not()
    if reason is None:
        return Choice("docker")
    if asked == "docker":
        raise NotPossible(f"RUNTIME=docker, but {reason}")
    if last is not None and last.runtime == "docker":
        raise NotPossible(
            f"Handrail ran in containers, where its data is, but {reason}. Mend that, or begin anew: RUNTIME=native"
        )
    return Choice("native", reason)


def remember(state: Path, chosen: Chosen) -> None:
    """Keeps what was decided, for the commands that come after."""
    write_atomic(_file(state), json.dumps(asdict(chosen)) + "\n")


def recall(state: Path) -> Chosen | None:
    """What was decided last; None before the first start."""
    try:
        data = json.loads(_file(state).read_text(encoding="utf-8"))
        return Chosen(**{**data, "without": tuple(data["without"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _file(state: Path) -> Path:
    return state / "runtime.json"
