"""Serves over HTTP or TLS: connections are bounded in number and in patience, and a renewed certificate is taken up."""

from __future__ import annotations

import asyncio
import ssl
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from handrail.logs import Logger, LogOnce
from handrail.settings import Settings
from handrail.tls_settings import ReceiverTls

# Above, a request is answered 503, which Alertmanager tries again.
MOST_CONNECTIONS = 200
# Alertmanager keeps a connection open between notifications; Prometheus scrapes every 15 s.
KEEP_ALIVE_S = 30
# A request's line and headers are a few hundred bytes: whoever needs longer for them holds a place on purpose.
HEADERS_WITHIN_S = 10.0
STOP_WITHIN_S = 5
LOOK_EVERY_S = 10.0


class CannotServe(Exception):
    """The certificate, its key or the authority cannot be used; the text says which file and why."""


class PatientProtocol(H11Protocol):
    """Closes a connection that does not begin a request in time, which uvicorn itself does only between two."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """As soon as a request has begun nothing is waited for; part of the next one must become whole in time."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None and self.timeout_keep_alive_task is None:
            self._wait()

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(HEADERS_WITHIN_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()


def server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """A server that is not started yet; CannotServe if its certificates cannot be used."""
    host, _, port = settings.receiver.listen.rpartition(":")
    tls = settings.receiver.tls
    config = uvicorn.Config(
        app,
        host=host,
        port=int(port),
        log_config=None,
        access_log=False,
        http=PatientProtocol,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        server_header=False,
        ssl_context_factory=(lambda _config, _default: context_of(tls)) if tls else None,
    )
    if tls is not None:
        config.load()
    return uvicorn.Server(config)


def context_of(tls: ReceiverTls) -> ssl.SSLContext:
    """TLS 1.2 or newer with these files; with `client_ca_file` nobody comes in without a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load(context, tls)
    if tls.client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def load(context: ssl.SSLContext, tls: ReceiverTls) -> None:
    """Read the files, for every connection from now on; CannotServe leaves the context as it was.

    An authority that was taken out of `client_ca_file` is trusted until the receiver is started anew.
    """
    where = f"{tls.cert_file} and {tls.key_file}"
    try:
        # Tried elsewhere first: a certificate that does not fit its key must not replace one that does.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
        if tls.client_ca_file is not None:
            where = str(tls.client_ca_file)
            context.load_verify_locations(tls.client_ca_file)
    except (OSError, ValueError) as error:  # an ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "not a certificate and its key"
        raise CannotServe(f"{where} cannot be used: {reason}") from error


def _no_password() -> str:
    """Without it OpenSSL asks at the terminal for the password of a key that has one, and waits."""
    raise ValueError("the key has a password")


class Renewal:
    """Takes up certificates that were written anew; until both files fit, the old ones hold."""

    def __init__(self, context: ssl.SSLContext, tls: ReceiverTls, logger: Logger) -> None:
        self._context = context
        self._tls = tls
        self._log_once = LogOnce(logger)
        self._logger = logger
        self._seen = self._written()

    def run(self, stop: threading.Event) -> None:
        """Look every few seconds until `stop` is set."""
        while not stop.wait(LOOK_EVERY_S):
            self.look()

    def look(self) -> bool:
        """Load the files if one of them was written since; True when new ones hold."""
        written = self._written()
        if written == self._seen:
            return False
        try:
            load(self._context, self._tls)
        except CannotServe as error:
            self._log_once.failed("certificate", str(error))
            return False
        self._seen = written
        self._log_once.succeeded("certificate")
        self._logger.info("certificate_loaded", file=str(self._tls.cert_file))
        return True

    def _written(self) -> tuple[Any, ...]:
        files = (self._tls.cert_file, self._tls.key_file, self._tls.client_ca_file)
        return tuple(_changed_at(file) for file in files if file is not None)


def _changed_at(file: Any) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
