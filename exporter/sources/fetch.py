"""One request with every way it can fail translated: back comes JSON of a usable status, all else is SourceDown.

The texts of failures name the status and the path, never a body, a parameter or a credential.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from exporter.sources import DownReason, SourceDown
from exporter.sources.budget import PAUSE_S, Allowance, names_budget
from handrail.http import HttpClient, NotJson, ResponseTooLarge, read_json
from handrail.secret import SecretError

_BY_STATUS: Mapping[int, DownReason] = {401: "unauthorized", 403: "forbidden", 429: "rate_limited"}
_PLAINLY_OFF = timedelta(seconds=30)


class TooLarge(SourceDown):
    """This one answer is too large to be read; asking again will not help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer of status 200, or of another one that the caller can use, e.g. 404 for what does not exist."""

    status: int
    body: object


class Fetcher:
    """Asks one service. `credentials` is asked for every request, so that a rotated secret works at once.

    Where there is an `allowance`, each request takes from it, and a refusal for too many requests pauses it.
    """

    def __init__(
        self,
        client: HttpClient,
        *,
        credentials: Callable[[], Mapping[str, str]],
        on_request: Callable[[str], None],
        now: Callable[[], datetime],
        allowance: Allowance | None = None,
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._on_request = on_request
        self._now = now
        self._allowance = allowance
        self._skew: timedelta | None = None

    @property
    def skew(self) -> timedelta | None:
        """How far the service's clock is ahead of ours by its last answer; None before the first that says.

        The header Date has whole seconds and an answer takes its time, so what is not plainly off is no skew.
        """
        if self._skew is None:
            return None
        return self._skew if abs(self._skew) >= _PLAINLY_OFF else timedelta(0)

    def get(
        self, path: str, params: Mapping[str, str | int] | None = None, *, usable: Container[int] = (200, 404)
    ) -> Answer:
        """The answer; SourceDown when there is none that can be used."""
        return self._answer(self._request("GET", path, params=dict(params or {})), path, usable)

    def post(self, path: str, body: Mapping[str, Any], *, usable: Container[int] = (200, 404)) -> Answer:
        """The same for a body that is sent as JSON."""
        return self._answer(self._request("POST", path, json=body), path, usable)

    def _answer(self, response: httpx.Response, path: str, usable: Container[int]) -> Answer:
        status = response.status_code
        self._on_request(str(status))
        if date := _http_date(response.headers.get("date", "")):
            self._skew = date - self._now()
        retry_after = self._retry_after(response)
        if status == 429 and self._allowance:
            self._allowance.pause(retry_after)
        if status not in usable and (status in _BY_STATUS or status >= 500):
            raise SourceDown(_BY_STATUS.get(status, "server_error"), f"HTTP {status} on {path}", retry_after)
        try:
            body = read_json(response)
        except NotJson as error:
            raise SourceDown(_not_json(status), f"{error} on {path}", retry_after) from error
        if self._allowance and names_budget(body):
            self._allowance.pause(retry_after)
            raise SourceDown("rate_limited", f"HTTP {status}, a limit is used up, on {path}", retry_after or PAUSE_S)
        if status not in usable:
            raise SourceDown("wrong_shape", f"HTTP {status} on {path}")
        return Answer(status, body)

    def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            headers = dict(self._credentials())
        except SecretError as error:
            raise SourceDown("unauthorized", str(error)) from error
        if self._allowance:
            self._allowance.take()
        try:
            response = self._client.request(method, path, headers=headers, **content)
            # The stream, which has been read, refers to the response: without that circle a large body is freed at
            # once and not whenever the next garbage collection finds it.
            response.stream = httpx.ByteStream(b"")
            return response
        except ResponseTooLarge as error:
            self._on_request("none")
            raise TooLarge("too_large", f"{error} on {path}") from error
        except httpx.TimeoutException as error:
            self._on_request("none")
            raise SourceDown("timeout", f"no answer in time on {path}") from error
        except httpx.DecodingError as error:
            self._on_request("none")
            raise SourceDown("not_json", f"an answer that cannot be unpacked on {path}") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            self._on_request("none")
            raise SourceDown("unreachable", f"{type(error).__name__} on {path}") from error

    def _retry_after(self, response: httpx.Response) -> float | None:
        text = response.headers.get("retry-after", "").strip()
        if text.isdigit():
            return float(text)
        date = _http_date(text)
        return None if date is None else max(0.0, (date - self._now()).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _not_json(status: int) -> DownReason:
    """A usable status that comes without JSON is a failure of its own kind only where it has one."""
    return _BY_STATUS.get(status, "server_error" if status >= 500 else "not_json")
