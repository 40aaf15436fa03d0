"""The rules of Grafana's dashboard-linter (0.2.0, Apache-2.0), written anew, for where no Go can build it.

Each rule yields what is wrong and where. Rules about Loki are left out: no query is one. Stricter than the original in
one thing: a counter is one by its name, also where its selector has matchers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser as promql

from tests.alerting.dashboards.boards import Board, Query, panels, queries

# Panels that show numbers.
NUMBERS = {"stat", "singlestat", "graph", "table", "timeseries", "gauge"}
TEMPLATED = {"$datasource", "${datasource}", "$prometheus_datasource", "${prometheus_datasource}"}
UNITS = {
    "none", "string", "short", "percent", "percentunit", "currencyUSD", "bytes", "decbytes", "dateTimeFromNow",
    "dateTimeAsIso", "s", "ms", "m", "h", "d", "dtdurations", "ops", "reqps", "cps", "bool", "bool_yes_no",
}  # fmt: skip
# Stands for $__rate_interval, as a range that nobody would write.
RATE = {"scrape_s": 1913580}
RATE_S = 4 * 1913580


@dataclass(frozen=True, slots=True)
class Complaint:
    """A rule that is broken: by what, and what it should be."""

    rule: str
    where: str
    text: str


def complaints(board: Board) -> list[Complaint]:
    """Of all rules, about one dashboard."""
    found = [(rule, *each) for rule, check in RULES.items() for each in check(board)]
    return [
        Complaint(rule, f"{board['title']} / {where}" if where else board["title"], text) for rule, where, text in found
    ]


Found = Iterator[tuple[str, str]]


def _variables(board: Board) -> list[dict[str, Any]]:
    return list(board["templating"]["list"])


def _datasource(board: Board) -> Found:
    templated = [variable for variable in _variables(board) if variable["type"] == "datasource"]
    if not templated:
        yield "", "has no templated data source"
    for variable in templated:
        if (variable["name"], variable["label"]) not in {
            ("datasource", "Data source"),
            ("prometheus_datasource", "Prometheus data source"),
        }:
            yield variable["name"], "is to be named datasource, with the label Data source"


def _required(name: str) -> Callable[[Board], Found]:
    def check(board: Board) -> Found:
        found = [variable for variable in _variables(board) if variable["name"] == name]
        if not found:
            yield name, "is missing"
        for variable in found:
            if variable["datasource"]["uid"] not in TEMPLATED:
                yield name, "does not use the templated data source"
            if variable["type"] != "query":
                yield name, "is no query"
            if variable["label"] != name.title():
                yield name, f"is not labelled {name.title()}"
            if not variable["multi"] or variable["allValue"] != ".+":
                yield name, "is to take several values, and .+ for all"

    return check


def _label_queries(board: Board) -> Found:
    for variable in _variables(board):
        if variable["type"] != "query":
            continue
        found = re.fullmatch(r"(?:label_names|label_values|metrics|query_result)\((.+?)(?:, \w+)?\)", variable["query"])
        if not found or not _parses(found[1]):
            yield variable["name"], "asks no PromQL"


def _reloads(board: Board) -> Found:
    for variable in _variables(board):
        if variable["type"] == "query" and variable["refresh"] != 2:
            yield variable["name"], "is not asked again when the time range changes"


def _panel_datasource(board: Board) -> Found:
    for panel in panels(board):
        if panel["datasource"]["uid"] not in TEMPLATED:
            yield panel["title"], "does not use the templated data source"


def _described(board: Board) -> Found:
    for panel in panels(board):
        if panel["type"] in NUMBERS and not (panel.get("title") and panel.get("description")):
            yield panel.get("title", ""), "has no title or no description"


def _units(board: Board) -> Found:
    for panel in panels(board):
        config = panel["fieldConfig"]
        overridden = [each for override in config["overrides"] for each in override["properties"]]
        mapped = "mappings" in config["defaults"] or any(each["id"] == "mappings" for each in overridden)
        units = [each["value"] for each in overridden if each["id"] == "unit"] + [config["defaults"].get("unit", "")]
        if panel["type"] in NUMBERS and not mapped and units[0] not in UNITS:
            yield panel["title"], f"has no unit that Grafana knows: {units[0]!r}"


def _targets(board: Board) -> Found:
    for panel in panels(board):
        if panel["type"] in NUMBERS and not panel["targets"]:
            yield panel["title"], "asks nothing"


def _of_panels(board: Board) -> list[Query]:
    return [
        query for query in queries(board) if "/ annotation " not in query.where and "/ variable " not in query.where
    ]


def _promql(board: Board) -> Found:
    for query in _of_panels(board):
        if not _parses(query.filled()):
            yield query.where.split(" / ", 1)[1], "is no PromQL"


def _parsed(board: Board, **filling: Any) -> Iterator[tuple[str, Any]]:
    """What is no PromQL is another rule's."""
    for query in _of_panels(board):
        text = query.filled(**filling)
        if _parses(text):
            yield query.where.split(" / ", 1)[1], promql.parse(text)


