"""A form that a person sent: small, from one of our own pages, each field once."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from fastapi import Request

from alerting.receiver.api.access import Refused
from alerting.receiver.api.body import read_body
from alerting.receiver.api.origin import is_own

MAX_BYTES = 16_384

Form = Mapping[str, str]


async def read_form(request: Request, public_url: str) -> Form:
    """The fields; Refused when another site sent it, or when it cannot be read."""
    if not is_own(request, public_url):
        raise Refused(403, "the form was sent by another site")
    body = await read_body(request, MAX_BYTES)
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=10)
    except ValueError as error:
        raise Refused(400, "the form cannot be read") from error
    return {name: values[0] for name, values in fields.items()}
