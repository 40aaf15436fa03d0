"""The `--config` option, and the screen that says everything that is wrong with the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from handrail.fields import ADDRESS
from handrail.settings import Settings, SettingsError, load

F = TypeVar("F", bound=Callable[..., object])


def config_option(command: F) -> F:
    """Adds `--config`, by default `handrail.yaml` in the current folder."""
    option = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("handrail.yaml"),
        show_default=True,
        envvar="HANDRAIL_CONFIG",
        help="The team's configuration file.",
    )
    return option(command)


def listen_option(command: F) -> F:
    """Adds `--listen`: where a part listens, if that is not where the others reach it."""
    option = click.option(
        "--listen",
        metavar="HOST:PORT",
        callback=_address,
        help="Where to listen instead, e.g. on every interface of a container; the others still use the file's.",
    )
    return option(command)


def _address(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.match(ADDRESS, value):
        raise click.BadParameter(f"{value!r} is not host:port, e.g. 0.0.0.0:9095")
    return value


def load_or_exit(path: Path) -> Settings:
    """The settings, or exit code 2 after printing every problem, each with its line and how to mend it."""
    try:
        return load(path)
    except SettingsError as error:
        count = len(error.problems)
        click.echo(f"{path}: {count} problem{'s' if count != 1 else ''}", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        raise SystemExit(2) from error
