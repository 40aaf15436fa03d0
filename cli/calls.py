"""`handrail calls`: the single calls behind the numbers, recent ones or as they come in."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from cli.calls_table import CallsTable, Layout
from cli.configuration import config_option, load_or_exit
from cli.durations import Duration
from exporter.calls_view import CallRow, CallsView, Follower, NoCalls, Wanted
from handrail.clock import Clock, SystemClock

Print = Callable[[Sequence[CallRow]], None]

_LOOK_EVERY_S = 1.0
_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
_FEW, _MANY = 10, 50
_NAMES = {"duration": "duration_seconds"}


@click.command()
@config_option
@click.argument("name", metavar="[AGENT]", required=False)
@click.option("--agent", help="Only calls of this agent; the same as naming it.")
@click.option("--since", type=Duration(), help="Only calls that ended in the last, e.g. 2h or 7d.")
@click.option("--errors", is_flag=True, help="Only failed calls.")
@click.option("--slow", is_flag=True, help="Only calls slower than the agent's SLA; with --errors: failed and slow.")
@click.option("--limit", type=click.IntRange(0), help=f"At most so many, the last ones; {_MANY} without it.")
@click.option("--follow", "-f", is_flag=True, help=f"Show the last {_FEW}, then every call as it comes in.")
@click.option("--utc", is_flag=True, help="Times of the table in UTC, not in this machine's time zone.")
@click.option("--output", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def calls(  # noqa: PLR0913 - one argument for each option
    config: Path,
    name: str | None,
    agent: str | None,
    since: timedelta | None,
    errors: bool,  # noqa: FBT001 - click passes it by name
    slow: bool,  # noqa: FBT001
    limit: int | None,
    follow: bool,  # noqa: FBT001
    utc: bool,  # noqa: FBT001
    output: Literal["table", "json", "csv"],
) -> None:
    """Show the last calls: how long each took, how it ended, what it used, and where to look at it.

    Estimated tokens are marked ~ and unknown ones ?. json is a list, and with --follow a line for each call; the times
    of json and csv are UTC.
    """
    if name and agent and name != agent:
        raise click.UsageError(f"two agents are named: {name} and {agent}")
    settings = load_or_exit(config)
    clock, view = SystemClock(), CallsView(settings)
    began = None if since is None else clock.now() - since
    wanted = Wanted(agent or name, began, errors=errors, slow=slow)
    try:
        follower = view.follow(wanted) if follow else None
        rows = view.recent(wanted, limit=_default_limit(limit, follow=follow))
        if not rows and not follow:
            click.echo(_nothing(view, wanted), err=True)
        agents = {each.name for each in settings.agents} | {row.agent for row in rows}
        if output == "table":
            output_rows: Print = _table(agents, one_agent=wanted.agent is not None, utc=utc)
        elif output == "csv":
            output_rows = _csv()
        else:
            output_rows = _json_lines if follow else _json_list
        output_rows(rows)
        if follower is not None:
            follower.saw(rows)
            _follow(follower, output_rows, clock)
    except NoCalls as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None


def _default_limit(limit: int | None, *, follow: bool) -> int:
    if limit is not None:
        return limit
    return _FEW if follow else _MANY


def _follow(follower: Follower, output_rows: Print, clock: Clock) -> None:
    """Until Ctrl-C. A ledger that cannot be read for a while, as the stack restarts, is said once and waited for."""
    said = ""
    while True:
        clock.sleep(_LOOK_EVERY_S)
        try:
            rows = follower.new()
        except NoCalls as error:
            if str(error) != said:
                click.echo(f"waiting: {error}", err=True)
            said = str(error)
            continue
        said = ""
        if rows:
            output_rows(rows)


def _nothing(view: CallsView, wanted: Wanted) -> str:
    """Why nothing is shown, and what to do about it."""
    agents = view.agents()
    if not agents:
        return (
            "No calls yet. The exporter counts from its first start on: is it running (make status), and has an agent "
            "made a call since?"
        )
    if wanted.agent is not None and wanted.agent not in agents:
        return f"No call of {wanted.agent!r}. There are calls of: {', '.join(agents)}"
    return "No such call. Ask for more: another --since, or without --errors and --slow"


def _table(agents: set[str], *, one_agent: bool, utc: bool) -> Print:
    console = Console()
    layout = Layout.of(console.width, agents=agents, one_agent=one_agent)
    if not console.is_terminal:
        layout = Layout.piped(agents=agents, one_agent=one_agent)
        console = Console(width=layout.width)
    return CallsTable(console, layout, zone=UTC if utc else None).show


def _json_list(rows: Sequence[CallRow]) -> None:
    click.echo(json.dumps([_plain(row) for row in rows], indent=1))


def _json_lines(rows: Sequence[CallRow]) -> None:
    for row in rows:
        click.echo(json.dumps(_plain(row)))


def _csv() -> Print:
    names = [_NAMES.get(field.name, field.name) for field in fields(CallRow)]
    stream = sys.stdout
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()

    def output(rows: Sequence[CallRow]) -> None:
        writer.writerows(_plain(row) for row in rows)
        stream.flush()

    return output


def _plain(row: CallRow) -> dict[str, object]:
    """By the names of the columns; times as ISO in UTC."""
    return {_NAMES.get(name, name): _value(value) for name, value in asdict(row).items()}


def _value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value
