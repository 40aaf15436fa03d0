"""The one HTTP client builder: every request has time-outs, our user agent, no redirects and a size cap.

Redirects are refused because a credential must reach only the host it was configured for.
"""

from __future__ import annotations

import json
import ssl
import zlib
from collections.abc import Iterator, Mapping
from functools import cache

import httpx
import orjson

from handrail import __version__

HttpClient = httpx.Client  # noqa: TID251 - the type, for annotations; only build_client makes one

MAX_BYTES = 64 * 1024 * 1024


class NotJson(Exception):
    """The answer is not JSON: the service is down, starting, or the URL is wrong. Never means "gone"."""


class ResponseTooLarge(httpx.TransportError):
    """The answer was cut off because it is larger than the cap."""


class _CappedStream(httpx.SyncByteStream):
    """The decoded body, cut off with an error at the cap; a small gzip can therefore not unfold without end."""

    def __init__(self, inner: httpx.SyncByteStream, *, max_bytes: int, gzipped: bool) -> None:
        self._inner = inner
        self._max_bytes = max_bytes
        self._gunzip = zlib.decompressobj(wbits=31) if gzipped else None

    def __iter__(self) -> Iterator[bytes]:
        left = self._max_bytes
        for chunk in self._inner:
            decoded = self._decode(chunk, left + 1)
            left -= len(decoded)
            if left < 0:
                raise ResponseTooLarge(f"the answer is larger than {self._max_bytes} bytes")
            yield decoded

    def _decode(self, chunk: bytes, limit: int) -> bytes:
        if self._gunzip is None:
            return chunk
        try:
            return self._gunzip.decompress(chunk, limit)
        except zlib.error as error:
            raise httpx.DecodingError("the answer is not valid gzip") from error

    def close(self) -> None:
        self._inner.close()


class _CappedTransport(httpx.BaseTransport):
    def __init__(self, inner: httpx.BaseTransport, max_bytes: int) -> None:
        self._inner = inner
        self._max_bytes = max_bytes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if not isinstance(response.stream, httpx.SyncByteStream):
            return response
        gzipped = response.headers.get("content-encoding", "").lower() == "gzip"
        headers = [(k, v) for k, v in response.headers.multi_items() if not (gzipped and k == "content-encoding")]
        stream = _CappedStream(response.stream, max_bytes=self._max_bytes, gzipped=gzipped)
        return httpx.Response(response.status_code, headers=headers, stream=stream, extensions=response.extensions)

    def close(self) -> None:
        self._inner.close()


@cache
def _trusted() -> ssl.SSLContext:
    """Whom to trust, by SSL_CERT_FILE if that is set; reading it for each client took longer than its requests."""
    return httpx.create_ssl_context()


def build_client(
    *,
    base_url: str = "",
    timeout_s: float = 10.0,
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    transport: httpx.BaseTransport | None = None,
    max_bytes: int = MAX_BYTES,
) -> HttpClient:
    """A client that always times out and never follows a redirect. `transport` lets tests speak the wire in-process."""
    return httpx.Client(  # noqa: TID251
        base_url=base_url,
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
        headers={"user-agent": f"handrail/{__version__}", "accept": "application/json", "accept-encoding": "gzip"}
        | dict(headers or {}),
        auth=auth,
        transport=_CappedTransport(transport or httpx.HTTPTransport(verify=_trusted()), max_bytes),
        follow_redirects=False,
        trust_env=False,
    )


def read_json(response: httpx.Response) -> object:
    """The parsed body; NotJson names the status and content type, never the body."""
    content_type = response.headers.get("content-type", "")
    if "json" not in content_type:
        raise NotJson(f"HTTP {response.status_code} with content type {content_type or 'none'} instead of JSON")
    try:
        return parse_json(response.content)
    except (ValueError, RecursionError) as error:
        raise NotJson(f"HTTP {response.status_code} whose body is not complete JSON") from error


def parse_json(text: bytes) -> object:
    """The value that the text holds; ValueError or RecursionError when it holds none.

    orjson is faster than the standard library and makes values that are faster to look into. What it refuses and the
    other takes is worth a second reading: half of a surrogate pair, as of an emoji that was cut in two, and NaN. An
    integer of more than 64 bits becomes a float.
    """
    try:
        parsed: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        parsed = json.loads(text)
    return parsed
