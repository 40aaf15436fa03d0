"""`handrail render`: the rules, Alertmanager's and Prometheus' configuration from the team's file."""

from __future__ import annotations

from pathlib import Path

import click

from alerting.render import SecretFiles
from alerting.render import render as render_configuration
from cli.configuration import config_option, load_or_exit


@click.command()
@config_option
@click.option(
    "--to", "target", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write."
)
def render(config: Path, target: Path) -> None:
    """Write the rules and configurations for Prometheus and Alertmanager."""
    settings = load_or_exit(config)
    slack = settings.notify.slack
    webhook_token = settings.receiver.webhook_token.file
    if webhook_token is None or (slack and slack.webhook_url.file is None):
        raise click.UsageError("Alertmanager reads secrets from files only: name them with …_file, not …_env")
    secret_files = SecretFiles(webhook_token=webhook_token, slack_webhook_url=slack.webhook_url.file if slack else None)
    render_configuration(settings, target, secret_files)
    click.echo(f"written to {target}")
