"""Reads what Cloudflare AI Gateways logged: each request of an agent is reported, again and again.

The ledger counts what it has not yet counted. Times are Cloudflare's: a clock of ours that is wrong loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from exporter.calls import Call
from exporter.sources import Batch, Count, DownReason, Gauge, SourceDown, State
from exporter.sources.ai_gateway_agents import Selection
from exporter.sources.ai_gateway_calls import SETTLE, call_of, is_decided, requests_of
from exporter.sources.ai_gateway_choice import CHOICES, Chosen, LogName, choose
from exporter.sources.ai_gateway_cursor import Cursor, Settings, dump, load
from exporter.sources.ai_gateway_logs import Found, LegacyLog, RequestLog, TelemetryLog
from exporter.sources.cloudflare_envelope import USABLE, successful
from exporter.sources.fetch import Fetcher
from exporter.sources.gateway_tally import Log, tallied
from exporter.sources.reading import mapping
from handrail.agent_settings import Agent
from handrail.clock import Clock
from handrail.logs import LogOnce, get_logger
from handrail.source_settings import CloudflareSource

_ASK_SETTINGS_EVERY = timedelta(hours=1)
_MAX_UNREADABLE_KNOWN = 1000
# Failures that everything else asked now would end with too.
_OUTAGES: frozenset[DownReason] = frozenset(
    {"unreachable", "timeout", "unauthorized", "rate_limited", "server_error", "not_json", "budget"}
)


@dataclass(slots=True)
class _Findings:
    """What one poll adds up, over all gateways."""

    discovered: set[str]
    calls: list[Call] = field(default_factory=list)
    unreadable: int = 0
    trouble: SourceDown | None = None


class AiGatewaySource:
    """A Source. The first poll begins at now. One gateway that fails does not keep the others from being read."""

    def __init__(self, settings: CloudflareSource, agents: Sequence[Agent], clock: Clock, *, fetch: Fetcher) -> None:
        self._settings = settings
        self._clock = clock
        self._fetch = fetch
        self._selection = Selection(settings, agents)
        self._logs: dict[LogName, RequestLog] = {
            "legacy": LegacyLog(fetch, settings.account_id),
            "observability": TelemetryLog(fetch, settings.account_id, clock),
        }
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
        found = _Findings(discovered={str(name) for name in state.get("discovered", ())})
        known: Mapping[str, Any] = state.get("gateways", {})
        cursors = {name: load(known[name]) for name in self._settings.gateways if name in known}
        # The one that was read least far comes first: what is left of the budget is shared out in turn.
        for gateway in sorted(self._settings.gateways, key=lambda name: (name in cursors, _reached(cursors.get(name)))):
            cursors[gateway] = self._poll_gateway(gateway, cursors.get(gateway), found)
        kept = {name: raw for name, raw in known.items() if name not in cursors}
        return Batch(
            state={
                "gateways": kept | {name: dump(cursor) for name, cursor in cursors.items()},
                "discovered": sorted(found.discovered),
            },
            calls=tuple(found.calls),
            agents=frozenset(found.discovered),
            counts=(Count("source_unreadable_rows", found.unreadable, labels={"source": self.name}),),
            gauges=(*self._gauges(cursors), *self._read_until(cursors.values())),
            trouble=found.trouble,
        )

    def _poll_gateway(self, gateway: str, cursor: Cursor | None, findings: _Findings) -> Cursor:
        # The beginning is kept even when the first poll fails: what happens from here on will be counted.
        now = self._now()
        cursor = cursor or Cursor(began=now, reached=now, is_unsure=True)
        try:
            cursor = self._with_settings(gateway, cursor)
            now = self._now()
            if cursor.is_unsure and (skew := self._fetch.skew) is not None:
                # Nothing was read yet; the beginning was by our own clock.
                cursor = replace(cursor, began=cursor.began + skew, reached=cursor.reached + skew, is_unsure=False)
            return self._read(gateway, cursor, now, findings)
        except SourceDown as down:
            findings.trouble = down
            return cursor

    def _read(self, gateway: str, cursor: Cursor, now: datetime, findings: _Findings) -> Cursor:
        hold_back = self._settings.hold_back
        window = cursor.next_window(now, hold_back)
        if window is None:
            # Nothing can be counted yet, but whether the log can be read at all is to be known from the first poll.
            found, chosen = self._ask(gateway, cursor.chosen, cursor.began - timedelta(minutes=1), cursor.began)
            findings.trouble = found.trouble or findings.trouble
            return replace(cursor, chosen=chosen)
        found, chosen = self._ask(gateway, cursor.chosen, window.since, window.look_to)
        done, begin = found.counted_to(window.until), max(cursor.began, found.since)
        rows = [row for row in found.rows if row.ended_at >= begin]
        for attempts in requests_of(rows):
            if is_decided(attempts, done, min(SETTLE, hold_back)) and (
                agent := self._selection.agent_of(attempts[-1], findings.discovered)
            ):
                findings.calls.append(call_of(attempts, source=self.name, agent=agent))
        new = found.unreadable - cursor.unreadable
        findings.unreadable += len(new)
        findings.trouble = found.trouble or self._none_readable(gateway, found, new) or findings.trouble
        kept = sorted(found.unreadable)[:_MAX_UNREADABLE_KNOWN]
        following = cursor.after(window, found, now, hold_back)
        tally = tallied(cursor.tally, (row.ended_at for row in found.rows), since=begin, until=done)
        return replace(following, chosen=chosen, unreadable=frozenset(kept), tally=tally)

    def _ask(self, gateway: str, chosen: Chosen, since: datetime, until: datetime) -> tuple[Found, Chosen]:
        if self._settings.logs == "auto":
            return choose(self._logs, chosen, gateway=gateway, since=since, until=until)
        found = self._logs[self._settings.logs].read(gateway, since, until)
        return found, Chosen(self._settings.logs)

    def _none_readable(self, gateway: str, found: Found, new: frozenset[str]) -> SourceDown | None:
        """One row that cannot be read is counted and passed over; when none can, the log is another one than known."""
        if not new:
            return None
        text = "rows of the log that lack identity, time, duration or outcome; they are not counted as calls"
        self._log_once.failed(f"{self.name} {gateway} rows", "unreadable_rows", text=text, rows=len(new))
        return None if found.rows else SourceDown("wrong_shape", f"no row of gateway {gateway} can be read")

    def _with_settings(self, gateway: str, cursor: Cursor) -> Cursor:
        """The gateway's own settings, asked once an hour, and by the first poll, which learns Cloudflare's time so."""
        now, last = self._now(), cursor.settings
        if last and self._fetch.skew is not None and now - last.asked_at < _ASK_SETTINGS_EVERY:
            return cursor
        path = f"/accounts/{quote(self._settings.account_id, safe='')}/ai-gateway/gateways/{quote(gateway, safe='')}"
        try:
            settings = mapping(successful(self._fetch.get(path, usable=USABLE), path).get("result"))
        except SourceDown as down:
            if down.reason in _OUTAGES:
                raise
            return replace(cursor, settings=Settings(self._now(), last.collects_logs if last else None))
        self._warn(gateway, settings)
        collects = settings.get("collect_logs")
        return replace(cursor, settings=Settings(self._now(), collects if isinstance(collects, bool) else None))

    def _warn(self, gateway: str, settings: Mapping[str, Any]) -> None:
        subject = f"{self.name} {gateway}"
        if settings.get("collect_logs") is False:
            text = "the gateway collects no logs, so none of its requests is seen; switch collect_logs on"
            self._log_once.failed(subject, "logs_disabled", text=text)
        elif settings.get("log_management_strategy") == "STOP_INSERTING":
            text = "the gateway stops logging when its log is full; set log_management_strategy to DELETE_OLDEST"
            self._log_once.failed(subject, "stop_inserting", text=text, log_management=settings.get("log_management"))
        else:
            self._log_once.succeeded(subject)

    def _gauges(self, cursors: Mapping[str, Cursor]) -> Iterable[Gauge]:
        for gateway, cursor in cursors.items():
            labels = {"source": self.name, "gateway": gateway}
            for choice in CHOICES:
                chosen = cursor.chosen.log == choice
                yield Gauge("source_backend", float(chosen), labels | {"backend": choice})
            if cursor.settings and cursor.settings.collects_logs is not None:
                yield Gauge("gateway_logs_enabled", float(cursor.settings.collects_logs), labels)

    def _read_until(self, cursors: Iterable[Cursor]) -> Iterable[Gauge]:
        """Of the gateway that was read least far; of one that collects no logs nothing is known at any time."""
        found = list(cursors)
        if found and all(one.settings is None or one.settings.collects_logs is not False for one in found):
            until = min(one.stopped or one.reached for one in found)
            yield Gauge("source_read_until_timestamp_seconds", until.timestamp(), {"source": self.name})

    def _now(self) -> datetime:
        return self._clock.now() + (self._fetch.skew or timedelta(0))


def log_in(state: State, gateway: str) -> Log | None:
    """What was read of a gateway's log, by the state of its source; None where it was never polled."""
    known = mapping(state.get("gateways")).get(gateway)
    return load(known).log if known else None


def _reached(cursor: Cursor | None) -> str:
    return cursor.reached.isoformat() if cursor else ""
