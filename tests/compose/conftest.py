"""One engine, one set of images and one stack for all tests of the containers; measurements are printed at the end."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from subprocess import PIPE, STDOUT, Popen

import pytest

from drill.scenarios import SCENARIOS
from stack import docker, simulated
from tests.compose.breaking import FAULTS, name_of
from tests.compose.engine import Engine, NoEngine
from tests.compose.line import ROOT, Incident, Line
from tests.compose.usable import usable_engine

OFFSET = 4700
MEASURED: list[str] = []
UNTESTED = (
    "untested here, where their images are not to be had: Grafana itself, n8n's container, and the very versions of "
    "Prometheus, Alertmanager and Python that the tags name"
)


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A line of progress with the seconds since the beginning, seen while it happens."""
    plugins = request.config.pluginmanager
    reporter, capture = plugins.getplugin("terminalreporter"), plugins.getplugin("capturemanager")
    began = time.monotonic()

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"  {time.monotonic() - began:4.0f} s  {text}", flush=True)

    return line


@pytest.fixture(scope="session")
def ended_in_order() -> Iterator[None]:
    """Who ends the tests with SIGTERM, as a time limit does, leaves no container and no engine behind."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pytest.exit("ended by SIGTERM", returncode=143)

    before = signal.signal(signal.SIGTERM, end)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def engine(ended_in_order: None, say: Callable[[str], None]) -> Iterator[Engine]:
    """An engine with the images that `make up` needs; without one, the tests are skipped with the reason."""
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(usable_engine(ROOT / ".handrail", say, install=True))
        except NoEngine as error:
            say(f"no containers here: {error}")
            pytest.skip(f"no containers here: {error}")


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
        made.close()


@pytest.fixture(scope="session")
def drill(line: Line) -> Iterator[Mapping[str, Popen[str]]]:
    """Every scenario at once, as each has an agent of its own. Meanwhile tests may look at the stack."""
    line.say("the drill begins")
    command = [sys.executable, "-m", "cli", "drill", "--config", str(simulated.config_file(line.state))]
    command += ["--port-offset", str(line.offset), "--state", str(line.state), "--only"]
    playing = {name: Popen([*command, name], cwd=ROOT, stdout=PIPE, stderr=STDOUT, text=True) for name in SCENARIOS}
    yield playing
    for process in playing.values():
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def quick(line: Line) -> Line:
    """The same with a Prometheus that looks every second: what breaks is felt and mended sooner."""
    line.quicken()
    return line


@pytest.fixture(scope="session")
def incidents(quick: Line) -> Callable[[str, tuple[str, ...]], Incident]:
    """One for each way to break a part, of an agent of its own, which is watched before anything breaks."""
    names = [name_of(how, parts) for how, all_of_them in FAULTS.items() for parts in all_of_them]
    made = {incident.agent: incident for incident in quick.agents(names)}
    return lambda how, parts: made[name_of(how, parts)]


@pytest.fixture(scope="session")
def measured() -> list[str]:
    """What is printed at the end."""
    return MEASURED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Measurements, and what was left out."""
    for text in [*MEASURED, *([UNTESTED] if MEASURED else [])]:
        terminalreporter.write_line(text)
