"""Reads the request logs of Cloudflare AI Gateways: each logged request of an agent is reported, again and again.

A row becomes readable some time after its `created_at`, so each poll reads a closed window that ends `hold_back` ago
and begins some minutes before the end of the last one; the ledger counts what it has not yet counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from exporter.calls import Call, TokenUsage
from exporter.errors import reason_of_status
from exporter.sources import Batch, DownReason, SourceDown, State
from exporter.sources.fetch import Fetcher
from exporter.sources.reading import listing, mapping, moment, slug
from handrail.agent_settings import Agent, GatewayAgent
from handrail.clock import Clock
from handrail.logs import LogOnce, get_logger
from handrail.source_settings import CloudflareSource

PER_PAGE = 50
OVERLAP = timedelta(minutes=5)
# After an outage the log is caught up with in pieces, so that no poll runs for ever.
_LONGEST_WINDOW = timedelta(hours=1)
# A failed attempt may be followed by another one of the same request; this long its last word is waited for.
_SETTLE = timedelta(seconds=10)
_MAX_PAGES = 2000
_MAX_DISCOVERED = 200
_ERROR_CODES: Mapping[int, DownReason] = {10000: "unauthorized", 1000: "unauthorized", 9109: "forbidden"}


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the log with the parts that everything depends on already read."""

    id: str
    event: str | None
    step: int
    created_at: datetime
    success: bool
    raw: Mapping[str, Any]


