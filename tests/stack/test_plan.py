"""What is started, with which arguments, and how a taken port is told."""

from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path

import pytest

from handrail.ports import Ports
from handrail.secret import SecretError
from handrail.settings import load, parse
from stack import native, simulated
from stack.plan import Folders, Part, Plan, Programs, parts, reachable
from stack.processes import identify
from stack.state import StackState, save

PROGRAMS = Programs(Path("/v/python"), Path("/t/prometheus"), Path("/t/alertmanager"))
REAL = "sources: {n8n: [{name: main, url: 'http://n8n.example.com', api_key_env: KEY}]}\n"


@pytest.fixture
def simulated_parts(tmp_path):
    """The parts of the simulated world, by name."""
    ports = Ports(offset=100)
    config = simulated.write(tmp_path, ports)
    folders = Folders(tmp_path, simulated=True)
    planned = parts(load(config), config=config, folders=folders, programs=PROGRAMS, ports=ports)
    return {part.name: part for part in planned}


def real_parts(text, tmp_path):
    folders = Folders(tmp_path, simulated=False)
    config = tmp_path / "handrail.yaml"
    return {p.name: p for p in parts(parse(text), config=config, folders=folders, programs=PROGRAMS, ports=None)}


def test_the_simulated_world_is_a_part_with_all_its_ports(simulated_parts, tmp_path):
    """It starts first and is told its offset."""
    assert list(simulated_parts) == ["world", "exporter", "receiver", "prometheus", "alertmanager"]
    world = simulated_parts["world"]
    config = str(simulated.config_file(tmp_path))
    assert world.command == ("/v/python", "-m", "cli", "world", "--config", config, "--port-offset", "100")
    assert world.addresses == tuple(f"127.0.0.1:{port}" for port in range(18200, 18206))
    assert world.health_url == "http://127.0.0.1:18200/-/healthy"


def test_only_the_simulated_world_may_delete_series(simulated_parts, tmp_path):
    """The drill needs Prometheus' admin API; a team's own Prometheus must not offer it."""
    assert "--web.enable-admin-api" in simulated_parts["prometheus"].command
    assert "--web.enable-admin-api" not in real_parts(REAL, tmp_path)["prometheus"].command


def test_real_and_simulated_data_lie_apart(simulated_parts, tmp_path):
    """Trying the simulated world mixes nothing into what a team measures."""
    assert f"--storage.tsdb.path={tmp_path}/prometheus" in simulated_parts["prometheus"].command
    real = real_parts(REAL, tmp_path)
    assert f"--storage.tsdb.path={tmp_path}/real/prometheus" in real["prometheus"].command
    assert f"--storage.path={tmp_path}/real/alertmanager" in real["alertmanager"].command


def test_prometheus_and_alertmanager_are_told_what_the_file_says(tmp_path):
    """Addresses and retention come from the file; Alertmanager opens no port to look for others."""
    text = REAL + "prometheus: {listen: '127.0.0.1:7001', retention: 732h}\nalertmanager: {listen: '0.0.0.0:7002'}\n"
    planned = real_parts(text, tmp_path)
    assert planned["prometheus"].command == (
        "/t/prometheus",
        f"--config.file={tmp_path}/rendered/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/real/prometheus",
        "--storage.tsdb.retention.time=30d12h",
        "--web.listen-address=127.0.0.1:7001",
    )
    assert "--cluster.listen-address=" in planned["alertmanager"].command
    assert "--web.external-url=http://127.0.0.1:7002" in planned["alertmanager"].command
    assert planned["alertmanager"].health_url == "http://127.0.0.1:7002/-/ready"
    assert "world" not in planned


def test_an_address_on_every_interface_is_reached_over_loopback():
    """A health check cannot call 0.0.0.0 everywhere."""
    assert reachable("0.0.0.0:1") == "127.0.0.1:1"
    assert reachable("10.0.0.3:1") == "10.0.0.3:1"


def test_a_plan_survives_being_written(simulated_parts):
    """The supervisor reads what `up` wrote."""
    plan = Plan(parts=tuple(simulated_parts.values()), digest="d", config="/c", simulated=True)
    assert Plan.from_json(plan.to_json()) == plan


@pytest.fixture
def taken():
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def plan(*planned, simulated_world):
    return Plan(parts=planned, digest="", config="", simulated=simulated_world)


def test_every_taken_port_is_named_with_its_part_and_the_way_out(taken):
    """In the simulated world all ports move together."""
    world = Part("world", (), "127.0.0.1:0", "/", "PORT_OFFSET", more_addresses=(f"127.0.0.1:{taken}",))
    receiver = Part("receiver", (), f"127.0.0.1:{taken}", "/", "receiver.listen")
    with pytest.raises(native.PortsTaken) as caught:
        native.check_ports(plan(world, receiver, simulated_world=True))
    text = str(caught.value)
    assert f"127.0.0.1:{taken}  for world: taken by another program" in text
    assert f"127.0.0.1:{taken}  for receiver: taken by another program" in text
    assert "make up PORT_OFFSET=100" in text


