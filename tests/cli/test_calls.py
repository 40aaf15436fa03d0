"""`handrail calls` shows what the ledger holds, on narrow terminals and to programs, and says why when it cannot."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len
from rich.console import Console
from sqlalchemy import text

from cli.calls import calls
from cli.calls_table import CallsTable, Layout
from exporter.calls import TokenUsage
from exporter.calls_view import CallsView, Wanted
from exporter.migrations import MIGRATIONS
from handrail.database import create_engine, migrate
from tests.cli.calls_ledger import config_in, made, settings_in, store


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(calls, ["--config", str(config_in(folder)), *arguments])


def shown(folder: Path, *arguments: str) -> list[str]:
    """The executions in the order they are shown."""
    result = run(folder, "--output", "json", *arguments)
    assert result.exit_code == 0, result.output
    return [row["execution"] for row in json.loads(result.stdout)]


def test_the_last_calls_are_shown_in_the_order_they_ended(tmp_path: Path) -> None:
    """The newest stands next to the prompt; --limit keeps the last ones."""
    store(tmp_path, [made(3, ago_s=10), made(1, ago_s=30), made(2, ago_s=20)])
    assert shown(tmp_path) == ["1", "2", "3"]
    assert shown(tmp_path, "--limit", "2") == ["2", "3"]


def test_filters_hold_together(tmp_path: Path) -> None:
    """Agent, time, errors and slowness; slow is what the agent's own SLA says."""
    store(
        tmp_path,
        [
            made(1, ago_s=7300),
            made(2, ago_s=50, seconds=6, error_reason="timeout"),
            made(3, ago_s=40, seconds=6),
            made(4, ago_s=30, error_reason="auth"),
            made(5, ago_s=20, seconds=6, agent="research"),
            made(6, ago_s=10, seconds=61, agent="research"),
            made(7, ago_s=5, seconds=5, agent="discovered"),
        ],
    )
    assert shown(tmp_path, "--since", "2h") == ["2", "3", "4", "5", "6", "7"]
    assert shown(tmp_path, "--errors") == ["2", "4"]
    assert shown(tmp_path, "--slow") == ["2", "3", "6"]
    assert shown(tmp_path, "--slow", "--errors") == ["2"]
    assert shown(tmp_path, "research") == shown(tmp_path, "--agent", "research") == ["5", "6"]
    assert run(tmp_path, "research", "--agent", "invoices").exit_code == 2


def test_a_period_needs_a_unit(tmp_path: Path) -> None:
    """As in the configuration, and the message shows how."""
    result = run(tmp_path, "--since", "2")
    assert result.exit_code == 2
    assert "write a whole number with a unit, e.g. 5s, 10m, 1h30m, 7d" in result.output


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_a_table_fits_the_terminal_and_says_in_words_what_is_wrong(tmp_path: Path, width: int) -> None:
    """No line is longer than the terminal, none breaks, and slow, failed, estimated and unknown need no colour."""
    bad = made(
        81234,
        seconds=62.5,
        error_reason="invalid_output",
        agent="an-agent-with-a-rather-long-name",
        model="@cf/meta/llama-3.3-70b-instruct-fp8-fast",
        tokens=TokenUsage(123_456, 1_234_567, "estimate"),
        confidence=1.0,
        tool_calls=12,
        tool_errors=3,
    )
    store(tmp_path, [bad, made(2)])
    rows = CallsView(settings_in(tmp_path)).recent(Wanted(), limit=10)
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    layout = Layout.of(width, agents={row.agent for row in rows}, one_agent=False)
    CallsTable(console, layout, zone=None).show(rows)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # it is the StringIO
    visible = [Console().render_str(line).plain for line in lines]
    date, heading, slow, fine = [_without_links(line) for line in visible]
    assert all(cell_len(line.rstrip()) <= width for line in (date, heading, slow, fine))
    assert "62.5s SLOW" in slow
    assert ("FAILED invalid_output" if width >= 110 else "!invalid_output") in slow
    assert "~123k/1.2M" in slow
    assert "?" in fine.split()
    assert "ok" in fine.split()
    assert ("12 (3 bad)" if width >= 110 else "12/3") in slow
    assert "81234" in slow


def _without_links(line: str) -> str:
    """The text without the escapes of links, of which a terminal shows nothing."""
    out, rest = "", line
    while "\x1b]8;" in rest:
        before, _, after = rest.partition("\x1b]8;")
        out, rest = out + before, after.partition("\x1b\\")[2]
    return out + rest


def test_programs_get_every_column(tmp_path: Path) -> None:
    """csv and json hold the same values, with times in UTC and durations in seconds."""
    store(tmp_path, [made(1, seconds=6.5, tokens=TokenUsage(10, None, "actual"))])
    (row,) = json.loads(run(tmp_path, "--output", "json").stdout)
    (line,) = csv.DictReader(io.StringIO(run(tmp_path, "--output", "csv").stdout))
    assert (row["duration_seconds"], row["slow"], row["tokens_in"], row["tokens_out"]) == (6.5, True, 10, None)
    assert row["finished_at"].endswith("+00:00")
    assert line == {name: "" if value is None else str(value) for name, value in row.items()}


