"""The rendered dashboards as values: their panels, and every query in them with Grafana's variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handrail.quantities import parse_duration

Board = Mapping[str, Any]
ROOT = Path(__file__).resolve().parents[3]
RENDERED = ROOT / "dashboards" / "rendered"
# What is chosen in a variable: names, or the expression that stands for all of them.
Chosen = Mapping[str, "str | tuple[str, ...]"]
EVERYTHING: dict[str, str | tuple[str, ...]] = {"job": ".+", "instance": ".+", "agent": ".+"}
# As many points as Grafana asks for in a panel of usual width.
_POINTS = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus: `where` names its dashboard, panel and letter; `instant` is asked for one moment.

    Any other is asked for `span_s`, in steps of `step_s`.
    """

    where: str
    expr: str
    instant: bool = True
    span_s: int = 86400
    step_s: int = 60

    def filled(self, *, scrape_s: int = 15, chosen: Chosen = EVERYTHING) -> str:
        """The expression as Grafana sends it."""
        values = {
            "__rate_interval": f"{max(self.step_s + scrape_s, 4 * scrape_s)}s",
            "__interval": f"{self.step_s}s",
            "__range_s": str(self.span_s),
            "__range": f"{self.span_s}s",
            **chosen,
        }

        def value(found: re.Match[str]) -> str:
            chosen_here = values[found[1] or found[3]]
            return chosen_here if isinstance(chosen_here, str) else _FORMATS[found[2]](chosen_here)

        return re.sub(r"\$(?:\{(\w+)(?::(\w+))?\}|(\w+))", value, self.expr)


def _as_regex(names: tuple[str, ...]) -> str:
    """Grafana's format `regex`."""
    return _joined(re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", name) for name in names)


def _unless_told(names: tuple[str, ...]) -> str:
    """What Grafana's Prometheus data source does by itself; a double quote is left alone."""
    doubled = (name.replace("\\", r"\\\\") for name in names)
    return _joined(re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", name) for name in doubled)


def _joined(names: Iterable[str]) -> str:
    alternatives = list(names)
    return alternatives[0] if len(alternatives) == 1 else f"({'|'.join(alternatives)})"


_FORMATS = {"regex": _as_regex, None: _unless_told}


def boards(folder: Path = RENDERED) -> dict[str, Board]:
    """Every rendered dashboard by the name of its file."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def panels(board: Board) -> list[dict[str, Any]]:
    """All panels but the headings of rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: Board) -> list[Query]:
    """Of panels, annotations and variables."""
    return list(_queries(board))


def _queries(board: Board) -> Iterator[Query]:
    span_s = _seconds(board["time"]["from"].removeprefix("now-"))
    for panel in panels(board):
        step_s = max(_seconds(panel.get("interval", "15s")), span_s // _POINTS)
        for target in panel["targets"]:
            where = f"{board['title']} / {panel['title']} / {target['refId']}"
            yield Query(where, target["expr"], target["instant"], span_s, step_s)
    for annotation in board["annotations"]["list"]:
        where, step_s = f"{board['title']} / annotation {annotation['name']}", _seconds(annotation["step"])
        yield Query(where, annotation["expr"], instant=False, span_s=span_s, step_s=step_s)
    for variable in board["templating"]["list"]:
        if found := re.fullmatch(r"label_values\((.+), \w+\)", variable["query"]):
            yield Query(f"{board['title']} / variable {variable['name']}", found[1])


def _seconds(duration: str) -> int:
    return int(parse_duration(duration).total_seconds())


def every_query(folder: Path = RENDERED) -> list[Query]:
    """Of all dashboards."""
    return [query for board in boards(folder).values() for query in queries(board)]
