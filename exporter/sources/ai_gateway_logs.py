"""The two places that hold the requests of an AI Gateway: its own log, and telemetry for accounts without that.

Cloudflare keeps the logs of accounts that were created from 2026-09-24 on in Workers Observability. Both are asked
for a time, and answer with rows; what went wrong on the way is part of the answer, beside what had been read by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

from exporter.sources import SourceDown
from exporter.sources.ai_gateway_rows import Row, digest, read_event, read_row
from exporter.sources.cloudflare_envelope import USABLE, successful
from exporter.sources.fetch import Fetcher
from exporter.sources.reading import Json, listing, mapping
from handrail.clock import Clock

PER_PAGE = 50
EVENTS_PER_PAGE = 100
DATASET = "ai-gateway"
_MAX_PAGES = 2000
_KEEP_KEYS_S = 3600.0
# Names that the dataset may have for the gateway; which one it has is asked.
_GATEWAY_KEYS = ("gateway", "gateway_id", "gatewayId", "gateway.id", "cf.aig.gateway", "cf.aig.gateway.id")


@dataclass(frozen=True, slots=True)
class Found:
    """What a log held from `since` on. All before `read_to` was read; `unreadable` are names of rows that are none.

    `is_empty` says that not one row came, readable or not, of this gateway.
    """

    since: datetime
    read_to: datetime
    rows: tuple[Row, ...] = ()
    unreadable: frozenset[str] = frozenset()
    is_empty: bool = True
    trouble: SourceDown | None = None

    def counted_to(self, until: datetime) -> datetime:
        """How far requests can be counted, of those that ended before `until`."""
        return min(self.read_to, until)


class RequestLog(Protocol):
    """Reads a gateway's requests of a time."""

    def read(self, gateway: str, since: datetime, until: datetime) -> Found:
        """All rows from `since` until before `until`; never raises SourceDown."""
        ...


class LegacyLog:
    """The gateway's own log, by pages in the order of time."""

    def __init__(self, fetch: Fetcher, account_id: str) -> None:
        self._fetch = fetch
        self._account = quote(account_id, safe="")

    def read(self, gateway: str, since: datetime, until: datetime) -> Found:
        """The part before a failure is kept: rows come in the order of time, so it is known how far it reaches."""
        rows = _Gathered(lambda raw: _of_gateway(read_row(raw), gateway))
        try:
            if self._pages(gateway, since, until, rows) > rows.seen:
                # Rows moved from one page to another while they were read: those that slipped through are read now.
                self._pages(gateway, since, until, rows, again=True)
        except SourceDown as down:
            return rows.found(since, rows.in_order_to or since, down)
        return rows.found(since, until)

    def _pages(self, gateway: str, since: datetime, until: datetime, rows: _Gathered, *, again: bool = False) -> int:
        """The most rows that the log said there are; 0 where it does not say."""
        path = f"/accounts/{self._account}/ai-gateway/gateways/{quote(gateway, safe='')}/logs"
        order: dict[str, str | int] = {"order_by": "created_at", "order_by_direction": "asc", "per_page": PER_PAGE}
        window = {"start_date": _rfc3339(since), "end_date": _rfc3339(until)}
        most = 0
        for page in range(1, _MAX_PAGES + 1):
            frame = successful(self._fetch.get(path, {**window, **order, "page": page}, usable=USABLE), path)
            if not isinstance(frame.get("result"), list):
                raise SourceDown("wrong_shape", f"no list of rows on {path}")
            total = mapping(frame.get("result_info")).get("total_count")
            most = max(most, total) if isinstance(total, int) else most
            is_new = rows.add(frame["result"])
            if not frame["result"] or 0 < most <= rows.seen:
                return most
            if not is_new and not again:
                break
        raise SourceDown("endless_pages", f"pages without end on {path}")