def test_in_the_real_world_the_setting_to_change_is_named(taken):
    """Only the settings of the parts whose port is taken."""
    receiver = Part("receiver", (), f"127.0.0.1:{taken}", "/", "receiver.listen")
    exporter = Part("exporter", (), "127.0.0.1:0", "/", "exporter.listen")
    with pytest.raises(native.PortsTaken, match=r"in handrail\.yaml: receiver\.listen$"):
        native.check_ports(plan(receiver, exporter, simulated_world=False))


def test_an_address_this_machine_does_not_have_is_told_as_such():
    """It is not called taken."""
    receiver = Part("receiver", (), "192.0.2.1:9096", "/", "receiver.listen")
    with pytest.raises(native.PortsTaken, match="for receiver: Cannot assign requested address"):
        native.check_ports(plan(receiver, simulated_world=False))


def test_the_ports_of_the_stack_that_is_about_to_be_replaced_are_not_in_the_way(taken, tmp_path):
    """They are free once it is stopped; without a supervisor there is no such stack."""
    receiver = Part("receiver", (), f"127.0.0.1:{taken}", "/", "receiver.listen")
    old = plan(receiver, simulated_world=True)
    native.plan_file(tmp_path).write_text(old.to_json())
    assert native.ports_in_use(tmp_path) == frozenset()
    save(tmp_path, StackState(supervisor=identify(os.getpid())))
    assert native.ports_in_use(tmp_path) == {f"127.0.0.1:{taken}"}
    native.check_ports(old, ours=native.ports_in_use(tmp_path))


def test_free_ports_are_no_problem(taken):
    """Nothing is raised, and nothing keeps listening."""
    part = Part("receiver", (), "127.0.0.1:0", "/", "receiver.listen")
    native.check_ports(plan(part, simulated_world=True))


def test_the_same_file_plans_the_same_and_a_changed_file_does_not(tmp_path, monkeypatch):
    """`up` beside a running stack starts anew only when something changed."""
    programs = tmp_path / "state" / "bin" / "usr" / "bin"
    programs.mkdir(parents=True)
    for name in ("prometheus", "promtool", "alertmanager", "amtool"):
        (programs / name).touch(mode=0o755)
    config = tmp_path / "handrail.yaml"
    config.write_text(REAL)

    def planned():
        state = tmp_path / "state"
        return native.make_plan(load(config), config=config, state=state, ports=None, say=lambda _: None)

    first = planned()
    assert planned() == first
    config.write_text(REAL + "alertmanager: {listen: '127.0.0.1:7002'}\n")
    assert planned().digest != first.digest
    assert dataclasses.replace(planned(), digest="", parts=()) == dataclasses.replace(first, digest="", parts=())


def test_secrets_from_the_environment_are_written_for_alertmanager(tmp_path, monkeypatch):
    """Alertmanager reads files only; the copies are private, and the stack's own tokens are made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLACK_URL", "http://127.0.0.1:1/hook")
    state = tmp_path / ".handrail"
    native.write_configuration(parse(REAL + "notify: {slack: {webhook_url_env: SLACK_URL}}\n"), state)
    copy = state / "secrets" / "from-env" / "slack_webhook_url"
    assert copy.read_text() == "http://127.0.0.1:1/hook\n"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert (state / "secrets" / "webhook_token").read_text().strip()
    assert (state / "secrets" / "operator_token").read_text().strip()
    rendered = (state / "rendered" / "alertmanager.yml").read_text()
    assert str(copy) in rendered
    assert str(state / "secrets" / "webhook_token") in rendered


def test_a_stack_that_writes_elsewhere_has_its_own_tokens_too(tmp_path, monkeypatch):
    """A file that names none of them is enough, wherever the state is; they stay what they are."""
    monkeypatch.chdir(tmp_path)
    settings, state = parse(REAL), tmp_path / "elsewhere"
    native.write_configuration(settings, state)
    first = settings.receiver.webhook_token.read()
    native.write_configuration(settings, state)
    assert settings.receiver.webhook_token.read() == first
    assert len({first, settings.receiver.operator_token.read(), settings.receiver.handoff_token.read()}) == 3


def test_a_token_of_the_team_is_not_made_up(tmp_path, monkeypatch):
    """Whoever reads it elsewhere would not know ours."""
    monkeypatch.chdir(tmp_path)
    theirs = "receiver: {webhook_token_file: theirs/webhook}\n"
    with pytest.raises(SecretError, match="theirs/webhook"):
        native.write_configuration(parse(REAL + theirs), tmp_path / ".handrail")
