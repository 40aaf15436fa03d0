"""The cross-check: requests that Cloudflare counted at a gateway against rows of its log that were read.

An empty log is never read as "no traffic". Cloudflare's count and the log may put a request near a border into
different windows, so a difference is a gap only when a dozen windows (an hour) have not given it back. A log that has
more rows than were counted is no gap: attempts at a provider may be rows of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

from exporter.sources import Count, State
from exporter.sources.datasets import Ask, Dataset, Reading, number, text
from exporter.sources.gateway_tally import Log
from exporter.sources.windows import Window, whole_minute

NODE = "aiGatewayRequestsAdaptiveGroups"
# A log that is behind is waited for this long, and then the window is left unchecked.
PATIENCE = timedelta(hours=2)
WINDOWS = 12

Verdict = Literal["equal", "missing", "extra", "sampled", "unread"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


def settle(recent: Sequence[int], difference: int) -> tuple[int, list[int]]:
    """The gap that one more window's difference confirms, and what to remember for the next one.

    `recent` are the last sums of all differences, counted from the level that is confirmed. The level rises, and that
    is a gap, once all of them are above it; it sinks once all are below. What goes up and down across it is neither.
    """
    recent = [*recent, (recent[-1] if recent else 0) + difference][-WINDOWS:]
    if len(recent) < WINDOWS:
        return 0, recent
    shift = max(0, min(recent)) or min(0, max(recent))
    return max(0, shift), [total - shift for total in recent]


def coverage(
    source: str, gateways: Sequence[str], *, log_of: Callable[[str], Log | None], now: Callable[[], datetime]
) -> Dataset:
    """The cross-check of the configured gateways; `log_of` is what was read of a gateway's log, None for nothing."""

    def ready(until: datetime) -> datetime:
        finals = [log.final for gateway in gateways if (log := log_of(gateway)) is not None]
        return whole_minute(min([until, *(max(final, now() - PATIENCE) for final in finals)]))

    def read(memory: State, window: Window, ask: Ask) -> Reading:
        required = ("count", "dimensions.gateway")
        counted: dict[str, float] = defaultdict(float)
        sampled: set[str] = set()
        for row in ask(NODE, window, required=required, optional=("avg.sampleInterval",)):
            gateway, count = text(row, "dimensions", "gateway"), row.get("count")
            counted[gateway] += count if isinstance(count, int | float) else 0
            if number(row, "avg", "sampleInterval") > 1:
                sampled.add(gateway)
        recent: State = dict(memory.get("recent", {}))
        gap, counts = 0, []
        for gateway in gateways:
            log = log_of(gateway)
            rows = log.rows(window) if log else None
            verdict, difference = _compare(None if gateway in sampled else counted[gateway], rows)
            counts.append(Count("gateway_coverage_checks", labels=_labels(source, gateway, verdict)))
            if difference is not None:
                confirmed, recent[gateway] = settle(recent.get(gateway, ()), difference)
                gap += confirmed
        return Reading({"recent": recent}, tuple(counts), gap)

    zeros = [Count("gateway_coverage_checks", 0, labels=_labels(source, one, v)) for one in gateways for v in VERDICTS]
    return Dataset("ai_gateway", NODE, read, zeros=tuple(zeros), ready=ready)


def _compare(counted: float | None, rows: int | None) -> tuple[Verdict, int | None]:
    if counted is None:
        return "sampled", None
    if rows is None:
        return "unread", None
    difference = round(counted) - rows
    return ("equal" if not difference else "missing" if difference > 0 else "extra"), difference


def _labels(source: str, gateway: str, verdict: Verdict) -> dict[str, str]:
    return {"source": source, "gateway": gateway, "verdict": verdict}
