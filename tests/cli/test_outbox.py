"""`handrail outbox` shows what was given up, tries it again or drops it, and says who did that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, select

from alerting.receiver import outbox as queue
from alerting.receiver.schema import MIGRATIONS, audit, outbox
from cli.outbox import outbox as command
from handrail.clock import SystemClock
from handrail.database import create_engine, migrate

CONFIG = """
sources: {{n8n: [{{name: main, url: "http://n8n.example", api_key_file: {folder}/key}}]}}
receiver: {{database_url: "sqlite:///{folder}/receiver.sqlite"}}
"""
REFUSED = "labels: cannot be set\x1b[31m, it is not on the screen"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A receiver's database: item 1 was given up, item 2 waits behind it, item 3 is done; item 4 was given up too."""
    (tmp_path / "handrail.yaml").write_text(CONFIG.format(folder=tmp_path))
    engine = opened(tmp_path)
    migrate(engine, MIGRATIONS)
    then = SystemClock().now().timestamp() - 3 * 3600
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO incidents (id, key, episode, alertname, agent, state, digest, opened_at, last_seen_at, report)"
            " VALUES (7, 'k', 1, 'AgentSilent', 'support-bot', 'firing', '', 0, 0, '{}')"
        )
        for kind, subject in (("open", "a"), ("comment", "a"), ("open", "b"), ("open", "c")):
            queue.put(connection, lane="tickets", kind=kind, subject=subject, payload={"incident": 7}, run_at=then)
        dead = outbox.update().where(outbox.c.id.in_([1, 4])).values(state="dead", attempts=3, last_error=REFUSED)
        connection.execute(dead)
        connection.execute(outbox.update().where(outbox.c.id == 3).values(state="done"))
    engine.dispose()
    return tmp_path


def opened(folder: Path) -> Engine:
    return create_engine(f"sqlite:///{folder}/receiver.sqlite")


def run(folder: Path, *arguments: str) -> Result:
    name, *options = arguments
    return CliRunner().invoke(command, [name, "--config", str(folder / "handrail.yaml"), *options])


def states(folder: Path) -> dict[int, str]:
    engine = opened(folder)
    with engine.connect() as connection:
        found = {row.id: row.state for row in connection.execute(select(outbox))}
    engine.dispose()
    return found


def audited(folder: Path) -> list[tuple[str, str, str, dict[str, object]]]:
    engine = opened(folder)
    with engine.connect() as connection:
        rows = connection.execute(select(audit).order_by(audit.c.id)).all()
    engine.dispose()
    return [(row.actor, row.action, row.subject, json.loads(row.detail)) for row in rows]


def test_the_list_says_what_why_and_since_when(folder: Path) -> None:
    """What is done is not shown, and what a service answered moves no cursor."""
    shown = run(folder, "list").output
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["1", "2", "4"]
    assert "dead" in shown
    assert "AgentSilent support-bot (incident 7)" in shown
    assert "3h" in shown
    assert "it is not on the screen" in shown
    assert "\x1b" not in shown
    assert [line.split()[0] for line in run(folder, "list", "--dead").output.splitlines()[1:]] == ["1", "4"]


def test_the_list_as_json_has_every_field(folder: Path) -> None:
    """For scripts: states, seconds and the reason as they are."""
    first, second, _ = json.loads(run(folder, "list", "--json").output)
    assert (first["state"], first["due_s"]) == ("dead", None)
    assert (first["id"], first["lane"], first["kind"], first["incident"]) == (1, "tickets", "open", 7)
    assert (first["about"], first["agent"], first["attempts"]) == ("AgentSilent", "support-bot", 3)
    assert first["last_error"] == REFUSED
    assert first["age_s"] == pytest.approx(3 * 3600, abs=60)
    assert (second["state"], second["due_s"], second["last_error"]) == ("ready", 0.0, None)


def test_a_retried_item_is_due_again_for_another_day_before_what_waits_behind_it(folder: Path) -> None:
    """In its old place, with who asked for it in the audit log."""
    assert run(folder, "retry", "1", "--by", "ops lead").output.startswith("1 item is due again")
    engine, clock = opened(folder), SystemClock()
    item = queue.Outbox(engine, clock).claim("tickets")
    engine.dispose()
    assert item is not None
    assert (item.id, item.attempts) == (1, 4)
    assert item.created_at == pytest.approx(clock.now().timestamp(), abs=60)
    ((actor, action, subject, detail),) = audited(folder)
    assert (actor, action, subject, detail["item"]) == ("ops lead", "tickets/open retry asked for", "incident/7", 1)


def test_dropping_needs_a_reason_which_is_kept(folder: Path) -> None:
    """Nobody lets a ticket go without a word."""
    assert run(folder, "drop", "1").exit_code == 2
    assert run(folder, "drop", "1", "--reason", " ").exit_code == 2
    assert states(folder)[1] == "dead"
    assert run(folder, "drop", "1", "4", "--reason", "opened by hand", "--by", "ops lead").exit_code == 0
    assert (states(folder)[1], states(folder)[4]) == ("dropped", "dropped")
    assert [(actor, detail["reason"]) for actor, _, _, detail in audited(folder)] == [
        ("ops lead", "opened by hand")
    ] * 2


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (["99"], "there is no item 99"),
        (["2"], "2 waits"),
        (["3"], "3 is done"),
        (["1", "2", "99"], "2 waits; there is no item 99"),
    ],
)
@pytest.mark.parametrize("command_line", [["retry"], ["drop", "--reason", "x"]])
def test_what_is_no_dead_letter_is_refused_and_nothing_is_changed(folder, ids, text, command_line) -> None:
    """Not even the items of the same command that are dead letters."""
    before = states(folder)
    failed = run(folder, *command_line, *ids)
    assert failed.exit_code == 1
    assert f"{text}. Nothing was changed; handrail outbox list shows what there is" in failed.output
    assert states(folder) == before
    assert audited(folder) == []


@pytest.mark.parametrize("command_line", [["list"], ["retry", "1"], ["drop", "1", "--reason", "x"]])
def test_where_no_receiver_ran_that_is_said_and_nothing_is_made(tmp_path: Path, command_line) -> None:
    """A wrong folder must not look like an empty outbox."""
    (tmp_path / "handrail.yaml").write_text(CONFIG.format(folder=tmp_path))
    failed = run(tmp_path, *command_line)
    assert failed.exit_code == 1
    assert "the receiver has not run here yet" in failed.output
    assert not (tmp_path / "receiver.sqlite").exists()


def test_without_a_name_it_is_the_account(folder: Path) -> None:
    """Whoever is logged in."""
    import getpass

    assert run(folder, "retry", "4").exit_code == 0
    assert audited(folder)[0][0] == getpass.getuser()
