"""The simulated GraphQL Analytics API of Cloudflare: its settings, its groups and the many ways it refuses.

It groups by exactly the dimensions a query names, as the original does, so that a query that names one too many gets
more rows than its writer wanted. The AI Gateway's dataset counts the rows of the simulated gateway's log.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from drill.simulators.graphql_query import Node, NotAQuery, parse
from drill.simulators.wire import Request, Response, json_response

Event = dict[str, Any]
_STAMP = "%Y-%m-%dT%H:%M:%SZ"
_TRUNCATED = {"datetime": 0, "datetimeMinute": 1, "datetimeFiveMinutes": 5, "datetimeFifteenMinutes": 15}
_WORKERS = ("scriptName", "status")
_SUMS = ("requests", "errors", "subrequests", "cpuTimeUs", "wallTime", "duration")
_QUANTILES = {"P25": 0.25, "P50": 0.5, "P75": 0.75, "P90": 0.9, "P95": 0.95, "P99": 0.99, "P999": 0.999}
_AI_SUMS = ("totalInputTokens", "totalOutputTokens", "totalNeurons", "totalInferenceTimeMs")


@dataclass
class Dataset:
    """One dataset and what an account may do with it.

    `rejected` fields are advertised and refused, `gone` ones are advertised and unknown.
    """

    fields: tuple[str, ...]
    enabled: bool = True
    denied: bool = False
    rejected: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    not_older_than: int = 2678400
    max_duration: int = 2764800
    max_page_size: int = 10000
    max_fields: int = 30
    sample_interval: float = 1.0
    events: list[Event] = field(default_factory=list)

    @property
    def raw(self) -> bool:
        """Whether it gives one row for each event."""
        return not any(name.startswith("dimensions.") for name in self.fields)


@dataclass(frozen=True)
class Refusal:
    """An answer with errors. `data` is what stands beside them, usually null."""

    message: str
    status: int = 200
    code: str | None = None
    data: Any = None

    def response(self, path: Sequence[str] = ()) -> Response:
        """The answer on the wire."""
        extensions = {"timestamp": "2026-11-23T12:00:00Z"} | ({"code": self.code} if self.code else {})
        error = {"message": self.message, "path": list(path) or None, "extensions": extensions}
        return json_response({"data": self.data, "errors": [error]}, self.status)


BUDGET = Refusal("rate limiter budget depleted, try again after 5 minutes", code="budget")


class AnalyticsSimulator:
    """Answers POST /client/v4/graphql for one account. An event can be seen `delay_s` after it happened.

    `refusals` are given out one by one before anything else is looked at. Of the gateway's log it counts each row
    `gateway_shift` after its time, and the first `gateway_rows_uncounted` not at all.
    """

    def __init__(
        self, now: Callable[[], datetime], account_id: str, gateway_rows: Callable[[], Sequence[Mapping[str, Any]]]
    ) -> None:
        self._now = now
        self._account_id = account_id
        self._gateway_rows = gateway_rows
        self._lock = threading.RLock()
        self.delay_s = 0.0
        self.gateway_shift = timedelta(0)
        self.gateway_rows_uncounted = 0
        self.refusals: list[Refusal] = []
        self.queries: list[str] = []
        times = tuple(f"dimensions.{name}" for name in _TRUNCATED)
        quantiles = tuple(f"quantiles.{m}{p}" for m in ("cpuTime", "wallTime", "duration") for p in _QUANTILES)
        workers = tuple(f"dimensions.{name}" for name in (*_WORKERS, "coloCode"))
        self.datasets = {
            "workersInvocationsAdaptive": Dataset(
                (*workers, *times, *(f"sum.{name}" for name in _SUMS), *quantiles, "avg.sampleInterval"), max_fields=35
            ),
            "workersInvocationsScheduled": Dataset(
                ("datetime", "scheduledDatetime", "cron", "scriptName", "status", "cpuTimeUs")
            ),
            "aiInferenceAdaptiveGroups": Dataset(
                ("count", "dimensions.modelId", "dimensions.errorCode", *times, *(f"sum.{name}" for name in _AI_SUMS))
            ),
            "aiGatewayRequestsAdaptiveGroups": Dataset(
                ("count", "dimensions.gateway", *times[1:], "sum.cost", "avg.sampleInterval"), not_older_than=5356800
            ),
        }

    def invoke(
        self,
        script: str,
        *,
        status: str = "success",
        cpu_us: float = 1500.0,
        wall_us: float = 250_000.0,
        subrequests: int = 1,
        at: datetime | None = None,
    ) -> None:
        """One invocation of a Worker."""
        facts = {"scriptName": script, "status": status, "coloCode": "LHR", "cpuTime": cpu_us, "wallTime": wall_us}
        sums = {"requests": 1, "errors": int(status != "success"), "subrequests": subrequests, "cpuTimeUs": cpu_us}
        # GB*s, a price: 128 MB for the wall time.
        self._happen("workersInvocationsAdaptive", at, facts | sums | {"duration": wall_us / 1e6 * 0.128})

    def run_cron(
        self, script: str, cron: str, scheduled: datetime, *, status: str = "success", late_s: float = 1
    ) -> None:
        """One run of a cron trigger."""
        facts = {"scriptName": script, "cron": cron, "status": status, "cpuTimeUs": 900}
        facts["scheduledDatetime"] = scheduled.strftime(_STAMP)
        self._happen("workersInvocationsScheduled", scheduled + timedelta(seconds=late_s), facts)

    def infer(
        self,
        model: str,
        *,
        tokens_in: int = 10,
        tokens_out: int = 5,
        neurons: float = 1.5,
        ms: int = 400,
        error: int = 0,
    ) -> None:
        """One inference of Workers AI; `error` 0 is a success."""
        sums = {"totalInputTokens": tokens_in, "totalOutputTokens": tokens_out, "totalNeurons": neurons}
        facts = {"modelId": model, "errorCode": error, "count": 1, "totalInferenceTimeMs": ms}
        self._happen("aiInferenceAdaptiveGroups", None, facts | sums)

    def _happen(self, node: str, at: datetime | None, facts: Event) -> None:
        with self._lock:
            self.datasets[node].events.append({"at": at or self._now()} | facts)

    def answer(self, request: Request) -> Response:
        """The answer to one query."""
        body = request.json if isinstance(request.json, dict) else {}
        query, variables = str(body.get("query", "")), body.get("variables") or {}
        with self._lock:
            self.queries.append(query)
            if self.refusals:
                return self.refusals.pop(0).response()
        try:
            (viewer,) = parse(query, variables)
            (account,) = viewer.children
            if account.arguments.get("filter", {}).get("accountTag") != self._account_id:
                return Refusal("not authorized for that account", 403).response()
            found = self._node(account.children[0])
        except (NotAQuery, ValueError):
            return Refusal("query contains error, please review it and retry", 400).response()
        except _Refuse as refused:
            return refused.refusal.response(refused.path)
        return json_response({"data": {"viewer": {"accounts": [found]}}, "errors": None})

    def _node(self, node: Node) -> dict[str, Any]:
        if node.name == "settings":
            (wanted,) = node.children
            return {"settings": {wanted.name: self._settings(wanted.name)}}
        dataset = self._known(node.name)
        if dataset.denied or not dataset.enabled:
            raise _Refuse(Refusal("account does not have access to the path", 403), node.name)
        fields = list(node.paths())
        for path in fields:
            if path not in dataset.fields or path in dataset.gone:
                raise _Refuse(Refusal(f'unknown field "{path.rpartition(".")[2]}"', 400), node.name)
            if path in dataset.rejected:
                # The original writes the field in lower case.
                name = path.rpartition(".")[2].lower()
                raise _Refuse(Refusal(f"account does not have access to the field '{name}'", 403), node.name)
        if len(fields) > dataset.max_fields:
            raise _Refuse(Refusal(f"number of fields can't be more than {dataset.max_fields}", 400), node.name)
        limit = int(node.arguments.get("limit", 0))
        if not 0 < limit <= dataset.max_page_size:
            text = f"limit must be positive number and not greater than {dataset.max_page_size}"
            raise _Refuse(Refusal(text, 400), node.name)
        since, until = self._span(node, dataset)
        events = [event for event in self._events(node.name) if since <= event["at"] < until]
        rows = [_raw(event, fields) for event in events] if dataset.raw else list(_grouped(events, fields, dataset))
        return {node.name: rows[:limit]}

    def _known(self, name: str) -> Dataset:
        if name not in self.datasets:
            raise _Refuse(Refusal(f'unknown field "{name}"', 400), name)
        return self.datasets[name]

    def _settings(self, name: str) -> dict[str, Any]:
        one = self._known(name)
        limits = {"maxDuration": one.max_duration, "notOlderThan": one.not_older_than, "maxPageSize": one.max_page_size}
        offered = [path.replace(".", "_") for path in one.fields]
        return {"enabled": one.enabled, "maxNumberOfFields": one.max_fields, "availableFields": offered} | limits

    def _span(self, node: Node, dataset: Dataset) -> tuple[datetime, datetime]:
        bounds = node.arguments.get("filter", {})
        since, until = (datetime.fromisoformat(bounds[name]) for name in ("datetime_geq", "datetime_lt"))
        now = self._now()
        if since < now - timedelta(seconds=dataset.not_older_than):
            raise _Refuse(Refusal(f"cannot request data older than {dataset.not_older_than}s", 400), node.name)
        if until - since > timedelta(seconds=dataset.max_duration):
            raise _Refuse(Refusal("query time range is too large", 400), node.name)
        return since, min(until, now - timedelta(seconds=self.delay_s))

    def _events(self, name: str) -> list[Event]:
        if name == "aiGatewayRequestsAdaptiveGroups":
            rows = [
                {
                    "at": datetime.fromisoformat(row["created_at"]) + self.gateway_shift,
                    "gateway": row["gateway"],
                    "count": 1,
                }
                | {"cost": row.get("cost") or 0}
                for row in self._gateway_rows()[self.gateway_rows_uncounted :]
            ]
            return [*rows, *self.datasets[name].events]
        with self._lock:
            return list(self.datasets[name].events)


class _Refuse(Exception):
    def __init__(self, refusal: Refusal, *path: str) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.path = ("viewer", "accounts", "0", *path)


def _raw(event: Event, fields: Sequence[str]) -> dict[str, Any]:
    return {name: event["at"].strftime(_STAMP) if name == "datetime" else event.get(name) for name in fields}


def _grouped(events: Sequence[Event], fields: Sequence[str], dataset: Dataset) -> Iterator[dict[str, Any]]:
    dimensions = [path.partition(".")[2] for path in fields if path.startswith("dimensions.")]
    groups: dict[tuple[Any, ...], list[Event]] = {}
    for event in events:
        groups.setdefault(tuple(_dimension(event, name) for name in dimensions), []).append(event)
    for key, members in groups.items():
        row: dict[str, Any] = {"dimensions": dict(zip(dimensions, key, strict=True))}
        for path in fields:
            group, _, name = path.rpartition(".")
            if not group:
                row[name] = sum(event.get(name, 0) for event in members)
            elif group != "dimensions":
                row.setdefault(group, {})[name] = _aggregate(group, name, members, dataset)
        yield row


def _dimension(event: Event, name: str) -> Any:
    if name not in _TRUNCATED:
        return event.get(name)
    minutes = _TRUNCATED[name]
    at: datetime = event["at"].replace(microsecond=0)
    return (at if not minutes else at.replace(minute=at.minute - at.minute % minutes, second=0)).strftime(_STAMP)


def _aggregate(group: str, name: str, members: Sequence[Event], dataset: Dataset) -> float:
    if group == "avg":
        return dataset.sample_interval
    if group == "sum":
        return float(sum(event.get(name, 0) for event in members))
    metric, share = re.fullmatch(r"(\w+?)(P\d+)", name).groups()  # type: ignore[union-attr]  # a known field
    ordered = sorted(event[metric] for event in members)
    return float(ordered[min(len(ordered) - 1, int(_QUANTILES[share] * len(ordered)))])
