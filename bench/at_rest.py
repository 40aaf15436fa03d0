"""What an exporter needs while little happens: memory, and requests of a poll, whatever was counted before.

Run it with `python -m bench.at_rest [calls …]`. The exporter is a process of its own (Linux shows how large it is) over
a simulated n8n and Cloudflare. So many calls are in its ledger, and a hundredth of them in each of the two services.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy import text

from bench.measure import Row, print_rows
from bench.scrape import call
from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.n8n import N8nSimulator
from drill.simulators.wire import serve
from exporter.ledger import Ledger
from exporter.sources import Batch
from exporter.tables import calls_table
from handrail.clock import SystemClock
from handrail.database import create_engine
from handrail.http import HttpClient, build_client
from handrail.settings import load

ROOT = Path(__file__).resolve().parents[1]
CALLS = (10_000, 100_000, 1_000_000)
GOAL_MIB = 150.0
SOURCES = ("n8n/main", "cloudflare/main")
SERVED = 100  # a service shows this part of what was counted, and the rest is older
_AGENTS = 20
_COPIED = 10_000
_POLLS = 10
_NEW_CALLS = 400
_LOGGED = 10  # one of so many goes through the gateway, so that what is new there fits a page
_PATIENCE_S = 120
_CONFIG = """
sources:
  n8n: [{{name: main, url: "{n8n}", api_key_file: {folder}/n8n-key, poll_interval: 200ms, discover: true}}]
  cloudflare:
    - {{name: main, url: "{cloudflare}/client/v4", account_id: 0123456789abcdef0123456789abcdef, gateways: [prod],
       api_token_file: {folder}/cf-token, poll_interval: 200ms, hold_back: 1s, request_share: "100%", logs: legacy,
       analytics: {{enabled: false}}}}
agents:
  - {{name: support-bot, from: {{ai_gateway: main, metadata: {{agent: support-bot}}}}}}
exporter: {{listen: "127.0.0.1:{port}", database_url: "sqlite:///{folder}/ledger.sqlite"}}
"""


@dataclass(frozen=True)
class AtRest:
    """The most memory that was resident, and the requests that an idle poll of each service made."""

    resident_mib: float
    n8n_requests: int
    gateway_requests: int


@dataclass(frozen=True)
class World:
    """Two services, and a folder with the exporter's configuration and ledger."""

    n8n: N8nSimulator
    cloudflare: CloudflareSimulator
    folder: Path
    port: int

    def happen(self, calls: int, *, over: timedelta) -> None:
        """So many calls of each service, spread over the time until now."""
        now = datetime.now(UTC)
        workflows = list(self.n8n.workflows)
        for number in range(calls):
            ended = now - over * (number / calls)
            self.n8n.call(workflows[number % len(workflows)], tokens_in=100, tokens_out=10, finished_at=ended)
            if number % _LOGGED == 0:
                self.cloudflare.log("support-bot", tokens_in=100, tokens_out=10, created_at=ended)


