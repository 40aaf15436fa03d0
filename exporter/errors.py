"""Why a call failed, as one of a closed set of reasons; pure functions of what a service said, without I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

Reason = Literal[
    "timeout",
    "rate_limited",
    "provider_error",
    "tool_error",
    "invalid_output",
    "auth",
    "canceled",
    "crashed",
    "other",
]
REASONS: tuple[Reason, ...] = get_args(Reason)

_TIMEOUT = re.compile(r"\b(time[d]?[ -]?out|ETIMEDOUT|ECONNABORTED|deadline exceeded)\b|timeout", re.IGNORECASE)
_INVALID_OUTPUT = re.compile(r"fit required format|output ?pars|could not parse|unexpected end of JSON", re.IGNORECASE)
_PROVIDER = re.compile(
    r"\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|EPIPE|socket hang up)\b"
    r"|not able to process your request|service (is )?unavailable|connection (was )?(aborted|refused)|overloaded",
    re.IGNORECASE,
)
_RATE = re.compile(r"too many requests|rate.?limit|quota", re.IGNORECASE)
_AUTH = re.compile(r"authori[sz]ation failed|unauthori[sz]ed|forbidden|invalid api key|credentials", re.IGNORECASE)
# The service's status stands at the beginning of a message: "429 chosen failure" or "500 - {...}".
_LEADING_STATUS = re.compile(r"^\s*([45]\d\d)\b")

_BY_FAILURE_TYPE: Mapping[str, Reason] = {
    "RateLimitError": "rate_limited",
    "AuthenticationError": "auth",
    "PermissionDeniedError": "auth",
    "InternalServerError": "provider_error",
    "BadRequestError": "provider_error",
    "SocketError": "provider_error",
    "APIConnectionTimeoutError": "timeout",
    "TimeoutError": "timeout",
}
_BY_NAME: Mapping[str, Reason] = {
    "WorkflowCrashedError": "crashed",
    "NodeCrashedError": "crashed",
    "ManualExecutionCancelledError": "canceled",
    "TimeoutExecutionCancelledError": "timeout",
    "OutputParserException": "invalid_output",
    "AxiosTimeoutError": "timeout",
}


def reason_of_status(status: int | None) -> Reason:
    """The reason that an HTTP status of the model's service stands for; `other` when there is none."""
    if status is None:
        return "other"
    if status in (408, 504, 524):
        return "timeout"
    if status == 429:
        return "rate_limited"
    if status in (401, 403):
        return "auth"
    return "provider_error" if status >= 400 else "other"


def reason_of_text(text: str) -> Reason:
    """The reason that an error message gives away; `other` when it gives none."""
    if found := _LEADING_STATUS.match(text):
        return reason_of_status(int(found.group(1)))
    for pattern, reason in (
        (_TIMEOUT, "timeout"),
        (_INVALID_OUTPUT, "invalid_output"),
        (_RATE, "rate_limited"),
        (_AUTH, "auth"),
        (_PROVIDER, "provider_error"),
    ):
        if pattern.search(text):
            return reason  # type: ignore[return-value]  # a tuple of literals is widened to str
    return "other"


def reason_of_failure_type(kind: object) -> Reason | None:
    """The reason behind the class name of an error that n8n's agent node traced, if it is a known one."""
    return _BY_FAILURE_TYPE.get(str(kind))


def reason_of_n8n_error(error: object) -> Reason:
    """The reason of an error object (or message) inside an n8n execution; the most specific statement wins."""
    if isinstance(error, str):
        return reason_of_text(error)
    if not isinstance(error, Mapping):
        return "other"
    if named := _BY_NAME.get(str(error.get("name"))):
        return named
    if (status := _status(error.get("httpCode"))) is not None:
        return reason_of_status(status)
    for text in _texts(error):
        if (reason := reason_of_text(text)) != "other":
            return reason
    return "other"


def _status(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdigit() and 400 <= int(text) <= 599 else None


def _texts(error: Mapping[str, Any]) -> list[str]:
    """What the error says, the service's own words (which begin with its status) before n8n's paraphrase."""
    cause = error.get("cause")
    messages = error.get("messages")
    found = [cause.get("message") if isinstance(cause, Mapping) else None]
    found += messages if isinstance(messages, list) else []
    found += [error.get("httpCode"), error.get("message"), error.get("description")]
    return [text for text in found if isinstance(text, str)]
