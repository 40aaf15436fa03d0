"""A receiver in a process of its own, as it runs in production, and notifications for it over kept connections.

    python -m bench.receiver_process CONFIG SPEED [unstored|synchronous]

`SPEED` seconds of its clock pass in one. `unstored` acknowledges without storing; `synchronous` opens the ticket in the
request, as a webhook without a queue does. Both are the same server otherwise: the same checks and the same threads.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select
from starlette.concurrency import run_in_threadpool

from alerting.receiver import app
from alerting.receiver.inbox import Inbox
from alerting.receiver.jira.tickets import JiraTickets
from alerting.receiver.schema import inbox, outbox
from alerting.receiver.text import paragraph
from alerting.receiver.ticket_port import Draft, Identity
from drill.simulators.fast_clock import FastClock
from handrail import logs
from handrail.clock import Clock
from handrail.database import open_to_read
from handrail.settings import Settings, load

ROOT = Path(__file__).resolve().parents[1]
_PATIENCE_S = 60
_CONFIG = """
team: {{name: Bench}}
sources: {{n8n: [{{name: main, url: "http://127.0.0.1:1", api_key_file: {folder}/token}}]}}
prometheus: {{listen: "127.0.0.1:1"}}
exporter: {{listen: "127.0.0.1:1"}}
tickets: {{jira: {{url: "{jira}", project: OPS, user: handrail@example.com, token_file: {folder}/jira-token}}}}
receiver:
  listen: "127.0.0.1:{port}"
  webhook_token_file: {folder}/token
  operator_token_file: {folder}/token
  database_url: "sqlite:///{folder}/receiver.sqlite"
  limits: {{notifications_per_second: 100000}}
"""


def main() -> None:
    """Serve until SIGTERM."""
    config, speed, *kind = sys.argv[1:]
    logs.configure(sys.stderr)
    settings, clock = load(Path(config)), FastClock(time.time(), float(speed))
    if kind:
        Inbox.accept = {"unstored": _forget, "synchronous": _in_the_request(settings, clock)}[kind[0]]  # type: ignore[method-assign, assignment]
    app.serve(app.assembled(settings, clock), settings)


async def _forget(_: Inbox, body: bytes) -> None:
    """Nothing."""


def _in_the_request(settings: Settings, clock: Clock) -> Callable[[Inbox, bytes], Awaitable[None]]:
    """One call to Jira for each notification. A real one has to search first, and takes longer."""
    assert settings.tickets.jira is not None
    tickets = JiraTickets(settings.tickets.jira, clock)

    def create(body: bytes) -> None:
        told = json.loads(body)
        document = (paragraph(json.dumps(told["alerts"])),)
        tickets.create(Draft(Identity("0" * 16, 1), told["groupLabels"]["alertname"], document, labels=()))

    async def in_a_thread(_: Inbox, body: bytes) -> None:
        await run_in_threadpool(create, body)

    return in_a_thread


@dataclass(frozen=True)
class Running:
    """A receiver that serves."""

    pid: int
    port: int
    engine: Engine

    def send(self, bodies: Sequence[bytes], threads: int) -> list[float]:
        """How many seconds each notification took to be acknowledged; SystemExit unless all were."""
        shares = [bodies[number::threads] for number in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            return [took for share in pool.map(self._send, shares) for took in share]

    def _send(self, bodies: Sequence[bytes]) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        took = []
        for body in bodies:
            began = time.perf_counter()
            connection.request("POST", "/v1/alerts", body, {"authorization": "Bearer t"})
            answer = connection.getresponse()
            said = answer.read()
            took.append(time.perf_counter() - began)
            if answer.status != 200:
                raise SystemExit(f"a notification was answered {answer.status}: {said.decode()}")
        connection.close()
        return took

    def undecided(self) -> int:
        """How many notifications wait to be decided."""
        return self._count(inbox.c.processed_at.is_(None))

    def undelivered(self) -> int:
        """How much waits for Jira. A look for a second ticket, hours later, is not waited for."""
        return self._count(outbox.c.state.in_(("ready", "leased")) & (outbox.c.kind != "sweep"))

    def stored(self) -> int:
        """How many notifications are on disk."""
        return self._count(inbox.c.id > 0)

    def _count(self, which: object) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(select(func.count()).where(which)) or 0  # type: ignore[arg-type]

    def resident_mib(self) -> float:
        """The memory that it has at this moment."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            raise SystemExit("this system does not say how much memory a process has")
        return int(found.group(1)) / 1024


@contextmanager
def receiver(folder: Path, jira: str, *kind: str, speed: float = 1) -> Iterator[Running]:
    """A receiver with a database of its own in `folder`, while the block runs."""
    folder.mkdir()
    port = _free_port()
    (folder / "token").write_text("t", encoding="utf-8")
    (folder / "jira-token").write_text("jira-token", encoding="utf-8")
    config = folder / "handrail.yaml"
    config.write_text(_CONFIG.format(folder=folder, jira=jira, port=port), encoding="utf-8")
    command = [sys.executable, "-m", "bench.receiver_process", str(config), str(speed), *kind]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stderr=log)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the receiver does not serve: {(folder / 'log').read_text(encoding='utf-8')[-1000:]}")
            time.sleep(0.05)
        engine = open_to_read(f"sqlite:///{folder}/receiver.sqlite")
        yield Running(process.pid, port, engine)
        engine.dispose()
    finally:
        process.terminate()
        process.wait()


def until(condition: Callable[[], bool], otherwise: str, within_s: float = _PATIENCE_S) -> None:
    """Wait for it; SystemExit when it does not become true."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(otherwise)
        time.sleep(0.05)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    main()
