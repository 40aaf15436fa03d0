"""The steady traffic of the demo agents: one call at a time, all of them within the SLA."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import replace

import structlog

from drill.simulators.agents import Agents, Call, SwitchedOff, UnknownAgent

_log = structlog.get_logger()

INTERVAL_S = 3.0
# Which call of refund-desk, counted from 0, is unsure of itself; then every so many calls.
UNSURE_FIRST, UNSURE_EVERY = 5, 40


class SteadyTraffic:
    """One thread that lets the agents call in turn while it is on; a failed turn is logged and counted.

    While the model is faulty (`model_is_faulty`) the agents behind the gateway make no steady calls: a call that
    went well in the middle of an outage would be a lie, and would break a streak of slow ones.
    """

    def __init__(
        self, agents: Agents, *, model_is_faulty: Callable[[], bool], interval_s: float = INTERVAL_S, seed: int = 1
    ) -> None:
        self._agents = agents
        self._model_is_faulty = model_is_faulty
        self._interval_s = interval_s
        self._random = random.Random(seed)  # noqa: S311 - durations, not secrets
        self._stop = threading.Event()
        self._turns = itertools.cycle((self._invoice_summary, self._support_bot, self._refund_desk))
        self._refunds = itertools.count()
        self._thread = threading.Thread(target=self._run, name="steady-traffic", daemon=True)
        self.on = True
        self.calls = 0
        self.failures = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, and wait for the turn in progress."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            if not self.on:
                continue
            try:
                self.turn()
            except Exception:  # noqa: BLE001 - the traffic must outlive any failed turn; it is logged and counted
                self.failures += 1
                _log.exception("steady_traffic_failed", failures=self.failures)

    def turn(self) -> None:
        """Let the next agent make its call, if it may."""
        try:
            self.calls += next(self._turns)()
        except (SwitchedOff, UnknownAgent) as silent:
            _log.debug("agent_stays_silent", agent=str(silent))

    def _call(self, seconds: tuple[float, float], tokens_in: int, tokens_out: int) -> Call:
        return Call(
            duration_s=round(self._random.uniform(*seconds), 3),
            tokens_in=round(tokens_in * self._random.uniform(0.9, 1.1)),
            tokens_out=round(tokens_out * self._random.uniform(0.8, 1.2)),
        )

    def _invoice_summary(self) -> int:
        sure = round(self._random.uniform(0.86, 0.98), 2)
        self._agents.call("invoice-summary", replace(self._call((1.2, 3.2), 800, 120), confidence=sure))
        return 1

    def _support_bot(self) -> int:
        if self._model_is_faulty():
            return 0
        self._agents.call("support-bot", self._call((0.6, 2.4), 260, 50))
        return 1

    def _refund_desk(self) -> int:
        if self._model_is_faulty():
            return 0
        call = self._call((0.8, 2.8), 360, 60)
        if next(self._refunds) % UNSURE_EVERY == UNSURE_FIRST:
            call = replace(call, confidence=round(self._random.uniform(0.4, 0.6), 2))
        self._agents.call("refund-desk", call)
        return 1