def _rate_interval(board: Board) -> Found:
    for where, expr in _parsed(board, **RATE):
        for call in _inside(expr, promql.Call):
            if call.func.name in ("rate", "irate"):
                for selector in (each for each in call.args if isinstance(each, promql.MatrixSelector)):
                    if selector.range.total_seconds() != RATE_S:
                        yield where, "is to use $__rate_interval"


def _matched(label: str) -> Callable[[Board], Found]:
    def check(board: Board) -> Found:
        wanted = (label, "MatchOp.Re", f"${label}")
        kept = {"job": "$job", "instance": "$instance", "agent": "$agent"}
        for where, expr in _parsed(board, chosen=kept):
            for selector in _inside(expr, promql.VectorSelector):
                given = {(matcher.name, str(matcher.op), matcher.value) for matcher in selector.matchers.matchers}
                if wanted not in given:
                    yield where, f"{selector.name} is not chosen by {label}"

    return check


def _counters(board: Board) -> Found:
    for where, expr in _parsed(board):
        counted = [
            selector.name
            for call in _inside(expr, promql.Call)
            if call.func.name in ("rate", "irate", "increase")
            for selector in _inside(call, promql.VectorSelector)
        ]
        every = [selector.name for selector in _inside(expr, promql.VectorSelector)]
        for name in {name for name in every if name and name.endswith("_total") and name not in counted}:
            yield where, f"{name} is not in rate, irate or increase"


def _uneditable(board: Board) -> Found:
    if board.get("editable", True):
        yield "", "can be edited"


def _parses(text: str) -> bool:
    try:
        promql.parse(text)
    except ValueError:
        return False
    return True


def _inside(expr: Any, kind: Any) -> Iterator[Any]:
    """Every node of that kind in the tree."""
    if isinstance(expr, kind):
        yield expr
    below = [getattr(expr, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
    for part in [*below, *getattr(expr, "args", [])]:
        if part is not None:
            yield from _inside(part, kind)


RULES: dict[str, Callable[[Board], Found]] = {
    "template-datasource-rule": _datasource,
    "template-job-rule": _required("job"),
    "template-instance-rule": _required("instance"),
    "template-label-promql-rule": _label_queries,
    "template-on-time-change-reload-rule": _reloads,
    "panel-datasource-rule": _panel_datasource,
    "panel-title-description-rule": _described,
    "panel-units-rule": _units,
    "panel-no-targets-rule": _targets,
    "target-promql-rule": _promql,
    "target-rate-interval-rule": _rate_interval,
    "target-job-rule": _matched("job"),
    "target-instance-rule": _matched("instance"),
    "target-counter-agg-rule": _counters,
    "uneditable-dashboard": _uneditable,
}
