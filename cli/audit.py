"""`handrail audit`: who did what and why, and whether the log that says so is still as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from alerting.receiver import audit as log
from alerting.receiver.audit_chain import Anchor, Entry, Finding, anchors_in, check, entry_of, line_of, parse_anchor
from cli.configuration import config_option
from cli.durations import Duration
from cli.receiver_database import plain, with_database
from handrail.clock import SystemClock
from handrail.database import open_to_read

_SHOWN = 50
_WHAT = "the audit log"


class _Anchor(click.ParamType[Anchor]):
    name = "id:hash"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Anchor:
        if isinstance(value, Anchor):
            return value
        try:
            return parse_anchor(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group()
def audit() -> None:
    """Show the receiver's audit log, export it, and prove that no row was changed or taken away."""


@audit.command()
@config_option
@click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="An export, in its place.")
@click.option("--anchor", type=_Anchor(), multiple=True, help="A row's number and hash, from a ticket or a log.")
@click.option(
    "--anchors",
    type=click.File(encoding="utf-8", errors="replace"),
    multiple=True,
    help="A log or an export of tickets; every anchor in it is held against the rows. - reads standard input.",
)
def verify(config: Path, file: Path | None, anchor: tuple[Anchor, ...], anchors: tuple[TextIO, ...]) -> None:
    """Say whether every row is as it was written; exit code 1 if one was changed, removed, added or moved.

    What was taken from the end shows only against an anchor: give those that tickets and the receiver's log hold.
    """
    known = [*anchor, *(found for text in anchors for line in text for found in anchors_in(line))]
    unreadable: list[Finding] = []
    if file is not None:
        checked = check(_from_file(file, unreadable), known)
    else:
        checked = with_database(config, open_to_read, lambda engine: check(_from_database(engine), known), what=_WHAT)
    findings = [*unreadable, *checked.findings]
    for finding in findings[:_SHOWN]:
        click.echo(f"row {finding.id}: {finding.kind}: {finding.text}")
    if len(findings) > _SHOWN:
        click.echo(f"… and {len(findings) - _SHOWN} more")
    against = f", held against {len(known)} anchor{'s' if len(known) != 1 else ''}" if known else ""
    verdict = f"{len(findings)} found" if findings else "all as they were written"
    click.echo(f"{checked.rows} rows{against}: {verdict}; the last is {checked.head or 'none'}")
    raise SystemExit(1 if findings else 0)


@audit.command()
@config_option
def export(config: Path) -> None:
    """Write every row as a line of JSON, which `audit verify --file` checks without the database."""

    def write(engine: Engine) -> None:
        for entry in _from_database(engine):
            click.echo(line_of(entry))

    with_database(config, open_to_read, write, what=_WHAT)


@audit.command()
@config_option
@click.option("--since", type=Duration(), help="Only rows of the last, e.g. 2h or 7d.")
@click.option("--agent", help="Only what is about this agent, its incidents included.")
@click.option("--limit", type=click.IntRange(1), default=_SHOWN, show_default=True, help="At most so many, the last.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each.")
def show(
    config: Path,
    since: timedelta | None,
    agent: str | None,
    limit: int,
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Show who did what and why, the newest last."""
    began = None if since is None else (SystemClock().now() - since).timestamp()
    rows = with_database(
        config, open_to_read, lambda engine: log.recent(engine, since=began, agent=agent, limit=limit), what=_WHAT
    )
    if as_json:
        for row in rows:
            click.echo(json.dumps({**json.loads(line_of(row)), "detail": json.loads(row.detail)}, ensure_ascii=False))
    elif rows:
        _print(rows)
    else:
        click.echo("No such row.", err=True)


def _print(rows: list[Entry]) -> None:
    console = Console()
    table = Table("row", "time (UTC)", "who", "did", "to", "detail", box=None, pad_edge=False, show_edge=False)
    for row in rows:
        detail = ", ".join(f"{name}: {value}" for name, value in json.loads(row.detail).items() if value is not None)
        at = datetime.fromtimestamp(row.at, UTC).strftime("%F %T")
        table.add_row(*(plain(text) for text in (str(row.id), at, row.actor, row.action, row.subject, detail)))
    (console if console.is_terminal else Console(width=200)).print(table)


def _from_database(engine: Engine) -> Iterator[Entry]:
    with engine.connect() as connection:
        yield from log.entries(connection)


def _from_file(path: Path, unreadable: list[Finding]) -> Iterator[Entry]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield entry_of(line)
            except ValueError as error:
                unreadable.append(Finding(number, "unreadable", f"line {number} of {path.name} is {error}"))
