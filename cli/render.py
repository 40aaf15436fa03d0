"""`handrail render`: the rules, Alertmanager's and Prometheus' configuration from the team's file."""

from __future__ import annotations

from pathlib import Path

import click

from alerting.render import SecretFiles
from alerting.render import render as render_configuration
from cli.configuration import config_option, load_or_exit
from handrail.secret import Secret


@click.command()
@config_option
@click.option(
    "--to", "target", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write."
)
def render(config: Path, target: Path) -> None:
    """Write the rules and configurations for Prometheus and Alertmanager."""
    settings = load_or_exit(config)
    secret_files = SecretFiles.of(settings, _file)
    render_configuration(settings, target, secret_files)
    click.echo(f"written to {target}")


def _file(_: str, secret: Secret) -> Path:
    if secret.file is None:
        raise click.UsageError("Alertmanager reads secrets from files only: name them with …_file, not …_env")
    return secret.file
