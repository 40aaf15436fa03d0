"""How the parts of the line break, as their containers see it from outside."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from stack import docker
from tests.compose.line import ALERT, OURS, Incident, Line

# Each part by itself, and two at once. The simulated world forgets everything when it is killed.
FAULTS = {
    "killed": [*((name,) for name in OURS), ("exporter", "receiver"), ("receiver", "alertmanager")],
    "frozen": [*((name,) for name in (*OURS, "world")), ("prometheus", "alertmanager")],
    "unplugged": [(name,) for name in (*OURS, "world")],
}


def name_of(how: str, parts: tuple[str, ...]) -> str:
    """The agent that has its incident while these parts are broken so."""
    return "-".join([how, *parts])


def felt(line: Line, part: str, incident: Incident) -> bool:
    """Is the part's absence in the incident's way? Then it has come as far as the part before."""
    if part == "exporter":
        return bool(line.probes.query('up{job="handrail-exporter"} == 0'))
    if part == "prometheus":
        return line.counted(incident)
    if part == "alertmanager":
        return line.probes.firing(ALERT, incident.agent)
    if part == "receiver":  # Alertmanager tells Slack and the receiver at the same moment
        return line.probes.slack_message(ALERT, incident.agent) is not None
    return line.served("receiver", "handrail_outbox_pending") > 0


def kill(line: Line, *services: str) -> None:
    """kill -9 from outside, as the kernel does it when memory runs out; `docker kill` would count as a wish."""
    for pid in _pids(line, services):
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def hung(line: Line, *services: str) -> Iterator[None]:
    """The program stands still in a container that runs: only a health check can tell."""
    pids = _pids(line, services)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen(line: Line, *services: str) -> Iterator[None]:
    """Paused: it holds its connections and answers nothing."""
    names = [line.name(service) for service in services]
    for name in names:
        # runc gives up on a busy process of an old cgroup now and then, and says so.
        line.until(f"{name} is frozen", lambda one=name: docker.run("pause", one), within_s=20)
    try:
        yield
    finally:
        docker.run("unpause", *names)


@contextlib.contextmanager
def unplugged(line: Line, service: str) -> Iterator[None]:
    """Its end of the cable on this machine is down: packets are lost, no connection is refused."""
    (pid,) = _pids(line, (service,))
    # iflink is the number of the other end.
    index = _said("nsenter", "-t", str(pid), "-m", "-n", "cat", "/sys/class/net/eth0/iflink").strip()
    links = _said("ip", "-o", "link").splitlines()
    name = next(text.split()[1].split("@")[0] for text in links if text.startswith(f"{index}:"))
    _said("ip", "link", "set", name, "down")
    try:
        yield
    finally:
        _said("ip", "link", "set", name, "up")


@contextlib.contextmanager
def small(line: Line, service: str, target: str, size: str) -> Iterator[Path]:
    """The service's volume can be filled meanwhile; its content stays, also afterwards. Its folder on this machine.

    The mount is taken away in the end, as an engine that stops unmounts what it finds below its data.
    """
    name = line.name(service)
    query = f'{{{{range .Mounts}}}}{{{{if eq .Destination "{target}"}}}}{{{{.Source}}}}{{{{end}}}}{{{{end}}}}'
    folder = Path(docker.run("inspect", "--format", query, name).strip())
    kept = folder.with_name("kept")
    docker.run("stop", name, timeout_s=30)
    shutil.copytree(folder, kept)
    _said("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700,uid=10001,gid=10001", "tmpfs", str(folder))
    _said("cp", "-a", f"{kept}/.", f"{folder}/")
    _said("chown", "-R", "10001:10001", str(folder))
    docker.run("start", name, timeout_s=30)
    try:
        yield folder
    finally:
        docker.run("stop", name, timeout_s=30)
        shutil.rmtree(kept)
        _said("cp", "-a", str(folder), str(kept))
        _said("umount", str(folder))
        _said("rm", "-rf", str(folder))
        kept.rename(folder)
        docker.run("start", name, timeout_s=30)


def _pids(line: Line, services: tuple[str, ...]) -> list[int]:
    found = [line.container(service).pid for service in services]
    assert all(found)
    return [pid for pid in found if pid]


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
