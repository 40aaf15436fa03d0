"""Where Prometheus and Alertmanager are looked for, and what is said when they are nowhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stack import tools


def program(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_path_comes_before_the_state_folder(tmp_path):
    """What the machine's owner installed is what runs."""
    own = program(tmp_path / "path", "promtool")
    program(tmp_path / "state" / "bin" / "usr" / "bin", "promtool")
    assert tools.find("promtool", state=tmp_path / "state", search_path=str(tmp_path / "path")) == own


def test_the_state_folder_is_looked_in_when_the_path_has_none(tmp_path):
    """What was unpacked is found again."""
    unpacked = program(tmp_path / "state" / "bin" / "usr" / "bin", "promtool")
    assert tools.find("promtool", state=tmp_path / "state", search_path=str(tmp_path / "path")) == unpacked


def test_alertmanager_is_found_under_the_name_debian_gives_it(tmp_path):
    """Debian's package calls the program prometheus-alertmanager."""
    packaged = program(tmp_path / "path", "prometheus-alertmanager")
    assert tools.find("alertmanager", state=tmp_path, search_path=str(tmp_path / "path")) == packaged


def test_a_missing_tool_is_named_with_what_to_install(tmp_path):
    """Debian's and Homebrew's commands stand in the message."""
    with pytest.raises(tools.ToolMissing) as caught:
        tools.find("promtool", state=tmp_path, search_path=str(tmp_path))
    assert str(caught.value).startswith("promtool was not found")
    assert "apt-get install prometheus prometheus-alertmanager" in str(caught.value)
    assert "brew install prometheus alertmanager" in str(caught.value)


def test_without_apt_get_nothing_is_tried(tmp_path):
    """On another system the message names every missing tool and what to install."""
    said = []
    with pytest.raises(tools.ToolMissing, match="prometheus, promtool, alertmanager, amtool not found") as caught:
        tools.install(tmp_path, say=said.append, search_path=str(tmp_path))
    assert "brew install prometheus alertmanager" in str(caught.value)
    assert said == []


def test_nothing_is_fetched_when_everything_is_there(tmp_path):
    """The second start is quiet and needs no network."""
    for name in tools.TOOLS:
        program(tmp_path / "path", name)
    said = []
    tools.install(tmp_path, say=said.append, search_path=str(tmp_path / "path"))
    assert said == []
    assert not (tmp_path / "apt").exists()


def test_packages_are_fetched_with_private_folders_and_only_what_is_missing(tmp_path, monkeypatch):
    """apt-get is given lists and a cache inside the state folder, and a release that ships promtool apart is served."""
    path, log = tmp_path / "path", tmp_path / "calls"
    program(path, "alertmanager")
    program(path, "amtool")
    program(path, "apt-cache")
    program(path, "apt-get").write_text(
        f'#!/bin/sh\necho "$@" >>{log}; cp "$2" {tmp_path}/seen.conf\n'
        'case "$*" in *download*) : >prometheus.deb; : >promtool.deb;; esac\n'
    )
    program(path, "dpkg-deb").write_text(
        f'#!/bin/sh\nname=$(basename "$2" .deb); mkdir -p "$3/usr/bin"; cp {path}/amtool "$3/usr/bin/$name"\n'
    )
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    tools.install(tmp_path / "state", say=lambda _: None, search_path=str(path))
    config = tmp_path / "state" / "apt" / "apt.conf"
    lines = log.read_text().splitlines()
    seen = (tmp_path / "seen.conf").read_text()
    assert lines == [f"-c {config} -q update", f"-c {config} -q download prometheus promtool"]
    assert f'Dir::State::lists "{tmp_path}/state/apt/lists";' in seen
    assert f'Dir::Cache "{tmp_path}/state/apt/cache";' in seen
    unpacked = tmp_path / "state" / "bin" / "usr" / "bin" / "promtool"
    assert tools.find("promtool", state=tmp_path / "state", search_path=str(path)) == unpacked


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_program_with_a_compiled_in_folder_reads_the_unpacked_one_instead(tmp_path):
    """Debian's Alertmanager looks for its templates where only an installed package puts them."""
    templates = tmp_path / "usr" / "share" / "prometheus" / "alertmanager"
    templates.mkdir(parents=True)
    (templates / "default.tmpl").write_text("the template\n")
    alertmanager = program(tmp_path / "usr" / "bin", "prometheus-alertmanager")
    alertmanager.write_text('#!/bin/sh\necho "$@"; exec cat /usr/share/prometheus/alertmanager/default.tmpl\n')
    size = alertmanager.stat().st_size
    tools.relocate(alertmanager)
    assert alertmanager.with_name("prometheus-alertmanager.unpacked").stat().st_size == size
    done = subprocess.run([alertmanager, "--flag", "a b"], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == "--flag a b\nthe template\n"


def test_a_program_without_such_a_folder_is_left_as_it_is(tmp_path):
    """Other distributions compile the templates in."""
    alertmanager = program(tmp_path, "prometheus-alertmanager")
    before = alertmanager.read_bytes()
    tools.relocate(alertmanager)
    assert alertmanager.read_bytes() == before
    assert list(tmp_path.iterdir()) == [alertmanager]


def test_a_download_that_fails_says_why_and_what_to_do(tmp_path, monkeypatch):
    """What apt-get said is in the message, and how to install by hand."""
    path = tmp_path / "path"
    program(path, "apt-cache")
    program(path, "apt-get").write_text("#!/bin/sh\necho 'E: no such source' >&2\nexit 100\n")
    program(path, "dpkg-deb")
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    with pytest.raises(tools.ToolMissing, match=r"could not download prometheus promtool: E: no such source") as caught:
        tools.install(tmp_path / "state", say=lambda _: None, search_path=str(path))
    assert "brew install" in str(caught.value)