def test_a_piped_table_holds_links_that_can_be_copied(tmp_path: Path) -> None:
    """A file shows no link behind a number."""
    store(tmp_path, [made(1)])
    assert "http://n8n.test/workflow/w/executions/1" in run(tmp_path).stdout


def test_names_from_outside_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Escapes in a model's name are gone."""
    store(tmp_path, [made(1, model="gpt\x1b[2J\x07-4")])
    assert "gpt[2J-4" in run(tmp_path).stdout
    assert "\x1b" not in run(tmp_path).stdout


def test_no_ledger_says_who_makes_one(tmp_path: Path) -> None:
    """Exit code 1, and nothing is created by looking."""
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "there is no ledger at" in result.output
    assert "make up" in result.output
    assert not (tmp_path / "ledger.sqlite").exists()


def test_an_empty_ledger_and_an_unknown_agent_are_explained(tmp_path: Path) -> None:
    """What to do next, on the error stream, so that json stays json."""
    store(tmp_path, [])
    empty = run(tmp_path, "--output", "json")
    assert (empty.exit_code, json.loads(empty.stdout)) == (0, [])
    assert "No calls yet" in empty.stderr
    store(tmp_path, [made(1)])
    assert "There are calls of: invoices" in run(tmp_path, "invoces").stderr


@pytest.mark.parametrize(("version", "said"), [(len(MIGRATIONS) - 1, "older"), (len(MIGRATIONS) + 1, "newer")])
def test_another_schema_is_neither_read_nor_migrated(tmp_path: Path, version: int, said: str) -> None:
    """The exporter migrates; looking changes nothing."""
    engine = create_engine(settings_in(tmp_path).exporter.database_url)
    migrate(engine, MIGRATIONS[:version])
    with engine.begin() as connection:
        connection.execute(text("INSERT OR IGNORE INTO schema_migrations VALUES (:v)"), {"v": version})
    result = run(tmp_path)
    assert result.exit_code == 1
    assert f"schema {version} of {'an' if said == 'older' else 'a'} {said} Handrail" in result.output
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT max(version) FROM schema_migrations")) == version
    engine.dispose()


def test_a_writer_in_the_middle_of_its_work_holds_nobody_up(tmp_path: Path) -> None:
    """While the exporter holds the write lock, what was committed before is shown."""
    store(tmp_path, [made(1)])
    engine = create_engine(settings_in(tmp_path).exporter.database_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM calls"))
        assert shown(tmp_path) == ["1"]
        connection.rollback()
    engine.dispose()


class Following:
    """`handrail calls --follow --output json` as a process of its own, its lines as they arrive."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "cli", "calls", "--follow", "--output", "json", *arguments]
        self.process = subprocess.Popen(
            [*command, "--config", str(config_in(folder))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.rows: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._arrived:
                self.rows.append(json.loads(line))
                self._arrived.notify_all()

    def wait_for(self, count: int) -> list[str]:
        """The executions so far, once there are so many."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.rows) >= count, timeout=60), self.rows
            return [row["execution"] for row in self.rows]

    def end(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=20)
        self._reader.join(timeout=20)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code


def test_following_shows_every_call_once_in_the_order_it_came_in(tmp_path: Path) -> None:
    """First the last ones, then what several writers commit, whenever it ended; Ctrl-C ends it quietly."""
    store(tmp_path, [made(1, ago_s=100), made(2, ago_s=90)])
    following = Following(tmp_path, "--limit", "1")
    assert following.wait_for(1) == ["2"]
    store(tmp_path, [made(3), made(4, ago_s=3600)])
    assert following.wait_for(3) == ["2", "4", "3"]
    writers = [
        threading.Thread(target=lambda start=start: [store(tmp_path, [made(start + n)]) for n in range(5)])
        for start in (100, 200, 300)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    store(tmp_path, [made(999)])
    arrived = following.wait_for(19)
    assert following.end() == 130
    assert len(following.rows) == 19
    assert sorted(arrived[3:18]) == sorted(str(start + n) for start in (100, 200, 300) for n in range(5))
    assert arrived[-1] == "999"


def test_following_waits_for_a_ledger_that_goes_away(tmp_path: Path) -> None:
    """While the stack starts anew there may be no ledger; its first call is shown all the same."""
    store(tmp_path, [made(1, ago_s=100)])
    following = Following(tmp_path)
    following.wait_for(1)
    for path in tmp_path.glob("ledger.sqlite*"):
        path.unlink()
    os.sync()
    store(tmp_path, [made(1)])
    assert following.wait_for(2) == ["1", "1"]
    assert following.end() == 130
