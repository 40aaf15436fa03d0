"""The bill of materials names every library of the lock file and every package of the image."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from click.testing import CliRunner

from cli.main import main
from stack import sbom

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_every_locked_library_is_a_component(root):
    """With the version that is installed, by the identifier that scanners look for."""
    lock = (root / "requirements-image.lock").read_text()
    found = sbom.python_libraries(lock)
    assert len(found) == len(re.findall(r"^\S+==", lock, re.MULTILINE)) > 20
    (sqlalchemy,) = [one for one in found if one["name"] == "sqlalchemy"]
    assert sqlalchemy["purl"] == f"pkg:pypi/sqlalchemy@{sqlalchemy['version']}"


def test_every_package_of_the_image_is_a_component():
    """An epoch is written as scanners expect it."""
    found = sbom.debian_packages("libc6 2.41-12 amd64\ntar 1:1.35 arm64\n")
    assert [one["purl"] for one in found] == [
        "pkg:deb/debian/libc6@2.41-12?arch=amd64",
        "pkg:deb/debian/tar@1%3A1.35?arch=arm64",
    ]


def test_the_document_is_the_same_for_the_same_content():
    """Its serial number too, so that a change shows."""
    libraries = sbom.python_libraries("b==2\na==1 \\\n    --hash=sha256:00\n")
    made = sbom.document("0.1.0", libraries, now=NOW)
    assert made == sbom.document("0.1.0", reversed(libraries), now=NOW)
    assert json.loads(made)["serialNumber"] != json.loads(sbom.document("0.1.1", libraries, now=NOW))["serialNumber"]
    held = json.loads(made)
    assert (held["bomFormat"], held["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", held["serialNumber"])
    assert held["dependencies"][0]["dependsOn"] == ["pkg:pypi/a@1", "pkg:pypi/b@2"]


def test_without_an_engine_it_says_what_it_leaves_out(root, tmp_path, monkeypatch):
    """The libraries are known all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(root)
    done = CliRunner().invoke(main, ["stack", "sbom", "--to", str(tmp_path / "sbom.json")])
    assert done.exit_code == 0, done.output
    assert "Without the image's Debian packages" in done.output
    held = json.loads((tmp_path / "sbom.json").read_text())
    assert {one["purl"].partition("/")[0] for one in held["components"]} == {"pkg:pypi"}
