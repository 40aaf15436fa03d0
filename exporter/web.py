"""Serves /metrics, the probes and pages that answer. A broken client never holds up another; no body is read."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from exporter.probes import Probe
from handrail.logs import get_logger

Ask = Callable[[], Probe]
# The query of a request in, a status and a JSON text out.
Page = Callable[[Mapping[str, str]], tuple[int, str]]

_TEXT = "text/plain; charset=utf-8"
_CLIENT_TIMEOUT_S = 10.0
_MOST_FIELDS = 20


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        registry: CollectorRegistry,
        probes: Mapping[str, Ask],
        pages: Mapping[str, Page],
    ) -> None:
        self.registry = registry
        self.probes = probes
        self.pages = pages
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """As in HTTPServer, without its look-up of the host's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is an everyday thing; anything else is logged without its text."""
        get_logger("web").info("request_failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _CLIENT_TIMEOUT_S
    server_version, sys_version = "handrail", ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.server.registry), content_type)
        elif ask := self.server.probes.get(path):
            probe = ask()
            self._answer(200 if probe.good else 503, probe.text.encode(), _TEXT)
        elif page := self.server.pages.get(path):
            self._answer_page(page)
        else:
            self._answer(404, b"/metrics is what there is\n", _TEXT)

    def _answer_page(self, page: Page) -> None:
        try:
            query = dict(parse_qsl(urlsplit(self.path).query, max_num_fields=_MOST_FIELDS))
        except ValueError:
            self._answer(400, b"too many fields\n", _TEXT)
            return
        status, text = page(query)
        self._answer(status, text.encode(), "application/json")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape every few seconds would fill the log."""


class MetricsServer:
    """The exporter's HTTP server in a thread of its own; port 0 takes a free one."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        *,
        healthy: Ask,
        ready: Ask,
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        probes = {"/-/healthy": healthy, "/-/ready": ready}
        self._server = _Server((host, port), registry, probes, pages or {})
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening; answers under way are not waited for."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
