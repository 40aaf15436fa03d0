"""One engine, one set of images and one stack for all tests of the containers; measurements are printed at the end."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator

import pytest

from stack import docker
from tests.compose import stand_ins
from tests.compose.engine import Engine, NoEngine, install, install_compose
from tests.compose.line import ROOT, Line

OFFSET = 4700
MEASURED: list[str] = []
UNTESTED = (
    "untested here, where their images are not to be had: Grafana's and n8n's containers, and the very versions of "
    "Prometheus, Alertmanager and Python that the tags name"
)


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A line of progress, seen while it happens."""
    plugins = request.config.pluginmanager
    reporter, capture = plugins.getplugin("terminalreporter"), plugins.getplugin("capturemanager")

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"  {text}", flush=True)

    return line


@pytest.fixture(scope="session")
def cache() -> pathlib.Path:
    """What is made once: base image, Compose, the engine's data."""
    folder = ROOT / ".handrail" / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def engine(cache: pathlib.Path, say: Callable[[str], None]) -> Iterator[Engine]:
    """An engine with the images that `make up` needs."""
    before = {name: os.environ.get(name) for name in ("DOCKER_HOST", "DOCKER_CONFIG")}
    try:
        install(say)
        running = Engine(cache)
        running.start()
    except NoEngine as error:
        pytest.skip(f"no engine of its own can be had here: {error}")
    try:
        try:
            install_compose(cache)
        except NoEngine as error:
            pytest.skip(f"no engine of its own can be had here: {error}")
        stand_ins.make(cache, ROOT / ".handrail", say)
        yield running
    finally:
        running.close()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@pytest.fixture(scope="session")
def line(engine: Engine, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]) -> Iterator[Line]:
    """The simulated world and its stack, as `make up` leaves them."""
    made = Line(tmp_path_factory.mktemp("handrail") / ".handrail", OFFSET, say)
    try:
        say("make up: building the image, starting everything")
        done = made.up()
        assert done.returncode == 0, done.stdout + done.stderr
        say(next(text for text in done.stdout.splitlines() if "every part healthy" in text))
        yield made
    finally:
        with contextlib.suppress(docker.DockerFailed, AssertionError):
            for one in made.compose.containers():
                if not one.healthy:
                    say("\n".join([f"{one.service} is {one.status}:", *made.compose.logs(one.service, 15)]))
        made.down()


@pytest.fixture(scope="session")
def measured() -> list[str]:
    """What is printed at the end."""
    return MEASURED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Measurements, and what was left out."""
    for text in [*MEASURED, *([UNTESTED] if MEASURED else [])]:
        terminalreporter.write_line(text)
