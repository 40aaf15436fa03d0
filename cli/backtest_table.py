"""A replay for a terminal of any width from 80 columns on, and for a program."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import ceil

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alerting.backtest.firings import FLAP_WITHIN, Firing, Summary, summary
from alerting.backtest.proposal import Change
from cli.backtest_replay import Replayed
from handrail.quantities import format_duration
from stack.past import Grid

_WIDEST_AGENT, _WIDEST_TIMELINE, _SHORTEST_TIMELINE = 22, 56, 12
# Four numbers, e.g. 3 digits and 13d23h, and "proposed", with a space after each column.
_FIXED, _WHICH = 6 + 8 + 8 + 6 + 2, 9
_BLOCKS = "▁▂▃▄▅▆▇█"
_COLOURS = {"critical": "bold red", "warning": "bold yellow", "info": "bold cyan"}


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Where a proposed number belongs in the file: its line, or the one below which it is to be added."""

    change: Change
    path: str
    line: int | None
    stands_there: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What was replayed over which evaluations, what was not and why, and how to take the proposal over."""

    grid: Grid
    replayed: tuple[Replayed, ...]
    compares: bool
    take_over: tuple[TakeOver, ...]
    notes: tuple[str, ...]
    not_replayed: tuple[str, ...]


def print_report(report: Report, console: Console) -> None:
    """Everything a person needs to decide."""
    begins, ends = _moment(report.grid.first), _moment(report.grid.last)
    step = format_duration(timedelta(milliseconds=report.grid.step))
    text = f"{begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} UTC, evaluated every {step}"
    console.print(text, style="dim", highlight=False)
    for note in report.notes:
        console.print(note, style="yellow", highlight=False)
    fired = [each for each in report.replayed if each.agent is not None]
    if fired:
        console.print()
        _print_table(console, report, fired)
    if never := list(dict.fromkeys(each.alert for each in report.replayed if each.agent is None)):
        console.print(f"\nNever fired: {', '.join(never)}", highlight=False)
    if not report.replayed and report.compares and not report.notes:
        console.print("\nNo rule changes by that.", highlight=False)
    for line in _how_to_take_over(report.take_over):
        console.print(line, highlight=False, soft_wrap=True)


def as_json(report: Report) -> str:
    """The same for a program; times are UTC."""
    return json.dumps(
        {
            "from": _moment(report.grid.first).isoformat(),
            "until": _moment(report.grid.last).isoformat(),
            "step_seconds": report.grid.step / 1000,
            "alerts": [
                {
                    "alert": each.alert,
                    "agent": each.agent,
                    "severity": each.severity,
                    "history": each.source,
                    "now": _plain(each.now),
                    "proposed": None if each.proposed is None else _plain(each.proposed),
                }
                for each in report.replayed
            ],
            "changes": [
                {"path": one.path, "now": one.change.now, "proposed": one.change.proposed, "line": one.line}
                for one in report.take_over
            ],
            "not_replayed": report.not_replayed,
            "notes": report.notes,
        },
        indent=1,
    )


def timeline(each: Sequence[Firing], grid: Grid, width: int) -> str:
    """A character for each piece of the period: the higher, the longer the alert fired in it; a dot for not at all."""
    span = (grid.last - grid.first + grid.step) / width
    return "".join(_block(each, grid.first + i * span, grid.first + (i + 1) * span) for i in range(width))


def _block(each: Sequence[Firing], begins: float, ends: float) -> str:
    # An alert that fired at the last evaluation only has no length, and was there all the same.
    fired = sum(max(min(one.ends, ends) - max(one.begins, begins), 0) for one in each)
    there = any(one.begins < ends and (one.ends > begins or one.begins >= begins) for one in each)
    share = fired / (ends - begins)
    return _BLOCKS[max(min(ceil(share * len(_BLOCKS)), len(_BLOCKS)) - 1, 0)] if there else "·"


@dataclass(frozen=True, slots=True)
class _Layout:
    """The same for every alert, so that columns align."""

    agent: int
    timeline: int
    compares: bool

    @classmethod
    def of(cls, console: Console, agents: Sequence[str], *, compares: bool) -> _Layout:
        agent = min(max(map(len, [*agents, "Agent"])), _WIDEST_AGENT)
        left = console.width - agent - _FIXED - (_WHICH if compares else 0)
        return cls(agent, max(min(left, _WIDEST_TIMELINE), _SHORTEST_TIMELINE), compares)


def _print_table(console: Console, report: Report, fired: Sequence[Replayed]) -> None:
    layout = _Layout.of(console, [each.agent or "" for each in fired], compares=report.compares)
    console.print(_table([], report.grid, layout, header=True))
    for alert, rows in groupby(fired, key=lambda each: each.alert):
        together = list(rows)
        severity, ledger = together[0].severity, together[0].source == "ledger"
        heading = Text.assemble(alert, "  ", (severity, _COLOURS.get(severity, "")))
        console.print(heading.append("  from the ledger's calls" if ledger else "", style="dim"))
        console.print(_table(together, report.grid, layout, header=False))
    piece = timedelta(milliseconds=(report.grid.last - report.grid.first) / layout.timeline)
    unit = timedelta(minutes=1) if piece > timedelta(minutes=5) else timedelta(seconds=1)
    about = format_duration(max(piece // unit, 1) * unit)
    flaps = f"Flaps: fired again within {format_duration(FLAP_WITHIN)} of its end."
    console.print(f"{flaps} When: a mark is about {about}.", style="dim", highlight=False)


def _table(rows: Sequence[Replayed], grid: Grid, layout: _Layout, *, header: bool) -> Table:
    table = Table(box=None, show_header=header, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Agent", width=layout.agent, no_wrap=True, overflow="ellipsis")
    if layout.compares:
        table.add_column("", width=_WHICH - 1)
    for name, width in (("Fired", 5), ("In all", 7), ("Longest", 7), ("Flaps", 5)):
        table.add_column(name, width=width, justify="right", no_wrap=True)
    table.add_column("When", width=layout.timeline, no_wrap=True)
    for each in rows:
        table.add_row(each.agent, *(["now"] if layout.compares else []), *_cells(each.now, grid, layout))
        if each.proposed is not None:
            table.add_row("", "proposed", *_cells(each.proposed, grid, layout))
    return table


def _cells(each: Sequence[Firing], grid: Grid, layout: _Layout) -> Iterator[str]:
    found = summary(each)
    yield str(found.fired)
    yield _length(found.total) if found.fired else "-"
    yield _length(found.longest) if found.fired else "-"
    yield str(found.flaps) if found.fired else "-"
    yield timeline(each, grid, layout.timeline)


def _length(value: timedelta) -> str:
    """Two units say enough: 1h40m, 3d4h."""
    if value >= timedelta(days=1):
        return format_duration(value // timedelta(hours=1) * timedelta(hours=1))
    if value >= timedelta(hours=1):
        return format_duration(value // timedelta(minutes=1) * timedelta(minutes=1))
    return format_duration(value // timedelta(seconds=1) * timedelta(seconds=1))


def _how_to_take_over(changes: Sequence[TakeOver]) -> Iterator[str]:
    if not changes:
        return
    yield "\nNothing was changed. To take it over, in your file:"
    for one in changes:
        change = one.change
        if one.stands_there:
            yield f"  line {one.line}: {one.path}: {change.now} becomes {change.proposed}"
        else:
            below = f" (near line {one.line})" if one.line else ""
            yield f"  add {one.path}: {change.proposed}{below}; without it, {change.now} holds"
    yield "Then: handrail check, handrail test-rules, and start the stack anew (make up)."


def _plain(each: Sequence[Firing]) -> dict[str, object]:
    found: Summary = summary(each)
    return {
        "fired": found.fired,
        "total_seconds": found.total.total_seconds(),
        "longest_seconds": found.longest.total_seconds(),
        "flaps": found.flaps,
        "firings": [
            {"begins": _moment(one.begins).isoformat(), "ends": _moment(one.ends).isoformat(), "open": one.open}
            for one in each
        ],
    }


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
