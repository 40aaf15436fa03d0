"""The exporter runs until SIGTERM or Ctrl-C. This file imports no other part, so that a restart is quick."""

from __future__ import annotations

import sys
from pathlib import Path

import click

import exporter.app
from cli.configuration import config_option, listen_option, load_or_exit
from exporter.opening import LedgerUnusable
from exporter.sole import LedgerTaken
from handrail import logs
from handrail.settings import Settings, load


@click.command("exporter")
@config_option
@listen_option
@click.option("--once", is_flag=True, help="Read every source once, print the metrics, and exit with 1 if one is down.")
def exporter_command(config: Path, listen: str | None, *, once: bool) -> None:
    """Read the sources and serve /metrics. SIGHUP reads the configuration again."""
    settings = _listening(load_or_exit(config), listen)
    logs.configure(sys.stderr)
    try:
        if once:
            _print_once(settings)
        else:
            exporter.app.run(settings, read_again=lambda: _listening(load(config), listen))
    except LedgerTaken as error:
        raise click.ClickException(
            f"{error}; stop it first, or ask it: http://{settings.exporter.listen}/metrics"
        ) from error
    except LedgerUnusable as error:
        raise click.ClickException(str(error)) from error


def _listening(settings: Settings, address: str | None) -> Settings:
    if address is None:
        return settings
    return settings.model_copy(update={"exporter": settings.exporter.model_copy(update={"listen": address})})


def _print_once(settings: Settings) -> None:
    metrics, down = exporter.app.once(settings)
    click.echo(metrics, nl=False)
    for line in down:
        click.echo(line, err=True)
    if down:
        raise SystemExit(1)
