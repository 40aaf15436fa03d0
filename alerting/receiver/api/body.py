"""A body is read in pieces and given up as soon as it is too large or too slow, whatever its headers say."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from alerting.receiver.api.access import Refused

READ_WITHIN_S = 20.0


async def read_body(request: Request, limit: int) -> bytes:
    """The body; Refused with 413 if it is longer than `limit` bytes, 415 if it is compressed, 408 if it is slow."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "send the body as it is, without a Content-Encoding")
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return await _read(request, limit)
    except TimeoutError as error:
        raise Refused(408, f"the body did not arrive within {READ_WITHIN_S:.0f} s") from error
    except ClientDisconnect as error:
        raise Refused(400, "the connection ended before the body did") from error


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the body is larger than {limit} bytes")
