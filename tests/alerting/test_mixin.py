"""The mixin alone: what others expect of one, without Handrail's settings, and within everybody's limits."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rjsonnet
import yaml

Rendered = Callable[..., Path]
MIXIN = "(import 'handrail/alerting/mixin/mixin.libsonnet')"


@pytest.fixture
def evaluate(root: Path, tmp_path: Path) -> Callable[[str], Any]:
    """Evaluates jsonnet that has the mixin in its vendor folder, as jsonnet -J vendor does."""
    for folder in ("alerting/mixin", "dashboards"):
        shutil.copytree(root / folder, tmp_path / "vendor/handrail" / folder)

    def run(snippet: str) -> Any:
        return json.loads(rjsonnet.evaluate_snippet("mine.jsonnet", snippet, jpathdir=[str(tmp_path / "vendor")]))

    return run


def alerts(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The alerts of all groups."""
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_it_exports_what_every_mixin_exports(evaluate: Callable[[str], Any]) -> None:
    """Rules, alerts and dashboards, all of them hidden."""
    assert evaluate(MIXIN) == {}
    found = evaluate(f"{{ [name]: {MIXIN}[name] for name in ['prometheusRules', 'prometheusAlerts'] }}")
    assert {rule["record"] for group in found["prometheusRules"]["groups"] for rule in group["rules"]}
    assert alerts(found["prometheusAlerts"]["groups"])
    dashboards = evaluate(f"{MIXIN}.grafanaDashboards")
    assert {board["uid"] for board in dashboards.values()} >= {"handrail-overview", "handrail-agent"}


def test_its_numbers_are_set_in_config(evaluate: Callable[[str], Any]) -> None:
    """As docs/mixin.md says: an SLA is the default one with other numbers."""
    changed = """
      %s { _config+:: {
        publicUrl: 'https://handrail.example.com',
        slas: [super.slas[0], super.slas[0] { name: 'strict', errors+: { ratio: '0.01', percent: '1%%' } }],
      } }.prometheusAlerts.groups
    """
    found = alerts(evaluate(changed % MIXIN))
    (strict,) = (a for a in found if a["alert"] == "AgentErrorRatioHigh" and a["labels"]["sla"] == "strict")
    assert "> 0.01 + 1e-9" in strict["expr"]
    assert strict["annotations"]["runbook_url"].startswith("https://handrail.example.com/runbook/")


def test_a_plan_of_dashboards_reaches_every_output(root: Path) -> None:
    """What is added to grafanaDashboards is rendered, whoever adds it."""
    mixin = root / "alerting/mixin"
    snippet = f"(import '{mixin}/mixin.libsonnet') {{ grafanaDashboards+:: {{ 'a.json': {{ uid: 'a' }} }} }}"
    found = json.loads(rjsonnet.evaluate_snippet("x", f"({snippet}).grafanaDashboards"))
    assert found["a.json"] == {"uid": "a"}
    assert "overview.json" in found


WINDOWS = [f"{minutes}m" for minutes in range(10, 34, 2)]
MANY = "slas:\n  default: {}\n" + "".join(
    f"  sla-{'x' * 40}-{number}: {{errors: {{window: {window}}}, tokens: {{baseline_days: {3 + number}}},"
    f" objective: {{window: {10 + number}d}}}}\n"
    for number, window in enumerate(WINDOWS)
)


@pytest.mark.slow
def test_groups_stay_small_and_their_names_short(rendered: Rendered) -> None:
    """At most 20 rules (Mimir, mixtool) under a name of at most 40 characters (mixtool), each name once."""
    for extra in ("", MANY):
        groups = yaml.safe_load((rendered(extra) / "rules/handrail.yml").read_text())["groups"]
        names = [group["name"] for group in groups]
        assert len(names) == len(set(names))
        assert [(group["name"], len(group["rules"])) for group in groups if not 1 <= len(group["rules"]) <= 20] == []
        assert [name for name in names if not re.fullmatch(r"handrail-[a-z0-9._-]{1,31}", name)] == []


@pytest.mark.slow
def test_the_group_of_a_long_name_is_its_own_and_always_the_same(rendered: Rendered) -> None:
    """Two SLAs that differ at the end only have two groups, and the label of their alerts is the whole name."""
    one, other = "n" * 62 + "1", "n" * 62 + "2"
    documents = [
        yaml.safe_load((rendered(f"slas: {{default: {{}}, {names}}}") / "rules/handrail.yml").read_text())
        for names in (f"{one}: {{}}, {other}: {{}}", f"{other}: {{}}")
    ]
    groups = [
        {rule["labels"]["sla"]: group["name"] for group in document["groups"] for rule in alerts([group])
         if rule["alert"] == "AgentErrorRatioHigh"}
        for document in documents
    ]  # fmt: skip
    assert groups[0][one] != groups[0][other]
    assert groups[0][other] == groups[1][other]
    assert groups[0]["default"] == "handrail-sla-default"


@pytest.mark.slow
def test_what_must_be_of_one_moment_stands_in_one_group(rendered: Rendered) -> None:
    """An agent's calls and errors of a window are recorded side by side, however many windows there are."""
    groups = yaml.safe_load((rendered(MANY) / "rules/handrail.yml").read_text())["groups"]
    where = {rule["record"]: group["name"] for group in groups for rule in group["rules"] if "record" in rule}
    for window in WINDOWS:
        assert where[f"agent:handrail_calls:increase{window}"] == where[f"agent:handrail_call_errors:increase{window}"]


@pytest.mark.slow
@pytest.mark.tools
def test_rules_of_many_slas_are_valid(promtool: Path, rendered: Rendered) -> None:
    """No rule stands twice."""
    path = rendered(MANY) / "rules/handrail.yml"
    command = [promtool, "check", "rules", "--lint=all", "--lint-fatal", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_have_names_that_mixtool_takes(rendered: Rendered) -> None:
    """CamelCase of at most 40 characters; where mixtool itself cannot be had, this stands for it."""
    for alert in alerts(yaml.safe_load((rendered() / "rules/handrail.yml").read_text())["groups"]):
        assert re.fullmatch(r"([A-Z]+[a-z0-9]+)+", alert["alert"])
        assert len(alert["alert"]) <= 40
