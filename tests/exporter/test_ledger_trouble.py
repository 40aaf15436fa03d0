"""A ledger that is damaged, full, read-only or gone says what to do, and never keeps /metrics from answering."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from drill.simulators.n8n import N8nSimulator
from exporter.app import running
from exporter.health import SourceHealth
from exporter.ledger import Ledger
from exporter.metrics import LedgerCollector
from exporter.opening import LedgerUnusable, opened
from handrail.clock import Clock, SystemClock
from handrail.database import create_engine
from handrail.http import build_client
from handrail.settings import Settings, parse
from tests.exporter.making import CONFIG, SOURCE, batch, call, total

WAIT_S = 20.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def on_disk(file: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{file}")
    yield engine
    engine.dispose()


class Scrapes:
    """A ledger's collector, scraped as often as asked."""

    def __init__(self, ledger: Ledger, config: Settings) -> None:
        self.health = SourceHealth(SOURCE)
        self.registry = CollectorRegistry()
        self.registry.register(LedgerCollector(config, ledger, [self.health]))

    def __call__(self) -> dict[str, float]:
        lines = generate_latest(self.registry).decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def damage(file: Path, engine: Engine) -> None:
    """Overwrite everything but the first page, as a disk that loses its mind."""
    engine.dispose()
    content = bytearray(file.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    file.write_bytes(content)


def with_pragma(engine: Engine, pragma: str) -> None:
    """Every connection from now on has it."""
    engine.dispose()
    event.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}"))


def test_a_damaged_ledger_is_left_out_of_a_scrape(file: Path, on_disk: Engine, config: Settings, clock: Clock) -> None:
    """The sources' health and what is wrong are shown; no count is, least of all one that fell to 0."""
    ledger = Ledger(on_disk, config, clock)
    ledger.commit(SOURCE, batch(call(1)))
    scrape = Scrapes(ledger, config)
    assert (scrape()["handrail_ledger_up"], scrape()["handrail_ledger_calls"]) == (1, 1)
    damage(file, on_disk)
    shown = scrape()
    assert shown["handrail_ledger_up"] == 0
    assert shown['handrail_ledger_errors_total{reason="corrupt"}'] >= 1
    assert shown['handrail_source_up{source="n8n/main"}'] == 0
    assert not [name for name in shown if name.startswith(("handrail_calls", "handrail_agent", "handrail_source_last"))]


def test_a_ledger_that_works_again_is_shown_again(on_disk: Engine, config: Settings, clock: Clock, file: Path) -> None:
    """Nothing has to be restarted, and nothing was lost."""
    ledger = Ledger(on_disk, config, clock)
    ledger.commit(SOURCE, batch(call(1)))
    scrape = Scrapes(ledger, config)
    scrape()
    on_disk.dispose()
    whole = file.read_bytes()
    damage(file, on_disk)
    assert scrape()["handrail_ledger_up"] == 0
    on_disk.dispose()
    file.write_bytes(whole)
    shown = scrape()
    assert shown["handrail_ledger_up"] == 1
    assert shown['handrail_calls_total{agent="a",model="unknown",outcome="success",source="n8n/main"}'] == 1


@pytest.mark.parametrize(
    ("pragma", "reason"), [("query_only=ON", "read_only"), ("max_page_count=1", "full")], ids=["read-only", "full"]
)
def test_a_ledger_that_takes_no_more_is_down_and_still_shown(
    on_disk: Engine, config: Settings, clock: Clock, pragma: str, reason: str
) -> None:
    """What is there can be read, so it is shown; that nothing is added is said by ledger_up and the error's reason."""
    ledger = Ledger(on_disk, config, clock)
    ledger.commit(SOURCE, batch(call(1)))
    scrape = Scrapes(ledger, config)
    scrape()
    with_pragma(on_disk, pragma)
    with pytest.raises(SQLAlchemyError):
        ledger.commit(SOURCE, batch(*(call(n, url="x" * 5000) for n in range(2, 9))))
    assert total(ledger.snapshot(), "calls") == 1
    shown = scrape()
    assert (shown["handrail_ledger_up"], shown[f'handrail_ledger_errors_total{{reason="{reason}"}}']) == (0, 1)
    assert shown['handrail_calls_total{agent="a",model="unknown",outcome="success",source="n8n/main"}'] == 1


