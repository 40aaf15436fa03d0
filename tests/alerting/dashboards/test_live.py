"""On a real Prometheus that watched the simulated world, after a drill: every panel has data or a reason for none."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from handrail.http import HttpClient, build_client, read_json
from handrail.ports import Ports
from handrail.settings import load
from tests.alerting.conftest import find, version
from tests.alerting.dashboards.boards import EVERYTHING, Chosen, Query, every_query

pytestmark = [pytest.mark.slow, pytest.mark.tools]

NOTHING_RUNS = "no execution of the simulated world lasts until the next scrape"
NO_WEEK_BEFORE = "the world is minutes old, so there is no week before"
NO_COST = "the simulated gateway tells no cost"
# By the end of the query's name: why it may be empty here.
EMPTY = {
    "agent / Running for / A": NOTHING_RUNS,
    "agent / How long the oldest execution has been running / A": NOTHING_RUNS,
    "agent / Next call due / A": "the simulated agents have no schedule",
    "agent / Cost of an hour / A": NO_COST,
    "overview / What fires / A": "everything that the drill caused may be over",
    "overview / Switched off / A": "the drill switches its agents on again",
    "overview / Switched off / B": "the drill switches its agents on again",
    "pipeline / Failed polls by reason / A": "no scenario takes a source away",
    "pipeline / Credentials / B": "the simulated credentials never expire",
    "pipeline / Notifications of Alertmanager / B": "every notification arrives",
    "weekly review / Was the SLA kept? / C": NO_WEEK_BEFORE,
    "weekly review / What did they use? / C": NO_WEEK_BEFORE,
    "weekly review / What did they use? / D": NO_COST,
    "weekly review / What did they use? / E": NO_COST,
    "weekly review / What did they use? / F": NO_COST,
}


# There is no history of them.
NAMES = ("nobody", 'a "quoted" agent', "מוקד 😀", "\u202eevil")
# The drill's last numbers are there when all was scraped once more, and a rate when it was so twice.
SCRAPED_WITHIN_S = 90
PORTS = ("control", "n8n", "cloudflare", "llm", "jira", "slack", "prometheus", "alertmanager", "exporter", "receiver")


def free_offset() -> int:
    """Of the simulated world, so that it stands beside any other."""
    return next(offset for offset in range(5000, 45000, 700) if all(is_free(getattr(Ports(offset), n)) for n in PORTS))


def is_free(port: int) -> bool:
    """Nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="module")
def prometheus(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpClient]:
    """The Prometheus of a stack, after all scenarios of the drill; a week of history was planted for one of them."""
    if not (found := find(("promtool",))):
        pytest.skip("no promtool found: name its folder in HANDRAIL_TOOLS, or run make up once")
    # A stack and a drill take minutes: that older ones take every query as well is test_queries.
    promtool = max(found, key=lambda program: [int(part) for part in re.findall(r"\d+", version(program))])
    state, offset = tmp_path_factory.mktemp("state"), str(free_offset())
    for name in ("bin", "bin-3"):
        if (root / ".handrail" / name).is_dir():
            (state / name).symlink_to(root / ".handrail" / name)
    environ = {**os.environ, "PATH": f"{promtool.parent}:{os.environ['PATH']}"}

    def run(*arguments: str) -> None:
        command = [sys.executable, "-m", "cli", *arguments, "--state", str(state)]
        done = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    config = state / "simulated" / "handrail.yaml"
    try:
        run("stack", "up", "--simulated", "--port-offset", offset, "--runtime", "native")
        run("drill", "--config", str(config), "--port-offset", offset)
        with build_client(base_url=f"http://{load(config).prometheus.listen}", timeout_s=60) as client:
            yield client
    finally:
        run("stack", "down")


def answer(client: HttpClient, query: Query, chosen: Chosen = EVERYTHING) -> list[object]:
    """The series that Prometheus gives; an error fails the test."""
    now, span, step = time.time(), 3600, 15
    text = replace(query, span_s=span, step_s=step).filled(scrape_s=5, chosen=chosen)
    if query.instant:
        found = read_json(client.post("/api/v1/query", data={"query": text, "time": now}))
    else:
        times = {"start": now - span, "end": now, "step": step}
        found = read_json(client.post("/api/v1/query_range", data={"query": text, **times}))
    assert found["status"] == "success", (query.where, found)
    return list(found["data"]["result"])


def test_every_query_has_data_or_a_reason_to_have_none(prometheus: HttpClient) -> None:
    """What an operator sees the day the stack was started. An agent of any name breaks nothing."""
    for query in every_query():
        for agent in NAMES:
            answer(prometheus, query, chosen=EVERYTHING | {"agent": (agent,)})
    waited = [query for query in every_query() if query.where.removeprefix("Handrail: ") not in EMPTY]
    deadline = time.monotonic() + SCRAPED_WITHIN_S
    while empty := [query for query in waited if not answer(prometheus, query)]:
        assert time.monotonic() < deadline, [query.where for query in empty]
        threading.Event().wait(1)
        waited = empty
