"""`handrail backfill`: a past for dashboards and for the token baseline on the first day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import click
from rich.console import Console

from cli.backfill_progress import ReadingProgress
from cli.configuration import config_option, load_or_exit
from cli.durations import Duration
from exporter.calls_view import NoCalls
from exporter.history.backfill import Backfill, Outcome
from exporter.history.joint import Live
from exporter.history.write import Written
from exporter.sources import SourceDown
from handrail.clock import Clock, SystemClock
from handrail.http import HttpClient, build_client
from handrail.quantities import format_duration
from handrail.settings import Settings
from stack import tools
from stack.files import exclusive
from stack.history import READ_WITHIN_S, HistoryFailed, PrometheusData, complete, load, make_blocks
from stack.plan import Folders, reachable
from stack.simulated import config_file

_INTERRUPTED = 130
_LOOK_EVERY_S = 5.0
_WORTH_SAYING = timedelta(hours=1)


@click.command()
@config_option
@click.option("--since", type=Duration(), required=True, help="How far back to read, e.g. 7d.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The OpenMetrics file to write.  [default: history.om in the state folder's history]",
)
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also make Prometheus blocks of it, in this folder.",
)
@click.option("--load", "load_it", is_flag=True, help="Put it into the storage of this machine's stack.")
@click.option("--state", type=click.Path(path_type=Path, file_okay=False), default=Path(".handrail"), show_default=True)
def backfill(
    config: Path,
    since: timedelta,
    output: Path | None,
    target: Path | None,
    load_it: bool,  # noqa: FBT001 - click passes it by name
    state: Path,
) -> None:
    """Read what ended before counting began, and write it for Prometheus.

    It reads the sources slowly and the ledger not at all but to see what was counted: no total changes. Interrupted, it
    goes on where it was.
    """
    settings = load_or_exit(config)
    clock, console = SystemClock(), Console(stderr=True)
    began = clock.now() - _within_retention(settings, since, console)
    folder = state / "history"
    file = output or folder / "history.om"
    storage = Folders(state=state, simulated=config.resolve() == config_file(state).resolve()).prometheus
    with _clear_errors(), exclusive(folder):
        if load_it and complete(storage):
            console.print("What an earlier run had made was put into the storage first.", highlight=False)
        live = _live(settings, storage, console, needed=load_it)
        with Backfill(settings, clock, folder=folder, since=began, live=live) as run:
            _read(run, console, clock, began)
            file.parent.mkdir(parents=True, exist_ok=True)
            outcome = run.write(file, say=lambda each: _say_written(console, each))
            _say_left_out(console, run, outcome, live)
            if not outcome.written:
                run.forget()
                console.print("Nothing to write.", highlight=False)
                return
            if target is not None:
                blocks = make_blocks(tools.find("promtool", state=state), file, target)
                text = f"{blocks} blocks in {target}. Move them into the storage of Prometheus."
                console.print(text, highlight=False, soft_wrap=True)
            if load_it:
                load(tools.find("promtool", state=state), file, storage)
                _wait_until_read(settings, outcome, clock, console)
            run.forget()
        click.echo(file)
        if not load_it and target is None:
            console.print(_what_to_do(file, storage), highlight=False, soft_wrap=True)


def _within_retention(settings: Settings, since: timedelta, console: Console) -> timedelta:
    kept = settings.prometheus.retention
    if since <= kept:
        return since
    text = f"Prometheus keeps {format_duration(kept)} (prometheus.retention): what is older would be deleted at once."
    console.print(f"{text} Reading {format_duration(kept)}.", highlight=False, soft_wrap=True)
    return kept


def _live(settings: Settings, storage: Path, console: Console, *, needed: bool) -> Live | None:
    """What Prometheus has. Without an answer, loading is safe only where there is no storage yet."""
    try:
        with build_client(timeout_s=60) as client:
            data = _prometheus(client, settings)
            return Live(data.first_seen(), data.with_history(), data.memory_begins())
    except HistoryFailed as error:
        if needed and storage.exists():
            text = f"{error}\nStart the stack first (make up), so that it can be asked what it has."
            raise HistoryFailed(text) from error
        console.print(f"{error}: the past ends where the ledger begins, or now.", highlight=False, soft_wrap=True)
        return None


def _prometheus(client: HttpClient, settings: Settings) -> PrometheusData:
    url = f"http://{reachable(settings.prometheus.listen)}"
    return PrometheusData(client, url, retention=settings.prometheus.retention)


def _read(run: Backfill, console: Console, clock: Clock, began: datetime) -> None:
    with ReadingProgress(console, clock) as progress:
        for reached in run.read(say=progress.say):
            progress.show(reached)
    for source, kept in run.kept_since.items():
        if kept - began > _WORTH_SAYING:
            text = f"{source} goes back to {kept:%Y-%m-%d %H:%M} UTC only: older calls are not kept there."
            console.print(text, highlight=False, soft_wrap=True)


def _say_written(console: Console, each: Written) -> None:
    span = f"{each.begins:%Y-%m-%d %H:%M} to {each.ends:%Y-%m-%d %H:%M} UTC"
    console.print(f"  {each.agent}: {each.calls} calls, {span}", highlight=False, soft_wrap=True)


def _say_left_out(console: Console, run: Backfill, outcome: Outcome, live: Live | None) -> None:
    for agent in sorted(live.with_history if live else ()):
        console.print(f"  {agent}: Prometheus has its past already", highlight=False, soft_wrap=True)
    for agent, when in outcome.joint.too_early.items():
        text = f"  {agent}: watched for a short time only; its past can be loaded from about {when:%H:%M} UTC on"
        console.print(text, highlight=False, soft_wrap=True)
    if outcome.left_out:
        text = f"{outcome.left_out} calls ended between their agent's past and its first count: they are in neither."
        console.print(text, highlight=False, soft_wrap=True)
    if not run.counting:
        text = (
            "Counting has not begun: what ends before the exporter first starts is in neither. Start it soon: make up"
        )
        console.print(text, highlight=False, soft_wrap=True)


def _wait_until_read(settings: Settings, outcome: Outcome, clock: Clock, console: Console) -> None:
    """Until Prometheus shows what was loaded, so that a second run sees it too."""
    wanted = {each.agent for each in outcome.written}
    deadline = clock.monotonic() + READ_WITHIN_S
    console.print("Prometheus reads new blocks within a minute or two …", highlight=False)
    with build_client(timeout_s=60) as client:
        data = _prometheus(client, settings)
        while clock.monotonic() < deadline:
            try:
                if wanted <= data.with_history():
                    console.print("It is there: dashboards and the token baseline have a past.", highlight=False)
                    return
            except HistoryFailed:
                console.print("Prometheus does not run: it reads them when it starts.", highlight=False)
                return
            clock.sleep(_LOOK_EVERY_S)
    text = "The blocks are in the storage and Prometheus does not show them yet; see its log: make logs PART=prometheus"
    raise click.ClickException(text)


def _what_to_do(file: Path, storage: Path) -> str:
    if storage.exists():
        return "To put it into the storage of this machine's stack, run it again with --load."
    return (
        "Where Prometheus runs: promtool tsdb create-blocks-from --max-block-duration=24h openmetrics "
        f"{file.name} FOLDER\nThen move what is in FOLDER into its storage; it reads new blocks within a minute or two."
    )


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except SourceDown as down:
        text = f"{down.text}\nWhat was read is kept: the same command goes on from there."
        raise click.ClickException(text) from down
    except (NoCalls, HistoryFailed, tools.ToolMissing) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("\nInterrupted. What was read is kept: the same command goes on from there.", err=True)
        raise SystemExit(_INTERRUPTED) from None
