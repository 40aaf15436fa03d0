"""The console with a thousand agents against the same page without one: bytes, and the time until it is rendered.

    python -m bench.console [agents]

Prometheus' answers are those of the simulator, recorded before, so that only the receiver is measured.
"""

from __future__ import annotations

import math
import pathlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
from fastapi.testclient import TestClient

from alerting.receiver.app import assemble
from bench.measure import Row, best_of, print_rows
from drill.simulators.prometheus import PrometheusSimulator, WatchedAgent
from handrail.http import build_client
from handrail.settings import parse

TURNS = 7
CONFIG = """
sources: {{n8n: [{{name: main, url: "http://127.0.0.1:1", api_key_file: {folder}/token}}]}}
receiver:
  webhook_token_file: {folder}/token
  operator_token_file: {folder}/token
  database_url: "sqlite:///{folder}/r.sqlite"
"""
FORM = {"by": "bench", "token": "t"}
OWN = {"origin": "http://testserver"}


class Still:
    """A clock that stands, so that the same questions are asked each time; no history is kept from one to the next."""

    def now(self) -> datetime:
        """The same moment, always."""
        return datetime(2026, 1, 1, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        """No time passes."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Nobody waits."""


class Recorded(httpx.BaseTransport):
    """Answers from memory what was asked once before."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner
        self._known: dict[str, bytes] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The recorded answer."""
        url = str(request.url)
        if url not in self._known:
            self._known[url] = self._inner.handle_request(request).read()
        return httpx.Response(200, content=self._known[url], headers={"content-type": "application/json"})


def watched(number: int) -> WatchedAgent:
    """One agent with an hour of calls."""

    def mean(ago: float) -> float:
        return 2 + math.sin(ago / 400 + number)

    return WatchedAgent(owner=f"team-{number % 20}", tokens=0.05, mean=mean, error_curve=lambda _: 0.001)


@contextmanager
def console(agents: int) -> Iterator[TestClient]:
    """The pages, signed in, of a receiver that watches so many agents; one in a hundred is in breach."""
    prometheus = PrometheusSimulator(Still(), {f"agent-{number:04}": watched(number) for number in range(agents)})
    for number in range(0, agents, 100):
        since, name = "2026-01-01T11:00:00Z", f"agent-{number:04}"
        prometheus.fire("AgentErrorRatioHigh", name, severity="critical", since=since, description="4% of 52 failed.")
    transport = Recorded(httpx.WSGITransport(app=prometheus))
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "token").write_text("t")
        asked = build_client(base_url="http://p", transport=transport)
        settings = parse(CONFIG.format(folder=folder))
        receiver = assemble(settings, clock=Still(), port=None, switches={}, prometheus=asked, exporter=asked)
        client = TestClient(receiver.app)
        client.post("/login", data=FORM, headers=OWN)
        yield client
        receiver.engine.dispose()


def rows(agents: int = 1000) -> list[Row]:
    """Both ratios; every agent must be on the page."""
    with console(0) as empty, console(agents) as full:
        nothing, page = empty.get("/").content, full.get("/").content
        if page.count(b"<bdi>agent-") < agents or b"No agent is being watched" not in nothing:
            raise SystemExit("the pages do not show what they should")
        best = best_of(TURNS, {"empty": lambda: empty.get("/"), "full": lambda: full.get("/")})
    named = f"{agents:,} agents"
    return [
        Row(f"console: bytes, {named}", len(page) / len(nothing), "the page without an agent", 250),
        Row(f"console: time to render, {named}", best["full"] / best["empty"], "the page without an agent", 50),
        Row("console: bytes of one more agent", (len(page) - len(nothing)) / agents, "a byte", 600),
    ]


if __name__ == "__main__":
    print_rows(rows(*map(int, sys.argv[1:])))
