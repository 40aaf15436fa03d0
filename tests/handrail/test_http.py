"""The one client: bounded in time and size, never redirected, and JSON is what says it is."""

from __future__ import annotations

import gzip
import json
import zlib

import httpx
import pytest

from handrail.http import NotJson, ResponseTooLarge, build_client, parse_json, read_json


def client(handler, **options):
    return build_client(base_url="http://s", transport=httpx.MockTransport(handler), **options)


def test_a_redirect_is_not_followed():
    """A credential must reach only the host it was configured for."""
    answer = client(lambda request: httpx.Response(302, headers={"location": "http://evil.example"})).get("/")
    assert answer.status_code == 302


class Chunks(httpx.SyncByteStream):
    """A body that arrives in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    def __iter__(self):
        yield from self.pieces


@pytest.mark.parametrize("zipped", [False, True])
def test_a_body_over_the_cap_is_cut_off(zipped):
    """Also one that only becomes large when it is unpacked."""
    body = b"a" * 100_000
    headers = {"content-encoding": "gzip"} if zipped else {}
    sent = Chunks(gzip.compress(body) if zipped else body)
    with pytest.raises(ResponseTooLarge):
        client(lambda request: httpx.Response(200, headers=headers, stream=sent), max_bytes=50_000).get("/")


def test_gzip_is_unpacked_and_broken_gzip_is_an_error():
    """The body is what the server meant."""
    good = Chunks(gzip.compress(b'{"a": 1}'))
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    assert read_json(client(lambda request: httpx.Response(200, headers=headers, stream=good)).get("/")) == {"a": 1}
    bad = Chunks(zlib.compress(b"x"))
    with pytest.raises(httpx.DecodingError):
        client(lambda request: httpx.Response(200, headers=headers, stream=bad)).get("/")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("text/html", b"<html>"), ("", b"{}"), ("application/json", b'{"a": '), ("application/json", b"")],
)
def test_what_is_not_json_is_never_taken_for_an_answer(content_type, body):
    """And its body is not repeated in the error."""
    answer = httpx.Response(200, headers={"content-type": content_type} if content_type else {}, content=body)
    with pytest.raises(NotJson) as caught:
        read_json(answer)
    assert "<html>" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "cut in two: \\ud83d", "left": 1}',
        b"[NaN, 1e400, 123456789012345678901234567890]",
        '{"name": "Überweisung 💶"}'.encode(),
        '{"name": "Überweisung"}'.encode("utf-16"),
        b'{"twice": 1, "twice": 2}',
    ],
)
def test_json_is_read_as_the_standard_library_reads_it(body):
    """Also where the faster parser refuses: an answer that was cut within an emoji is one all the same."""
    assert repr(parse_json(body)) == repr(json.loads(body))


@pytest.mark.parametrize("body", [b"\xff{}", b"[" * 100_000, b'{"a": 1} x'])
def test_bytes_that_hold_no_json_are_refused(body):
    """Whatever is wrong with them, the answer is none."""
    with pytest.raises(NotJson):
        read_json(httpx.Response(200, headers={"content-type": "application/json"}, content=body))