class AiGatewaySource:
    """A Source. The first poll begins at now. One gateway that fails does not keep the others from being read."""

    def __init__(
        self,
        settings: CloudflareSource,
        agents: Sequence[Agent],
        clock: Clock,
        *,
        fetch: Fetcher,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._taken = {agent.name for agent in agents}
        self._configured = [
            (agent.name, agent.source.metadata)
            for agent in agents
            if isinstance(agent.source, GatewayAgent) and agent.source.ai_gateway == settings.name
        ]
        self._fetch = fetch
        self._log_once = LogOnce(get_logger("ai_gateway"))

    @property
    def name(self) -> str:
        """The value of the label `source`."""
        return f"cloudflare/{self._settings.name}"

    @property
    def poll_interval_s(self) -> float:
        """How often it wants to be polled."""
        return self._settings.poll_interval.total_seconds()

    def poll(self, state: State) -> Batch:
        """The calls of every gateway's next window; what kept one from being read is the batch's trouble."""
        gateways: dict[str, Any] = dict(state.get("gateways", {}))
        discovered = {str(name) for name in state.get("discovered", ())}
        calls: list[Call] = []
        trouble: SourceDown | None = None
        now = self._clock.now()
        for gateway in self._settings.gateways:
            # The beginning is kept even when the first poll fails: what happens from here on will be counted.
            gateways.setdefault(gateway, {"began": now.isoformat(), "reached": now.isoformat()})
            try:
                gateways[gateway], found = self._read(gateway, gateways[gateway], discovered)
                calls += found
            except SourceDown as down:
                trouble = down
        return Batch(
            state={"gateways": gateways, "discovered": sorted(discovered)},
            calls=tuple(calls),
            agents=frozenset(discovered),
            trouble=trouble,
        )

    def _read(self, gateway: str, done: Mapping[str, str], discovered: set[str]) -> tuple[State, list[Call]]:
        now = self._clock.now()
        began, reached = datetime.fromisoformat(done["began"]), datetime.fromisoformat(done["reached"])
        until = min(now - self._settings.hold_back, reached + _LONGEST_WINDOW)
        if until <= began:
            # Nothing can be counted yet, but whether the log can be read at all is to be known from the first poll.
            next(self._rows(gateway, began - self._settings.hold_back, began), None)
            return dict(done), []
        since = max(began, reached - OVERLAP)
        rows = _last_words([row for row in self._rows(gateway, since, until) if since <= row.created_at < until])
        settled = until - min(_SETTLE, self._settings.hold_back)
        calls = [
            self._call(row, agent)
            for row in rows
            if (row.success or row.event is None or row.created_at < settled)
            and (agent := self._agent_of(row.raw, discovered))
        ]
        return {"began": began.isoformat(), "reached": max(until, reached).isoformat()}, calls

    def _rows(self, gateway: str, since: datetime, until: datetime) -> Iterator[_Row]:
        account = quote(self._settings.account_id, safe="")
        path = f"/accounts/{account}/ai-gateway/gateways/{quote(gateway, safe='')}/logs"
        window = {"start_date": _rfc3339(since), "end_date": _rfc3339(until)}
        order: dict[str, str | int] = {"order_by": "created_at", "order_by_direction": "asc", "per_page": PER_PAGE}
        known: set[str] = set()
        for page in range(1, _MAX_PAGES + 1):
            answer = self._fetch.get(path, {**window, **order, "page": page})
            rows = [_row(row, path) for row in _result(answer.status, answer.body, path)]
            new = [row for row in rows if row.id not in known]
            # No row, or none that is new: the end, also of a service that gives its last page for ever.
            if not new:
                return
            known |= {row.id for row in new}
            yield from new
        raise SourceDown("wrong_shape", f"pages without end on {path}")

    def _agent_of(self, row: Mapping[str, Any], discovered: set[str]) -> str | None:
        metadata = _metadata(row.get("metadata"))
        for name, wanted in self._configured:
            if all(metadata.get(key) == value for key, value in wanted.items()):
                return name
        if not self._settings.discover:
            return None
        name = slug(metadata.get(self._settings.agent_metadata_key, ""))
        if not name or name in self._taken:
            return None
        if name not in discovered and len(discovered) >= _MAX_DISCOVERED:
            text = f"{_MAX_DISCOVERED} agents were discovered; more are not counted: is the value an agent's name?"
            self._log_once.failed(self.name, "too_many_agents", text=text)
            return None
        discovered.add(name)
        return name

    def _call(self, row: _Row, agent: str) -> Call:
        raw = row.raw
        duration = timedelta(milliseconds=max(0.0, float(raw["duration"])))
        status, cost = raw.get("status_code"), raw.get("cost")
        return Call(
            source=self.name,
            id=row.event or row.id,
            agent=agent,
            started_at=row.created_at - duration,
            finished_at=row.created_at,
            duration=duration,
            outcome="success" if row.success else "error",
            error_reason=None if row.success else reason_of_status(status if isinstance(status, int) else None),
            model=str(raw.get("model") or ""),
            provider=str(raw.get("provider") or ""),
            tokens=_usage(raw.get("tokens_in"), raw.get("tokens_out")),
            cost_usd=Decimal(str(cost)) if isinstance(cost, int | float) else None,
        )


def _result(status: int, body: object, path: str) -> list[Any]:
    """The rows in an envelope; a refusal may come as HTTP 200 with success false."""
    envelope = mapping(body)
    if envelope.get("success") is True and isinstance(envelope.get("result"), list) and status == 200:
        rows: list[Any] = envelope["result"]
        return rows
    codes = [code for error in listing(envelope.get("errors")) if isinstance(code := mapping(error).get("code"), int)]
    reason: DownReason = next((_ERROR_CODES[code] for code in codes if code in _ERROR_CODES), "wrong_shape")
    raise SourceDown(reason, f"HTTP {status} with error codes {codes} on {path}")


def _row(row: object, path: str) -> _Row:
    created = moment(row.get("created_at")) if isinstance(row, Mapping) else None
    if (
        not isinstance(row, Mapping)
        or created is None
        or not isinstance(row.get("id"), str)
        or not isinstance(row.get("success"), bool)
        or not isinstance(row.get("duration"), int | float)
    ):
        raise SourceDown("wrong_shape", f"not a row of the log on {path}")
    event, step = row.get("event_id"), row.get("step")
    return _Row(
        id=row["id"],
        event=event if isinstance(event, str) and event else None,
        step=step if isinstance(step, int) else 0,
        created_at=created,
        success=row["success"],
        raw=row,
    )


def _last_words(rows: Sequence[_Row]) -> list[_Row]:
    """One row for each request: its last attempt. Rows that name no request are requests of their own."""
    last: dict[str, _Row] = {}
    for row in sorted(rows, key=lambda row: (row.step, row.created_at)):
        last[row.event or row.id] = row
    return sorted(last.values(), key=lambda row: (row.created_at, row.id))


def _metadata(value: object) -> dict[str, str]:
    """The metadata as text by key, from JSON text or an object; numbers and booleans as JSON writes them."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    if not isinstance(value, Mapping):
        return {}
    return {str(key): item if isinstance(item, str) else json.dumps(item) for key, item in value.items()}


def _usage(tokens_in: object, tokens_out: object) -> TokenUsage:
    into = tokens_in if isinstance(tokens_in, int) and tokens_in >= 0 else None
    out = tokens_out if isinstance(tokens_out, int) and tokens_out >= 0 else None
    return TokenUsage() if into is None and out is None else TokenUsage(into, out, "actual")


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
