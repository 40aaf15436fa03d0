"""One query to Cloudflare's GraphQL Analytics API: rows that are complete, or SourceDown.

A single field that an account may not read fails a whole query, so only what the account's own settings offer is
asked for. An error may come as HTTP 200; an answer with any error in it is no answer, even where it holds rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exporter.sources import DownReason, SourceDown
from exporter.sources.budget import PAUSE_S
from exporter.sources.fetch import Answer
from exporter.sources.reading import Json, listing, mapping
from exporter.sources.windows import Window
from handrail.clock import Clock
from handrail.logs import LogOnce, get_logger

# Statuses whose body says more than the status does.
USABLE = (200, 400, 403)
_KEEP_LIMITS_S = 3600.0
_LARGEST_PAGE = 10_000
_SETTINGS = "enabled maxDuration maxNumberOfFields maxPageSize notOlderThan availableFields"
_FIELD = re.compile(r"(?:unknown field|access to the field|not entitled to field)\W+(\w+)", re.IGNORECASE)
# The messages of the API's documentation of errors, which may come under HTTP 200; else the status decides.
_MEANINGS: tuple[tuple[str, DownReason], ...] = (
    (r"budget|rate limit|too many nodes|excessive resources|limit reached", "rate_limited"),
    (r"access to the path|not authorized|unauthorized to access", "forbidden"),
    (r"unauthorized|authentication", "unauthorized"),
    (r"unable to execute|too many queries in progress|internal server error", "server_error"),
)
_BY_STATUS: Mapping[int, DownReason] = {200: "not_success", 400: "bad_request", 403: "forbidden"}


class NotOffered(SourceDown):
    """This account or token may not read the dataset, or not the fields without which it says nothing."""

    def __init__(self, text: str) -> None:
        super().__init__("forbidden", text)


class FieldRejected(SourceDown):
    """The API refused the query because of one field; the name is as the API spells it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__("bad_request", text)
        self.field = field


@dataclass(frozen=True, slots=True)
class Limits:
    """What the account's settings allow for one dataset; None is no limit. Fields are spelled sum_requests."""

    not_older_than: timedelta | None
    max_duration: timedelta | None
    page_size: int
    max_fields: int | None
    fields: frozenset[str]

    def offered(self, required: Sequence[str], optional: Sequence[str]) -> tuple[str, ...] | None:
        """The required fields and those optional ones that are to be had and fit; None without all required ones."""
        if self.fields and not all(_flat(field) in self.fields for field in required):
            return None
        extra = [field for field in optional if not self.fields or _flat(field) in self.fields]
        room = len(extra) if self.max_fields is None else self.max_fields - len(required)
        return None if room < 0 else (*required, *extra[:room])


