"""What the dashboards ask is PromQL, of series that exist, by labels that they have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.alerting.dashboards.boards import EVERYTHING, boards, every_query, panels
from tests.known_series import TARGET, judge, rules, series


def test_there_are_dashboards() -> None:
    """A moved folder must not pass as no queries."""
    assert list(boards()) == ["agent.json", "overview.json", "pipeline.json", "weekly.json"]
    assert len(every_query()) > 80


def test_every_series_and_label_of_a_query_exists(root: Path) -> None:
    """Otherwise a panel is empty for ever, or a sum over everything."""
    wrong = {}
    for query in every_query():
        inference = judge(series(root) | {"up": TARGET})
        inference.of(query.filled())
        if inference.complaints:
            wrong[query.where] = inference.complaints
    assert wrong == {}


def test_every_label_of_a_legend_or_column_is_one_that_its_query_gives(root: Path) -> None:
    """A legend of a label that is not there is empty."""
    wrong = []
    for board in boards().values():
        given = {query.where: judge(series(root)).of(query.filled()) for query in every_query()}
        for panel in panels(board):
            found = [given[f"{board['title']} / {panel['title']} / {target['refId']}"] for target in panel["targets"]]
            legends = [re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")) for target in panel["targets"]]
            wrong += [
                (panel["title"], name)
                for labels, names in zip(found, legends, strict=True)
                for name in names
                if name not in (labels or ())
            ]
            if panel["type"] == "table":
                every = {label for labels in found for label in labels or ()}
                columns = panel["transformations"][1]["options"]["indexByName"]
                named = [name for name in columns if not name.startswith("Value")]
                wrong += [(panel["title"], name) for name in named if name not in every]
    assert wrong == []


def test_every_alert_is_one_that_the_dashboards_show(root: Path) -> None:
    """They choose alerts by the beginning of the name, so that alerts of others stay out."""
    pattern = re.compile("Agent.+|Handrail.+|Worker.+")
    assert [rule["alert"] for rule in rules(root) if "alert" in rule and not pattern.fullmatch(rule["alert"])] == []
    assert any(f'alertname=~"{pattern.pattern}"' in query.expr for query in every_query())


@pytest.mark.tools
def test_prometheus_takes_every_query(promtool: Path, tmp_path: Path) -> None:
    """Its own parser, of this version, also with a name that has to be escaped."""
    odd = (r"C:\tmp\d [a|b].*$^?", 'a "b" 😀', "it's \u202e|ש")
    filled = [query.filled(chosen=EVERYTHING | {"agent": odd[:count]}) for query in every_query() for count in (1, 3)]
    recorded = [{"record": f"dashboard:query:{number}", "expr": expr} for number, expr in enumerate(filled)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": recorded}]}))
    command = [promtool, "check", "rules", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
