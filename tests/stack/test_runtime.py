"""Containers or processes: what is chosen and why, and what is said of an engine that is not as it should be."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.main import main
from cli.stack import stack
from stack import docker
from stack.runtime import Choice, Chosen, NotPossible, choose, recall, remember

DOCKER, NATIVE = Chosen("docker", "p", simulated=False), Chosen("native", "p", simulated=False)


def chosen(asked="auto", *, last=None, measured=False, reason=None):
    return choose(asked, last=last, measured_natively=measured, why_not=lambda: reason)


def test_containers_wherever_they_can_be_had():
    """Without being asked for."""
    assert chosen() == Choice("docker")
    assert chosen(last=DOCKER) == Choice("docker")


def test_processes_elsewhere_with_the_reason():
    """The reason is what the engine said."""
    assert chosen(reason="no Docker engine answers") == Choice("native", "no Docker engine answers")


def test_what_was_asked_for_is_what_runs():
    """Also where the other would be possible; containers that cannot be are an error and not something else."""
    assert chosen("native").runtime == "native"
    assert chosen("docker", measured=True).runtime == "docker"
    with pytest.raises(NotPossible, match="RUNTIME=docker, but no engine"):
        chosen("docker", reason="no engine")


def test_an_engine_that_appears_does_not_leave_behind_what_was_measured():
    """A ledger and an inbox in files stay in use, and the engine is not even asked."""
    found = choose("auto", last=None, measured_natively=True, why_not=lambda: pytest.fail("asked"))
    assert found.runtime == "native"
    assert "RUNTIME=docker begins anew" in found.reason
    assert chosen(last=NATIVE, measured=True).runtime == "native"
    assert chosen(last=DOCKER, measured=True).runtime == "docker"


def test_an_engine_that_is_away_is_not_replaced_by_an_empty_stack():
    """What is in volumes would seem lost: it is said instead."""
    with pytest.raises(NotPossible, match=r"no engine.*RUNTIME=native"):
        chosen(last=DOCKER, reason="no engine")
    assert chosen("native", last=DOCKER).runtime == "native"


def test_what_was_chosen_is_remembered(tmp_path):
    """For status, logs, drill and down."""
    assert recall(tmp_path) is None
    remember(tmp_path, Chosen("docker", "p", simulated=True, without=("grafana",)))
    assert recall(tmp_path) == Chosen("docker", "p", simulated=True, without=("grafana",))
    (tmp_path / "runtime.json").write_text("[]")
    assert recall(tmp_path) is None


@pytest.fixture
def fake_docker(tmp_path, monkeypatch):
    """A program called docker that answers as written for its first words, and otherwise as one without an engine."""

    def make(**answers):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        cases = "".join(
            f"  '{words.replace('_', ' ')}'*) cat <<'END'\n{text}\nEND\n  ;;\n" for words, text in answers.items()
        )
        (folder / "docker").write_text(
            f'#!/bin/sh\ncase "$*" in\n{cases}  *) echo "no engine here" >&2; exit 1;;\nesac\n'
        )
        (folder / "docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return make


def test_why_there_are_no_containers_is_told(fake_docker, tmp_path, monkeypatch):
    """No command, no engine, no Compose, an old Compose; nothing when all is well."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert docker.why_no_engine() == "no Docker engine answers (there is no docker command)"
    fake_docker()
    assert docker.why_no_engine() == "no Docker engine answers (no engine here)"
    fake_docker(version="28.0")
    assert "no Docker Compose" in docker.why_no_engine()
    fake_docker(version="28.0", compose_version="v2.19.1")
    assert docker.why_no_engine() == "Docker Compose is v2.19.1, and 2.20 or newer is needed"
    fake_docker(version="28.0", compose_version="5.0.1")
    assert docker.why_no_engine() is None


