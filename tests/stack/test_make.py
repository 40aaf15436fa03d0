"""The Makefile explains itself, and the lock files are complete and name no host."""

from __future__ import annotations

import re
import subprocess

import pytest

NOT_FOR_PEOPLE = {"python"}


def make(root, *arguments):
    return subprocess.run(["make", *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=60)


def test_help_lists_every_target(root):
    """`make` alone is the way in: no target is hidden."""
    text = (root / "Makefile").read_text().replace("\\\n", " ")
    targets = set(re.search(r"^\.PHONY:(.*)$", text, re.MULTILINE).group(1).split()) - NOT_FOR_PEOPLE
    done = make(root)
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"^  make (\S+) +\S", done.stdout, re.MULTILINE)) == targets
    assert {"up", "down", "status", "logs", "foreground", "drill", "test", "test-n8n", "lint", "format"} <= targets


def shadow(tmp_path, root, python):
    """A checkout with no environment yet, and a stand-in for Python."""
    (tmp_path / "Makefile").write_text((root / "Makefile").read_text())
    (tmp_path / "requirements.lock").touch()
    fake = tmp_path / "fakepython"
    fake.write_text(f"#!/bin/sh\n{python}\n")
    fake.chmod(0o755)
    return make(tmp_path, "up", f"PYTHON={fake}")


def test_a_python_that_is_too_old_is_told_in_words(tmp_path, root):
    """The version it is, the version it must be, and how to name another."""
    done = shadow(tmp_path, root, 'case "$1" in -V) echo "Python 3.9.2";; *) exit 1;; esac')
    assert done.returncode == 2
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert "make up PYTHON=python3.12" in done.stderr


def test_a_missing_venv_module_is_told_with_what_to_install(tmp_path, root):
    """Debian splits it off; the message names the package, and Homebrew's."""
    done = shadow(tmp_path, root, 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    assert done.returncode == 2
    assert "apt-get install python3-venv" in done.stderr
    assert "brew install python@3.12" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_missing_python_is_told(tmp_path, root):
    """Not a shell's error message."""
    (tmp_path / "Makefile").write_text((root / "Makefile").read_text())
    (tmp_path / "requirements.lock").touch()
    done = make(tmp_path, "up", "PYTHON=python9.9")
    assert done.returncode == 2
    assert "There is no python9.9. Install Python 3.11 or newer" in done.stderr


def test_the_drill_is_not_played_beside_a_teams_file(tmp_path, root):
    """With a handrail.yaml the stack watches real agents; the message says how to play it anyway."""
    (tmp_path / "Makefile").write_text((root / "Makefile").read_text())
    (tmp_path / "handrail.yaml").touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch(mode=0o755)
    (tmp_path / "requirements.lock").touch()
    (tmp_path / ".venv" / ".installed-runtime").touch()
    done = make(tmp_path, "drill")
    assert done.returncode == 2
    assert "make up SIMULATED=1; make drill SIMULATED=1" in done.stderr


def requirements(path):
    """Every entry of a lock file with its continuation lines."""
    return [entry for entry in re.split(r"\n(?=\S)", path.read_text().strip())]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-image.lock", "requirements-dev.lock"])
def test_lock_files_pin_every_package_by_hash_and_name_no_address(root, name):
    """What is installed is what was tested, from whichever index the machine uses."""
    text = (root / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(index|extra-index|find-links|trusted-host)", text, re.MULTILINE)
    for entry in requirements(root / name):
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_lock_files_pin_the_same_versions(root):
    """What the tests ran with is what a team gets, in containers with PostgreSQL's driver as well."""
    runtime, image, dev = (
        {re.split(r"[\s;]", entry)[0] for entry in requirements(root / f"requirements{kind}.lock")}
        for kind in ("", "-image", "-dev")
    )
    assert runtime < image <= dev
    assert {entry.partition("==")[0] for entry in image - runtime} == {"psycopg", "psycopg-binary"}


def test_ci_runs_the_targets_a_person_runs(root):
    """Every step of .ci/run is a make target with a time limit, and the script is valid and executable."""
    script = root / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    steps = re.findall(r'^\s*step \d+ "[^"]+" make (\S+)$', script.read_text(), re.MULTILINE)
    rules = ["lint", "check-generated", "test-rules", "test-checkers", "test-compose"]
    tests = ["test", "test-slow", "test-console", "test-grafana", "test-postgresql", "test-faults"]
    assert steps == [*tests, *rules, "up", "status", "drill", "down", "test-n8n"]
