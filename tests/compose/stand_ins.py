"""Base images made of Debian's packages and tagged as the compose file names the real ones: there is no registry here.

Python comes from Debian unstable, Prometheus and Alertmanager from what `make tools-3` unpacks. So the versions are not
exactly those of the tags. Grafana and n8n have no package; one that only answers stands in for Grafana in one test.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from stack import docker
from stack.tools import ToolMissing, debian_mirror, install_second

STAND_IN = "handrail-stand-in"
_PACKAGES = "python3,python3-venv,passwd,busybox-static,ca-certificates"
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# Installed, pip would bring setuptools and more, and all of it would be compiled.
_PYTHON = f"""\
FROM {STAND_IN}
RUN ln -s /usr/bin/python3 /usr/local/bin/python && ln -s /usr/bin/python3 /usr/local/bin/python3 \\
    && python3 -m zipfile --extract /usr/share/python-wheels/pip-*.whl /usr/lib/python3/dist-packages
COPY ca-certificates.crt /etc/ssl/certs/
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
"""
_PROGRAM = f"""\
FROM {STAND_IN}
COPY usr /usr
RUN ln -s /usr/bin/busybox /bin/wget && install -d -o 65534 -g 65534 /prometheus /alertmanager
ENTRYPOINT ["/usr/bin/{{program}}"]
"""
_GRAFANA = f"""\
FROM {STAND_IN}
RUN ln -s /usr/bin/busybox /bin/wget && install -d -o 472 -g 472 /var/lib/grafana \\
    && install -d /srv/api && echo healthy >/srv/api/health
ENTRYPOINT ["/usr/bin/python3", "-m", "http.server", "3000", "--directory", "/srv"]
"""
# What is copied into an image; whatever else is there would be sent to the engine as well, hundreds of megabytes.
_ALERTMANAGER = "prometheus-alertmanager"
_FILES = {
    "prometheus": ("bin/prometheus", "bin/promtool"),
    _ALERTMANAGER: ("bin/prometheus-alertmanager*", "share/prometheus/alertmanager/**/*"),
}


def base_image() -> str:
    """What the Dockerfile begins with."""
    return re.search(r"^FROM (\S+)", (docker.ROOT / "Dockerfile").read_text(), re.MULTILINE).group(1)


def tarball(cache: Path, say: Callable[[str], None]) -> Path:
    """A small Debian with Python as a tar file below `cache`, made once; ToolMissing where there is no Debian."""
    made = cache / "base.tar"
    if made.exists():
        return made
    say("making a base image of Debian's packages (a minute or two, once)")
    mirror, keyring = debian_mirror(cache / "base")
    partial = cache / "partial.tar"
    command = ["mmdebstrap", "--variant=essential", "--mode=root", f"--include={_PACKAGES}"]
    # Mirrors may lag behind; the signatures are checked all the same.
    command += ["--aptopt=Acquire::Check-Valid-Until false", '--aptopt=APT::Install-Recommends "false"']
    command += ["--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT)]
    command += [f"--keyring={keyring}", "sid", str(partial), f"deb [signed-by={keyring}] {mirror} sid main"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise ToolMissing(f"no base image can be made of Debian's packages: {done.stderr[-600:]}")
    partial.rename(made)
    return made


def make(base: Path, cache: Path, state: Path, say: Callable[[str], None]) -> list[str]:
    """Every image that `make up` needs from elsewhere is on the engine, but Grafana's; returns those that were made."""
    wanted = docker.services(simulated=True)
    python, prometheus = base_image(), str(wanted["prometheus"])
    missing = [image for image in (python, prometheus, str(wanted["alertmanager"])) if not _there(image)]
    if not missing:
        return []
    promtool = install_second(state, say=say)
    say("making the stand-ins' images")
    if not _there(STAND_IN):
        docker.run("import", str(base), STAND_IN, timeout_s=300)
    folder = cache / "stand-ins"
    shutil.rmtree(folder, ignore_errors=True)
    for image in missing:
        if image == python:
            (folder / "python").mkdir(parents=True)
            shutil.copy(_BUNDLE, folder / "python")
            _build(folder / "python", image, _PYTHON)
        else:
            _program(promtool.parents[1], folder, image, "prometheus" if image == prometheus else _ALERTMANAGER)
    return [*missing, STAND_IN]


def _program(unpacked: Path, folder: Path, image: str, program: str) -> None:
    for source in (path for pattern in _FILES[program] for path in unpacked.glob(pattern) if path.is_file()):
        target = folder / program / "usr" / source.relative_to(unpacked)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    _build(folder / program, image, _PROGRAM.format(program=program))


def grafana(cache: Path) -> str:
    """An image tagged as Grafana's that answers its health check and does nothing else."""
    folder = cache / "stand-ins" / "grafana"
    folder.mkdir(parents=True, exist_ok=True)
    tag = str(docker.services(simulated=False)["grafana"])
    _build(folder, tag, _GRAFANA)
    return tag


def why_not_usable(image: str) -> str | None:
    """Why this engine cannot run a container of the image that reaches a package index; None if it can."""
    try:
        docker.run("run", "--rm", "--network", "none", "--entrypoint", "true", image, timeout_s=60)
    except docker.DockerFailed as error:
        return f"it runs no container: {error}"
    lock = (docker.ROOT / "requirements-image.lock").read_text()
    first = re.search(r"^\S+==\S+", lock, re.MULTILINE).group(0)
    pip = ("python", "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--dest", "/tmp", first)
    try:
        docker.run("run", "--rm", "--entrypoint", pip[0], image, *pip[1:], timeout_s=120)
    except docker.DockerFailed as error:
        return f"its containers reach no package index: {error}"
    return None


def _there(image: str) -> bool:
    try:
        docker.run("image", "inspect", image)
    except docker.DockerFailed:
        return False
    return True


def _build(folder: Path, tag: str, dockerfile: str) -> None:
    (folder / "Dockerfile").write_text(dockerfile)
    docker.run("build", "--quiet", "--tag", tag, str(folder), timeout_s=300)
