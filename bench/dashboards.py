"""What the dashboards ask of Prometheus: each of them, and the overview with the recording rules and without them.

Run it with `python -m bench.dashboards [agents [days]]`; about five minutes. A real Prometheus has so many days of what
the rules look back on (calls, errors, tokens), with a sample every 4 minutes, scrapes so many agents and evaluates the
rules. Without the rules, every recorded series in a query is replaced by its own expression, but for those that some
rule looks back on, which nobody could do without. Both are asked in turns. The dashboard of one agent is asked for one.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import httpx

from alerting.alert_rules import rules_of
from alerting.backtest.inlined import Inliner
from alerting.outputs.prometheus import PrometheusFiles
from alerting.render import SecretFiles, documents
from bench.measure import Row, best_of, print_rows
from bench.rules import evaluating
from bench.scrape import settings
from handrail.http import HttpClient
from handrail.quantities import parse_duration
from stack.history import load
from stack.tools import ToolMissing, find

ROOT = Path(__file__).resolve().parents[1]
AGENTS, DAYS = 1000, 30
OVERVIEW, OF_ONE_AGENT = "overview", "agent"
# Samples closer than Prometheus looks back for one.
_STEP_S = 240
_SPARSE_S = 300
_DAY_S = 86400
_TURNS = 3
_PATIENCE_S = 300
# Sums that grow, as the rules record them often and seldom, and what an hour used, which goes up and down.
_GROWING = ("agent:handrail_calls", "agent:handrail_call_errors", "agent:handrail_tokens")
_WAVING = "agent:handrail_tokens:increase1h"
_POINTS = 1000


@dataclass(frozen=True, slots=True)
class _Query:
    expr: str
    span_s: int  # 0 asks for one moment


_Panels = Mapping[str, Sequence[_Query]]


def rows(agents: int = AGENTS, days: int = DAYS) -> list[Row]:
    """The sum of all panels, and the slowest one with rules, against the same without. None without a Prometheus."""
    try:
        promtool = find("promtool", state=ROOT / ".handrail")
    except ToolMissing as error:
        print(f"The dashboards are not measured: {error}", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as folder:
        storage = Path(folder) / "data"
        end = int(time.time()) - 3600  # nothing overlaps with what is scraped
        # A file for each day, because promtool reads all of it for each block.
        for day in range(days):
            file = _history(Path(folder) / "day.om", agents, end - (days - day) * _DAY_S, end)
            load(promtool, file, storage)
        with evaluating(agents, storage, scrape_interval="15s") as (client, _):
            _ready(client)
            return _compared(client, agents, days)


def _compared(client: HttpClient, agents: int, days: int) -> list[Row]:
    inliner = Inliner(rules_of(settings(agents)))
    boards = dict(_boards(agents))
    without = {
        panel: [replace(query, expr=inliner.inlined(query.expr)) for query in queries]
        for panel, queries in boards[OVERVIEW].items()
    }
    recorded = boards[OVERVIEW]
    of_panel = {
        panel: best_of(_TURNS, {"with": _asking(client, recorded[panel]), "without": _asking(client, without[panel])})
        for panel in recorded
    }
    total = {name: sum(best[name] for best in of_panel.values()) for name in ("with", "without")}
    slowest = max(of_panel, key=lambda panel: of_panel[panel]["with"])
    of = f"{agents:,} agents, {days} days"
    rows = [
        Row(f"overview, all panels: {of}", total["with"] / total["without"], "without recording rules", 1.0),
        Row(
            f"overview, slowest ({slowest}): {of}",
            of_panel[slowest]["with"] / of_panel[slowest]["without"],
            "without recording rules",
        ),
        Row(f"overview, slowest ({slowest}): {of}", of_panel[slowest]["with"] / total["with"], "its panels together"),
    ]
    for name in sorted(set(boards) - {OVERVIEW}):
        asking = {panel: _asking(client, queries) for panel, queries in boards[name].items()}
        best = best_of(_TURNS, asking)
        worst = max(best, key=lambda panel: best[panel])
        rows += [
            Row(f"{name}, all panels: {of}", sum(best.values()) / total["with"], "the overview's panels together"),
            Row(f"{name}, slowest ({worst}): {of}", best[worst] / total["with"], "the overview's panels together"),
        ]
    return rows


def _asking(client: HttpClient, queries: Sequence[_Query]) -> Callable[[], None]:
    def ask() -> None:
        now = time.time()
        for query in queries:
            path, times = "query", {"time": now}
            if query.span_s:
                path, times = "query_range", {"start": now - query.span_s, "end": now, "step": query.span_s // _POINTS}
            answer = client.post(f"/api/v1/{path}", data={"query": query.expr} | times)
            if answer.status_code != 200:
                raise SystemExit(f"Prometheus refuses {query.expr}: {answer.text[:300]}")

    return ask


def _boards(agents: int) -> Iterator[tuple[str, _Panels]]:
    """What is asked by panel, of all agents."""
    nowhere = SecretFiles(Path("none"), Path("none"))
    for name, text in documents(settings(agents), nowhere, PrometheusFiles()).items():
        if name.startswith("dashboards/"):
            board: Any = json.loads(text)
            title = Path(name).stem
            span_s = int(parse_duration(board["time"]["from"].removeprefix("now-")).total_seconds())
            yield (
                title,
                {
                    panel["title"]: [
                        _Query(_filled(each["expr"], title, span_s), 0 if each["instant"] else span_s)
                        for each in panel["targets"]
                    ]
                    for panel in board["panels"]
                    if panel.get("targets")
                },
            )


def _filled(expr: str, board: str, span_s: int) -> str:
    agent = "agent-1" if board == OF_ONE_AGENT else ".+"
    step_s = span_s // _POINTS
    chosen = {"$job": ".+", "$instance": ".+", "${agent:regex}": agent}
    chosen |= {"$__rate_interval": f"{max(60, step_s + 15)}s", "$__interval": f"{step_s}s"}
    for variable, value in chosen.items():
        expr = expr.replace(variable, value)
    return expr


def _history(file: Path, agents: int, begin: int, end: int) -> Path:
    """A day of it, of days up to `end`."""
    with file.open("w", encoding="utf-8") as out:
        often, seldom = range(begin, begin + _DAY_S, _STEP_S), range(begin, begin + _DAY_S, _SPARSE_S)
        # Up to 0, where counting begins; or from 0 on each day.
        for name in _GROWING:
            _write(out, f"{name}:sum", agents, [((at - end) // _STEP_S, at) for at in often])
            _write(out, f"{name}:every5m", agents, [((at - end) // _STEP_S, at) for at in seldom])
        _write(out, _WAVING, agents, [((at - begin) // _STEP_S, at) for at in often])
        out.write("# EOF\n")
    return file


def _write(out: TextIO, name: str, agents: int, samples: Sequence[tuple[int, int]]) -> None:
    out.write(f"# TYPE {name} gauge\n")
    tails = [f"{value} {at}\n" for value, at in samples]
    for agent in range(agents):
        head = f'{name}{{agent="agent-{agent}"}} '
        out.write("".join([head + tail for tail in tails]))


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
