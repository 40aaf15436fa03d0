"""The supervisor keeps parts running, says so in state.json, and leaves nothing behind however it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from handrail.clock import SystemClock
from stack import native, supervisor
from stack.plan import Plan
from stack.processes import Identity, end, identify
from stack.state import RESTARTING, RUNNING, STOPPED, read
from stack.supervisor import Supervisor, describe_exit, log_file

STAYS = "import signal; print('ready', flush=True); signal.pause()"
STUBBORN = """import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
while True: signal.pause()
"""


class FastClock(SystemClock):
    """Time that runs twenty times faster, so that a back-off of ten seconds is half a second."""

    def monotonic(self) -> float:
        return time.monotonic() * 20

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / 20)


@contextlib.contextmanager
def running(plan: Plan, state: Path, **arguments) -> Iterator[Supervisor]:
    """A supervisor in a thread of this process; stopped at the end."""
    watched = Supervisor(plan, state, **{"clock": SystemClock(), **arguments})
    thread = threading.Thread(target=watched.run)
    thread.start()
    try:
        yield watched
    finally:
        watched.stop()
        thread.join()


def part(state: Path, name: str):
    return next((part for part in read(state).parts if part.name == name), None)


def said(state: Path, name: str, text: str) -> bool:
    path = log_file(state, name)
    return path.exists() and text in path.read_text()


def test_a_part_that_ends_is_started_again(tmp_path, plan_of, until):
    """The state tells how it ended and how often, while the other part is left alone."""
    flag = tmp_path / "flag"
    once = f"import pathlib, sys\nf = pathlib.Path({str(flag)!r})\nif not f.exists(): f.touch(); sys.exit(3)\n{STAYS}"
    with running(plan_of(dies=once, stays=STAYS), tmp_path):
        until(lambda: said(tmp_path, "dies", "ready") and said(tmp_path, "stays", "ready"))
        until(lambda: part(tmp_path, "dies").status == RUNNING)
        found = part(tmp_path, "dies")
        assert (found.restarts, found.last_exit) == (1, "exit code 3")
        assert found.identity.alive
        assert part(tmp_path, "stays").restarts == 0


def test_a_part_that_was_killed_is_started_again(tmp_path, plan_of, until):
    """Its new process has another id, and the signal is named."""
    with running(plan_of(part=STAYS), tmp_path):
        until(lambda: said(tmp_path, "part", "ready"))
        first = part(tmp_path, "part").identity
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: part(tmp_path, "part").restarts == 1 and part(tmp_path, "part").status == RUNNING)
        assert part(tmp_path, "part").last_exit == "signal SIGKILL"
        assert part(tmp_path, "part").identity != first


def test_the_back_off_doubles_up_to_ten_seconds(tmp_path, plan_of, until):
    """A part that cannot start does not keep the machine busy."""
    with (
        structlog.testing.capture_logs() as events,
        running(plan_of(bad="raise SystemExit(1)"), tmp_path, clock=FastClock()),
    ):
        until(lambda: part(tmp_path, "bad") and part(tmp_path, "bad").restarts >= 7)
    waits = [event["again_in_s"] for event in events if event["event"] == "ended"]
    assert waits[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_program_that_does_not_exist_is_a_part_that_ends(tmp_path, plan_of, until):
    """Its log says why; the supervisor and the other parts go on."""
    plan = plan_of(gone="", stays=STAYS)
    gone = dataclasses.replace(plan.parts[0], command=("/nonexistent/program",))
    with running(dataclasses.replace(plan, parts=(gone, plan.parts[1])), tmp_path):
        until(lambda: said(tmp_path, "gone", "/nonexistent/program cannot be run: No such file or directory"))
        until(lambda: part(tmp_path, "gone").status == RESTARTING)
        until(lambda: said(tmp_path, "stays", "ready"))


def test_stop_ends_every_part_also_one_that_does_not_want_to(tmp_path, plan_of, until):
    """TERM first, KILL after the grace time; the state says stopped."""
    with running(plan_of(stays=STAYS, stubborn=STUBBORN), tmp_path, grace_s=0.3):
        until(lambda: said(tmp_path, "stays", "ready") and said(tmp_path, "stubborn", "ready"))
        identities = [part.identity for part in read(tmp_path).parts]
        assert all(identity.alive for identity in identities)
    assert not any(identity.alive for identity in identities)
    stopped = read(tmp_path)
    assert stopped.supervisor is None
    assert [(p.status, p.last_exit) for p in stopped.parts] == [
        (STOPPED, "signal SIGTERM"),
        (STOPPED, "signal SIGKILL"),
    ]


def test_a_log_that_grew_too_long_is_moved_aside(tmp_path, plan_of, until, monkeypatch):
    """The part goes on writing into the emptied file; one older file is kept."""
    monkeypatch.setattr(supervisor, "MAX_LOG_BYTES", 1000)
    with running(plan_of(part="print('x' * 2000, flush=True)\n" + STAYS), tmp_path):
        old = log_file(tmp_path, "part").with_suffix(".log.1")
        until(lambda: old.exists() and log_file(tmp_path, "part").stat().st_size < 1000)
    assert "x" * 2000 in old.read_text()


def supervised_process(plan: Plan, state: Path) -> subprocess.Popen[bytes]:
    """A supervisor in a process of its own, as `up` leaves it running."""
    state.mkdir(exist_ok=True)
    native.plan_file(state).write_text(plan.to_json())
    code = (
        "import sys, pathlib; from stack import native; from stack.plan import Plan;"
        "from stack.supervisor import supervise;"
        "from handrail.clock import SystemClock; state = pathlib.Path(sys.argv[1]);"
        "supervise(Plan.from_json(native.plan_file(state).read_text()), state, clock=SystemClock())"
    )
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", code, str(state)], cwd=root, stdout=subprocess.DEVNULL, start_new_session=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_supervisor_in_good_order(tmp_path, plan_of, until, number):
    """Nothing runs afterwards, and the exit code is 0."""
    process = supervised_process(plan_of(one=STAYS, two=STAYS), tmp_path)
    until(lambda: said(tmp_path, "one", "ready") and said(tmp_path, "two", "ready"))
    identities = read(tmp_path).left_behind
    assert len(identities) == 3
    process.send_signal(number)
    assert process.wait(timeout=20) == 0
    assert not any(identity.alive for identity in identities)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent is gone")
def test_the_parts_do_not_outlive_a_supervisor_that_was_killed(tmp_path, plan_of, until):
    """kill -9 leaves no process behind, and `down` then puts the state in order."""
    process = supervised_process(plan_of(one=STAYS, two=STAYS), tmp_path)
    until(lambda: said(tmp_path, "one", "ready") and said(tmp_path, "two", "ready"))
    identities = read(tmp_path).left_behind
    process.kill()
    process.wait()
    until(lambda: not any(identity.alive for identity in identities))
    native.stop(tmp_path, clock=SystemClock())
    assert read(tmp_path).supervisor is None
    assert {part.status for part in read(tmp_path).parts} == {STOPPED}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent is gone")
def test_down_ends_a_stubborn_part_of_a_killed_supervisor(tmp_path, plan_of, until, monkeypatch):
    """A part that ignores TERM is killed by `down`."""
    monkeypatch.setattr(native, "_PART_GRACE_S", 0.3)
    process = supervised_process(plan_of(stubborn=STUBBORN), tmp_path)
    until(lambda: said(tmp_path, "stubborn", "ready"))
    process.kill()
    process.wait()
    (left,) = read(tmp_path).left_behind
    assert left.alive
    assert native.stop(tmp_path, clock=SystemClock())
    assert not left.alive
    assert not native.stop(tmp_path, clock=SystemClock())


def test_down_ends_a_running_supervisor_and_its_parts(tmp_path, plan_of, until):
    """The way `make down` does it; a second `down` finds nothing."""
    process = supervised_process(plan_of(one=STAYS), tmp_path)
    until(lambda: said(tmp_path, "one", "ready"))
    identities = read(tmp_path).left_behind
    assert native.stop(tmp_path, clock=SystemClock())
    process.wait(timeout=20)
    assert not any(identity.alive for identity in identities)
    assert not native.stop(tmp_path, clock=SystemClock())


def test_a_process_id_that_was_given_to_another_is_left_alone():
    """A stale state file never makes `down` end somebody else's process."""
    other = subprocess.Popen([sys.executable, "-S", "-c", STAYS], stdout=subprocess.DEVNULL)
    real = identify(other.pid)
    stale = Identity(other.pid, "long ago")
    assert real.alive
    assert not stale.alive
    end([stale], clock=SystemClock(), grace_s=0)
    assert other.poll() is None
    end([real], clock=SystemClock())
    assert other.wait() == -signal.SIGTERM
    assert identify(other.pid) is None


def test_exits_are_told_in_words():
    """A person reads the table."""
    assert describe_exit(0) == "exit code 0"
    assert describe_exit(-9) == "signal SIGKILL"
    assert describe_exit(-200) == "signal 200"
