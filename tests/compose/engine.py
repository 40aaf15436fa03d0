"""A Docker Engine of the tests' own: its socket, data and configuration are apart from any that the machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stack import docker
from stack.tools import ToolMissing, unpack_newer

Say = Callable[[str], None]
PROGRAMS = {
    # A pattern, which apt takes as well: the package's name as such is also that of a registry, and none is named here.
    "dockerd": r"^docker\.io$",
    "docker": "docker-cli",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
}


class NoEngine(Exception):
    """Containers cannot be run here; the text says why."""


def install(say: Say) -> None:
    """The engine and what makes base images, from the distribution's packages where they may be installed."""
    if os.getuid() != 0:
        raise NoEngine("an engine of its own needs root")
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise NoEngine(f"{', '.join(missing)} missing, and there is no apt-get")
    say(f"installing {', '.join(missing)}")
    # Older releases have the command in the package of the engine.
    wanted = [package for package in missing if package != "docker-cli"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *wanted]):
        subprocess.run(["apt-get", *command], env=environment, capture_output=True, check=False, timeout=600)
    if shutil.which("docker") is None:
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "docker-cli"]
        subprocess.run(command, env=environment, capture_output=True, check=False, timeout=600)
    if still := [program for program in PROGRAMS if shutil.which(program) is None]:
        raise NoEngine(f"not to be installed: {', '.join(still)}")


class Engine:
    """dockerd with its data below `cache`. What it runs ends with `stop`; what it has pulled and built stays."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        # A path that is short enough for a socket.
        self._run = Path(tempfile.mkdtemp(prefix="handrail-docker-"))
        self._process: subprocess.Popen[bytes] | None = None
        os.environ["DOCKER_HOST"] = f"unix://{self._run}/docker.sock"

    def start(self) -> None:
        """Answers afterwards; NoEngine with the end of its log if it does not."""
        log = self._cache / "dockerd.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    f"--host={os.environ['DOCKER_HOST']}",
                    f"--data-root={self._cache / 'data'}",
                    f"--exec-root={self._run / 'exec'}",
                    f"--pidfile={self._run / 'docker.pid'}",
                ],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        pause, deadline = threading.Event(), time.monotonic() + 40
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                docker.run("version", "--format", "{{.Server.Version}}")
                return
            except docker.DockerFailed:
                pause.wait(0.2)
        self.stop()
        raise NoEngine(f"dockerd does not start: {log.read_text(errors='replace')[-400:]}")

    def stop(self) -> None:
        """Ends the engine, and with it its containers."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=90)
            self._process = None

    def close(self) -> None:
        """Ends it for good."""
        self.stop()
        shutil.rmtree(self._run, ignore_errors=True)


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
