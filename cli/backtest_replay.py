"""Asks a past for every rule, and makes of each agent's results the times for which its alert would have fired."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from alerting.backtest.firings import Firing, firings, together
from alerting.backtest.plan import Compared, Version
from stack.past import Grid, Past

Source = Literal["prometheus", "ledger"]
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One alert of one agent; `agent` is None for an alert that never fired. `proposed` is None without a proposal."""

    alert: str
    severity: str
    agent: str | None
    source: Source
    now: tuple[Firing, ...]
    proposed: tuple[Firing, ...] | None


class Replay:
    """One replay with its progress. Several rules of one alert are told as one, as a team hears of them."""

    def __init__(self, grid: Grid, console: Console, agent: str | None, *, rules: Iterable[Compared]) -> None:
        self._grid = grid
        self._agent = agent
        self._pieces = sum(1 for _ in grid.pieces())
        self._asked: dict[tuple[int, str], Mapping[frozenset[tuple[str, str]], list[int]]] = {}
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(compact=True), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        total = sum(len({rule.now, rule.proposed} - {None}) for rule in rules) * self._pieces
        self._task = self._progress.add_task("Replaying …", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """What it is busy with."""
        self._progress.update(self._task, description=text)

    def all(
        self, rules: Sequence[Compared], past: Past, *, source: Source, proposed: Past | None = None
    ) -> list[Replayed]:
        """Every alert of these rules. PastUnknown when the past cannot be asked."""
        compares = any(rule.proposed is not None for rule in rules)
        now: dict[str, dict[str, list[Firing]]] = {rule.alert: defaultdict(list) for rule in rules}
        then: dict[str, dict[str, list[Firing]]] = {rule.alert: defaultdict(list) for rule in rules}
        for rule in rules:
            self.say(f"Replaying {rule.alert} …")
            self._collect(rule.now, past, now[rule.alert])
            self._collect(rule.proposed, proposed or past, then[rule.alert])
        severity = {rule.alert: rule.severity for rule in reversed(rules)}
        return [
            Replayed(
                alert,
                severity[alert],
                agent,
                source,
                tuple(together(now[alert].get(agent or "", ()))),
                tuple(together(then[alert].get(agent or "", ()))) if compares else None,
            )
            for alert in now
            for agent in (*sorted({*now[alert], *then[alert]}),) or (None,)
        ]

    def _collect(self, version: Version | None, past: Past, into: dict[str, list[Firing]]) -> None:
        if version is None:
            return
        for labels, at in self._moments(version.expr, past).items():
            agent = dict(labels).get("agent", "")
            if self._agent not in (None, agent):
                continue
            into[agent] += firings(
                at,
                last=self._grid.last,
                step=self._grid.step,
                for_=version.for_ // _MS,
                keep_firing_for=version.keep_firing_for // _MS,
            )
        # An agent that has a result and never long enough did not fire.
        for agent in [agent for agent, found in into.items() if not found]:
            del into[agent]

    def _moments(self, expr: str, past: Past) -> Mapping[frozenset[tuple[str, str]], list[int]]:
        """Two versions of a rule may differ in `for` alone: then the second is not asked for again."""
        key = (id(past), expr)
        if key not in self._asked:
            found = past.moments(expr, self._grid, asked=lambda: self._progress.advance(self._task))
            self._asked[key] = {frozenset(each.labels.items()): each.at for each in found}
        return self._asked[key]
