"""The real exporter and a real Prometheus as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from handrail.http import HttpClient, build_client


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Ended(Exception):
    """A process ended that nobody had killed."""


class Exporter:
    """`python -m cli exporter`, started and killed as often as asked; its log goes on in one file."""

    def __init__(self, config: Path, port: int, *, root: Path, folder: Path) -> None:
        self._command = [sys.executable, "-m", "cli", "exporter", "--config", str(config)]
        self._root = root
        self._log = folder / "exporter.log"
        # Compiled once for all starts, and not in the checkout.
        self._environment = os.environ | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process: subprocess.Popen[bytes] | None = None
        self._client = build_client(base_url=f"http://127.0.0.1:{port}", timeout_s=5)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._root, env=self._environment, stderr=log)

    def kill(self) -> None:
        """SIGKILL; Ended when it had ended by itself before."""
        assert self._process
        if self._process.poll() is not None:
            raise Ended(f"exit code {self._process.returncode}\n{self.last_words()}")
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=30)

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._client.close()

    def answers(self) -> bool:
        """Whether it serves; asking does not count as a scrape."""
        assert self._process
        if self._process.poll() is not None:
            raise Ended(f"exit code {self._process.returncode}\n{self.last_words()}")
        try:
            return self._client.get("/-/healthy").status_code == 200
        except httpx.HTTPError:
            return False

    def metrics(self) -> dict[str, float]:
        """Every sample of a scrape; none while it does not answer."""
        try:
            answer = self._client.get("/metrics")
        except httpx.HTTPError:
            return {}
        lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


class Prometheus:
    """A Prometheus that scrapes the exporter four times a second and keeps what it saw."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        answer = json.loads(self._client.get("/api/v1/query", params={"query": promql}).text)
        assert answer["status"] == "success", answer
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def prometheus(program: Path, exporter_port: int, folder: Path) -> Iterator[Prometheus]:
    """It runs while the block does."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"},
        "scrape_configs": [{"job_name": "e", "static_configs": [{"targets": [f"127.0.0.1:{exporter_port}"]}]}],
    }
    (folder / "prometheus.json").write_text(json.dumps(config))
    arguments = [f"--config.file={folder}/prometheus.json", f"--storage.tsdb.path={folder}/tsdb"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([program, *arguments, f"--web.listen-address=127.0.0.1:{port}"], stderr=log)
    with ExitStack() as stack:
        stack.callback(process.wait, timeout=30)
        stack.callback(process.terminate)
        client = stack.enter_context(build_client(base_url=f"http://127.0.0.1:{port}", timeout_s=60))
        found = Prometheus(client)
        deadline = time.monotonic() + 60
        while not found.ready():
            assert process.poll() is None, (folder / "prometheus.log").read_text()[-3000:]
            assert time.monotonic() < deadline, "Prometheus does not become ready"
            time.sleep(0.1)
        yield found
