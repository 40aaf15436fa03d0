"""The drill's timeline on the terminal while it runs, and a JSON journal afterwards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from drill.scenario import Step, Verdict


class ConsoleProgress:
    """Prints each step once and keeps one moving line for what is being waited for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("", console=console)
        self._said = -10.0

    def __enter__(self) -> ConsoleProgress:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def waiting(self, what: str, elapsed_s: float, within_s: float) -> None:
        text = f"{escape(what)} … {elapsed_s:.0f} of at most {within_s:.0f} s"
        if self._console.is_terminal:
            self._status.update(text)
        elif elapsed_s < self._said or elapsed_s - self._said >= 10:
            # A log has no moving line: say it when a wait begins to be long, and then every ten seconds.
            self._said = elapsed_s
            if elapsed_s >= 10:
                self._console.print(f"          waiting: {text}", highlight=False, soft_wrap=True)

    def seen(self, step: Step) -> None:
        self._console.print(f"  [dim]{step.seconds:7.1f} s[/dim]  {escape(step.what)}", highlight=False, soft_wrap=True)


def print_verdict(console: Console, verdict: Verdict) -> None:
    """One line: passed and how fast it was detected, or what was missing."""
    if verdict.failure:
        console.print(f"  [bold]FAILED[/bold]  {escape(verdict.failure)}", highlight=False, soft_wrap=True)
    else:
        console.print(
            f"  [bold]PASSED[/bold]  detected in {verdict.detect_seconds or 0:.1f} s", highlight=False, soft_wrap=True
        )
    for failure in verdict.rollback_failures:
        console.print(f"  [bold]NOT ROLLED BACK[/bold]  {escape(failure)}", highlight=False, soft_wrap=True)


def write_journal(folder: Path, verdicts: Sequence[Verdict], *, drill_id: str) -> Path:
    """Everything that was seen, as JSON, in a file named after the drill."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"drill-{drill_id}.json"
    rows = [{**asdict(verdict), "passed": verdict.passed} for verdict in verdicts]
    path.write_text(json.dumps({"drill": drill_id, "scenarios": rows}, default=str, indent=2) + "\n", encoding="utf-8")
    return path
