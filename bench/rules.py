"""What share of an interval a real Prometheus takes to evaluate all rules once, and how that grows with agents.

Run it with `python -m bench.rules [agents …]`. Prometheus scrapes the series of so many agents every second, as often
as the rules' short windows hold samples, and evaluates the rules of one SLA; the time of each group is its own account.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from alerting.render import SecretFiles, render
from bench.measure import Row, print_rows
from bench.scrape import filled, settings
from drill.simulators.wire import serve
from handrail.http import HttpClient, build_client
from stack.tools import ToolMissing, find

ROOT = Path(__file__).resolve().parents[1]
AGENTS = (10, 100, 1000)
GOAL = 0.1
_INTERVAL_S = 15.0
_WARM_UP_S = 60
_EVALUATIONS = 3
_PATIENCE_S = 180


def measure(agents: int) -> float:
    """The sum of the groups' evaluation times, as a share of an interval; the best of some evaluations."""
    with evaluating(agents) as (client, process):
        return _best(client, process)


@contextmanager
def evaluating(
    agents: int, storage: Path | None = None, *, scrape_interval: str = "1s"
) -> Iterator[tuple[HttpClient, subprocess.Popen[bytes]]]:
    """A Prometheus that scrapes so many agents and evaluates all rules; over this storage, or an empty one."""
    program = find("prometheus", state=ROOT / ".handrail")
    with ExitStack() as stack:
        collector = stack.enter_context(filled(agents))
        registry = CollectorRegistry()
        registry.register(collector)
        page = generate_latest(registry)

        def exporter(_environ: object, start: Callable[..., object]) -> list[bytes]:
            start("200 OK", [("Content-Type", "text/plain; version=0.0.4")])
            return [page]

        exposed = stack.enter_context(serve(exporter))
        free = serve(exporter)
        address = f"127.0.0.1:{free.port}"
        free.close()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _configure(folder, agents, exposed.url.removeprefix("http://"), scrape_interval)
        log = stack.enter_context((folder / "log").open("wb"))
        arguments = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={storage or folder / 'data'}"]
        arguments += ["--storage.tsdb.retention.time=10y", f"--web.listen-address={address}"]
        process = subprocess.Popen([program, *arguments], stderr=log)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        client = stack.enter_context(build_client(base_url=f"http://{address}", timeout_s=60))
        yield client, process


def _configure(folder: Path, agents: int, exporter: str, scrape_interval: str) -> None:
    """The rendered rules, over the one exporter."""
    render(settings(agents), folder, SecretFiles(folder / "none", folder / "none"))
    job = {"job_name": "handrail-exporter", "static_configs": [{"targets": [exporter]}]}
    intervals = {"scrape_interval": scrape_interval, "scrape_timeout": scrape_interval}
    intervals["evaluation_interval"] = f"{_INTERVAL_S:g}s"
    document = {"global": intervals, "rule_files": ["rules/handrail.yml"], "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(document), encoding="utf-8")


def _best(client: HttpClient, process: subprocess.Popen[bytes]) -> float:
    begun, shares = time.monotonic(), list[float]()
    seen = ""
    while len(shares) < _EVALUATIONS:
        if process.poll() is not None or time.monotonic() > begun + _WARM_UP_S + _PATIENCE_S:
            raise SystemExit("Prometheus does not evaluate the rules")
        time.sleep(1)
        groups = _groups(client)
        newest = max((group["lastEvaluation"] for group in groups), default="")
        settled = time.monotonic() > begun + _WARM_UP_S and groups and newest > seen
        if settled and all(not group["lastEvaluation"].startswith("0001") for group in groups):
            seen = max(newest, seen)
            shares.append(sum(group["evaluationTime"] for group in groups) / _INTERVAL_S)
    return min(shares)


def _groups(client: HttpClient) -> list[dict[str, float | str]]:
    try:
        answer = client.get("/api/v1/rules")
    except httpx.HTTPError:
        return []
    if answer.status_code != 200:
        return []
    found = json.loads(answer.text)["data"]["groups"]
    broken = [rule["lastError"] for group in found for rule in group["rules"] if rule.get("lastError")]
    if broken:
        raise SystemExit(broken[0])
    return list(found)


def rows(agents: tuple[int, ...] = AGENTS) -> list[Row]:
    """One for each number of agents; the goal is that of the largest. None without a Prometheus."""
    try:
        return [
            Row(f"rules: {n:,} agents", measure(n), "an interval of 15 s", GOAL if n == max(agents) else None)
            for n in agents
        ]
    except ToolMissing as error:
        print(f"The rules are not measured: {error}", file=sys.stderr)
        return []


if __name__ == "__main__":
    print_rows(rows(tuple(map(int, sys.argv[1:])) or AGENTS))
