"""How much does "on disk before 200" cost? Ratio of acknowledging to the same server answering without storage.

    python -m bench.webhook_ack [requests] [threads]

Both sides run in this process, one after the other in alternating rounds, over real sockets and with the same
requests.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import uvicorn

from alerting.receiver.app import Receiver, assemble
from alerting.receiver.inbox import Inbox
from bench.measure import Row, print_rows
from handrail.clock import SystemClock
from handrail.http import build_client
from handrail.settings import parse

ROUNDS = 5
CONFIG = """
sources: {{n8n: [{{name: main, url: "http://127.0.0.1:1", api_key_file: {folder}/token}}]}}
receiver:
  webhook_token_file: {folder}/token
  operator_token_file: {folder}/token
  database_url: "sqlite:///{folder}/r.sqlite"
  limits: {{notifications_per_second: 100000}}
"""


def notification(number: int) -> bytes:
    """One firing alert, as Alertmanager sends it."""
    labels = {"alertname": "AgentErrorRatioHigh", "agent": f"agent-{number % 50}", "severity": "critical"}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "Calls fail.", "description": "4.2% of 52 calls failed."},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": f"{number:016x}",
    }
    group = {name: labels[name] for name in ("alertname", "agent")}
    body = {"version": "4", "groupKey": "g", "status": "firing", "receiver": "handrail", "groupLabels": group}
    return json.dumps(
        body | {"commonLabels": labels, "commonAnnotations": {}, "externalURL": "", "alerts": [alert]}
    ).encode()


def receiver_in(folder: str) -> Receiver:
    """A receiver with a database in `folder`, without its workers."""
    (pathlib.Path(folder) / "token").write_text("t")
    settings = parse(CONFIG.format(folder=folder))
    nobody = build_client(base_url="http://127.0.0.1:1")
    return assemble(settings, clock=SystemClock(), port=None, switches={}, prometheus=nobody, exporter=nobody)


def serve(receiver: Receiver) -> tuple[uvicorn.Server, str]:
    """The receiver's application on a free port."""
    config = uvicorn.Config(receiver.app, host="127.0.0.1", port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    return server, f"http://127.0.0.1:{port}"


def seconds(url: str, requests: int, threads: int) -> float:
    """The time until all notifications are answered 200."""
    bodies = [notification(i) for i in range(requests)]
    headers = {"authorization": "Bearer t"}
    with httpx.Client(timeout=30) as client, ThreadPoolExecutor(threads) as pool:
        begun = time.perf_counter()
        answers = list(pool.map(lambda body: client.post(f"{url}/v1/alerts", content=body, headers=headers), bodies))
        took = time.perf_counter() - begun
    if any(answer.status_code != 200 for answer in answers):
        raise SystemExit("not every notification was acknowledged")
    return took


def rows(requests: int = 600, threads: int = 8) -> list[Row]:
    """The median of the rounds' ratios."""
    store: Callable[[Inbox, bytes], None] = Inbox.accept
    with tempfile.TemporaryDirectory() as folder:
        receiver = receiver_in(folder)
        server, url = serve(receiver)
        ratios = []
        seconds(url, requests // 4, threads)
        for _ in range(ROUNDS):
            Inbox.accept = lambda self, body: None  # type: ignore[method-assign] - the baseline: the same, unstored
            without = seconds(url, requests, threads)
            Inbox.accept = store  # type: ignore[method-assign]
            ratios.append(seconds(url, requests, threads) / without)
        server.should_exit = True
        receiver.engine.dispose()
    return [Row("webhook: acknowledged on disk", statistics.median(ratios), "the same server, without storing")]


if __name__ == "__main__":
    print_rows(rows(*map(int, sys.argv[1:])))
