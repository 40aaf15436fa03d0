"""Which process is meant: a process id alone is not enough, because the machine gives it to another one later."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from handrail.clock import Clock


@dataclass(frozen=True, slots=True)
class Identity:
    """A process id together with when that process began."""

    pid: int
    began: str

    @property
    def alive(self) -> bool:
        """Is exactly this process still there? One that has ended but was not yet collected is not."""
        return _began(self.pid) == self.began

    def send(self, number: int) -> None:
        """Sends a signal to this process, if it is still there."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)


def identify(pid: int) -> Identity | None:
    """The process with this id; None when there is none."""
    began = _began(pid)
    return Identity(pid, began) if began is not None else None


def end(identities: list[Identity], *, clock: Clock, grace_s: float = 10.0) -> None:
    """Ends these processes: TERM to all, KILL to those that are still there after the grace time."""
    for identity in identities:
        identity.send(signal.SIGTERM)
    if not wait_gone(identities, clock=clock, timeout_s=grace_s):
        for identity in identities:
            identity.send(signal.SIGKILL)
        wait_gone(identities, clock=clock, timeout_s=5.0)


def wait_gone(identities: list[Identity], *, clock: Clock, timeout_s: float) -> bool:
    """Waits until none of them is there any more; False when that took too long."""
    deadline = clock.monotonic() + timeout_s
    while any(identity.alive for identity in identities):
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(0.05)
    return True


def _began(pid: int) -> str | None:
    if sys.platform != "linux":
        return _began_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in parentheses may itself hold spaces and parentheses; what follows the last one is regular.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _began_by_ps(pid: int) -> str | None:
    done = subprocess.run(  # noqa: S603 - a number and fixed options
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    status, _, began = done.stdout.strip().partition(" ")
    return began.strip() if began and not status.startswith("Z") else None
