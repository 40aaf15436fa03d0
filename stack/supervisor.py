"""Keeps the parts running: one that ends is started again, more slowly each time; all of them end with the supervisor.

Single-threaded: children are tied to the thread that starts them, so it must be the one that lives longest.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from handrail import logs
from handrail.clock import Clock
from stack import leash
from stack.plan import Part, Plan
from stack.processes import identify
from stack.state import RESTARTING, RUNNING, STOPPED, PartState, StackState, save

FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 0.5, 10.0
# A part that ran this long was well; its next end is a new story and not one more of the same.
_WELL_AFTER_S = 60.0
_TICK_S = 0.2
MAX_LOG_BYTES = 10 * 1024 * 1024


@dataclass(slots=True)
class _Child:
    """A part with the process that runs it now, if one does."""

    part: Part
    state: PartState
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    due_s: float = 0.0
    back_off_s: float = FIRST_BACK_OFF_S


class Supervisor:
    """Runs the parts of one plan until it is told to stop; `state.json` always says what is so."""

    def __init__(self, plan: Plan, state: Path, *, clock: Clock, grace_s: float = 10.0) -> None:
        self._plan = plan
        self._state = state
        self._clock = clock
        self._grace_s = grace_s
        self._children = [_Child(part, PartState.of(part)) for part in plan.parts]
        self._log = logs.get_logger("supervisor")
        self._stopping = False
        me = identify(os.getpid())
        self._stack = StackState(
            digest=plan.digest,
            config=plan.config,
            simulated=plan.simulated,
            supervisor=me,
            started_at=clock.now().isoformat(timespec="seconds"),
        )

    def stop(self) -> None:
        """Ask `run` to end everything and return; safe in a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Start the parts and keep them running until `stop`; when it returns, none of them runs."""
        self._save()
        try:
            while not self._stopping:
                self._tick()
                self._clock.sleep(_TICK_S)
        finally:
            self._stop_all()

    def _tick(self) -> None:
        for child in self._children:
            if self._stopping:
                return
            if child.process is not None and child.process.poll() is not None:
                self._ended(child, describe_exit(child.process.returncode))
            if child.process is None and self._clock.monotonic() >= child.due_s:
                self._start(child)
            _rotate(self._log_file(child.part))

    def _start(self, child: _Child) -> None:
        child.started_s = self._clock.monotonic()
        try:
            child.process = self._spawn(child.part)
        except OSError as error:  # no process or no file to be had just now; the other parts go on
            self._ended(child, f"not started: {error.strerror}")
            return
        child.state = child.state.changed(
            status=RUNNING,
            identity=identify(child.process.pid),
            started_at=self._clock.now().isoformat(timespec="seconds"),
        )
        self._save()
        self._log.info("started", name=child.part.name, pid=child.process.pid)

    def _spawn(self, part: Part) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-S", str(Path(leash.__file__)), str(os.getpid()), *part.command]
        with self._open_log(part) as log:
            return subprocess.Popen(  # noqa: S603 - the plan's own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal reaches the supervisor alone, which then ends the parts in good order.
                process_group=0,
            )

    def _ended(self, child: _Child, how: str) -> None:
        now = self._clock.monotonic()
        if now - child.started_s >= _WELL_AFTER_S:
            child.back_off_s = FIRST_BACK_OFF_S
        child.process = None
        child.due_s = now + child.back_off_s
        child.state = child.state.changed(
            status=RESTARTING, identity=None, restarts=child.state.restarts + 1, last_exit=how
        )
        self._save()
        self._log.warning("ended", name=child.part.name, exit=how, again_in_s=child.back_off_s)
        child.back_off_s = min(child.back_off_s * 2, LONGEST_BACK_OFF_S)

    def _stop_all(self) -> None:
        running = [child for child in self._children if child.process is not None]
        for child in running:
            _signal_group(child, signal.SIGTERM)
        deadline = self._clock.monotonic() + self._grace_s
        while self._clock.monotonic() < deadline and any(_runs(child) for child in running):
            self._clock.sleep(0.05)
        for child in running:
            if _runs(child):
                self._log.warning("killed", name=child.part.name, after_s=self._grace_s)
            _signal_group(child, signal.SIGKILL)
        for child in self._children:
            code = child.process.wait() if child.process is not None else None
            last = describe_exit(code) if code is not None else child.state.last_exit
            child.state = child.state.changed(status=STOPPED, identity=None, last_exit=last)
        self._stack = replace(self._stack, supervisor=None)
        self._save()
        self._log.info("stopped")

    def _save(self) -> None:
        # A full disk must not take down what still works; the next change writes the state again.
        with contextlib.suppress(OSError):
            save(self._state, replace(self._stack, parts=tuple(child.state for child in self._children)))

    def _log_file(self, part: Part) -> Path:
        return log_file(self._state, part.name)

    def _open_log(self, part: Part) -> BinaryIO:
        path = self._log_file(part)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")


def log_file(state: Path, name: str) -> Path:
    """Where a part's log lies."""
    return state / "logs" / f"{name}.log"


def supervise(plan: Plan, state: Path, *, clock: Clock) -> None:
    """Runs the plan in this process until SIGTERM or Ctrl-C; a second signal changes nothing."""
    supervisor = Supervisor(plan, state, clock=clock)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: supervisor.stop())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal it was started from may be closed
    supervisor.run()


def describe_exit(code: int) -> str:
    """How a process ended, in words: `exit code 1` or `signal SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _runs(child: _Child) -> bool:
    return child.process is not None and child.process.poll() is None


def _signal_group(child: _Child, number: int) -> None:
    """Reaches what the part started, too."""
    assert child.process is not None  # noqa: S101 - the caller chose those that run
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)


def _rotate(path: Path) -> None:
    """Moves a log that has grown too long aside; the part goes on writing into the same, now empty file."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > MAX_LOG_BYTES:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)
