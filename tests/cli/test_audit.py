"""`handrail audit` shows the log, exports it, and says which row is not as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alerting.receiver import audit as log
from alerting.receiver.schema import MIGRATIONS
from cli.audit import audit
from handrail.clock import SystemClock
from handrail.database import create_engine, migrate

CONFIG = """
sources: {{n8n: [{{name: main, url: "http://n8n.example", api_key_file: {folder}/key}}]}}
receiver: {{database_url: "sqlite:///{folder}/receiver.sqlite"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A receiver's database with six rows, and a file that names it."""
    (tmp_path / "handrail.yaml").write_text(CONFIG.format(folder=tmp_path))
    engine = create_engine(f"sqlite:///{tmp_path}/receiver.sqlite")
    migrate(engine, MIGRATIONS)
    now = SystemClock().now().timestamp()
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO incidents (id, key, episode, alertname, agent, state, digest, opened_at, last_seen_at, report)"
            " VALUES (7, 'k', 1, 'AgentSilent', 'support-bot', 'firing', '', 0, 0, '{}')"
        )
        rows = [("agent/support-bot", "no [red]answer"), ("agent/invoice", "late"), ("incident/7", None)] * 2
        for number, (subject, reason) in enumerate(rows):
            at = now - (7200 if number < 3 else 0) + number
            audited = {} if reason is None else {"reason": reason}
            log.append(connection, at, actor="ops lead", action="disable requested", subject=subject, **audited)
    engine.dispose()
    return tmp_path


def run(folder: Path, *arguments: str, **more: str) -> Result:
    command, *options = arguments
    return CliRunner().invoke(audit, [command, "--config", str(folder / "handrail.yaml"), *options], **more)


def spoilt(folder: Path, *statements: str) -> None:
    """Done by somebody who may change the schema."""
    engine = create_engine(f"sqlite:///{folder}/receiver.sqlite")
    with engine.begin() as connection:
        for statement in ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete", *statements):
            connection.exec_driver_sql(statement)
    engine.dispose()


def anchor_of(folder: Path) -> str:
    return run(folder, "verify").stdout.split()[-1]


def test_a_log_that_is_whole_is_said_with_its_anchor(folder: Path) -> None:
    """Exit code 0; what is printed is what can be given tomorrow."""
    done = run(folder, "verify")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("6 rows: all as they were written; the last is 6:")
    assert run(folder, "verify", "--anchor", anchor_of(folder)).exit_code == 0


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE id = 2", "row 2: changed: "),
        ("UPDATE audit SET at = at + 1 WHERE id = 6", "row 6: changed: "),
        ("DELETE FROM audit WHERE id = 4", "row 4: removed: row 4 is missing before row 5"),
        ("DELETE FROM audit WHERE id > 4", "row 6: removed: an anchor names it, and the log ends at row 4"),
        ("DELETE FROM audit", "row 6: removed: an anchor names it, and the log ends at row 0"),
    ],
)
def test_what_was_done_to_a_row_is_said(folder: Path, statement: str, said: str) -> None:
    """Exit code 1, the row and the kind; also for an export of the same log, without the database."""
    anchor = anchor_of(folder)
    spoilt(folder, statement)
    done = run(folder, "verify", "--anchor", anchor)
    assert done.exit_code == 1
    assert done.stdout.startswith(said), done.stdout
    (folder / "export.jsonl").write_text(run(folder, "export").stdout)
    offline = run(folder, "verify", "--file", str(folder / "export.jsonl"), "--anchor", anchor)
    assert (offline.exit_code, offline.stdout) == (1, done.stdout)


def test_anchors_are_read_out_of_logs_and_tickets(folder: Path) -> None:
    """Whatever stands around them."""
    anchor = anchor_of(folder)
    spoilt(folder, "DELETE FROM audit WHERE id = 6")
    ticket = f"Owner: finance\n\naudit {anchor[:14]}\n"
    assert run(folder, "verify", "--anchors", "-", input=ticket).exit_code == 1
    event = json.dumps({"event": "audit_anchor", "anchor": anchor})
    assert "held against 1 anchor" in run(folder, "verify", "--anchors", "-", input=event).stdout
    assert run(folder, "verify").exit_code == 0, "which is why anchors are kept"
    assert run(folder, "verify", "--anchor", "6:xyz").exit_code == 2


def test_an_export_that_cannot_be_read_is_said_by_its_line(folder: Path) -> None:
    """A copy that was cut off in the middle of a line."""
    exported = run(folder, "export").stdout
    (folder / "export.jsonl").write_text(exported[:-30])
    done = run(folder, "verify", "--file", str(folder / "export.jsonl"))
    assert done.exit_code == 1
    assert done.stdout.startswith("row 6: unreadable: line 6 of export.jsonl is not a row of the audit log")


def test_rows_are_shown_by_agent_time_and_number(folder: Path) -> None:
    """What is about an agent includes its incidents; what a person typed stays text."""
    about = run(folder, "show", "--agent", "support-bot", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in about] == [1, 3, 4, 6]
    recent = run(folder, "show", "--since", "1h", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in recent] == [4, 5, 6]
    assert json.loads(recent[0])["detail"] == {"reason": "no [red]answer"}
    table = run(folder, "show", "--limit", "3")
    assert "reason: no [red]answer" in table.stdout
    assert len(table.stdout.splitlines()) == 4
    assert run(folder, "show", "--agent", "nobody").stderr == "No such row.\n"


def test_a_receiver_that_never_ran_is_said(tmp_path: Path) -> None:
    """Not a traceback, and no new database."""
    (tmp_path / "handrail.yaml").write_text(CONFIG.format(folder=tmp_path))
    done = run(tmp_path, "verify")
    assert done.exit_code == 1
    assert "the receiver has not run here yet" in done.stderr
    assert not (tmp_path / "receiver.sqlite").exists()
