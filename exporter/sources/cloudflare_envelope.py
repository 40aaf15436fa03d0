"""The frame around every answer of Cloudflare's REST API. What says of itself that it failed is SourceDown."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.sources import DownReason, SourceDown
from exporter.sources.fetch import Answer
from exporter.sources.reading import Json, listing, mapping

# Statuses whose body says more than the status does.
USABLE = (200, 400, 404)

_BY_CODE: Mapping[int, DownReason] = {10000: "unauthorized", 1000: "unauthorized", 9106: "unauthorized"}
_BY_CODE = {**_BY_CODE, 9109: "forbidden"}
_BY_STATUS: Mapping[int, DownReason] = {400: "bad_request", 404: "not_found"}


def successful(answer: Answer, path: str) -> Json:
    """The whole frame of a success. A refusal may come as HTTP 200 too; a code alone says nothing, success does."""
    frame = mapping(answer.body)
    if frame.get("success") is True and answer.status == 200:
        return frame
    codes = [code for error in listing(frame.get("errors")) if isinstance(code := mapping(error).get("code"), int)]
    reason = next((_BY_CODE[code] for code in codes if code in _BY_CODE), _BY_STATUS.get(answer.status))
    if reason is None:
        reason = "not_success" if frame.get("success") is False else "wrong_shape"
    raise SourceDown(reason, f"HTTP {answer.status} with error codes {codes} on {path}")
