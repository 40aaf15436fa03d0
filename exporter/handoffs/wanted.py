"""Whether a call shows that a person must look, and what to say about it. No I/O, and no word that a model wrote."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exporter.calls import Call
from handrail.settings import Settings

REASONS = ("low_confidence", "tool_error")
_LONGEST = 200  # of a name, as the receiver takes it


@dataclass(frozen=True, slots=True)
class Wanted:
    """A hand-off to be: the same call always has the same key, and only counted calls have one."""

    agent: str
    reason: str
    key: str
    body: dict[str, object]


def wanted(call: Call, settings: Settings) -> Wanted | None:
    """The hand-off of a call; None when nobody has to look, or the agent hands over itself only."""
    agent = settings.agent(call.agent)
    if agent is None or not agent.hands_over_from_executions:
        return None
    reason = _reason(call, settings.sla_of(call.agent).handoff.min_confidence)
    if reason is None:
        return None
    run = (call.execution or call.id)[:_LONGEST]
    said = "a tool failed within it" if reason == "tool_error" else "the agent was not sure enough of its answer"
    body: dict[str, object] = {
        "agent": call.agent,
        "task": f"Look at execution {run}: {said}",
        "reason": reason,
        "run_id": run,
        "execution_id": run,
        "tools": [_tool(tool.name, tool.errors) for tool in call.tools[:50]],
    }
    if call.confidence is not None:
        body["confidence"] = repr(call.confidence)
    if call.model:
        body["model"] = call.model[:_LONGEST]
    if call.url is not None and len(call.url) <= 2_000 and " " not in call.url:
        body["execution_url"] = call.url
    return Wanted(call.agent, reason, f"{call.source}/{call.id}"[-_LONGEST:], body)


def _reason(call: Call, min_confidence: Decimal) -> str | None:
    if call.tool_errors:
        return "tool_error"
    if call.confidence is not None and Decimal(repr(call.confidence)) < min_confidence:
        return "low_confidence"
    return None


def _tool(name: str, errors: int) -> dict[str, object]:
    said = {"error": f"failed {errors} time(s); the execution says how"} if errors else {}
    return {"name": name[:_LONGEST] or "tool", **said}
