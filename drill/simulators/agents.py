"""The agents of the simulated world: who they are, whether they are switched on, and the calls they make."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.n8n import N8nSimulator
from drill.simulators.n8n_recordings import Outcome
from handrail.clock import Clock

GATEWAY_STATUS: dict[str, int] = {"success": 200, "error": 500, "timeout": 408}


class UnknownAgent(Exception):
    """There is no agent of that name."""


class AgentExists(Exception):
    """There is an agent of that name already."""


class SwitchedOff(Exception):
    """The agent is switched off and makes no calls."""


class NotPossible(Exception):
    """An agent of this kind cannot have such a call."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an agent, and how it went."""

    duration_s: float = 1.0
    outcome: Outcome = "success"
    tokens_in: int | None = None
    tokens_out: int | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class _Member:
    kind: Literal["n8n", "gateway"]
    workflow_id: str = ""
    enabled: Callable[[], bool] = lambda: True
    report: Callable[[float], Any] | None = None


class Agents:
    """The roster; thread-safe. A switched-off agent raises SwitchedOff instead of making a call."""

    def __init__(self, clock: Clock, n8n: N8nSimulator, cloudflare: CloudflareSimulator) -> None:
        self._clock = clock
        self._n8n, self._cloudflare = n8n, cloudflare
        self._lock = threading.RLock()
        self._members: dict[str, _Member] = {}

    def add_n8n(self, name: str, workflow_name: str, *, confidence: bool = False) -> str:
        """A new n8n agent with a published workflow; the workflow's id."""
        with self._lock:
            self._refuse_double(name)
            workflow_id = self._n8n.add_workflow(workflow_name, confidence=confidence)
            self._members[name] = _Member("n8n", workflow_id, lambda: self._n8n.workflow(workflow_id).active)
            return workflow_id

    def add_gateway(
        self, name: str, *, enabled: Callable[[], bool] = lambda: True, report: Callable[[float], Any] | None = None
    ) -> None:
        """A new agent behind the gateway; `report` is told the confidence of its calls where one is given."""
        with self._lock:
            self._refuse_double(name)
            self._members[name] = _Member("gateway", enabled=enabled, report=report)

    def remove(self, name: str) -> bool:
        """Take an agent away and archive its workflow; False if there was none."""
        with self._lock:
            member = self._members.pop(name, None)
        if member is not None and member.kind == "n8n":
            self._n8n.archive(member.workflow_id)
        return member is not None

    def listed(self) -> list[dict[str, Any]]:
        """Every agent with its kind, and whether it is switched on."""
        with self._lock:
            members = dict(self._members)
        return [{"name": name, "kind": one.kind, "enabled": one.enabled()} for name, one in members.items()]

    def call(self, name: str, call: Call, *, finished_at: datetime | None = None) -> str:
        """Make one call that ended at `finished_at` (now); the id of its execution or log row."""
        with self._lock:
            member = self._members.get(name)
        if member is None:
            raise UnknownAgent(name)
        if not member.enabled():
            raise SwitchedOff(name)
        tokens: dict[str, Any] = {"tokens_in": call.tokens_in, "tokens_out": call.tokens_out}
        if member.kind == "n8n":
            facts: dict[str, Any] = {"duration_s": call.duration_s, "finished_at": finished_at}
            facts |= {"outcome": call.outcome, "confidence": call.confidence}
            return self._n8n.call(member.workflow_id, **facts, **tokens)
        if call.outcome not in GATEWAY_STATUS:
            raise NotPossible(f"a call behind the gateway cannot end as {call.outcome}")
        status = GATEWAY_STATUS[call.outcome]
        at = finished_at or self._clock.now()
        row = self._cloudflare.log(
            name, duration_s=call.duration_s, success=status == 200, status_code=status, created_at=at, **tokens
        )
        # Such an agent is a Worker, and runs as long as its call takes.
        self._cloudflare.analytics.invoke(name, wall_us=call.duration_s * 1e6, at=at)
        if call.confidence is not None and member.report is not None:
            member.report(call.confidence)
        return row

    def calls(self, name: str, call: Call, *, count: int, spacing_s: float) -> list[str]:
        """`count` like calls, the last of them ended now."""
        now = self._clock.now()
        ends = [now - timedelta(seconds=spacing_s * before) for before in reversed(range(count))]
        return [self.call(name, call, finished_at=end) for end in ends]

    def _refuse_double(self, name: str) -> None:
        if name in self._members:
            raise AgentExists(name)
