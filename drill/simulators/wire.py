"""The little HTTP the simulators need: requests, answers, a router, injectable faults and a threaded server."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog

_log = structlog.get_logger()

_REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Payload Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire; header names are lower-case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        """The parsed body; None where there is none. Raises Refused (400) if it is not JSON."""
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Refused(json_response({"message": "Failed to parse request body"}, 400)) from error


@dataclass(frozen=True)
class Response:
    """One answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """Ends a handler early with the answer it carries."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"HTTP {response.status}")
        self.response = response


class Dropped(Exception):
    """Ends a handler by ending the connection, without an answer."""


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An application/json answer."""
    content = {"Content-Type": "application/json; charset=utf-8"}
    return Response(status, json.dumps(body).encode(), content | (headers or {}))


def text_response(body: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Response:
    """An answer that is not JSON."""
    return Response(status, body.encode(), {"Content-Type": content_type})


Handler = Callable[..., Response]


class Router:
    """Finds the handler of a method and path; `{name}` in a pattern is one path segment, given by keyword."""

    def __init__(self, not_found: Response, wrong_method: Response | None = None) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self._not_found = not_found
        self._wrong_method = wrong_method or not_found

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Routes added earlier win."""
        expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        self._routes.append((method, re.compile(f"{expression}/?$"), handler))

    def __call__(self, request: Request) -> Response:
        path_is_known = False
        for method, expression, handler in self._routes:
            if found := expression.match(request.path):
                path_is_known = True
                if method == request.method:
                    return handler(request, **found.groupdict())
        return self._wrong_method if path_is_known else self._not_found


FAULT_STATUS = {"unauthorized": 401, "forbidden": 403, "rate_limited": 429, "unavailable": 503, "server_error": 500}
FAULTS = frozenset({*FAULT_STATUS, "html", "wrong_shape", "truncated", "timeout", "slow"})


class Faults:
    """What a simulator does wrong at the moment; thread-safe. At most one kind at a time.

    `error` gives the body of a status as the real service would word it; only paths that begin with `scope` are hit.
    A `timeout` holds the request for `seconds` of real time, or until the fault is cleared, and answers 504 then;
    `slow` answers properly after that time; every other kind answers at once.
    """

    def __init__(self, error: Callable[[int], object], *, scope: str = "/") -> None:
        self._error = error
        self._scope = scope
        self._lock = threading.Lock()
        self._kind: str | None = None
        self._left: int | None = None
        self._seconds = 0.0
        self._over = threading.Event()

    def set(self, kind: str, count: int | None = None, *, seconds: float = 30.0) -> None:
        """Begin a fault: for the next `count` requests, or until `clear`."""
        if kind not in FAULTS:
            raise ValueError(f"unknown fault {kind!r}; known are {', '.join(sorted(FAULTS))}")
        with self._lock:
            self._over.set()
            self._kind, self._left, self._seconds = kind, count, seconds
            self._over = threading.Event()

    def clear(self) -> None:
        """End the fault and let go of every request that it holds."""
        with self._lock:
            self._kind, self._left = None, None
            self._over.set()

    @property
    def active(self) -> str | None:
        """The kind of the present fault."""
        return self._kind

    def _take(self, request: Request) -> tuple[str | None, float, threading.Event]:
        with self._lock:
            kind = self._kind if request.path.startswith(self._scope) else None
            if kind is not None and self._left is not None:
                self._left -= 1
                if self._left <= 0:
                    self._kind, self._left = None, None
            return kind, self._seconds, self._over

    def around(self, request: Request, handler: Callable[[Request], Response]) -> Response:
        """The answer to a request, or what the fault makes of it. A truncated answer is that of a request that ran."""
        kind, seconds, over = self._take(request)
        if kind in FAULT_STATUS:
            status = FAULT_STATUS[kind]
            return json_response(self._error(status), status, {"Retry-After": "1"} if status == 429 else None)
        if kind == "html":
            return text_response("<html><body>starting up. Please wait</body></html>", content_type="text/html")
        if kind == "wrong_shape":
            return json_response({"unexpected": ["shape"]})
        if kind in ("timeout", "slow"):
            over.wait(seconds)
        if kind == "timeout":
            return json_response(self._error(504), 504)
        response = handler(request)
        if kind == "truncated":
            return Response(response.status, response.body[: len(response.body) // 2], response.headers)
        return response


def answer(
    handler: Callable[[Request], Response], environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Run one WSGI request through a handler."""
    request = _request(environ)
    try:
        response = handler(request)
    except Refused as refused:
        response = refused.response
    except Dropped:
        _reset(environ["handrail.connection"])
        # What wsgiref takes for a client that went away, and says nothing about.
        raise ConnectionResetError from None
    except Exception:
        # A simulator that breaks must be seen as a fault of the simulator, not as one of the simulated service.
        _log.exception("simulator_failed", method=request.method, path=request.path)
        raise
    headers = {"Content-Length": str(len(response.body))} | response.headers
    start_response(f"{response.status} {_REASONS.get(response.status, 'Unknown')}", list(headers.items()))
    return [response.body]


def _reset(connection: socket.socket) -> None:
    """End the connection as a machine does that goes down: without the rest of what was to be said."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RDWR)


def _request(environ: WSGIEnvironment) -> Request:
    headers = {k[5:].lower().replace("_", "-"): v for k, v in environ.items() if k.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE") or ""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return Request(
        method=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"],
        query=dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)),
        headers=headers,
        body=environ["wsgi.input"].read(length) if length else b"",
    )


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # close() must not wait for a request that a fault holds.
    block_on_close = False
    request_queue_size = 64

    def server_bind(self) -> None:
        """As in WSGIServer, without its look-up of the host's name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away before it was answered is an everyday thing here."""


class _QuietHandler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        """With the connection, so that an application can drop it."""
        return super().get_environ() | {"handrail.connection": self.connection}

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: each simulator keeps what matters as its state."""


class Server:
    """A WSGI application on a loopback port, one daemon thread per request."""

    def __init__(self, app: WSGIApplication, port: int = 0, *, host: str = "127.0.0.1") -> None:
        self._server = make_server(host, port, app, server_class=_ThreadingServer, handler_class=_QuietHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """Its base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening; requests in flight are not waited for."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(app: WSGIApplication, port: int = 0, *, host: str = "127.0.0.1") -> Server:
    """Serve an application on 127.0.0.1; port 0 takes a free one."""
    return Server(app, port, host=host)
