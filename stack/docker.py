"""The stack as containers: what `docker` and `docker compose` are asked to do, and what they say of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stack.plan import reachable

ROOT = Path(__file__).resolve().parents[1]
COMPOSE_FILE = ROOT / "docker-compose.yml"
# `depends_on.required`, without which the simulated world could not be a profile.
_NEWEST_NEEDED = (2, 20)
_ASK_S, _PULL_S, _BUILD_S, _START_S, _STOP_S = 10, 600, 900, 300, 120

Say = Callable[[str], None]


class DockerFailed(Exception):
    """docker did not do what it was asked for; the text is the end of what it said."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the stack as the engine sees it."""

    service: str
    status: str
    health: str | None
    pid: int | None
    restarts: int
    exit_code: int
    started_at: str
    configuration: str
    addresses: tuple[str, ...] = ()
    scheme: str = "http"

    @property
    def url(self) -> str | None:
        """Where a program on this machine reaches it; None while it publishes nothing."""
        return f"{self.scheme}://{reachable(self.address)}" if self.address else None

    @property
    def address(self) -> str | None:
        """Where it listens on this machine; None while it publishes nothing."""
        return self.addresses[0] if self.addresses else None

    @property
    def healthy(self) -> bool:
        """Does it run, and has its health check passed?"""
        return self.status == "running" and self.health == "healthy"


def run(*arguments: str, timeout_s: float = _ASK_S, stdin: bytes | None = None) -> str:
    """What `docker ARGUMENTS` prints; DockerFailed if it fails, takes too long or is not there."""
    program = shutil.which("docker")
    if program is None:
        raise DockerFailed("there is no docker command")
    try:
        done = subprocess.run(  # noqa: S603 - arguments of our own
            [program, *arguments], cwd=ROOT, input=stdin or b"", capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DockerFailed(f"docker {arguments[0]} took longer than {timeout_s:.0f} s") from error
    if done.returncode:
        raise DockerFailed(_end_of(done.stderr) or f"docker {arguments[0]}: exit code {done.returncode}")
    return done.stdout.decode(errors="replace")


def _end_of(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-2:])[-300:]


def why_no_engine() -> str | None:
    """Why containers cannot be run on this machine; None if they can."""
    try:
        run("version", "--format", "{{.Server.Version}}")
    except DockerFailed as error:
        return f"no Docker engine answers ({error})"
    try:
        said = run("compose", "version", "--short")
    except DockerFailed as error:
        return f"there is no Docker Compose ({error})"
    numbers = tuple(int(number) for number in re.findall(r"\d+", said)[:2])
    if numbers < _NEWEST_NEEDED:
        return f"Docker Compose is {said.strip()}, and 2.20 or newer is needed"
    return None


def services(*, simulated: bool, without: Sequence[str] = ()) -> dict[str, str | None]:
    """What runs, with the image that is fetched for it; None where it is our own, which is built."""
    declared = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))["services"]
    profiles = {"simulated"} if simulated else set()
    return {
        name: None if "build" in service else service["image"]
        for name, service in declared.items()
        if name not in without and profiles.issuperset(service.get("profiles", ()))
    }


def fetch(image: str, *, say: Say) -> None:
    """The image is on this machine afterwards; DockerFailed if it is not to be had."""
    try:
        run("image", "inspect", "--format", "{{.Id}}", image)
    except DockerFailed:
        say(f"Fetching {image} …")
        run("pull", "--quiet", image, timeout_s=_PULL_S)


def build(tag: str) -> str:
    """The id of our own image, built anew where something changed; DockerFailed if it cannot be built."""
    run("build", "--quiet", "--tag", tag, ".", timeout_s=_BUILD_S)
    return run("image", "inspect", "--format", "{{.Id}}", tag).strip()


def packages(tag: str) -> str:
    """Package, version and architecture of every Debian package in an image, a line each."""
    fields = "${Package} ${Version} ${Architecture}\n"
    return run("run", "--rm", "--network", "none", "--entrypoint", "dpkg-query", tag, "-W", "-f", fields, timeout_s=60)


class Compose:
    """One project of docker-compose.yml, with what `environment` leaves open written in a file."""

    def __init__(self, project: str, env_file: Path) -> None:
        self._options = ("--project-name", project, "--env-file", str(env_file), "--file", str(COMPOSE_FILE))
        self._project = project

    def up(self, services: Sequence[str]) -> None:
        """These run and are healthy afterwards; DockerFailed says what is not."""
        # It was built and fetched before; to build, Compose would want a newer builder than many engines bring.
        command = ("up", "--detach", "--no-build", "--pull", "never", "--wait", "--remove-orphans", *services)
        self._compose(*command, timeout_s=_START_S)

    def down(self, *, forget: bool) -> None:
        """No container is left; with `forget` no data either."""
        volumes = ("--volumes",) if forget else ()
        # Every profile, also those that this run does not have.
        self._compose("--profile", "*", "down", "--remove-orphans", *volumes, timeout_s=_STOP_S)

    def containers(self) -> list[Container]:
        """Every container of the project, also those that ended."""
        ids = run("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self._project}").split()
        if not ids:
            return []
        return sorted((_container(one) for one in json.loads(run("inspect", *ids))), key=lambda one: one.service)

    def logs(self, service: str, lines: int) -> list[str]:
        """The end of what the service wrote."""
        said = self._compose("logs", "--no-color", "--no-log-prefix", "--tail", str(lines), service, timeout_s=_ASK_S)
        return said.splitlines()

    def feed(self, service: str, script: str, content: bytes, *, timeout_s: float) -> None:
        """Runs a shell script in the service's container with `content` as its input; DockerFailed if it fails."""
        self._compose("exec", "--no-TTY", service, "sh", "-c", script, timeout_s=timeout_s, stdin=content)

    def _compose(self, *arguments: str, timeout_s: float, stdin: bytes | None = None) -> str:
        return run("compose", *self._options, *arguments, timeout_s=timeout_s, stdin=stdin)


def _container(found: Mapping[str, Any]) -> Container:
    state, labels = found["State"], found["Config"]["Labels"]
    health = state.get("Health")
    # Sorted by the container's port: the simulated world's control is the lowest of its own.
    published = [hosts[0] for _, hosts in sorted((found["NetworkSettings"]["Ports"] or {}).items()) if hosts]
    return Container(
        service=labels["com.docker.compose.service"],
        status=state["Status"],
        health=health["Status"] if health else None,
        pid=state["Pid"] or None,
        restarts=found["RestartCount"],
        exit_code=state["ExitCode"],
        started_at=state["StartedAt"],
        configuration=labels.get("handrail.configuration", ""),
        addresses=tuple(f"{one['HostIp']}:{one['HostPort']}" for one in published),
        scheme=labels.get("handrail.scheme", "http"),
    )
