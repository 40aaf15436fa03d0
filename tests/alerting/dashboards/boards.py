"""The rendered dashboards as values: their panels, and every query in them with Grafana's variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Board = Mapping[str, Any]
ROOT = Path(__file__).resolve().parents[3]
RENDERED = ROOT / "dashboards" / "rendered"
EVERYTHING = {"job": ".+", "instance": ".+", "agent": ".+"}


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus: `where` names its dashboard, panel and letter; `instant` is asked for one moment."""

    where: str
    expr: str
    instant: bool = True

    def filled(
        self, *, range_s: int = 86400, step_s: int = 60, scrape_s: int = 15, chosen: Mapping[str, str] = EVERYTHING
    ) -> str:
        """The expression as Grafana sends it; the variables' values are regular expressions."""
        values = {
            "__rate_interval": f"{max(step_s + scrape_s, 4 * scrape_s)}s",
            "__interval": f"{step_s}s",
            "__range_s": str(range_s),
            "__range": f"{range_s}s",
            **chosen,
        }

        def value(found: re.Match[str]) -> str:
            return values[found[1] or found[2]]

        return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, self.expr)


def boards() -> dict[str, Board]:
    """Every rendered dashboard by the name of its file."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RENDERED.glob("*.json"))}


def panels(board: Board) -> list[dict[str, Any]]:
    """All panels but the headings of rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: Board) -> list[Query]:
    """Of panels, annotations and variables."""
    return list(_queries(board))


def _queries(board: Board) -> Iterator[Query]:
    for panel in panels(board):
        for target in panel["targets"]:
            where = f"{board['title']} / {panel['title']} / {target['refId']}"
            yield Query(where, target["expr"], target["instant"])
    for annotation in board["annotations"]["list"]:
        yield Query(f"{board['title']} / annotation {annotation['name']}", annotation["expr"], instant=False)
    for variable in board["templating"]["list"]:
        if found := re.fullmatch(r"label_values\((.+), \w+\)", variable["query"]):
            yield Query(f"{board['title']} / variable {variable['name']}", found[1])


def every_query() -> list[Query]:
    """Of all dashboards."""
    return [query for board in boards().values() for query in queries(board)]
