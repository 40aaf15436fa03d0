"""How far reading the past has come: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from exporter.history.past import Reached
from handrail.clock import Clock

_SAY_EVERY_S = 15.0


class ReadingProgress:
    """A bar for each source, by how much of the period is read; the rate is in calls."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[calls]} calls, {task.fields[rate]}/s"),
            TextColumn("at {task.fields[at]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, tuple[float, int]] = {}
        self._said = clock.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._progress.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def show(self, reached: Reached) -> None:
        """Reading has come so far."""
        now = self._clock.monotonic()
        began, before = self._began.setdefault(reached.source, (now, reached.calls))
        rate = (reached.calls - before) / max(now - began, 1.0)
        shown: dict[str, Any] = {"calls": reached.calls, "rate": f"{rate:.0f}", "at": f"{reached.at:%m-%d %H:%M}"}
        if reached.source not in self._tasks:
            self._tasks[reached.source] = self._progress.add_task(reached.source, total=1.0, **shown)
        self._progress.update(self._tasks[reached.source], completed=reached.done, **shown)
        if not self._console.is_terminal and (reached.done >= 1 or now - self._said >= _SAY_EVERY_S):
            self._said = now
            self.say(f"{reached.source}: {reached.done:.0%}, {reached.calls} calls, at {shown['at']}")
