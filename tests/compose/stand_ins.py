"""Base images made of Debian's packages and tagged as the compose file names the real ones: there is no registry here.

Python comes from Debian unstable, Prometheus and Alertmanager from what `make tools-3` unpacks. So the versions are not
exactly those of the tags. Grafana and n8n have no package and so no stand-in.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from stack import docker
from stack.tools import debian_mirror, install_second

_PACKAGES = "python3,python3-venv,python3-pip,busybox-static,ca-certificates"
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_PYTHON = """\
FROM handrail-stand-in
RUN ln -s /usr/bin/python3 /usr/local/bin/python && ln -s /usr/bin/python3 /usr/local/bin/python3
COPY ca-certificates.crt /etc/ssl/certs/
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
"""
_PROGRAM = """\
FROM handrail-stand-in
COPY usr /usr
RUN ln -s /usr/bin/busybox /bin/wget && install -d -o 65534 -g 65534 /prometheus /alertmanager
ENTRYPOINT ["/usr/bin/{program}"]
"""


def make(cache: Path, state: Path, say: Callable[[str], None]) -> None:
    """Every image that `make up` needs from elsewhere is on the engine, but Grafana's."""
    wanted = docker.services(simulated=True)
    base = re.search(r"^FROM (\S+)", (docker.ROOT / "Dockerfile").read_text(), re.MULTILINE).group(1)
    images = {base, wanted["prometheus"], wanted["alertmanager"]}
    if all(_there(image) for image in images):
        return
    promtool = install_second(state, say=say)
    if not _there("handrail-stand-in"):
        _import(cache, state, say)
    say("making the stand-ins' images")
    folder = cache / "stand-ins"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(promtool.parents[1], folder / "usr", symlinks=True)
    shutil.copy(_BUNDLE, folder)
    _build(folder, base, _PYTHON)
    _build(folder, wanted["prometheus"], _PROGRAM.format(program="prometheus"))
    _build(folder, wanted["alertmanager"], _PROGRAM.format(program="prometheus-alertmanager"))


def _there(image: str) -> bool:
    try:
        docker.run("image", "inspect", image)
    except docker.DockerFailed:
        return False
    return True


def _import(cache: Path, state: Path, say: Callable[[str], None]) -> None:
    tarball = cache / "base.tar"
    if not tarball.exists():
        say("making a base image of Debian's packages (a minute or three, once)")
        mirror, keyring = debian_mirror(state)
        partial = cache / "partial.tar"
        command = ["mmdebstrap", "--variant=minbase", "--mode=root", f"--include={_PACKAGES}"]
        # Mirrors may lag behind; the signatures are checked all the same.
        command += ["--aptopt=Acquire::Check-Valid-Until false", '--aptopt=APT::Install-Recommends "false"']
        command += ["--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT)]
        command += [f"--keyring={keyring}", "sid", str(partial), f"deb [signed-by={keyring}] {mirror} sid main"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stderr[-600:]
        partial.rename(tarball)
    docker.run("import", str(tarball), "handrail-stand-in", timeout_s=300)


def _build(folder: Path, tag: str, dockerfile: str) -> None:
    (folder / "Dockerfile").write_text(dockerfile)
    docker.run("build", "--quiet", "--tag", tag, str(folder), timeout_s=300)
