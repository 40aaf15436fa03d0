"""Calls that end all the time in a simulated n8n and a simulated AI Gateway, and the truth about them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Literal, TypedDict

from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.n8n import N8nSimulator
from handrail.clock import SystemClock

N8N_AGENTS = ("invoices", "support")
GATEWAY_AGENTS = ("search", "triage")
# What one agent did: outcome and direction of tokens, each with its sum.
Truth = Counter[tuple[str, str]]


class Said(TypedDict):
    """What a call is told to be."""

    outcome: Literal["success", "error"]
    tokens_in: int
    tokens_out: int


class Traffic:
    """A thread that begins and ends calls in random order at random moments; `truth` is what they sum up to."""

    def __init__(self, rng: random.Random, *, pause_s: float) -> None:
        clock = SystemClock()
        self.n8n, self.cloudflare = N8nSimulator(clock), CloudflareSimulator(clock)
        # Hundreds of starts in a few minutes, each with its own budget, are more than Cloudflare would allow.
        self.cloudflare.limit.limit = 10**6
        self.workflows = {agent: self.n8n.add_workflow(agent.capitalize()) for agent in N8N_AGENTS}
        self.truth: Truth = Counter()
        self._rng = rng
        self._pause_s = pause_s
        self._open: list[tuple[str, str]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def start(self) -> None:
        """From now on calls come."""
        self._thread.start()

    def stop(self) -> None:
        """End what is open, and make no more."""
        self._stopping.set()
        self._thread.join()
        self._end_some(0)

    def _run(self) -> None:
        acts: tuple[Callable[[], None], ...] = (self._n8n_at_once, self._n8n_open, self._gateway)
        while not self._stopping.wait(self._rng.expovariate(1 / self._pause_s)):
            self._rng.choice(acts)()
            self._end_some(self._rng.randrange(12))

    def _n8n_at_once(self) -> None:
        agent = self._rng.choice(N8N_AGENTS)
        said = self._said()
        self.n8n.call(self.workflows[agent], duration_s=self._rng.choice((0.2, 1.0, 7.0)), **said)
        self._note(agent, **said)

    def _n8n_open(self) -> None:
        agent = self._rng.choice(N8N_AGENTS)
        self._open.append((agent, self.n8n.start(self.workflows[agent])))

    def _end_some(self, most_open: int) -> None:
        """The oldest need not be the first to end."""
        while len(self._open) > most_open:
            agent, execution = self._open.pop(self._rng.randrange(len(self._open)))
            said = self._said()
            self.n8n.finish(execution, **said)
            self._note(agent, **said)

    def _gateway(self) -> None:
        agent = self._rng.choice(GATEWAY_AGENTS)
        said = self._said()
        failed = said["outcome"] == "error"
        tokens_in, tokens_out = said["tokens_in"], said["tokens_out"]
        status = 500 if failed else 200
        self.cloudflare.log(agent, success=not failed, status_code=status, tokens_in=tokens_in, tokens_out=tokens_out)
        self._note(agent, **said)

    def _said(self) -> Said:
        outcome: Literal["success", "error"] = "error" if self._rng.random() < 0.2 else "success"
        return {"outcome": outcome, "tokens_in": self._rng.randint(1, 999), "tokens_out": self._rng.randint(1, 99)}

    def _note(self, agent: str, *, outcome: str, tokens_in: int, tokens_out: int) -> None:
        self.truth[agent, outcome] += 1
        # A model that failed in n8n told no usage; the gateway logs what was used before the failure.
        if outcome == "success" or agent in GATEWAY_AGENTS:
            self.truth.update({(agent, "input"): tokens_in, (agent, "output"): tokens_out})
