"""What a person is told about the stack: state file, table, health and the end of the logs."""

from __future__ import annotations

import json
import os
from datetime import timedelta

import httpx
import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.stack import stack
from handrail.http import build_client
from handrail.ports import Ports
from handrail.settings import load
from stack import simulated, status
from stack.files import write_atomic
from stack.health import HealthWait, Unhealthy
from stack.processes import identify
from stack.state import RESTARTING, RUNNING, STOPPED, PartState, StackState, read, save, state_file


class Answers:
    """Every part's health page: a WSGI app with one status per host."""

    def __init__(self, **by_host: str) -> None:
        self.by_host = by_host

    def __call__(self, environ, start_response):
        start_response(self.by_host.get(environ["HTTP_HOST"], "503 Unavailable"), [("content-type", "text/plain")])
        return [b""]

    def client(self):
        return build_client(transport=httpx.WSGITransport(app=self))


def part_state(name, **changes) -> PartState:
    return PartState(name, f"http://{name}", f"http://{name}/-/healthy").changed(**changes)


def me():
    identity = identify(os.getpid())
    assert identity is not None
    return identity


def test_the_state_comes_back_as_it_was_written(tmp_path):
    """The supervisor writes it, every command reads it."""
    written = StackState("d", "/c.yaml", True, me(), "2026-11-23T12:00:00+00:00", (part_state("a", identity=me()),))
    save(tmp_path, written)
    assert read(tmp_path) == written
    assert read(tmp_path).supervised
    assert json.loads(state_file(tmp_path).read_text())["parts"][0]["identity"]["pid"] == os.getpid()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"parts": [{"identity": null}], "supervisor": null}', "{"])
def test_a_state_file_that_cannot_be_read_is_a_stack_that_does_not_run(tmp_path, text):
    """A disk that was full must not keep `up` from starting."""
    write_atomic(state_file(tmp_path), text)
    assert read(tmp_path) == StackState()


def test_a_running_part_is_shown_with_pid_uptime_and_health(tmp_path, clock):
    """The row holds what the table shows."""
    began = (clock.now() - timedelta(minutes=2)).isoformat()
    parts = (
        part_state("good", status=RUNNING, identity=me(), started_at=began),
        part_state("deaf", status=RUNNING, identity=me(), started_at=began),
        part_state("again", status=RESTARTING, restarts=3, last_exit="exit code 1"),
    )
    with Answers(good="200 OK").client() as client:
        rows = status.rows(StackState(supervisor=me(), parts=parts), client=client, clock=clock)
    assert [(row.name, row.status, row.healthy) for row in rows] == [
        ("good", RUNNING, True),
        ("deaf", RUNNING, False),
        ("again", RESTARTING, False),
    ]
    assert (rows[0].pid, rows[0].uptime) == (os.getpid(), timedelta(minutes=2))
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(status.table(rows))
    text = console.export_text()
    assert "2m" in text
    assert "exit code 1" in text


def test_a_part_without_its_supervisor_is_left_behind_or_stopped(clock):
    """What the state file says counts only while a supervisor stands behind it."""
    parts = (part_state("alive", status=RUNNING, identity=me()), part_state("dead", status=RUNNING))
    with Answers().client() as client:
        rows = status.rows(StackState(parts=parts), client=client, clock=clock)
    assert [row.status for row in rows] == [status.LEFT_BEHIND, STOPPED]


def test_health_is_waited_for_and_said_part_by_part(tmp_path, clock):
    """A part counts once its own process runs and answers 200."""
    save(tmp_path, StackState(supervisor=me(), parts=(part_state("a", identity=me()), part_state("b"))))
    answers, said = Answers(a="200 OK", b="200 OK"), []

    def runs() -> bool:
        # Somebody else answers at b until our own process is there.
        save(tmp_path, StackState(parts=(part_state("a", identity=me()), part_state("b", identity=me()))))
        return True

    with answers.client() as client:
        HealthWait(client, tmp_path, clock=clock).wait(["a", "b"], supervisor_runs=runs, say=said.append)
    assert said == ["a", "b"]


