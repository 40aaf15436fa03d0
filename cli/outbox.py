"""`handrail outbox`: what waits to be delivered, what was given up, and what a person does about it."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine

from alerting.receiver import dead_letters
from alerting.receiver.dead_letters import Letter, NotDead
from cli.configuration import config_option
from cli.receiver_database import plain, with_database
from handrail.clock import SystemClock
from handrail.database import create_engine, open_to_read
from handrail.quantities import format_duration

_WHAT = "the outbox"
_by = click.option("--by", default=getpass.getuser, show_default="your account", help="Who you are, for the audit log.")
_ids = click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)


@click.group()
def outbox() -> None:
    """Show what waits for Jira and for the switches, and try again or drop what was given up."""


@outbox.command("list")
@config_option
@click.option("--dead", is_flag=True, help="Only what was given up.")
@click.option("--json", "as_json", is_flag=True, help="A list of JSON objects.")
def list_(config: Path, dead: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes them by name
    """Show everything that is not done, the oldest first."""
    now = SystemClock().now().timestamp()
    letters = with_database(
        config, open_to_read, lambda engine: dead_letters.undone(engine, now=now, dead_only=dead), what=_WHAT
    )
    if as_json:
        click.echo(json.dumps([asdict(letter) for letter in letters], indent=1, ensure_ascii=False))
    elif letters:
        _print(letters)
    else:
        click.echo("Nothing was given up." if dead else "Everything is done.", err=True)


@outbox.command()
@config_option
@_ids
@_by
def retry(config: Path, ids: tuple[int, ...], by: str) -> None:
    """Try dead letters again, after their cause was mended; all of them or, if one is none, nothing."""
    now = SystemClock().now().timestamp()
    _change(config, lambda connection: dead_letters.retry(connection, _once(ids), by=_named(by), now=now))
    click.echo(f"{_counted(ids)} due again; handrail outbox list shows how it goes on.")


@outbox.command()
@config_option
@_ids
@click.option("--reason", required=True, help="Why it need not be done any more, for the audit log.")
@_by
def drop(config: Path, ids: tuple[int, ...], reason: str, by: str) -> None:
    """Let dead letters go for good; all of them or, if one is none, nothing."""
    if not reason.strip():
        raise click.BadParameter("say why; it goes into the audit log", param_hint="--reason")
    now, why = SystemClock().now().timestamp(), reason.strip()
    _change(config, lambda connection: dead_letters.drop(connection, _once(ids), by=_named(by), reason=why, now=now))
    click.echo(f"{_counted(ids)} dropped.")


def _once(ids: tuple[int, ...]) -> list[int]:
    return sorted(set(ids))


def _named(by: str) -> str:
    if not by.strip():
        raise click.BadParameter("say who you are; it goes into the audit log", param_hint="--by")
    return by.strip()


def _counted(ids: tuple[int, ...]) -> str:
    count = len(set(ids))
    return f"{count} item is" if count == 1 else f"{count} items are"


def _change(config: Path, change: Callable[[Connection], None]) -> None:
    def use(engine: Engine) -> None:
        with engine.begin() as connection:
            change(connection)

    try:
        with_database(config, _open_to_change, use, what=_WHAT)
    except NotDead as error:
        raise click.ClickException(f"{error}; handrail outbox list shows what there is") from error


def _open_to_change(url: str) -> Engine:
    # Opening to read looks whether there is a database at all; opening to write would make one.
    open_to_read(url).dispose()
    return create_engine(url)


def _print(letters: Sequence[Letter]) -> None:
    console = Console()
    table = Table("id", "state", "lane", "do", "about", "age", "tries", "last error", box=None, pad_edge=False)
    for letter in letters:
        about = " ".join(filter(None, (letter.about, letter.agent, letter.ticket)))
        incident = f" (incident {letter.incident})" if letter.incident is not None else ""
        cells = (letter.state, letter.lane, letter.kind, about + incident, _age(letter), str(letter.attempts))
        style = "bold red" if letter.state == "dead" else ""
        table.add_row(str(letter.id), *map(plain, cells), plain(letter.last_error or "-"), style=style)
    (console if console.is_terminal else Console(width=200)).print(table)


def _age(letter: Letter) -> str:
    return format_duration(timedelta(seconds=int(letter.age_s)))