class Analytics:
    """Queries of one account. `post` sends a body to the API and returns whatever JSON came back, of any status."""

    def __init__(self, post: Callable[[Mapping[str, Any]], Answer], account_id: str, clock: Clock) -> None:
        self._post = post
        self._account_id = account_id
        self._clock = clock
        self._limits: dict[str, tuple[float, Limits]] = {}
        self._log_once = LogOnce(get_logger("cloudflare_analytics"))

    def limits(self, node: str) -> Limits:
        """The dataset's limits, asked for once an hour. NotOffered where it is not enabled."""
        asked, limits = self._limits.get(node, (0.0, None))
        if limits is not None and self._clock.monotonic() - asked < _KEEP_LIMITS_S:
            return limits
        text = f"query ($account: string!) {_account(f'settings {{ {node} {{ {_SETTINGS} }} }}')}"
        try:
            found = mapping(mapping(self._account(node, text, {}).get("settings")).get(node))
        except FieldRejected as rejected:
            raise NotOffered(f"{node} is not known to the API") from rejected
        if found.get("enabled") is not True:
            raise NotOffered(f"{node} is not enabled for this account")
        limits = _limits(found)
        self._limits[node] = (self._clock.monotonic(), limits)
        return limits

    def rows(
        self, node: str, window: Window, *, required: Sequence[str], optional: Sequence[str] = (), whole: bool = False
    ) -> list[Json]:
        """All rows of a window. A full page may be a cut one, so its window is read again in halves."""
        limits = self.limits(node)
        try:
            rows = self._page(node, window, limits, required, optional)
        except FieldRejected as rejected:
            # Fields that are advertised can still be refused; without that one the rest may be had.
            spared = [field for field in optional if _last(field) != rejected.field.lower()]
            if len(spared) == len(optional):
                known = [field for field in required if _last(field) == rejected.field.lower()]
                raise SourceDown(
                    "bad_request", f"{rejected.text}: {', '.join(known) or 'an unknown one'}"
                ) from rejected
            self._log_once.failed(f"{node} {rejected.field.lower()}", "field_rejected")
            rows = self._page(node, window, limits, required, spared)
        if len(rows) < limits.page_size:
            return rows
        halves = None if whole else window.halves()
        if halves is None:
            raise SourceDown("wrong_shape", f"{node} has more rows than fit on a page")
        parts = (self.rows(node, half, required=required, optional=optional) for half in halves)
        return [row for part in parts for row in part]

    def _page(
        self, node: str, window: Window, limits: Limits, required: Sequence[str], optional: Sequence[str]
    ) -> list[Json]:
        fields = limits.offered(required, optional)
        if fields is None:
            raise NotOffered(f"{node} does not offer {', '.join(required)} to this account")
        bounds = f"limit: {limits.page_size}, filter: {{datetime_geq: $since, datetime_lt: $until}}"
        asked = _account(f"{node}({bounds}) {{ {_selection(fields)} }}")
        variables = {"since": _time(window.since), "until": _time(window.until)}
        text = f"query ($account: string!, $since: Time!, $until: Time!) {asked}"
        rows = self._account(node, text, variables).get(node)
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise SourceDown("wrong_shape", f"no rows of {node}")
        return rows

    def _account(self, node: str, text: str, variables: Mapping[str, str]) -> Json:
        answer = self._post({"query": text, "variables": {"account": self._account_id, **variables}})
        if (failure := failure_in(node, answer)) is not None:
            # What was known of the dataset may be the reason: it is asked for again before the next try.
            self._limits.pop(node, None)
            raise failure
        viewer = mapping(mapping(mapping(answer.body).get("data")).get("viewer"))
        accounts = listing(viewer.get("accounts"))
        if not accounts:
            raise NotOffered(f"the token sees no account for {node}")
        return mapping(accounts[0])


def failure_in(node: str, answer: Answer) -> SourceDown | None:
    """Why an answer is none; None for one that can be used. Its texts never hold what the API wrote."""
    errors = [mapping(error) for error in listing(mapping(answer.body).get("errors"))]
    if answer.status == 200 and not errors and mapping(answer.body).get("data") is not None:
        return None
    said = " ".join(f"{error.get('message')} {mapping(error.get('extensions')).get('code')}" for error in errors)
    where = f"HTTP {answer.status} with {len(errors)} errors on {node}"
    if field := _FIELD.search(said):
        return FieldRejected(field.group(1), f"{where}: a field was rejected")
    meant = next((reason for pattern, reason in _MEANINGS if re.search(pattern, said, re.IGNORECASE)), None)
    reason = meant or _BY_STATUS.get(answer.status, "wrong_shape")
    if reason == "forbidden":
        return NotOffered(f"{where}: the token may not read it, or the account has none")
    return SourceDown(reason, where, PAUSE_S if reason == "rate_limited" else None)


def _account(inner: str) -> str:
    return f"{{ viewer {{ accounts(filter: {{accountTag: $account}}) {{ {inner} }} }} }}"


def _limits(found: Json) -> Limits:
    page = found.get("maxPageSize")
    most = found.get("maxNumberOfFields")
    names = (name.lower() for name in listing(found.get("availableFields")) if isinstance(name, str))
    return Limits(
        not_older_than=_seconds(found.get("notOlderThan")),
        max_duration=_seconds(found.get("maxDuration")),
        page_size=min(page, _LARGEST_PAGE) if isinstance(page, int) and page > 0 else _LARGEST_PAGE,
        max_fields=most if isinstance(most, int) and most > 0 else None,
        fields=frozenset(name.replace(".", "_") for name in names),
    )


def _seconds(value: object) -> timedelta | None:
    return timedelta(seconds=value) if isinstance(value, int | float) and value > 0 else None


def _flat(field: str) -> str:
    return field.replace(".", "_").lower()


def _last(field: str) -> str:
    return field.rpartition(".")[2].lower()


def _selection(fields: Iterable[str]) -> str:
    groups: dict[str, list[str]] = {}
    for field in fields:
        group, _, name = field.rpartition(".")
        groups.setdefault(group, []).append(name)
    return " ".join(
        [*groups.pop("", []), *(f"{group} {{ {' '.join(names)} }}" for group, names in groups.items())],
    )


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