def test_a_part_that_never_answers_is_named_after_the_time_limit(tmp_path, clock):
    """The wait ends, and `name` says whose log to show."""
    save(tmp_path, StackState(parts=(part_state("a", identity=me()),)))
    with (
        Answers().client() as client,
        pytest.raises(Unhealthy, match="a is not healthy: no good answer within 60 s") as e,
    ):
        HealthWait(client, tmp_path, clock=clock).wait(["a"], supervisor_runs=lambda: True, say=lambda _: None)
    assert e.value.name == "a"
    assert 60 <= clock.monotonic() < 61


def test_a_part_that_ends_again_and_again_is_not_waited_for(tmp_path, clock):
    """A mistake in its configuration is told in seconds."""
    save(tmp_path, StackState(parts=(part_state("a"),)))
    answers = Answers()

    def runs() -> bool:
        save(tmp_path, StackState(parts=(part_state("a", restarts=4, last_exit="exit code 2"),)))
        return True

    with answers.client() as client, pytest.raises(Unhealthy, match=r"again and again \(exit code 2\)"):
        HealthWait(client, tmp_path, clock=clock).wait(["a"], supervisor_runs=runs, say=lambda _: None)
    assert clock.monotonic() < 1


def test_a_supervisor_that_ended_is_told_at_once(tmp_path, clock):
    """Nothing could become healthy any more."""
    with Answers().client() as client, pytest.raises(Unhealthy, match="supervisor is not healthy: it ended"):
        HealthWait(client, tmp_path, clock=clock).wait(["a"], supervisor_runs=lambda: False, say=lambda _: None)


def test_status_of_a_stack_that_never_ran(tmp_path):
    """Exit code 1 and the command that starts it."""
    result = CliRunner().invoke(stack, ["status", "--state", str(tmp_path)])
    assert result.exit_code == 1
    assert "Handrail is not running. Start it: make up" in result.output


def test_status_of_a_stack_that_was_stopped(tmp_path):
    """The table says so, exit code 1."""
    save(tmp_path, StackState(parts=(part_state("exporter", status=STOPPED),)))
    result = CliRunner().invoke(stack, ["status", "--state", str(tmp_path)])
    assert result.exit_code == 1
    assert "exporter" in result.output
    assert "stopped" in result.output


def test_down_of_a_stack_that_does_not_run(tmp_path):
    """No error: the wish is fulfilled."""
    result = CliRunner().invoke(stack, ["down", "--state", str(tmp_path / "new")])
    assert (result.exit_code, result.output) == (0, "Handrail was not running.\n")


def test_logs_show_the_end_of_every_part_or_of_one(tmp_path):
    """As many lines as asked for, newest last."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "exporter.log").write_text("".join(f"e{i}\n" for i in range(30)))
    (tmp_path / "logs" / "receiver.log").write_text("r0\n")
    every = CliRunner().invoke(stack, ["logs", "--state", str(tmp_path), "-n", "2"]).output
    assert every.splitlines()[1:3] == ["e28", "e29"]
    assert every.splitlines()[4:] == ["r0"]
    one = CliRunner().invoke(stack, ["logs", "--state", str(tmp_path), "exporter"]).output
    assert one.splitlines()[1:] == [f"e{i}" for i in range(30)]


def test_a_log_that_does_not_exist_is_answered_with_those_that_do(tmp_path):
    """A typing mistake is mended at once."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "exporter.log").touch()
    result = CliRunner().invoke(stack, ["logs", "--state", str(tmp_path), "exprter"])
    assert result.exit_code == 1
    assert "no log of 'exprter'; there are: exporter" in result.output


def test_the_screen_after_the_start_names_addresses_agents_and_next_steps(tmp_path):
    """Everything a person needs on the first minute, in one screen."""
    settings = load(simulated.write(tmp_path, Ports(offset=100)))
    text = list(status.welcome(settings, simulated=True, world_url="http://127.0.0.1:18200"))
    assert len(text) <= 24
    screen = "\n".join(text)
    for expected in (
        "This is a simulated world",
        "http://127.0.0.1:9196/",
        "http://127.0.0.1:9190",
        "invoice-summary",
        "support-bot",
        "refund-desk",
        "make drill",
        "make status",
        "handrail.yaml",
        "http://127.0.0.1:18200/state",
    ):
        assert expected in screen
