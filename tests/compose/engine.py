"""A Docker Engine for these tests: the machine's own where one answers, otherwise one that is installed and started.

One that is started has its socket, data and configuration apart, ends with the tests, also when they are killed, and
leaves bridge and firewall as it found them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stack import docker, leash
from stack.tools import ToolMissing, unpack_newer

Say = Callable[[str], None]
PROGRAMS = {
    # A pattern, which apt takes as well: the package's name as such is also that of a registry, and none is named here.
    "dockerd": r"^docker\.io$",
    "docker": "docker-cli",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
}
_BRIDGE = "docker0"
_FIREWALLS = ("iptables", "ip6tables")
_TABLES = ("filter", "nat")


class NoEngine(Exception):
    """Containers cannot be run here; the text says why."""


def check(*, install: bool, say: Say) -> None:
    """The engine and what makes base images are there, or are installed from packages of the distribution."""
    if os.getuid() != 0:
        raise NoEngine("it needs root, to break containers from outside")
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if not missing:
        return
    if not install or shutil.which("apt-get") is None:
        raise NoEngine(f"{', '.join(missing)} missing{', and there is no apt-get' if install else ''}")
    say(f"installing {', '.join(missing)}")
    _apt_get("update", "-qq")
    # Older releases have the command in the package of the engine.
    _apt_install([package for package in missing if package != "docker-cli"])
    if shutil.which("docker") is None:
        _apt_install(["docker-cli"])
    if still := [program for program in PROGRAMS if shutil.which(program) is None]:
        raise NoEngine(f"not to be installed: {', '.join(still)}")


def _apt_install(packages: list[str]) -> None:
    _apt_get("install", "-y", "-qq", "--no-install-recommends", *packages)


def _apt_get(*arguments: str) -> None:
    # Offline, systemd does not start what is installed: two engines would share a bridge and a firewall.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_OFFLINE": "1"}
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(["apt-get", *arguments], env=environment, capture_output=True, check=False, timeout=300)


class Engine:
    """What `docker` talks to. `own` is one that is started here with its data below `cache`, where it stays."""

    def __init__(self, cache: Path, *, own: bool) -> None:
        self._cache = cache
        self.own = own
        # A path that is short enough for a socket.
        self._run = Path(tempfile.mkdtemp(prefix="handrail-docker-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._network: Network | None = None
        if own:
            self._network = Network()
            os.environ["DOCKER_HOST"] = f"unix://{self._run}/docker.sock"

    def start(self) -> None:
        """Answers afterwards; NoEngine with its last words if it does not."""
        log = self._run / "dockerd.log"
        command = [
            str(shutil.which("dockerd")),
            f"--host={os.environ['DOCKER_HOST']}",
            f"--data-root={self._cache / 'data'}",
            f"--exec-root={self._run / 'exec'}",
            f"--pidfile={self._run / 'docker.pid'}",
        ]
        tied = [sys.executable, "-S", str(leash.__file__), str(os.getpid()), *command]
        with log.open("ab") as output:
            self._process = subprocess.Popen(tied, stdout=output, stderr=output, start_new_session=True)
        pause, deadline = threading.Event(), time.monotonic() + 40
        while time.monotonic() < deadline and self._process.poll() is None:
            if answers():
                return
            pause.wait(0.2)
        self.stop()
        said = log.read_text(errors="replace").strip().splitlines() or ["it says nothing"]
        raise NoEngine(f"dockerd does not start: {said[-1][-300:]}")

    def empty(self) -> None:
        """No container, network or volume is left of a run that was killed; images stay."""
        for found, remove in ((("ps", "--all"), ("rm", "--force")), (("volume", "ls"), ("volume", "rm"))):
            if left := docker.run(*found, "--quiet").split():
                docker.run(*remove, *left, timeout_s=60)
        docker.run("network", "prune", "--force", timeout_s=60)

    def stop(self) -> None:
        """Ends the engine, and with it its containers."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=90)
            self._process = None

    def close(self) -> None:
        """Ends it for good."""
        self.stop()
        if self._network is not None:
            self._network.restore()
        shutil.rmtree(self._run, ignore_errors=True)


def answers() -> bool:
    """Does an engine answer where `docker` looks for one?"""
    try:
        docker.run("version", "--format", "{{.Server.Version}}")
    except docker.DockerFailed:
        return False
    return True


class Network:
    """The machine's bridge, forwarding and firewall as they were: an engine that ends leaves its own behind."""

    def __init__(self) -> None:
        self._bridge = _said("ip", "link", "show", _BRIDGE) is not None
        self._forwarding = _FORWARDING.read_text()
        self._rules = {
            (firewall, table): _said(f"{firewall}-save", "-t", table) for firewall in _FIREWALLS for table in _TABLES
        }

    def restore(self) -> None:
        """As it was before."""
        if not self._bridge:
            _said("ip", "link", "delete", _BRIDGE)
        for (firewall, table), rules in self._rules.items():
            if rules is not None:
                # A table that had never been used is not printed; one without rules lets everything through.
                _said(f"{firewall}-restore", "-T", table, stdin=rules or f"*{table}\n{_OPEN[table]}COMMIT\n")
        _FORWARDING.write_text(self._forwarding)


_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_OPEN = {
    "filter": ":INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n",
    "nat": ":PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n",
}


def _said(*command: str, stdin: str = "") -> str | None:
    """What it prints; None when it fails or is not there."""
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def install_compose(cache: Path) -> None:
    """Docker Compose as a plugin of the docker command: the machine's own, or Debian's unpacked into `cache`."""
    if docker.why_no_engine() is None:
        return
    plugins = cache / "config" / "cli-plugins"
    if not (plugins / "docker-compose").exists():
        try:
            unpack_newer(["docker-compose"], cache / "compose", state=cache)
        except ToolMissing as error:
            raise NoEngine(f"no Docker Compose: {error}") from error
        plugins.mkdir(parents=True, exist_ok=True)
        shutil.move(cache / "compose/usr/libexec/docker/cli-plugins/docker-compose", plugins / "docker-compose")
    os.environ["DOCKER_CONFIG"] = str(cache / "config")
    if reason := docker.why_no_engine():
        raise NoEngine(reason)
