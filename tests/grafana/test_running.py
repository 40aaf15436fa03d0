"""A Grafana is found where it is, and started with the provisioning files, the password and the Prometheus of here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.alerting.dashboards.boards import RENDERED, boards
from tests.grafana.checks import complaints_about_boards, complaints_about_panels
from tests.grafana.running import ROOT, SERVICE, Image, NoGrafana, Program, find, running

# A program that does of Grafana what the stand-in does, by the same environment and files.
GRAFANA = """#!{python}
import os, sys, threading
from pathlib import Path
import yaml
sys.path.insert(0, {root!r})
from drill.simulators.wire import serve
from tests.alerting.dashboards.boards import boards
from tests.grafana.stand_in import StandIn
assert sys.argv[1:] == ["server", "--homepath", {home!r}], sys.argv
provisioning = Path(os.environ["GF_PATHS_PROVISIONING"])
(source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
assert os.path.expandvars(source["url"]) == "http://prometheus.test", source
(provider,) = yaml.safe_load((provisioning / "dashboards/handrail.yml").read_text())["providers"]
shown = {{board["uid"]: board for board in boards(Path(provider["options"]["path"])).values()}}
password = Path(os.environ["GF_SECURITY_ADMIN_PASSWORD__FILE"]).read_text()
assert os.environ["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
server = serve(StandIn(shown, password), int(os.environ["GF_SERVER_HTTP_PORT"]))
threading.Event().wait()
"""


def program(folder: Path, name: str, text: str) -> Path:
    """An executable."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def unpacked(folder: Path, name: str = "grafana") -> Path:
    """As Grafana's archive unpacks."""
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "defaults.ini").touch()
    return program(folder / "bin", name, GRAFANA.format(python=sys.executable, root=str(ROOT), home=str(folder)))


def test_a_program_is_started_as_the_compose_stack_starts_its_own(tmp_path: Path) -> None:
    """With the dashboards of a folder; when it ends, nothing is left running."""
    unpacked(tmp_path / "home")
    found = find(str(tmp_path / "home" / "bin"))
    with running(found, prometheus="http://prometheus.test", boards=RENDERED, folder=tmp_path / "run") as client:
        every = list(boards().values())
        assert list(complaints_about_boards(client, every)) == []
        assert list(complaints_about_panels(client, every[:1], now_s=1_764_000_000)) == []


def test_an_older_name_is_found_and_needs_no_command(tmp_path: Path) -> None:
    """`grafana-server`."""
    there = unpacked(tmp_path / "home", "grafana-server")
    assert find(str(there.parent)) == Program((str(there),), tmp_path / "home")


def test_an_image_is_taken_only_when_it_is_here(tmp_path: Path) -> None:
    """The one of docker-compose.yml; without it the text says what was looked for."""
    docker = program(tmp_path / "with", "docker", f'#!/bin/sh\n[ "$*" = "image inspect {SERVICE["image"]}" ]\n')
    assert find(str(tmp_path / "with")) == Image(str(docker), SERVICE["image"])
    program(tmp_path / "without", "docker", "#!/bin/sh\nexit 1\n")
    with pytest.raises(NoGrafana, match=r"no image grafana/grafana:\d"):
        find(str(tmp_path / "without"))
    with pytest.raises(NoGrafana, match="no grafana or grafana-server on the PATH"):
        find(os.devnull)
