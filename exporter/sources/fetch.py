"""One GET with every way it can fail translated: what comes back is JSON of status 200 or 404, all else is SourceDown.

The texts of failures name the status and the path, never a body, a parameter or a credential.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from exporter.sources import DownReason, SourceDown
from handrail.http import HttpClient, NotJson, ResponseTooLarge, read_json
from handrail.secret import SecretError

_BY_STATUS: Mapping[int, DownReason] = {401: "unauthorized", 403: "forbidden", 429: "rate_limited"}


class TooLarge(SourceDown):
    """This one answer is too large to be read; asking again will not help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer of status 200, or of 404 when the service itself says that something does not exist."""

    status: int
    body: object


class Fetcher:
    """GETs from one service. `credentials` is asked for every request, so that a rotated secret works at once."""

    def __init__(
        self,
        client: HttpClient,
        *,
        credentials: Callable[[], Mapping[str, str]],
        on_request: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._on_request = on_request
        self._now = now

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """The answer; SourceDown when there is none that can be used."""
        response = self._send(path, params)
        status = response.status_code
        self._on_request(str(status))
        if status in _BY_STATUS or status >= 500:
            reason: DownReason = _BY_STATUS.get(status, "server_error")
            raise SourceDown(reason, f"HTTP {status} on {path}", self._retry_after(response))
        try:
            body = read_json(response)
        except NotJson as error:
            raise SourceDown("not_json", f"{error} on {path}") from error
        if status not in (200, 404):
            raise SourceDown("wrong_shape", f"HTTP {status} on {path}")
        return Answer(status, body)

    def _send(self, path: str, params: Mapping[str, str | int] | None) -> httpx.Response:
        try:
            headers = dict(self._credentials())
        except SecretError as error:
            raise SourceDown("unauthorized", str(error)) from error
        try:
            return self._client.get(path, params=dict(params or {}), headers=headers)
        except ResponseTooLarge as error:
            self._on_request("none")
            raise TooLarge("wrong_shape", f"{error} on {path}") from error
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
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (aware - self._now()).total_seconds())
