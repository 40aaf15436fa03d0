"""A Prometheus of its own over a folder of blocks, for questions about a past that no running one has."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handrail.clock import Clock
from handrail.http import HttpClient
from stack.health import is_healthy
from stack.past import PastUnknown

_START_S = 60.0
_END_S = 20


@contextmanager
def scratch_prometheus(program: Path, folder: Path, client: HttpClient, clock: Clock) -> Iterator[str]:
    """Answers at the URL inside; it scrapes nothing, evaluates nothing and ends with the block.

    `folder` has the blocks in `blocks`. PastUnknown when it does not start.
    """
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text("global: {}\n", encoding="utf-8")
    address = f"127.0.0.1:{_free_port()}"
    command = [
        str(program),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'blocks'}",
        # Far longer than any ledger: nothing may be deleted meanwhile.
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - our own command
    try:
        deadline = clock.monotonic() + _START_S
        while not is_healthy(client, f"http://{address}/-/ready"):
            if process.poll() is not None or clock.monotonic() > deadline:
                said = log.read_text(encoding="utf-8", errors="replace").strip()[-300:]
                raise PastUnknown(f"Prometheus did not start over the ledger's calls: {said}")
            clock.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
