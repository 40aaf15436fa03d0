"""Where nothing secret or personal may get: looked through after everything that can be planted was planted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from alerting.receiver.schema import audit, inbox, incidents, outbox, quarantine
from cli.main import main
from tests import redaction_corpus as corpus

PLANTED = corpus.planted()
_CONFIG = """
sources: {{n8n: [{{name: main, url: "http://n8n.example", api_key_file: {folder}/key}}]}}
receiver: {{database_url: "{database}"}}
"""
_COMMANDS = ("audit export", "audit show --json", "audit show --limit 9", "outbox list", "outbox list --json")


def chunks(most: int, glue: str = "\n", texts: list[str] | None = None) -> list[str]:
    """All planted texts that fit, in as few texts of at most so many characters as it takes."""
    found, text = [], ""
    for planted in texts or [planted.text for planted in PLANTED]:
        if len(planted) > most:
            continue
        if len(text) + len(planted) + len(glue) > most:
            found.append(text)
            text = ""
        text += planted + glue
    return [*found, text]


EVERYTHING = "".join(chunks(100_000))
LINES, TEXTS = chunks(200), [planted.text for planted in PLANTED]
URLS = [
    f"https://n8n.example/?x={each}" for each in chunks(1_900, "&x=", [t for t in TEXTS if not set(t) & set(" \n")])
]
# Every field that holds text, and how much of it; those that are lists have it in each of their rows.
FIELDS = {
    "task": 10_000,
    "tool_error": 100_000,
    "prompt": 100_000,
    "response": 100_000,
    "run_id": 200,
    "model": 200,
    "model_version": 200,
    "trace_id": 200,
    "execution_id": 200,
    "steps": 1_000,
    "decision": 2_000,
    "customer_impact": 2_000,
}


def leaks(text: str) -> list[tuple[str, str]]:
    """What of the planted is in a text, as it is or as JSON and HTML write it."""
    spelt = (text, text.replace("\\n", "\n").replace('\\"', '"').replace("&#34;", '"').replace("&amp;", "&"))
    return [(p.kind, p.text) for p in PLANTED if any(p.secret in each for each in spelt)]


def on_disk(bench: Any) -> str:
    """Every byte of the database, with its write-ahead log."""
    return files_of(bench.settings.receiver.database_url)


def files_of(database_url: str) -> str:
    """Every byte of an SQLite database; nothing of another one."""
    path = Path(database_url.removeprefix("sqlite:///"))
    files = [file for file in path.parent.glob(path.name + "*") if file.is_file()]
    return b"".join(file.read_bytes() for file in files).decode("utf-8", "replace")


def shown(bench: Any) -> str:
    """What programs and people are answered."""
    paths = ("/", "/metrics", "/v1/agents", "/v1/incidents", "/v1/agents/invoice", "/agents/support-bot/switch")
    paths += ("/runbook/AgentErrorRatioHigh?agent=invoice",)
    paths += ("/?agent=support-bot", "/?agent=invoice")
    assert bench.sign_in().status_code == 303
    answers = [bench.client.get(path) for path in paths]
    assert all(answer.status_code == 200 for answer in answers)
    answers.append(bench.operate("GET", "/v1/agents/support-bot/kills"))
    return "\n".join(answer.text for answer in answers)


def commanded(bench: Any) -> str:
    """What the commands print of the audit log and of the outbox."""
    folder = Path(bench.env_file).parent
    config = folder / "handrail.yaml"
    config.write_text(_CONFIG.format(folder=folder, database=bench.settings.receiver.database_url))
    said = []
    for command in _COMMANDS:
        result = CliRunner().invoke(main, [*command.split()[:2], "--config", str(config), *command.split()[2:]])
        assert result.exit_code == 0, result.output
        said.append(result.output)
    return "\n".join(said)


def in_jira(bench: Any) -> str:
    """All that Jira was told: issues, comments, links and attachments."""
    attached = [content.decode() for issue in bench.jira.issues for content in issue.attachments.values()]
    return "\n".join([repr(bench.jira.issues), *attached])


def assert_nothing_leaked(bench: Any, log: Any) -> None:
    """Neither the database nor Jira, the log, pages, metrics or commands say anything that was planted."""
    rows = [row for table in (audit, inbox, incidents, outbox, quarantine) for row in bench.rows(table)]
    assert leaks("\n".join(str(value) for row in rows for value in row)) == []
    assert leaks(on_disk(bench)) == []
    assert leaks(log.getvalue()) == []
    assert leaks(in_jira(bench)) == []
    assert leaks(shown(bench)) == []
    assert leaks(commanded(bench)) == []
