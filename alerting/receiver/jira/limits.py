"""How long Jira wants to be left alone, and with what: this item, this kind of request, or everything.

Atlassian's page on rate limits names four reasons in `RateLimit-Reason`. `Retry-After` counts only beside 429 and 503:
Data Center sends `retry-after: 0` with every answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal

LONGEST_S = 3600.0
LIMITED = frozenset({429, 503})
# How long to wait before the next request while Jira says that a limit is near.
NEAR_LIMIT_S = 1.0

Scope = Literal["item", "requests", "everything"]


@dataclass(frozen=True, slots=True)
class Pause:
    """So many seconds (None: Jira does not say), for the item, for requests of its kind, or for everything."""

    seconds: float | None
    scope: Scope
    reason: str


def pause_of(status: int, headers: Mapping[str, str], now: datetime) -> Pause:
    """What an answer with status 429 or 503 asks for. Header names of `headers` are case-insensitive."""
    reason = headers.get("ratelimit-reason", "")
    scope: Scope = "everything"
    if reason == "jira-per-issue-on-write":
        scope = "item"
    elif reason == "jira-burst-based":
        scope = "requests"
    return Pause(_seconds(headers.get("retry-after", ""), now), scope, reason or f"HTTP {status}")


def is_near(headers: Mapping[str, str]) -> bool:
    """Less than a fifth of a limit is left."""
    return headers.get("x-ratelimit-nearlimit", "").lower() == "true"


def _seconds(value: str, now: datetime) -> float | None:
    """`Retry-After` is a number of seconds or a date."""
    if value.strip().isdigit():
        return min(float(value), LONGEST_S)
    try:
        moment = parsedate_to_datetime(value)
        return min(max(0.0, (moment - now).total_seconds()), LONGEST_S)
    except (ValueError, TypeError):
        return None
