"""The rules of Grafana's linter hold, but for exclusions that each have a reason; and every rule can fail."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.alerting.dashboards.boards import boards
from tests.alerting.dashboards.linter import RULES, complaints

# By rule: what it may complain of, and why.
EXCLUDED: dict[str, tuple[str, str]] = {
    "target-job-rule": (
        r"(ALERTS|ALERTS_FOR_STATE|agent:[\w:]+|up) is not chosen by job",
        "alerts and recorded series are of an agent and have no job; up is chosen by the jobs of Handrail",
    ),
    "target-instance-rule": (
        r"(ALERTS|ALERTS_FOR_STATE|agent:[\w:]+) is not chosen by instance",
        "alerts and recorded series are of an agent and have no instance",
    ),
    "target-counter-agg-rule": (
        r"handrail_\w+_total is not in rate, irate or increase",
        "the weekly review counts whole events as differences of a counter that survives restarts, where increase() "
        "estimates; and whether every call lacks a cost is a comparison of two totals",
    ),
}


def test_every_rule_holds_or_is_excluded_with_a_reason() -> None:
    """Nothing else is wrong, and no exclusion is left over."""
    found = [each for board in boards().values() for each in complaints(board)]
    excluded = [each for each in found if re.fullmatch(EXCLUDED.get(each.rule, ("", ""))[0], each.text)]
    assert [each for each in found if each not in excluded] == []
    assert {each.rule for each in excluded} == set(EXCLUDED)


def _variable(board: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in board["templating"]["list"] if each["name"] == name)


def _first(board: dict[str, Any]) -> dict[str, Any]:
    return next(panel for panel in board["panels"] if panel["type"] == "stat" and "mappings" not in str(panel))


def _asks(expr: str) -> Callable[[dict[str, Any]], None]:
    return lambda board: _first(board)["targets"][0].update(expr=expr)


BROKEN: dict[str, Callable[[dict[str, Any]], None]] = {
    "template-datasource-rule": lambda board: _variable(board, "datasource").update(label="Prometheus"),
    "template-job-rule": lambda board: _variable(board, "job").update(multi=False),
    "template-instance-rule": lambda board: _variable(board, "instance").update(allValue=".*"),
    "template-label-promql-rule": lambda board: _variable(board, "agent").update(query="label_values(a{b, agent)"),
    "template-on-time-change-reload-rule": lambda board: _variable(board, "agent").update(refresh=1),
    "panel-datasource-rule": lambda board: _first(board).update(datasource={"uid": "prometheus"}),
    "panel-title-description-rule": lambda board: _first(board).update(description=""),
    "panel-units-rule": lambda board: _first(board)["fieldConfig"]["defaults"].update(unit="bananas"),
    "panel-no-targets-rule": lambda board: _first(board).update(targets=[]),
    "target-promql-rule": _asks("sum("),
    "target-rate-interval-rule": _asks('rate(handrail_calls_total{job=~"$job",instance=~"$instance"}[5m])'),
    "target-job-rule": _asks('handrail_source_up{instance=~"$instance"}'),
    "target-instance-rule": _asks('handrail_source_up{job=~"$job",instance="$instance"}'),
    "target-counter-agg-rule": _asks('sum(other_total{job=~"$job",instance=~"$instance"})'),
    "uneditable-dashboard": lambda board: board.update(editable=True),
}


@pytest.mark.parametrize("rule", RULES)
def test_what_breaks_a_rule_is_found(rule: str) -> None:
    """One dashboard, with one thing wrong in it."""
    board = copy.deepcopy(dict(boards()["overview.json"]))
    before = set(complaints(board))
    BROKEN[rule](board)
    assert {each.rule for each in set(complaints(board)) - before} == {rule}
