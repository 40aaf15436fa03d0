"""`handrail check` says in one screen what is wrong, and never prints a secret."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from cli.check import check

GOOD = """
sources:
  n8n: [{{name: main, url: "http://127.0.0.1:5678", api_key_file: {key}}}]
agents:
  - {{name: invoice, from: {{n8n: main, workflow: Invoice}}}}
"""


def run(tmp_path: Path, text: str):
    config = tmp_path / "handrail.yaml"
    config.write_text(text)
    return CliRunner().invoke(check, ["--config", str(config)])


def test_a_good_file_is_said_to_be_good(tmp_path):
    """Exit code 0 and what the file holds."""
    key = tmp_path / "key"
    key.write_text("s3cret-value")
    result = run(tmp_path, GOOD.format(key=key))
    assert result.exit_code == 0
    assert "good. 1 source(s), 1 agent(s), 1 SLA(s)" in result.output
    assert "s3cret-value" not in result.output


def test_a_secret_that_cannot_be_read_is_named_by_its_file(tmp_path):
    """Exit code 2 and the file that is missing."""
    result = run(tmp_path, GOOD.format(key=tmp_path / "gone"))
    assert result.exit_code == 2
    assert f"sources.n8n.main.api_key: file {tmp_path / 'gone'} cannot be read" in result.output


def test_every_problem_is_listed_with_its_line(tmp_path):
    """Two mistakes, two lines, one run."""
    text = (
        GOOD.format(key="/k").replace("workflow: Invoice", "workfow: Invoice")
        + "slas: {default: {errors: {ratio: 2}}}\n"
    )
    result = run(tmp_path, text)
    assert result.exit_code == 2
    assert "line 5: agents.0.from.workfow: unknown setting; remove it or mend its spelling" in result.output
    assert "line 5: agents.0.from.workflow: is missing" in result.output
    assert "line 6: slas.default.errors.ratio: 2 has no percent sign; write a percentage such as 2%" in result.output


def test_what_is_no_bot_token_is_said_without_showing_it(tmp_path):
    """The webhook's URL in its place, say; a token that looks like one is taken."""
    secrets = {"key": "k", "hook": "https://hooks.slack.com/services/T0/B0/s3cret", "bot": "xoxb-1-s3cret"}
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
    slack = f"webhook_url_file: {tmp_path}/hook, bot_token_file: {tmp_path}/bot, channel_id: C0123456789"
    text = GOOD.format(key=tmp_path / "key") + f"notify: {{slack: {{{slack}}}}}\n"
    assert run(tmp_path, text).exit_code == 0
    result = run(tmp_path, text.replace("/bot,", "/hook,"))
    assert result.exit_code == 2
    assert f"notify.slack.bot_token: file {tmp_path}/hook holds no bot token, which begins with xoxb-" in result.output
    assert "s3cret" not in result.output