@contextmanager
def world(calls: int) -> Iterator[World]:
    """It has a past of so many calls."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    with ExitStack() as stack:
        n8n, cloudflare = N8nSimulator(SystemClock()), CloudflareSimulator(SystemClock())
        stack.callback(cloudflare.close)
        urls = [stack.enter_context(serve(app)).url for app in (n8n, cloudflare)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "n8n-key").write_text("n8n-key", encoding="utf-8")
        (folder / "cf-token").write_text("cf-token", encoding="utf-8")
        config = _CONFIG.format(n8n=urls[0], cloudflare=urls[1], folder=folder, port=port)
        (folder / "handrail.yaml").write_text(config, encoding="utf-8")
        for number in range(_AGENTS):
            n8n.add_workflow(f"Agent {number}")
        made = World(n8n, cloudflare, folder, port)
        made.happen(max(1, calls // SERVED), over=timedelta(days=1))
        fill(folder, calls)
        yield made


def fill(folder: Path, calls: int) -> None:
    """Count the first calls as ever; the others are copies of their rows, which is faster and as large."""
    engine = create_engine(f"sqlite:///{folder}/ledger.sqlite")
    ledger, now = Ledger(engine, load(folder / "handrail.yaml"), SystemClock()), datetime.now(UTC)
    first = min(calls, _COPIED)
    made = [call(f"agent-{n % _AGENTS}", n, now - timedelta(seconds=n)) for n in range(first)]
    ledger.commit(SOURCES[0], Batch(state={}, calls=tuple(made)))
    names = [column.name for column in calls_table.columns]
    copied = ", ".join("id || '/' || :copy" if name == "id" else name for name in names)
    statement = f"INSERT INTO calls SELECT {copied} FROM calls LIMIT {first}"
    for copy in range(1, calls // first):
        with engine.begin() as connection:
            connection.execute(text(statement), {"copy": copy})
    engine.dispose()


@contextmanager
def exporter(made: World) -> Iterator[tuple[int, HttpClient]]:
    """Its process id and a client for its pages, while it runs."""
    command = [sys.executable, "-m", "cli", "exporter", "--config", str(made.folder / "handrail.yaml")]
    with (made.folder / "log").open("wb") as log, ExitStack() as stack:
        process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        client = stack.enter_context(build_client(base_url=f"http://127.0.0.1:{made.port}", timeout_s=30))
        _until(lambda: process.poll() is not None or bool(samples(client)), "the exporter does not answer")
        if process.poll() is not None:
            raise SystemExit(f"the exporter ended: {(made.folder / 'log').read_text(encoding='utf-8')[-1000:]}")
        yield process.pid, client


def samples(client: HttpClient) -> dict[str, float]:
    """Every sample of a scrape; none while nobody answers."""
    try:
        body = client.get("/metrics").text
    except httpx.HTTPError:
        return {}
    lines = [line for line in body.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def _until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(otherwise)
        time.sleep(0.1)


def _sum(found: dict[str, float], metric: str, source: str) -> float:
    return sum(
        value for name, value in found.items() if name.startswith(f"{metric}{{") and f'source="{source}"' in name
    )


def measure(calls: int) -> AtRest:
    """An exporter reads what is there, then what is new, and then there is nothing."""
    with world(calls) as made, exporter(made) as (pid, client):
        _polled(client, 2)
        before = samples(client)
        made.happen(_NEW_CALLS, over=timedelta(0))
        wanted = _counted(before) + _NEW_CALLS + _NEW_CALLS // _LOGGED
        _until(lambda: _counted(samples(client)) >= wanted, "not every new call was counted")
        _polled(client, 2)
        begun = samples(client)
        _polled(client, _POLLS)
        ended = samples(client)
        polls, asked = (
            {source: _sum(ended, metric, source) - _sum(begun, metric, source) for source in SOURCES}
            for metric in ("handrail_source_polls_total", "handrail_source_requests_total")
        )
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        resident = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        if resident is None:
            raise SystemExit("this system does not say how much memory a process had")
        # A poll that is under way when it is looked has made a request more than those that ended.
        n8n, gateway = (round(asked[source] / polls[source]) for source in SOURCES)
        return AtRest(int(resident.group(1)) / 1024, n8n, gateway)


def _polled(client: HttpClient, times: int) -> None:
    begun = samples(client)
    for source in SOURCES:
        target = _sum(begun, "handrail_source_polls_total", source) + times

        def enough(source: str = source, target: float = target) -> bool:
            return _sum(samples(client), "handrail_source_polls_total", source) >= target

        _until(enough, f"{source} is not polled")


def _counted(found: dict[str, float]) -> float:
    return sum(value for name, value in found.items() if name.startswith("handrail_calls_total{"))


def rows(calls: tuple[int, ...] = CALLS) -> list[Row]:
    """Memory against that with the fewest calls; the requests of a poll, which are to be as many."""
    found = {count: measure(count) for count in calls}
    least = found[min(calls)]
    memory = [
        Row(f"at rest: MiB resident, {count:,} calls", each.resident_mib, "MiB", GOAL_MIB)
        for count, each in found.items()
    ]
    few = f"with {min(calls):,} calls"
    growth = [
        Row(f"at rest: {what}, {count:,} calls", value(each) / value(least), few, goal)
        for what, value, goal in (
            ("memory", lambda each: each.resident_mib, None),
            ("requests of an n8n poll", lambda each: each.n8n_requests, 1.0),
            ("requests of a gateway poll", lambda each: each.gateway_requests, 1.0),
        )
        for count, each in found.items()
        if count > min(calls)
    ]
    return memory + growth


if __name__ == "__main__":
    print_rows(rows(tuple(map(int, sys.argv[1:])) or CALLS))
