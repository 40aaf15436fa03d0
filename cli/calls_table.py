"""Calls as a table for a terminal of any width from 80 columns on: what is slow or failed says so in words too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from itertools import groupby
from typing import Literal

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from exporter.calls_view import CallRow

_WIDE = 110
_WIDTH_WHEN_PIPED = 140
_GAP = 2
# The widest things the columns hold: "99.9s SLOW", "FAILED invalid_output" or "!invalid_output", "~999k/999k",
# "100%", "12 (3 bad)" or "12/3".
_TOOK, _OUTCOME, _SHORT_OUTCOME, _TOKENS, _SHORT_TOKENS, _SURE, _TOOLS, _SHORT_TOOLS = 10, 21, 15, 13, 10, 4, 10, 5
_RUN, _SHORT_RUN, _WIDTH_OF_LINK, _MODEL, _LEAST = 8, 6, 100, 16, 12
_NO_USAGE, _GUESSED = {"unknown"}, {"estimate"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; numbers stand on its right side."""

    name: str
    width: int
    right: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns there are and how wide each is; the same for every call of one command, so that lines align."""

    columns: tuple[Column, ...]
    wide: bool
    full_links: bool = False

    @classmethod
    def piped(cls, *, agents: Iterable[str], one_agent: bool) -> Layout:
        """For a file or another program: wide, and links that can be copied."""
        usual = cls.of(_WIDTH_WHEN_PIPED, agents=agents, one_agent=one_agent)
        return cls((*usual.columns[:-1], Column("Run", _WIDTH_OF_LINK)), wide=True, full_links=True)

    @property
    def width(self) -> int:
        """How many columns of a terminal it takes."""
        return sum(column.width + (_GAP if self.wide else 1) for column in self.columns)

    @classmethod
    def of(cls, width: int, *, agents: Iterable[str], one_agent: bool) -> Layout:
        """For a terminal of this width; a column of agents only where there may be more than one."""
        wide = width >= _WIDE
        columns = [
            Column("Ended", 8),
            Column("Took", _TOOK, right=True),
            Column("Outcome", _OUTCOME if wide else _SHORT_OUTCOME),
            Column("Tokens in/out" if wide else "Tokens", _TOKENS if wide else _SHORT_TOKENS, right=True),
            Column("Sure", _SURE, right=True),
            Column("Tools", _TOOLS if wide else _SHORT_TOOLS, right=True),
            Column("Run", _RUN if wide else _SHORT_RUN, right=True),
        ]
        gap = _GAP if wide else 1
        left = width - sum(column.width + gap for column in columns) + gap
        if wide:
            columns.insert(3, Column("Model", _LEAST))
            left -= _LEAST + gap
        if not one_agent:
            longest = max([len("Agent"), *map(len, agents)])
            agent = max(min(longest, left - gap), _LEAST)
            columns.insert(1, Column("Agent", agent))
            left -= agent + gap
        if wide:
            place = columns.index(Column("Model", _LEAST))
            columns[place] = Column("Model", _LEAST + max(min(left, _MODEL), 0))
        return cls(tuple(columns), wide)


class CallsTable:
    """Prints calls as they are given, with the heading once and a line with the date where a new day begins."""

    def __init__(self, console: Console, layout: Layout, *, zone: tzinfo | None) -> None:
        self._console = console
        self._layout = layout
        self._zone = zone
        self._day: date | None = None

    def show(self, rows: Sequence[CallRow]) -> None:
        """Print the calls in the order they are given."""
        for day, calls in groupby(rows, key=lambda row: row.finished_at.astimezone(self._zone).date()):
            together = list(calls)
            if day != self._day:
                zone = together[0].finished_at.astimezone(self._zone).tzname()
                self._console.print(f"{day:%A, %Y-%m-%d} ({zone})", style="dim", highlight=False)
            self._console.print(_table(together, self._layout, zone=self._zone, header=self._day is None))
            self._day = day


def _table(rows: Sequence[CallRow], layout: Layout, *, zone: tzinfo | None, header: bool) -> Table:
    table = Table(box=None, show_header=header, pad_edge=False, padding=(0, _GAP if layout.wide else 1, 0, 0))
    for column in layout.columns:
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.name, width=column.width, no_wrap=True, overflow="ellipsis", justify=justify)
    for row in rows:
        cells = dict(_cells(row, layout, zone))
        table.add_row(*(cells[column.name] for column in layout.columns))
    return table


def _cells(row: CallRow, layout: Layout, zone: tzinfo | None) -> Iterator[tuple[str, Text]]:
    failed, wide = row.outcome == "error", layout.wide
    yield "Ended", Text(f"{row.finished_at.astimezone(zone):%H:%M:%S}", style=_link(row))
    yield "Agent", Text(row.agent)
    yield "Took", Text(f"{_seconds(row)}{' SLOW' if row.slow else ''}", style="bold yellow" if row.slow else "")
    reason = row.error_reason or "other"
    yield "Outcome", Text(_outcome(reason, wide=wide) if failed else "ok", style="bold red" if failed else "green")
    yield "Model", Text(row.model or "?", style="" if row.model else "dim")
    tokens = Text(_tokens(row), style="dim" if row.token_basis in _NO_USAGE else "")
    yield ("Tokens in/out" if wide else "Tokens"), tokens
    yield "Sure", Text("-" if row.confidence is None else f"{row.confidence:.0%}")
    broken = f" ({row.tool_errors} bad)" if wide else f"/{row.tool_errors}"
    text = f"{row.tool_calls}{broken if row.tool_errors else ''}" if row.tool_calls or row.tool_errors else "-"
    yield "Tools", Text(text, style="bold red" if row.tool_errors else "")
    yield "Run", Text((row.url or row.execution or "-") if layout.full_links else _run(row), style=_link(row))


def _outcome(reason: str, *, wide: bool) -> str:
    """Failed calls begin with a word or a mark, whatever the terminal's colours."""
    return f"FAILED {reason}" if wide else f"!{reason}"


def _seconds(row: CallRow) -> str:
    seconds = row.duration.total_seconds()
    return f"{seconds:.2f}s" if seconds < 10 else f"{seconds:.1f}s" if seconds < 99.95 else f"{seconds:.0f}s"


def _tokens(row: CallRow) -> str:
    if row.token_basis in _NO_USAGE:
        return "cached" if row.cached else "?"
    about = "~" if row.token_basis in _GUESSED else ""
    parts = ("?" if count is None else _count(count) for count in (row.tokens_in, row.tokens_out))
    return about + "/".join(parts)


def _count(count: int) -> str:
    if count < 1000:
        return str(count)
    value, unit = (count / 1000, "k") if count < 999_500 else (count / 1_000_000, "M")
    return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"


def _run(row: CallRow) -> str:
    """The execution's number, which is a link where the terminal knows links."""
    return row.execution or ("open" if row.url else "-")


def _link(row: CallRow) -> Style:
    return Style(link=row.url) if row.url else Style()
