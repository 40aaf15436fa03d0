"""The page of one alert for a terminal, and the list of all: what it is about first, PromQL after that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby

from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alerting.runbook import Runbook
from cli.alert_state import LastTime, StateNow
from handrail.quantities import format_duration

_COLOURS = {"critical": "bold red", "warning": "bold yellow", "info": "bold cyan"}


@dataclass(frozen=True, slots=True)
class Fires:
    """One rule of the alert: when it fires, for whom, and who is told."""

    sentence: str
    expression: str
    severity: str
    sla: str | None
    agents: tuple[str, ...]
    for_: timedelta
    keep_firing_for: timedelta
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """Everything about one alert. `note`: why Prometheus could not say what it knows."""

    alert: str
    agent: str | None
    summary: str
    runbook: Runbook
    fires: tuple[Fires, ...]
    now: tuple[StateNow, ...] = ()
    last: tuple[LastTime, ...] = ()
    kept: timedelta = field(default_factory=timedelta)
    note: str | None = None


def print_list(console: Console, rows: Iterable[tuple[str, str, str]]) -> None:
    """Name, severity and summary of every alert."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, severity, summary in rows:
        table.add_row(Text(name), Text(severity, style=_COLOURS.get(severity, "")), Text(summary))
    console.print(table)
    console.print("\nhandrail explain ALERT says more about one of them.", style="dim", highlight=False)


def print_page(console: Console, explained: Explained) -> None:
    """The whole page."""
    console.print(Text(explained.alert, style="bold"), Text(f"  {explained.summary}"))
    _say_state(console, explained)
    for told, rules in groupby(explained.fires, key=lambda each: each.told):
        for each in rules:
            _say_fires(console, each)
        _section(console, "Who is told", Text("\n".join(told)))
    _section(console, "What it means, by the default numbers", Markdown(explained.runbook.meaning))
    _section(console, "What it does to you", Markdown(explained.runbook.impact))
    _section(console, "First steps", Markdown(explained.runbook.diagnosis))
    _section(console, "To change it", Markdown(explained.runbook.tuning))


def _say_state(console: Console, explained: Explained) -> None:
    if explained.note is not None:
        _section(console, "Now", Text(f"Not known. {explained.note}", style="dim"))
        return
    firing = Text("\n").join(_now(each) for each in explained.now) if explained.now else Text("It does not fire.")
    _section(console, "Now", firing)
    newest_first = sorted(explained.last, key=lambda one: one.begins, reverse=True)
    lines = [Text(_last(each)) for each in newest_first]
    never = Text(f"Never in the {format_duration(explained.kept)} that Prometheus keeps.")
    _section(console, "Last fired", Text("\n").join(lines) if lines else never)


def _last(each: LastTime) -> str:
    about = f"{each.about}: " if each.about else ""
    return f"{about}{each.begins:%Y-%m-%d %H:%M} UTC, for {_length(each.lasted)}; {_times(each.fired)} in all"


def _now(each: StateNow) -> Text:
    since = f" since {each.since:%Y-%m-%d %H:%M} UTC" if each.since else ""
    style = "bold red" if each.state == "firing" else "yellow"
    return Text.assemble(Text(each.state, style=style), f"  {each.about}" if each.about else "", since)


def _say_fires(console: Console, each: Fires) -> None:
    nobody = "agents that are discovered" if each.sla == "default" else "no agent"
    whose = f"SLA {each.sla}: {', '.join(each.agents) or nobody}" if each.sla else ""
    waits = [f"for {format_duration(each.for_)}"] if each.for_ else []
    waits += [f"keep_firing_for {format_duration(each.keep_firing_for)}"] if each.keep_firing_for else []
    lines = Text(each.sentence)
    lines.append(f"\n{each.severity}", style=_COLOURS.get(each.severity, ""))
    lines.append("".join(f", {part}" for part in (whose, *waits) if part))
    _section(console, "When", lines)
    console.print(Padding(Text(each.expression, style="dim"), (0, 0, 0, 4)), soft_wrap=False)


def _section(console: Console, heading: str, body: RenderableType) -> None:
    console.print(f"\n{heading}", style="bold", highlight=False)
    console.print(Padding(body, (0, 0, 0, 2)), highlight=False)


def _length(value: timedelta) -> str:
    return format_duration(timedelta(seconds=round(value.total_seconds()))) if value else "a moment"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
