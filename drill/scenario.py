"""What a scenario is: a steady state, an injected failure, what must be seen by when, and the way back.

Every wait has a limit and says what it waits for; everything injected registers its undoing before it acts, so
that a failed check, an error or Ctrl-C leaves the stack as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from drill.probes import ProbeFailed, Probes
from handrail.clock import Clock

T = TypeVar("T")

POLL_S = 0.5


class Missing(Exception):
    """Something the scenario promises was not seen in time; the text says what and what was seen instead."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline."""

    at: datetime
    seconds: float
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a scenario ended. `failure` is None when every check held; `rollback_failures` names what was not undone."""

    scenario: str
    alertname: str
    started_at: datetime
    steps: tuple[Step, ...]
    detect_seconds: float | None
    failure: str | None
    rollback_failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Everything was seen and everything was undone."""
        return self.failure is None and not self.rollback_failures


class Progress(Protocol):
    """Shows what the drill is doing while it waits."""

    def waiting(self, what: str, elapsed_s: float, within_s: float) -> None:
        """Called about twice a second."""
        ...

    def seen(self, step: Step) -> None:
        """Called once for every line of the timeline."""
        ...


@dataclass
class Stage:
    """Where a scenario plays: the probes, the time since the injection, the timeline and the way back."""

    drill_id: str
    probes: Probes
    clock: Clock
    progress: Progress
    steps: list[Step] = field(default_factory=list)
    detect_seconds: float | None = None
    rollback_failures: list[str] = field(default_factory=list)
    _undo: ExitStack = field(default_factory=ExitStack)
    _injected_at: float = 0.0

    def injected(self, what: str) -> None:
        """Start the clock against which detection is measured."""
        self._injected_at = self.clock.monotonic()
        self.note(what)

    def note(self, what: str) -> None:
        """Add a line to the timeline."""
        step = Step(self.clock.now(), self.clock.monotonic() - self._injected_at, what)
        self.steps.append(step)
        self.progress.seen(step)

    def wait_for(self, what: str, probe: Callable[[], T | None], *, within_s: float) -> T:
        """The first truthy answer of `probe`, noted as seen; Missing after `within_s` seconds."""
        begun = self.clock.monotonic()
        last_error = ""
        while (elapsed := self.clock.monotonic() - begun) <= within_s:
            self.progress.waiting(what, elapsed, within_s)
            try:
                if found := probe():
                    self.note(what)
                    return found
            except ProbeFailed as error:
                last_error = f" ({error})"
            self.clock.sleep(POLL_S)
        raise Missing(f"not seen within {within_s:.0f} s: {what}{last_error}")

    def alert_fires(self, alertname: str, agent: str, *, within_s: float) -> None:
        """Wait for the alert in Prometheus; the time it takes is the time to detect."""
        self.wait_for(
            f"{alertname} fires in Prometheus", lambda: self.probes.firing(alertname, agent), within_s=within_s
        )
        self.detect_seconds = self.clock.monotonic() - self._injected_at

    def stays_silent(self, alertname: str, agent: str, *, for_s: float) -> None:
        """Missing if the alert fires within `for_s` seconds: the control that the alert is not simply always on."""
        begun = self.clock.monotonic()
        what = f"{alertname} stays silent"
        while (elapsed := self.clock.monotonic() - begun) <= for_s:
            self.progress.waiting(what, elapsed, for_s)
            if self.probes.firing(alertname, agent):
                raise Missing(f"{alertname} fired for {agent} although the SLA was kept")
            self.clock.sleep(POLL_S)
        self.note(what)

    def delivered(self, alertname: str, agent: str) -> str:
        """Wait for Alertmanager, the Slack message and the one Jira ticket, which links to it; the ticket's key."""
        self.wait_for("Alertmanager has it", lambda: self.probes.in_alertmanager(alertname, agent), within_s=30)
        self.wait_for("Slack shows it", lambda: self.probes.slack_message(alertname, agent), within_s=60)
        key = self.wait_for("Jira has a ticket", lambda: self.probes.ticket(alertname, agent), within_s=60)
        if (count := len(self.probes.open_tickets(alertname, agent))) != 1:
            raise Missing(f"exactly one open ticket for {agent}: there are {count}")
        self.note(f"ticket {key}, exactly one")
        self.wait_for("the ticket links to the Slack message", lambda: self.probes.slack_link(key), within_s=60)
        return key

    def undo_later(self, what: str, action: Callable[[], object]) -> None:
        """Register how to take something back; runs last-in-first-out however the scenario ends."""

        def run() -> None:
            try:
                action()
            except (ProbeFailed, Missing, OSError) as error:
                self.rollback_failures.append(f"{what}: {error}")
            else:
                self.note(f"rolled back: {what}")

        self._undo.callback(run)

    @contextmanager
    def rolling_back(self) -> Iterator[None]:
        """Undo everything registered when the block ends, also after an error or Ctrl-C."""
        with self._undo:
            yield


class Scenario(Protocol):
    """One failure, told as a story. `name` is stable: reports and metrics carry it."""

    name: str
    alertname: str
    title: str

    def play(self, stage: Stage) -> None:
        """Inject, check, and return when everything was seen; raises Missing otherwise."""
        ...