def settings_at(file: Path, url: str = "http://n8n.test", extra: str = "") -> Settings:
    return parse(text_at(file, url, extra))


def text_at(file: Path, url: str = "http://n8n.test", extra: str = "") -> str:
    (file.parent / "key").write_text("n8n-key")
    return CONFIG.replace("api_key_env: KEY", f"api_key_file: {file.parent}/key, discover: true, poll_interval: 1s") + (
        f'exporter: {{listen: "127.0.0.1:0", database_url: "sqlite:///{file}"{extra}}}\n'
    ).replace("http://n8n.test", url)


@pytest.mark.parametrize("content", [b"not a database at all" * 400, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_file_that_is_no_ledger_is_refused_in_one_line(file: Path, clock: Clock, content: bytes) -> None:
    """It says which file, why, and what to do; the file stays as it is."""
    file.write_bytes(content)
    what = r"ledger\.sqlite: .*; the database is damaged\. Stop the program, move"
    with pytest.raises(LedgerUnusable, match=what), opened(settings_at(file), clock):
        pass
    assert file.read_bytes() == content


def test_a_damaged_table_is_found_at_the_start(file: Path, on_disk: Engine, config: Settings, clock: Clock) -> None:
    """Everything that a scrape reads is read once before the exporter says that it has started."""
    Ledger(on_disk, config, clock).commit(SOURCE, batch(call(1)))
    damage(file, on_disk)
    with pytest.raises(LedgerUnusable, match="damaged"), opened(settings_at(file), clock):
        pass


def test_a_password_is_not_shown(clock: Clock) -> None:
    """The address of a PostgreSQL that does not answer is named without it."""
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://handrail:hunter2@127.0.0.1:1/ledger"
    config = parse(CONFIG + f'exporter: {{database_url: "{url}"}}\n')
    with pytest.raises(LedgerUnusable) as found, opened(config, clock):
        pass
    assert "127.0.0.1:1/ledger" in str(found.value)
    assert "hunter2" not in str(found.value)


def test_a_read_only_folder_ends_the_exporter_with_one_line(file: Path, root: Path) -> None:
    """Exit code 1, what to do, and no traceback; also as root, here without the power to override permissions."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and setpriv is None:
        pytest.skip("root may write everything, and setpriv is not here to take that away")
    config = file.parent / "handrail.yaml"
    config.write_text(text_at(file))
    drop = [setpriv, "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 and setpriv else []
    file.parent.chmod(0o555)
    try:
        ended = subprocess.run(
            [*drop, sys.executable, "-m", "cli", "exporter", "--config", str(config)],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        file.parent.chmod(0o755)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "Let the program's account write the file and its folder" in ended.stderr


def eventually(condition: Callable[[], bool]) -> bool:
    pause = threading.Event()
    return any(condition() or pause.wait(0.05) for _ in range(int(WAIT_S * 20)))


@contextmanager
def smaller_files(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond the limit, as on a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_without_room_stops_nothing_and_loses_nothing(tmp_path: Path, file: Path) -> None:
    """While it is full /metrics answers and the source is retried; once there is room every call is counted."""
    n8n = N8nSimulator(SystemClock())
    workflow = n8n.add_workflow("Helper")
    with (
        running(settings_at(file), transport=httpx.WSGITransport(app=n8n)) as exporter,
        build_client(base_url=f"http://127.0.0.1:{exporter.port}", timeout_s=5) as client,
    ):

        def shows(text: str) -> Callable[[], bool]:
            return lambda: text in client.get("/metrics").text

        assert eventually(shows('handrail_source_up{source="n8n/main"} 1.0'))
        with smaller_files(file.stat().st_size):
            for _ in range(5):
                n8n.call(workflow)
            assert eventually(shows("handrail_ledger_up 0.0"))
            assert client.get("/metrics").status_code == 200
        assert eventually(shows('outcome="success",source="n8n/main"} 5.0'))
        assert eventually(shows("handrail_ledger_up 1.0"))
