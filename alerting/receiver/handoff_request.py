"""What an agent says when it hands its work over, and why a person must look. No I/O.

A confidence is compared as it was written: 0.7999999999999999999 is below 0.8, and 0.8 is not.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from alerting.receiver.bodies import Malformed, validated

MAX_BYTES = 256 * 1024

Reason = Literal["low_confidence", "tool_error", "invalid_output", "max_iterations"]
REASONS: tuple[Reason, ...] = get_args(Reason)

Text = Annotated[str, Field(max_length=100_000)]
Line = Annotated[str, Field(max_length=200)]
Url = Annotated[str, Field(max_length=2_000, pattern=r"^https?://[^\s]+$")]

_EXPECTED = 'send a number between 0 and 1, e.g. 0.62, or a percentage with its sign, e.g. "62%"'


class ToolCall(BaseModel):
    """A tool that the agent called, and what it said if it failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    error: Annotated[str, Field(max_length=10_000)] | None = None


class HandoffRequest(BaseModel):
    """What an agent sends. Unknown keys are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: str | None = None
    task: Annotated[str, Field(min_length=1, max_length=10_000)]
    reason: Reason | None = None
    confidence: Annotated[Decimal, Field(ge=0, le=1)] | None = None
    tool_error: Text | None = None
    prompt: Text | None = None
    response: Text | None = None
    run_id: Line | None = None
    model: Line | None = None
    model_version: Line | None = None
    trace_id: Line | None = None
    trace_url: Url | None = None
    execution_id: Line | None = None
    execution_url: Url | None = None
    tools: Annotated[tuple[ToolCall, ...], Field(max_length=50)] = ()
    steps: Annotated[tuple[Annotated[str, Field(max_length=1_000)], ...], Field(max_length=30)] = ()
    decision: Annotated[str, Field(max_length=2_000)] | None = None
    customer_impact: Annotated[str, Field(max_length=2_000)] | None = None

    @field_validator("confidence", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        return None if value is None else confidence_of(value)

    @property
    def canonical(self) -> str:
        """Equal for requests that say the same, however their JSON is written."""
        said = self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        if self.confidence is not None:
            said["confidence"] = str(self.confidence.normalize())
        return json.dumps(said, sort_keys=True)


def confidence_of(value: object) -> Decimal:
    """The confidence that was sent, exactly; ValueError says what was sent and what is expected.

    A bare 62 is refused: whether it means 62 % or is a mistake, only its sender knows.
    """
    text = value.strip() if isinstance(value, str) else str(value)
    shown = f"{text[:40]!r} is" if isinstance(value, str) else f"{text[:40]} is"
    number, percent = (text[:-1].strip(), True) if text.endswith("%") else (text, False)
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal) or len(number) > 400:
        raise ValueError(f"{shown} not a confidence; {_EXPECTED}")
    try:
        confidence = Decimal(number)
    except InvalidOperation:
        raise ValueError(f"{shown} not a confidence; {_EXPECTED}") from None
    if not confidence.is_finite():
        raise ValueError(f"{shown} not a confidence; {_EXPECTED}")
    confidence = confidence.scaleb(-2) if percent else confidence
    if not 0 <= confidence <= 1:
        raise ValueError(f"{shown} not between 0 and 1; {_EXPECTED}")
    # So small a number would fill pages if it were ever written out.
    return confidence if confidence.adjusted() > -400 else Decimal(0)


def parse(body: bytes, agent: str | None) -> HandoffRequest:
    """The request of `agent`, or of the agent that it names; Malformed says what is wrong and where."""
    try:
        document = json.loads(body, parse_float=Decimal, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON") from error
    request = validated(HandoffRequest, document)
    if agent is not None and request.agent not in (None, agent):
        raise Malformed("agent: the token belongs to another agent")
    if agent is None and request.agent is None:
        raise Malformed("agent: say whose work it is")
    if request.reason is None and request.confidence is None and not failed_tool(request):
        raise Malformed(f"confidence: is missing; {_EXPECTED}, or a tool_error, or a reason: {', '.join(REASONS)}")
    return request


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < 20 else Decimal(text)


def failed_tool(request: HandoffRequest) -> str | None:
    """What the tool said that failed; None when none did."""
    if request.tool_error is not None:
        return request.tool_error
    return next((tool.error for tool in request.tools if tool.error is not None), None)


def reason_of(request: HandoffRequest, min_confidence: Decimal) -> Reason | None:
    """Why a person must look; None when nobody has to. Exactly the minimum is enough.

    A failure that the agent names counts whatever its confidence; a tool's error comes before a low confidence.
    """
    if request.reason in ("invalid_output", "max_iterations", "tool_error"):
        return request.reason
    if failed_tool(request) is not None:
        return "tool_error"
    if request.confidence is not None:
        return "low_confidence" if request.confidence < min_confidence else None
    return request.reason
