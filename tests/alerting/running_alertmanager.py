"""A real Alertmanager with the rendered configuration, in front of a Slack, a mail server and two webhooks."""

from __future__ import annotations

import json
import queue
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx

from drill.simulators.slack import WEBHOOK_PATH, SlackSimulator
from drill.simulators.wire import serve
from handrail.clock import SystemClock
from handrail.http import HttpClient

Queue = queue.Queue[dict[str, Any]]
T = TypeVar("T")


@dataclass
class Outside:
    """The receiver, another program that takes webhooks, Slack and a mail server, each on a port of its own."""

    url: str = ""
    smarthost: str = ""
    slack_url: str = ""
    slack: SlackSimulator = field(default_factory=lambda: SlackSimulator(SystemClock()))
    receiver: Queue = field(default_factory=queue.Queue)
    pager: Queue = field(default_factory=queue.Queue)
    mails: queue.Queue[EmailMessage] = field(default_factory=queue.Queue)

    def told_slack(self, title: str) -> dict[str, Any]:
        """The message of that title, once it has come."""
        sent = until(lambda: [m for m in list(self.slack.messages) if m["attachments"][0]["title"] == title], title)
        assert "link_names" not in sent[-1]
        return dict(sent[-1]["attachments"][0])

    @staticmethod
    def told(sent: Queue, status: str, alertname: str) -> dict[str, Any]:
        """The next notification about that alert in that state; others before it are dropped."""
        wanted, end = (status, alertname), time.monotonic() + 30
        while True:
            found = sent.get(timeout=max(0.0, end - time.monotonic()))
            if (found["status"], found["groupLabels"]["alertname"]) == wanted:
                return found


def until(look: Callable[[], T], what: object, *, seconds: float = 30) -> T:
    """What `look` finds, as soon as it finds something."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{what} did not come"
        pause.wait(0.02)
    return found


@contextmanager
def outside() -> Iterator[Outside]:
    """All of them, listening."""
    here = Outside()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            {"/v1/alerts": here.receiver, "/pager": here.pager}[self.path].put(
                {"authorization": self.headers["Authorization"], **body}
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 mail.test")
            for line in self.rfile:
                command = line[:4].strip().upper().decode()
                if command == "DATA":
                    self.say("354 go on")
                    self.take()
                self.say({"EHLO": "250 mail.test", "QUIT": "221 bye"}.get(command, "250 good"))

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def take(self) -> None:
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line)
            here.mails.put(message_from_bytes(b"".join(lines), policy=policy.default))

    with ExitStack() as stack:
        slack = stack.enter_context(serve(here.slack))
        here.slack_url = slack.url + WEBHOOK_PATH
        web = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        here.url = f"http://127.0.0.1:{web.server_port}"
        mail = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail))
        mail.daemon_threads = True
        here.smarthost = f"127.0.0.1:{mail.server_address[1]}"
        for server in (web, mail):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
            stack.callback(server.shutdown)
        yield here


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(client: HttpClient, url: str) -> bool:
    """Is the program ready?"""
    try:
        return client.get(f"{url}/-/ready").is_success
    except httpx.TransportError:
        return False


@contextmanager
def started(
    program: Path, configuration: Path, client: HttpClient, cluster: Sequence[str] = ("--cluster.listen-address=",)
) -> Iterator[str]:
    """A real Alertmanager with that configuration, by default alone; gives its URL once it is ready."""
    url, folder = f"http://127.0.0.1:{free_port()}", configuration.parent
    command = [
        str(program),
        f"--config.file={configuration}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        f"--web.external-url={url}",
        *cluster,
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            until(lambda: process.poll() is not None or answers(client, url), "Alertmanager")
            assert process.poll() is None, (folder / "log").read_text()
            yield url
        finally:
            process.terminate()


def alert(labels: dict[str, str], description: str, *, ended: bool = False) -> dict[str, Any]:
    """One alert as Prometheus posts it."""
    annotations = {"summary": "A summary.", "description": description}
    now = datetime.now(UTC).isoformat()
    return {"labels": labels, "annotations": annotations, "endsAt" if ended else "startsAt": now}


@dataclass(frozen=True)
class Live:
    """A running Alertmanager with the rendered configuration, and the world it tells."""

    url: str
    outside: Outside
    client: HttpClient

    def post(self, *alerts: dict[str, Any]) -> None:
        """As Prometheus does."""
        self.client.post(f"{self.url}/api/v2/alerts", json=list(alerts)).raise_for_status()
