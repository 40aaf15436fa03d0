"""Finds the real tools. Each version found is one parameter of a test; a test without any is skipped and says why.

Looked through: the folders in HANDRAIL_TOOLS (separated by colons), PATH, and what `make up` unpacked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerting.outputs.documents import Output
from alerting.outputs.prometheus import PrometheusFiles
from alerting.render import SecretFiles, render
from handrail.http import build_client
from handrail.secret import Secret
from handrail.settings import Settings, load, parse
from stack.tools import relocate
from tests.alerting.running_alertmanager import Live, outside, started

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
PLAIN = PrometheusFiles()
MINIMAL = "sources: {n8n: [{name: main, url: http://n8n.test, api_key_env: N8N_KEY}]}\n"


def place(name: str, _: Secret) -> Path:
    """Where the rendered configuration says that a secret is."""
    return Path("/run/secrets") / ("handrail_webhook_token" if name == "webhook_token" else name)


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


def _numbers(name: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", name)]


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
        # While one works on something the newest must do; `make test-slow` takes every version.
        newest = max(versions, key=_numbers, default=None)
        params = [
            pytest.param(path, id=name, marks=[] if name == newest else [pytest.mark.slow])
            for name, path in sorted(versions.items())
        ] or [missing]
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


@pytest.fixture(scope="session")
def rendered_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Renders a minimal file with `extra` appended, the same one only once. Do not write there."""

    folders: dict[str, Path] = {}

    def run(extra: str = "", output: Output = PLAIN) -> Path:
        key = f"{output!r} {extra}"
        if key not in folders:
            settings, folders[key] = parse(MINIMAL + extra, environ={}), tmp_path_factory.mktemp("rendered")
            render(settings, folders[key], SecretFiles.of(settings, place), output)
        return folders[key]

    return run


@pytest.fixture(scope="session")
def example_rendered(example: Settings, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Renders the example, each format only once. Do not write there."""

    folders: dict[str, Path] = {}

    def run(output: Output = PLAIN) -> Path:
        if repr(output) not in folders:
            folders[repr(output)] = tmp_path_factory.mktemp("example")
            render(example, folders[repr(output)], SECRET_FILES, output)
        return folders[repr(output)]

    return run


@pytest.fixture
def rendered(tmp_path: Path, rendered_once: Callable[..., Path]) -> Callable[..., Path]:
    """Renders a configuration: a minimal file with `extra` appended. Returns a folder of the test's own."""

    def run(extra: str = "", *, secret_files: SecretFiles | None = None) -> Path:
        folder = tmp_path / "rendered"
        if secret_files is None:
            return Path(shutil.copytree(rendered_once(extra), folder, dirs_exist_ok=True))
        render(parse(MINIMAL + extra, environ={}), folder, secret_files)
        return folder

    return run


@pytest.fixture(scope="module")
def live(own_alertmanager: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Alertmanager of one version, which waits hardly at all before it tells; every test has agents of its own."""
    folder = tmp_path_factory.mktemp("live")
    with outside() as world, build_client() as client:
        secrets = {"webhook_token": "token-of-the-webhook\n", "pager_token": "token-of-the-pager\n"}
        for name, value in {**secrets, "slack": world.slack_url}.items():
            (folder / name).write_text(value)
        settings = parse(
            MINIMAL
            + f"""
notify:
  slack: {{webhook_url_file: {folder}/slack}}
  email: {{smarthost: "{world.smarthost}", from: handrail@example.com, to: [on-call@example.com], require_tls: false}}
  webhook: {{url: "{world.url}/pager", token_file: {folder}/pager_token}}
  group_wait: 100ms
  group_interval: 1s
tickets: {{jira: {{url: "http://jira.test", project: OPS, token_file: {folder}/pager_token}}}}
receiver:
  listen: "{world.url.removeprefix("http://")}"
  public_url: http://handrail.test
  webhook_token_file: {folder}/webhook_token
""",
            environ={},
        )
        render(settings, folder, SecretFiles.of(settings, lambda _, secret: secret.file or folder))
        with started(own_alertmanager, folder / "alertmanager.yml", client) as url:
            yield Live(url, world, client)
