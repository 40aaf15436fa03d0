"""Rows of one window put together to calls: the attempts of a request are one call, and its last word decides. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from exporter.calls import Call, TokenUsage
from exporter.errors import reason_of_status
from exporter.sources.ai_gateway_rows import Row

# A failed attempt may be followed by another one of the same request; so long its last word is waited for beyond
# what the log is behind anyway.
SETTLE = timedelta(seconds=10)


def requests_of(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each request, the last word last. Rows that name no request are requests of their own."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.request, []).append(row)
    return [sorted(attempts, key=lambda row: (row.step, row.ended_at)) for attempts in grouped.values()]


def is_decided(attempts: Sequence[Row], until: datetime, settle: timedelta) -> bool:
    """Whether a request that ended before `until` can be counted: it succeeded, or no further attempt is expected."""
    last = attempts[-1]
    newest = max(row.ended_at for row in attempts)
    if newest >= until:
        return False
    return last.success or not last.is_grouped or newest < until - settle


def call_of(attempts: Sequence[Row], *, source: str, agent: str) -> Call:
    """The call that these attempts, in order, make up. It lasts from the first one's begin to the last one's end.

    An answer from the cache is no attempt and used no tokens.
    """
    last = attempts[-1]
    started = min(row.ended_at - row.duration for row in attempts)
    ended = max(row.ended_at for row in attempts)
    return Call(
        source=source,
        id=last.request,
        agent=agent,
        started_at=started,
        finished_at=ended,
        duration=ended - started,
        outcome="success" if last.success else "error",
        error_reason=None if last.success else reason_of_status(last.status),
        model=last.model,
        provider=last.provider,
        tokens=_tokens(attempts),
        cost_usd=_cost(attempts),
        attempts=sum(not row.cached for row in attempts),
        cached=last.cached,
    )


def _tokens(attempts: Sequence[Row]) -> TokenUsage:
    """What all attempts used, as far as they tell; unknown when the last one does not."""
    last = attempts[-1].tokens
    if last.basis == "unknown":
        return last
    return TokenUsage(
        _sum(row.tokens.tokens_in for row in attempts), _sum(row.tokens.tokens_out for row in attempts), last.basis
    )


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _cost(attempts: Sequence[Row]) -> Decimal | None:
    known = [row.cost for row in attempts if row.cost is not None]
    return sum(known, Decimal(0)) if known else None