def inspected(service, **state):
    return {
        "Config": {"Labels": {"com.docker.compose.service": service}},
        "RestartCount": 2,
        "NetworkSettings": {"Ports": {"9095/tcp": [{"HostIp": "127.0.0.1", "HostPort": "7001"}], "1/tcp": None}},
        "State": {
            "Status": "running",
            "Pid": 4711,
            "ExitCode": 0,
            "StartedAt": "2026-11-23T12:00:00.123456789Z",
            "Health": {"Status": "healthy"},
            **state,
        },
    }


def test_status_shows_what_the_engine_says(fake_docker, tmp_path):
    """One that hangs is not healthy, one that is gone is missed, and the exit code says so."""
    remember(tmp_path, Chosen("docker", "p", simulated=False, without=("grafana",)))
    names = ["exporter", "receiver", "prometheus", "alertmanager"]
    fake_docker(ps="a\nb\nc\nd", inspect=json.dumps([inspected(name) for name in names]))
    done = CliRunner().invoke(stack, ["status", "--state", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert done.output.count("http://127.0.0.1:7001") == 4
    assert done.output.count(" 4711 ") == 4
    ill = [inspected("exporter", Status="paused"), inspected("receiver", Health={"Status": "unhealthy"})]
    fake_docker(ps="a\nb", inspect=json.dumps(ill))
    done = CliRunner().invoke(stack, ["status", "--state", str(tmp_path)])
    assert done.exit_code == 1
    assert [word in done.output for word in ("paused", "removed", "prometheus", "alertmanager")] == [True] * 4
    assert "grafana" not in done.output
    assert "yes" not in done.output


def test_grafanas_password_is_printed_by_the_first_up_only(fake_docker, tmp_path):
    """Where it is kept as well; nothing that is printed later holds it."""
    fake_docker(version="28.0", compose_version="5.0.1", image_inspect="sha256:1", build="sha256:1", ps="", compose="")
    command = ["up", "--simulated", "--port-offset", "21300", "--runtime", "docker", "--state", str(tmp_path)]
    first, second = (CliRunner().invoke(stack, command) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    password = (tmp_path / "secrets" / "grafana_admin_password").read_text().strip()
    assert first.output.count(password) == 1
    assert f"Grafana's user is admin, its password {password}" in first.output
    assert password not in second.output


def test_containers_that_were_asked_for_and_cannot_be_are_an_error(fake_docker, tmp_path):
    """It says what the engine said, and nothing is started instead."""
    fake_docker()
    command = ["up", "--simulated", "--port-offset", "21300", "--state", str(tmp_path), "--runtime"]
    done = CliRunner().invoke(stack, [*command, "docker"])
    assert done.exit_code == 1
    assert "Error: RUNTIME=docker, but no Docker engine answers (no engine here)" in done.output


def test_a_stack_in_containers_is_not_said_to_be_stopped_when_the_engine_is_away(fake_docker, tmp_path):
    """What the engine said is the answer, in words."""
    remember(tmp_path, Chosen("docker", "p", simulated=False))
    fake_docker()
    for command in ("status", "down", "logs"):
        done = CliRunner().invoke(stack, [command, "--state", str(tmp_path)])
        assert done.exit_code == 1
        assert "Error: no engine here" in done.output
        assert "Traceback" not in done.output


def test_a_container_that_ends_by_itself_shows_its_exit_code(fake_docker, tmp_path):
    """As a process does."""
    remember(tmp_path, Chosen("docker", "p", simulated=False))
    fake_docker(ps="a", inspect=json.dumps([inspected("exporter", Status="restarting", ExitCode=137, Pid=0)]))
    done = CliRunner().invoke(stack, ["status", "--state", str(tmp_path)])
    assert "exit code 137" in done.output


@pytest.mark.parametrize("command", ["exporter", "receiver"])
def test_an_address_to_listen_on_that_is_none_is_told(command):
    """Before anything is read."""
    done = CliRunner().invoke(main, [command, "--listen", "9095"])
    assert done.exit_code == 2
    assert "'9095' is not host:port, e.g. 0.0.0.0:9095" in done.output
