"""Starts receivers by forking a process that has put one together: a start takes a few milliseconds.

    python -m tests.faults.receiver_forks CONFIG LOG BEGAN SPEED

For each line on standard input a receiver is started and its process id written. The line has two numbers: the database
statement before which it kills itself, as hard as anybody could from outside, and the renewal of a lease after which it
falls asleep until it is woken; 0 is never.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from typing import IO, Any, cast

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from alerting.receiver import app
from drill.simulators.fast_clock import FastClock
from handrail import database, logs
from handrail.settings import Settings, load
from tests.faults.receiver_oracle import eventually


def die_before(statement: int) -> None:
    """SIGKILL itself before that statement of any connection."""
    numbers = count(1)

    @event.listens_for(Engine, "before_cursor_execute")
    def _count(*_: object) -> None:
        if next(numbers) >= statement:
            os.kill(os.getpid(), signal.SIGKILL)


def sleep_after(renewal: int) -> None:
    """SIGSTOP itself, once, when that renewal of a lease is committed: what is written to Jira next comes late."""
    numbers, here = count(1), threading.local()

    @event.listens_for(Engine, "before_cursor_execute")
    def _notice(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        here.renews = getattr(here, "renews", False) or statement.startswith("UPDATE outbox SET lease_until")

    @event.listens_for(Pool, "checkin")
    def _count(*_: object) -> None:
        renews, here.renews = getattr(here, "renews", False), False
        if renews and next(numbers) == renewal:
            os.kill(os.getpid(), signal.SIGSTOP)


def main() -> None:
    """Serve standard input until it ends."""
    config, log, began, speed = sys.argv[1:]
    with Path(log).open("a") as stream:
        os.dup2(stream.fileno(), 2)
        logs.configure(stream)
        settings = load(Path(config))
        database.IDLE_IN_TRANSACTION_S = max(0.5, database.IDLE_IN_TRANSACTION_S / float(speed))
        receiver = app.assembled(settings, FastClock(float(began), float(speed)))
        receiver.engine.dispose()  # no connection is shared with a child; each begins with what is on disk
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever was killed leaves nothing behind
        for line in sys.stdin:
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    serve(receiver, settings, *map(int, line.split()))
                    code = 0
                finally:
                    os._exit(code)
            sys.stdout.write(f"{pid}\n")
            sys.stdout.flush()


def serve(receiver: app.Receiver, settings: Settings, statement: int, renewal: int) -> None:
    """As the receiver's command does."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if statement:
        die_before(statement)
    if renewal:
        sleep_after(renewal)
    app.serve(receiver, settings)


class Forks:
    """That program, from the tests' side."""

    def __init__(self, config: Path, log: Path, *, root: Path, began: float, speed: float) -> None:
        command = [sys.executable, "-m", "tests.faults.receiver_forks", str(config), str(log), str(began), str(speed)]
        self._last: int | None = None
        self._process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
        )

    def start(self, statement: int = 0, *, renewal: int = 0) -> int:
        """A receiver's process id."""
        cast("IO[Any]", self._process.stdin).write(f"{statement} {renewal}\n")
        cast("IO[Any]", self._process.stdin).flush()
        self._last = int(cast("IO[Any]", self._process.stdout).readline())
        return self._last

    def close(self) -> None:
        """With the receiver that was started last."""
        if self._last is not None:
            kill(self._last)
        cast("IO[Any]", self._process.stdin).close()
        self._process.wait(timeout=30)
        cast("IO[Any]", self._process.stdout).close()


def alive(pid: int) -> bool:
    """Is there still such a process?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def asleep(pid: int) -> bool:
    """Is it stopped?"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def kill(pid: int) -> None:
    """SIGKILL, unless it is gone already; returns when it is, so that its port is free for the next one."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    assert eventually(lambda: not alive(pid), 30, 0.001), f"{pid} does not end"


if __name__ == "__main__":
    main()