class TelemetryLog:
    """The dataset `ai-gateway` of Workers Observability. Events may come in any order, so a part of them is nothing."""

    def __init__(self, fetch: Fetcher, account_id: str, clock: Clock) -> None:
        self._fetch = fetch
        self._base = f"/accounts/{quote(account_id, safe='')}/workers/observability/telemetry"
        self._clock = clock
        self._keys_asked_at: float | None = None
        self._gateway_key: str | None = None

    def read(self, gateway: str, since: datetime, until: datetime) -> Found:
        """All events of the gateway, or none. Those that name no gateway are among them, and say so."""
        rows = _Gathered(read_event)
        try:
            self._pages(gateway, since, until, rows)
            if rows.seen:
                self._learn_gateway_key(since, until)
        except SourceDown as down:
            return Found(since, since, is_empty=not rows.seen, trouble=down)
        return rows.found(since, until, gateways=("", gateway))

    def _pages(self, gateway: str, since: datetime, until: datetime, rows: _Gathered) -> None:
        path = f"{self._base}/query"
        query = self._query(gateway, since, until)
        for _ in range(_MAX_PAGES):
            result = mapping(successful(self._fetch.post(path, query, usable=USABLE), path).get("result"))
            _refuse_samples(result, path)
            events = mapping(result.get("events")).get("events")
            if not isinstance(events, list):
                raise SourceDown("wrong_shape", f"no list of events on {path}")
            if not events:
                return
            last = mapping(mapping(events[-1]).get("$metadata")).get("id")
            if not rows.add(events) or not isinstance(last, str):
                break
            query = {**query, "offset": last, "offsetDirection": "next"}
        raise SourceDown("endless_pages", f"pages without end on {path}")

    def _query(self, gateway: str, since: datetime, until: datetime) -> dict[str, Any]:
        key = self._gateway_key
        return {
            "queryId": "handrail",
            # Not kept among the account's queries.
            "dry": True,
            "view": "events",
            "limit": EVENTS_PER_PAGE,
            "timeframe": {"from": _unix_ms(since), "to": _unix_ms(until)},
            "parameters": {
                "datasets": [DATASET],
                "filters": [{"key": key, "operation": "eq", "type": "string", "value": gateway}] if key else [],
            },
        }

    def _learn_gateway_key(self, since: datetime, until: datetime) -> None:
        """Ask once an hour which field tells the gateway: then Cloudflare picks the events and not we."""
        now = self._clock.monotonic()
        if self._keys_asked_at is not None and now - self._keys_asked_at < _KEEP_KEYS_S:
            return
        path = f"{self._base}/keys"
        body = {"datasets": [DATASET], "from": _unix_ms(since), "to": _unix_ms(until), "limit": 1000}
        frame = successful(self._fetch.post(path, body, usable=USABLE), path)
        names = {mapping(key).get("key") for key in listing(frame.get("result"))}
        self._gateway_key = next((name for name in _GATEWAY_KEYS if name in names), None)
        self._keys_asked_at = now


class _Gathered:
    """Rows by their identity, as pages bring them; `seen` counts all, readable or not."""

    def __init__(self, read: Callable[[object], Row | None]) -> None:
        self._read = read
        self._rows: dict[str, Row] = {}
        self._unreadable: set[str] = set()
        self._is_ordered = True
        self._newest: datetime | None = None

    @property
    def seen(self) -> int:
        return len(self._rows) + len(self._unreadable)

    @property
    def in_order_to(self) -> datetime | None:
        """The time of the newest row, when all came in the order of time."""
        return self._newest if self._is_ordered else None

    def add(self, page: Iterable[object]) -> bool:
        """Whether anything in it is new."""
        before = self.seen
        for raw in page:
            row = self._read(raw)
            if row is None:
                self._unreadable.add(digest(raw))
            elif (name := _name(raw)) not in self._rows:
                self._is_ordered &= self._newest is None or row.ended_at >= self._newest
                self._newest = max(row.ended_at, self._newest or row.ended_at)
                self._rows[name] = row
        return self.seen > before

    def found(
        self,
        since: datetime,
        read_to: datetime,
        trouble: SourceDown | None = None,
        *,
        gateways: Sequence[str] | None = None,
    ) -> Found:
        """What was gathered, of these gateways only."""
        rows = tuple(row for row in self._rows.values() if gateways is None or row.gateway in gateways)
        bad = frozenset(self._unreadable)
        return Found(since, read_to, rows, bad, is_empty=not rows and not bad, trouble=trouble)


def _name(raw: object) -> str:
    value = mapping(raw).get("id") or mapping(mapping(raw).get("$metadata")).get("id")
    return value if isinstance(value, str) else digest(raw)


def _of_gateway(row: Row | None, gateway: str) -> Row | None:
    return None if row is None else replace(row, gateway=gateway)


def _refuse_samples(result: Json, path: str) -> None:
    """A level above 1 is an answer from a part of the events: nothing can be counted from it."""
    level = mapping(result.get("statistics")).get("abr_level")
    if isinstance(level, int | float) and level > 1:
        raise SourceDown("sampled", f"the answer is a sample, abr_level {level:g}, on {path}")


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unix_ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)
