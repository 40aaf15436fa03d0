"""Whether a call shows that a person must look, and what to say about it, redacted and of bounded size. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from exporter.calls import MAX_STEPS, MAX_TEXT, Call, ToolUse, Transcript
from handrail.redact import Redactor
from handrail.settings import Settings

REASONS = ("low_confidence", "tool_error")
# In characters. All of it, with four bytes to each and escaped as JSON, is below the 256 KiB that the receiver takes.
_LONGEST = 200  # of a name, as the receiver takes it
_TOOL_ERROR, _STEP, _TASK = 1_000, 400, 120
_TOOLS = 20
_ASKED = {
    "low_confidence": "Is the response right? Let it stand, correct it, or do the task by hand.",
    "tool_error": "Was the task done without the tool that failed? If not, do it by hand, and have the tool mended.",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A hand-off to be: the same call always has the same key, and only counted calls have one."""

    agent: str
    reason: str
    key: str
    body: dict[str, object]


def wanted(call: Call, settings: Settings, redact: Redactor) -> Wanted | None:
    """The hand-off of a call; None when nobody has to look, or the agent hands over itself only."""
    agent = settings.agent(call.agent)
    if agent is None or not agent.hands_over_from_executions:
        return None
    reason = _reason(call, settings.sla_of(call.agent).handoff.min_confidence)
    if reason is None:
        return None
    run = (call.execution or call.id)[:_LONGEST]
    said = call.transcript if agent.hands_over_texts and call.transcript else Transcript()
    texts = {"prompt": _shown(said.prompt, MAX_TEXT, redact), "response": _shown(said.response, MAX_TEXT, redact)}
    body: dict[str, object] = {
        "agent": call.agent,
        "task": _task(run, reason, texts["prompt"]),
        "reason": reason,
        "run_id": run,
        "execution_id": run,
        "tools": _tools(call.tools, dict(said.tool_errors), redact),
        "decision": _ASKED[reason],
    }
    body |= {name: text for name, text in texts.items() if text}
    if said.steps:
        body["steps"] = [_shown(step, _STEP, redact) for step in said.steps[:MAX_STEPS]]
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


def _task(run: str, reason: str, prompt: str) -> str:
    """What the agent was asked, in a line; where that is not known, where to look."""
    line = " ".join(prompt.split())
    if line:
        return line if len(line) <= _TASK else f"{line[:_TASK]}…"
    why = "a tool failed within it" if reason == "tool_error" else "the agent was not sure enough of its answer"
    return f"Look at execution {run}: {why}"


def _shown(text: str, most: int, redact: Redactor) -> str:
    return redact(text, at_most=most) + ("…" if len(text) > most else "")


def _tools(tools: Iterable[ToolUse], errors: dict[str, str], redact: Redactor) -> list[dict[str, object]]:
    """Those that failed come first, so that none of them is left out."""
    return [_tool(tool, errors, redact) for tool in sorted(tools, key=lambda tool: not tool.errors)[:_TOOLS]]


def _tool(tool: ToolUse, errors: dict[str, str], redact: Redactor) -> dict[str, object]:
    named = {"name": redact(tool.name, at_most=_LONGEST) or "tool"}
    if not tool.errors:
        return dict(named)
    times = f"failed {tool.errors} time(s)"
    said = _shown(errors.get(tool.name, ""), _TOOL_ERROR, redact)
    return {**named, "error": f"{said}\n{times}" if said else f"{times}; the execution says how"}
