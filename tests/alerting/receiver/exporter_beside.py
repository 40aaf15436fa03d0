"""An exporter whose hand-offs reach the receiver under test, with nothing between them but HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from exporter.handoffs.sender import HandoffSender
from exporter.ledger import Ledger
from handrail.clock import Clock
from handrail.database import create_engine
from handrail.http import HttpClient, build_client
from handrail.logs import get_logger
from handrail.secret import Secret
from handrail.settings import Settings


@contextmanager
def exporter_beside(bench, settings: Settings, clock: Clock, folder: Path) -> Iterator[tuple[Ledger, HandoffSender]]:
    """Its ledger, in `folder`, and what sends from it to the bench."""

    def forward(request: httpx.Request) -> httpx.Response:
        answer = bench.client.post(request.url.path, content=request.content, headers=dict(request.headers))
        return httpx.Response(answer.status_code, content=answer.content)

    def connect() -> tuple[HttpClient, Secret]:
        client = build_client(base_url="http://receiver.test", transport=httpx.MockTransport(forward))
        return client, bench.settings.receiver.handoff_token

    engine = create_engine(f"sqlite:///{folder}/ledger.sqlite")
    ledger = Ledger(engine, settings, clock)
    yield ledger, HandoffSender(ledger.handoffs, connect, clock, get_logger("handoffs"))
    engine.dispose()
