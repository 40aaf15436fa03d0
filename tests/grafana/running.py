"""Finds a Grafana on the PATH or as a local image, and runs it with the provisioning files of docker-compose.yml."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from handrail.http import HttpClient, build_client
from tests.alerting.running_alertmanager import free_port, until

ROOT = Path(__file__).resolve().parents[2]
SERVICE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"][
    "grafana"
]
PROVISIONING = ROOT / "stack" / "deploy" / "grafana"
# Where the provisioning file says that the dashboards are.
BOARDS = "/var/lib/handrail/dashboards"
ADMIN = "admin"
# Where packages put what is not the program, beside the folder that the archive unpacks to.
_PACKAGED = Path("/usr/share/grafana")
# The first start makes a database.
_STARTS_WITHIN_S = 120


class NoGrafana(Exception):
    """There is none here; the text says where it was looked for."""


@dataclass(frozen=True)
class Program:
    """A Grafana on the PATH, and the folder with its pages and defaults."""

    command: tuple[str, ...]
    home: Path


@dataclass(frozen=True)
class Image:
    """The image of docker-compose.yml, on this machine already."""

    docker: str
    name: str


def find(path: str | None = None) -> Program | Image:
    """A program is taken before an image; nothing is fetched. NoGrafana when there is neither."""
    for name, more in (("grafana", ("server",)), ("grafana-server", ())):
        if program := shutil.which(name, path=path):
            for home in (Path(program).resolve().parents[1], _PACKAGED):
                if (home / "conf" / "defaults.ini").is_file():
                    return Program((program, *more), home)
    image = SERVICE["image"]
    if (docker := shutil.which("docker", path=path)) and _succeeds(docker, "image", "inspect", image):
        return Image(docker, image)
    raise NoGrafana(
        f"no grafana or grafana-server on the PATH, and no image {image} on this machine (docker pull {image})"
    )


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@contextmanager
def running(found: Program | Image, *, prometheus: str, boards: Path, folder: Path) -> Iterator[HttpClient]:
    """It shows these dashboards, of this Prometheus; the client is signed in, and its base URL is Grafana's."""
    port, password = free_port(), secrets.token_urlsafe(24)
    (folder / "secrets").mkdir(parents=True)
    # In the container it is read by another user.
    folder.chmod(0o755)
    (folder / "secrets" / "admin_password").write_text(password)
    own = {"GF_SERVER_HTTP_ADDR": "127.0.0.1", "GF_SERVER_HTTP_PORT": str(port), "PROMETHEUS_URL": prometheus}
    environment = SERVICE["environment"] | own
    make = _of_program if isinstance(found, Program) else _of_image
    command, environ = make(found, environment, boards, folder)  # type: ignore[arg-type]
    with (
        build_client(base_url=f"http://127.0.0.1:{port}", auth=(ADMIN, password), timeout_s=60) as client,
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, env=environ, stdout=log, stderr=log) as process,
    ):
        try:
            until(lambda: process.poll() is not None or _healthy(client), "Grafana", seconds=_STARTS_WITHIN_S)
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            yield client
        finally:
            process.terminate()


def _healthy(client: HttpClient) -> bool:
    try:
        return client.get("/api/health").status_code == 200
    except httpx.TransportError:
        return False


def _of_program(
    found: Program, environment: Mapping[str, str], boards: Path, folder: Path
) -> tuple[Sequence[str], dict[str, str]]:
    """The provisioning files, with the folder of the dashboards that is theirs here."""
    provisioning = shutil.copytree(PROVISIONING, folder / "provisioning")
    provider = provisioning / "dashboards" / "handrail.yml"
    text = provider.read_text(encoding="utf-8")
    assert text.count(BOARDS) == 1
    provider.write_text(text.replace(BOARDS, str(boards)), encoding="utf-8")
    paths = {f"GF_PATHS_{name}": str(folder / name.lower()) for name in ("DATA", "LOGS", "PLUGINS", "PROVISIONING")}
    secret = {"GF_SECURITY_ADMIN_PASSWORD__FILE": str(folder / "secrets" / "admin_password")}
    return [*found.command, "--homepath", str(found.home)], {**os.environ, **environment, **paths, **secret}


def _of_image(
    found: Image, environment: Mapping[str, str], boards: Path, folder: Path
) -> tuple[Sequence[str], dict[str, str]]:
    """The volumes of docker-compose.yml. It shares this machine's network, where Prometheus is."""
    volumes = {PROVISIONING: "/etc/grafana/provisioning", boards: BOARDS, folder / "secrets": "/run/secrets"}
    options = [f"--volume={here}:{there}:ro" for here, there in volumes.items()]
    options += [f"--env={name}={value}" for name, value in environment.items()]
    uid, gid = SERVICE["user"].split(":")
    options += [f"--user={uid}:{gid}", f"--tmpfs=/var/lib/grafana:uid={uid},gid={gid}", "--network=host"]
    return [found.docker, "run", "--rm", "--pull=never", *options, found.name], dict(os.environ)
