"""Finds the real tools. Each version found is one parameter of a test; a test without any is skipped and says why.

Looked through: the folders in HANDRAIL_TOOLS (separated by colons), PATH, and what `make up` unpacked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from alerting.render import SecretFiles, render
from handrail.settings import Settings, load, parse
from stack.tools import relocate

ROOT = Path(__file__).resolve().parents[2]
UNPACKED = (ROOT / ".handrail/bin/usr/bin", ROOT / ".handrail/bin-3/usr/bin")
# The fixture of a tool, and the names its program goes by; Debian calls Alertmanager prometheus-alertmanager.
TOOLS = {
    "promtool": ("promtool",),
    "prometheus_program": ("prometheus",),
    "amtool": ("amtool",),
    "alertmanager_program": ("alertmanager", "prometheus-alertmanager"),
}
SECRET_FILES = SecretFiles(Path("/run/secrets/handrail_webhook_token"), Path("/run/secrets/slack_webhook_url"))
MINIMAL = "sources: {n8n: [{name: main, url: http://n8n.test, api_key_env: N8N_KEY}]}\n"


def find(names: tuple[str, ...]) -> list[Path]:
    """Every different program of one of these names, in the order of the search."""
    named = [Path(p) for p in os.environ.get("HANDRAIL_TOOLS", "").split(":") if p]
    on_path = [Path(p) for p in os.environ.get("PATH", "").split(":") if p]
    found = [folder / name for folder in [*named, *on_path, *UNPACKED] for name in names]
    runnable = [path.resolve() for path in found if path.is_file() and os.access(path, os.X_OK)]
    return list(dict.fromkeys(runnable))


def version(program: Path) -> str:
    """Its version, for the name of the test; Alertmanager 0.2x tells it on the other stream."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True)
    words = (done.stdout or done.stderr).split()
    return words[words.index("version") + 1].split("+")[0].rstrip(",")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per tool found."""
    for fixture, names in TOOLS.items():
        if fixture not in metafunc.fixturenames:
            continue
        found = find(names)
        reason = f"no {' or '.join(names)} found: name its folder in HANDRAIL_TOOLS, or run make up once"
        missing = pytest.param(None, marks=pytest.mark.skip(reason=reason), id="missing")
        # Of one version the first found will do.
        versions = {version(path): path for path in reversed(found)}
        params = [pytest.param(path, id=name) for name, path in sorted(versions.items())] or [missing]
        metafunc.parametrize(fixture, params, scope="session")


@pytest.fixture(scope="session")
def own_alertmanager(alertmanager_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Alertmanager that runs from where it is: Debian's, only unpacked, does not find its templates by itself."""
    share = Path("share/prometheus/alertmanager")
    relocated = alertmanager_program.with_name(f"{alertmanager_program.name}.unpacked").exists()
    if relocated or not (alertmanager_program.parents[1] / share).is_dir():
        return alertmanager_program
    home = tmp_path_factory.mktemp("alertmanager")
    shutil.copytree(alertmanager_program.parents[1] / share, home / share)
    (home / "bin").mkdir()
    relocate(Path(shutil.copy2(alertmanager_program, home / "bin")))
    return home / "bin" / alertmanager_program.name


@pytest.fixture(scope="session")
def example(root: Path) -> Settings:
    """The settings of handrail.example.yaml."""
    return load(root / "handrail.example.yaml")


@pytest.fixture(scope="session")
def secret_files() -> SecretFiles:
    """Where the rendered configuration says that its secrets are."""
    return SECRET_FILES


@pytest.fixture
def rendered(tmp_path: Path) -> Callable[..., Path]:
    """Renders a configuration: a minimal file with `extra` appended. Returns the folder."""

    def run(extra: str = "", *, secret_files: SecretFiles = SECRET_FILES) -> Path:
        render(parse(MINIMAL + extra, environ={}), tmp_path / "rendered", secret_files)
        return tmp_path / "rendered"

    return run
