"""What `make up` has started, as the engine and the kernel see it: confined, bounded, watched, and of known parts."""

from __future__ import annotations

import datetime
import json
import pathlib
import re
import socket

import pytest
import yaml

from bench import containers
from stack import docker, mounts
from stack.in_containers import IMAGE

# The drill is played meanwhile: what is looked at is at work.
pytestmark = [pytest.mark.compose, pytest.mark.usefixtures("drill")]
DECLARED = yaml.safe_load(docker.COMPOSE_FILE.read_text())
MIB = 1024**2


@pytest.fixture
def inspected(line):
    """Everything that the engine says of each container, by service."""
    found = json.loads(docker.run("inspect", *(line.name(one.service) for one in line.compose.containers())))
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}


def test_parts_start_when_what_they_need_is_there(line):
    """The exporter and the receiver only when the simulated world has passed its health check."""
    began = {one.service: datetime.datetime.fromisoformat(one.started_at[:23]) for one in line.compose.containers()}
    passed = datetime.timedelta(seconds=4)  # a health check is made every 5 s, the first after as long
    assert began["exporter"] - began["world"] > passed
    assert began["receiver"] - began["world"] > passed
    assert began["receiver"] < began["alertmanager"] < began["prometheus"]
    assert began["exporter"] < began["prometheus"]


def test_make_up_took_containers_by_itself_and_says_how_they_are(line):
    """`make status` shows every part, `make logs` each log."""
    assert line.chosen.runtime == "docker"
    done = line.status()
    assert done.returncode == 0, done.stdout
    assert len(re.findall(r" yes ", done.stdout)) == len(line.compose.containers()) >= 5
    assert '"started"' in line.command("stack", "logs", "exporter", "--state", str(line.state)).stdout


def test_a_second_up_changes_nothing_and_says_so(line):
    """No container is made anew."""
    before = {one.pid for one in line.compose.containers()}
    done = line.up()
    assert "running already" in done.stdout
    assert {one.pid for one in line.compose.containers()} == before


def test_no_container_is_root_or_writes_outside_its_volumes(line):
    """As the kernel has it: no capability, none to gain, and a file system that refuses."""
    for one in line.compose.containers():
        status = pathlib.Path(f"/proc/{one.pid}/status").read_text()
        assert re.search(r"^Uid:(\t[1-9]\d*){4}$", status, re.MULTILINE), one.service
        for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
            assert re.search(rf"^Cap{kind}:\t0+$", status, re.MULTILINE), (one.service, kind)
        assert "NoNewPrivs:\t1\n" in status
        with pytest.raises(docker.DockerFailed, match="Read-only file system"):
            line.compose.feed(one.service, "touch /etc/x", b"", timeout_s=20)


def test_what_is_kept_is_in_named_volumes_and_what_is_mounted_from_here_cannot_be_changed(line, inspected):
    """Nothing else is written to, but /tmp, which is memory."""
    for service, found in inspected.items():
        for mount in found["Mounts"]:
            if mount["Type"] == "volume":
                assert mount["Name"] in {f"{line.chosen.project}_{name}" for name in DECLARED["volumes"]}
            else:
                assert (mount["Type"], mount["RW"]) == ("bind", False), (service, mount["Source"])
        assert found["HostConfig"]["Tmpfs"].keys() == {"/tmp"}
    kept = {service for service, found in inspected.items() if any(one["Type"] == "volume" for one in found["Mounts"])}
    assert kept >= {"exporter", "receiver", "prometheus", "alertmanager"}


def test_memory_processes_and_logs_are_bounded_and_what_ends_is_started_again(inspected):
    """The engine holds what the compose file says."""
    for service, found in inspected.items():
        declared, held = DECLARED["services"][service], found["HostConfig"]
        number, unit = declared["mem_limit"][:-1], declared["mem_limit"][-1]
        assert held["Memory"] == int(number) * {"m": MIB, "g": 1024 * MIB}[unit]
        assert held["PidsLimit"] == declared["pids_limit"]
        assert held["LogConfig"] == {"Type": "json-file", "Config": declared["logging"]["options"]}
        assert held["RestartPolicy"]["Name"] == "unless-stopped"
        wanted = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in declared["healthcheck"]["test"]]
        assert found["Config"]["Healthcheck"]["Test"] == wanted


def test_a_log_that_grows_is_rotated(line, inspected):
    """45 MB that a part writes leave at most 30 MB behind."""
    log = pathlib.Path(inspected["world"]["LogPath"])
    script = "head -c 45000000 /dev/zero | tr '\\0' x | fold -w 8000 >/proc/1/fd/1"
    line.compose.feed("world", script, b"", timeout_s=60)
    line.until("the log was rotated twice", lambda: log.with_name(f"{log.name}.2").exists(), within_s=30)
    assert sum(path.stat().st_size for path in log.parent.glob(f"{log.name}*")) < 31_000_000


def test_every_port_is_on_loopback_only(line, inspected):
    """From an address of this machine that others reach, each is refused."""
    addresses = [address for one in line.compose.containers() for address in one.addresses]
    assert len(addresses) >= 10
    (network,) = inspected["exporter"]["NetworkSettings"]["Networks"].values()
    for address in addresses:
        host, _, port = address.rpartition(":")
        assert host == "127.0.0.1"
        socket.create_connection((host, int(port)), timeout=5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((network["Gateway"], int(port)), timeout=5)


def test_secrets_are_files_and_the_engine_knows_none_of_them(line, inspected):
    """Neither an environment variable nor an argument holds one, and each part gets its own only."""
    folder = mounts.folder(line.state) / "secrets"
    secrets = {path: path.read_text().strip() for path in folder.rglob("*") if path.is_file()}
    assert len(secrets) > 8
    said = json.dumps(inspected)
    assert [str(path) for path, value in secrets.items() if value in said] == []
    seen = docker.run("exec", line.name("alertmanager"), "ls", "/run/secrets").split()
    assert set(seen) == {"notify.slack.webhook_url", "receiver.webhook_token"}


def test_the_bill_of_materials_is_what_the_image_holds(line, tmp_path):
    """`make sbom` names each library and each Debian package in its version, and nothing that is not there."""
    file = tmp_path / "sbom.cdx.json"
    done = line.command("stack", "sbom", "--to", str(file))
    assert done.returncode == 0, done.stderr
    named = {one["purl"].partition("?")[0] for one in json.loads(file.read_text())["components"]}
    script = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions(path=['{}'])]"
    inside = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = docker.run("run", "--rm", "--entrypoint", "python", IMAGE, "-c", inside, timeout_s=60).strip()
    libraries = docker.run("run", "--rm", "--entrypoint", "python", IMAGE, "-c", script.format(folder), timeout_s=60)
    held = {
        f"pkg:pypi/{re.sub(r'[-_.]+', '-', row.split()[0]).lower()}@{row.split()[1]}" for row in libraries.splitlines()
    }
    rows = [row.split() for row in docker.packages(IMAGE).splitlines()]
    held |= {f"pkg:deb/debian/{name}@{version.replace(':', '%3A')}" for name, version, _ in rows}
    assert len(held) > 60
    assert named == held


def test_size_and_memory_are_within_bounds(line, measured):
    """The image adds little to its base, and every part has room below its limit."""
    found = [containers.image(), *containers.limits(line)]
    measured += [f"{row.what}: {row.value:.2f} of {row.baseline}" for row in found]
    assert len(found) > 5
    assert [row.what for row in found if row.verdict != "OK"] == []
