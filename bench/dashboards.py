"""What the dashboards ask of Prometheus: every panel of the overview, with the recording rules and without them.

Run it with `python -m bench.dashboards [agents [days]]`. A real Prometheus has so many days of the counters' sums,
scrapes so many agents and evaluates the rules. Without the rules, every recorded series in a query is replaced by its
own expression, but for those that some rule looks back on, which nobody could do without. Both are asked in turns.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from alerting.alert_rules import rules_of
from alerting.backtest.inlined import Inliner
from alerting.outputs.prometheus import PrometheusFiles
from alerting.render import SecretFiles, documents
from bench.measure import Row, best_of, print_rows
from bench.rules import evaluating
from bench.scrape import settings
from handrail.http import HttpClient
from stack.history import load
from stack.tools import ToolMissing, find

ROOT = Path(__file__).resolve().parents[1]
AGENTS, DAYS = 1000, 30
# Samples closer than Prometheus looks back for one.
_STEP_S = 240
_TURNS = 3
_PATIENCE_S = 300
_SUMS = ("agent:handrail_calls:sum", "agent:handrail_call_errors:sum")
_CHOSEN = {"$job": ".+", "$instance": ".+", "$agent": ".+"}


def rows(agents: int = AGENTS, days: int = DAYS) -> list[Row]:
    """The sum of all panels, and the slowest one with rules, against the same without. None without a Prometheus."""
    try:
        promtool = find("promtool", state=ROOT / ".handrail")
    except ToolMissing as error:
        print(f"The dashboards are not measured: {error}", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as folder:
        storage = Path(folder) / "data"
        load(promtool, _history(Path(folder) / "history.om", agents, days), storage)
        with evaluating(agents, storage) as (client, _):
            _ready(client)
            return _compared(client, agents, days)


def _compared(client: HttpClient, agents: int, days: int) -> list[Row]:
    inliner = Inliner(rules_of(settings(agents)))
    recorded = dict(_queries(agents))
    sides = {
        name: {panel: [change(expr) for expr in exprs] for panel, exprs in recorded.items()}
        for name, change in {"with": lambda expr: expr, "without": inliner.inlined}.items()
    }
    of_panel = {
        panel: best_of(_TURNS, {name: _asking(client, panels[panel]) for name, panels in sides.items()})
        for panel in recorded
    }
    total = {name: sum(best[name] for best in of_panel.values()) for name in sides}
    slowest = max(of_panel, key=lambda panel: of_panel[panel]["with"])
    of = f"{agents:,} agents, {days} days"
    return [
        Row(f"overview, all panels: {of}", total["with"] / total["without"], "without recording rules", 1.0),
        Row(
            f"overview, slowest ({slowest}): {of}",
            of_panel[slowest]["with"] / of_panel[slowest]["without"],
            "without recording rules",
        ),
        Row(f"overview, slowest ({slowest}): {of}", of_panel[slowest]["with"] / total["with"], "all panels"),
    ]


def _asking(client: HttpClient, exprs: list[str]) -> Callable[[], None]:
    def ask() -> None:
        for expr in exprs:
            answer = client.post("/api/v1/query", data={"query": expr})
            if answer.status_code != 200:
                raise SystemExit(f"Prometheus refuses {expr}: {answer.text[:300]}")

    return ask


def _queries(agents: int) -> Iterator[tuple[str, list[str]]]:
    """By panel of the overview, for all agents."""
    nowhere = SecretFiles(Path("none"), Path("none"))
    board: Any = json.loads(documents(settings(agents), nowhere, PrometheusFiles())["dashboards/overview.json"])
    for panel in board["panels"]:
        if exprs := [target["expr"] for target in panel.get("targets", [])]:
            yield panel["title"], [_filled(expr) for expr in exprs]


def _filled(expr: str) -> str:
    for variable, value in _CHOSEN.items():
        expr = expr.replace(variable, value)
    return expr


def _history(file: Path, agents: int, days: int) -> Path:
    """Counters that grow a little, up to an hour ago, so that nothing overlaps with what is scraped."""
    end = int(time.time()) - 3600
    times = range(end - days * 86400, end, _STEP_S)
    with file.open("w", encoding="utf-8") as out:
        for name in _SUMS:
            out.write(f"# TYPE {name} gauge\n")
            for agent in range(agents):
                head = f'{name}{{agent="agent-{agent}"}} '
                out.writelines(f"{head}{number} {at}\n" for number, at in enumerate(times))
        out.write("# EOF\n")
    return file


def _ready(client: HttpClient) -> None:
    """Until every agent is known by a recorded series."""
    began = time.monotonic()
    while time.monotonic() < began + _PATIENCE_S:
        time.sleep(2)
        try:
            found = client.get("/api/v1/query", params={"query": "count(agent:handrail_error_budget_remaining:ratio)"})
        except httpx.HTTPError:
            continue
        if found.status_code == 200 and json.loads(found.text)["data"]["result"]:
            return
    raise SystemExit("Prometheus does not evaluate the rules")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    print_rows(rows(*numbers))
