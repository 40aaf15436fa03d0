"""One attempt at a provider as AI Gateway logged it, read from a row of its log or from a telemetry event. Pure.

What a call cannot do without (identity, time, duration, outcome) is never guessed: such a row is no Row. Everything
else that is missing or of an unusable type is unknown.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from exporter.calls import TokenUsage
from exporter.sources.reading import mapping, moment

# Longer than any request; what claims more is not a duration in the unit that is expected.
_LONGEST = timedelta(days=7)
_MOST_TOKENS = 2**53
_DEPTH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attempt. `request` is what its attempts have in common, `ended_at` is what the log calls created_at."""

    request: str
    is_grouped: bool
    step: int
    ended_at: datetime
    duration: timedelta
    success: bool
    cached: bool
    status: int | None
    model: str
    provider: str
    tokens: TokenUsage
    cost: Decimal | None
    metadata: Mapping[str, str] = field(default_factory=dict)
    user_agent: str = ""
    gateway: str = ""


def read_row(raw: object) -> Row | None:
    """A row of the gateway's own log (durations in milliseconds); None for what is none."""
    fields = mapping(raw)
    own = _Fields(fields)
    ended_at = moment(fields.get("created_at"))
    identity = own.text("id")
    if ended_at is None or not identity:
        return None
    metadata = _metadata(own)
    return _made(own, metadata, identity=identity, ended_at=ended_at, duration_ms=own.number("duration"))


def read_event(raw: object) -> Row | None:
    """An event of the telemetry dataset `ai-gateway`; None for what tells too little.

    Cloudflare documents the frame of an event and not the names inside, so the names of the log's rows and those of
    OpenTelemetry's gen_ai are both understood, however their words are joined.
    """
    event = mapping(raw)
    own, frame = _Fields(_flat(_source(event.get("source")))), _Fields(mapping(event.get("$metadata")))
    identity = own.text("id", "log_id", "cf.aig.log_id") or frame.text("id")
    ended_at = moment(own.text("created_at")) or _since_1970(event.get("timestamp"))
    if ended_at is None or not identity:
        return None
    duration = own.number("duration", "duration_ms", "timings.total", "request_duration_ms")
    if duration is None and (seconds := own.number("gen_ai.client.operation.duration")) is not None:
        duration = seconds * 1000
    if duration is None:
        duration = frame.number("duration")
    # The team's keys may stand beside the event's own fields, as Cloudflare's OpenTelemetry export writes them.
    beside = {
        name.removeprefix("metadata."): value for name, value in own.raw.items() if not isinstance(value, Mapping)
    }
    metadata = _texts(beside) | _metadata(own)
    return _made(own, metadata, identity=identity, ended_at=ended_at, duration_ms=duration)


def digest(raw: object) -> str:
    """A short name for a row that cannot be read, by which it is known again."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True, default=str).encode()).hexdigest()[:16]


class _Fields:
    """Fields by any spelling of their names: tokens_in, tokensIn and tokens-in are one."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self._by_name = {_plain(str(name)): value for name, value in raw.items()}

    def get(self, *names: str) -> object:
        """The first that is there and not null."""
        found = (self._by_name.get(_plain(name)) for name in names)
        return next((value for value in found if value is not None), None)

    def text(self, *names: str) -> str:
        value = self.get(*names)
        return value if isinstance(value, str) else ""

    def number(self, *names: str) -> float | None:
        """A number, also one that is written as text."""
        value = self.get(*names)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    def count(self, *names: str) -> int | None:
        number = self.number(*names)
        return int(number) if number is not None and 0 <= number < _MOST_TOKENS else None

    def truth(self, *names: str) -> bool | None:
        value = self.get(*names)
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())


def _made(
    own: _Fields, metadata: Mapping[str, str], *, identity: str, ended_at: datetime, duration_ms: float | None
) -> Row | None:
    status = own.count("status_code", "http.response.status_code")
    success = own.truth("success")
    if success is None and status:
        success = 200 <= status < 400
    if success is None or duration_ms is None or not 0 <= duration_ms <= _LONGEST / timedelta(milliseconds=1):
        return None
    request = own.text("event_id", "cf.aig.event_id")
    cached = own.truth("cached", "cache_hit", "cf.aig.cached") or False
    tokens = TokenUsage() if cached else _usage(own)
    return Row(
        request=request or identity,
        is_grouped=bool(request),
        step=own.count("step") or 0,
        ended_at=ended_at,
        duration=timedelta(milliseconds=duration_ms),
        success=success,
        cached=cached,
        status=status,
        model=own.text("model", "gen_ai.response.model", "gen_ai.request.model"),
        provider=own.text("provider", "gen_ai.provider.name", "gen_ai.model.provider", "gen_ai.system"),
        tokens=tokens,
        cost=_cost(own, tokens),
        metadata=metadata,
        user_agent=own.text("user_agent", "user_agent.original"),
        gateway=own.text("gateway", "gateway_id", "gateway.id", "cf.aig.gateway", "cf.aig.gateway.id"),
    )


def _usage(own: _Fields) -> TokenUsage:
    """The row's own numbers, else those of its usage_metadata: the first are null for some providers."""
    nested = _Fields(mapping(own.get("usage_metadata")))
    into, out = own.count("tokens_in"), own.count("tokens_out")
    if into is None and out is None:
        into, out = nested.count("input_tokens"), nested.count("output_tokens")
    if into is None and out is None:
        into = own.count("input_tokens", "usage_metadata.input_tokens", "gen_ai.usage.input_tokens")
        out = own.count("output_tokens", "usage_metadata.output_tokens", "gen_ai.usage.output_tokens")
    return TokenUsage() if into is None and out is None else TokenUsage(into, out, "actual")


def _cost(own: _Fields, tokens: TokenUsage) -> Decimal | None:
    """US dollars. A gateway that knows no price writes 0: with tokens used and no price of the team's own, unknown."""
    cost = own.number("cost", "gen_ai.usage.cost")
    if cost is None or cost < 0:
        return None
    used = (tokens.tokens_in or 0) + (tokens.tokens_out or 0)
    if cost == 0 and used and not own.truth("custom_cost"):
        return None
    return Decimal(str(cost))


def _metadata(own: _Fields) -> dict[str, str]:
    """The metadata as text by key, from JSON text or an object."""
    value = own.get("metadata", "custom_metadata", "cf_aig_metadata")
    return _texts(mapping(_parsed(value) if isinstance(value, str) else value))


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Numbers and booleans as JSON writes them; null is nothing."""
    known = ((str(key), value) for key, value in values.items() if value is not None)
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in known}


def _source(value: object) -> Mapping[str, Any]:
    return mapping(_parsed(value) if isinstance(value, str) else value)


def _parsed(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed


def _flat(value: Mapping[str, Any], prefix: str = "", depth: int = 1) -> dict[str, Any]:
    """Nested objects also under dotted names."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        found[f"{prefix}{name}"] = item
        if isinstance(item, Mapping) and depth < _DEPTH:
            found |= _flat(item, f"{prefix}{name}.", depth + 1)
    return found


def _since_1970(value: object) -> datetime | None:
    """Unix milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", name.lower())
