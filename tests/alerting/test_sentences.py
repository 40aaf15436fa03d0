"""Every number of an SLA stands in a sentence, and routes lead where Alertmanager itself would go."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from alerting.alert_rules import Rules
from alerting.backtest.proposal import changeable, changed, with_sla
from alerting.routing import told
from alerting.runbook import runbook_of
from alerting.sentences import sentence
from handrail.settings import Settings
from tests.every_limit import every_limit, every_rule

OTHER = {
    "latency.threshold": "7s",
    "latency.hold": "9m",
    "errors.ratio": "3.5%",
    "errors.window": "17m",
    "tokens.increase": "44%",
    "tokens.for": "23m",
    "objective.availability": "98.5%",
    "objective.window": "21d",
    "handoff.min_confidence": "73%",
    "handoff.increase": "333%",
    "confidence.low_share": "27%",
    "confidence.window": "3h",
    "stuck.after": "47m",
    "silent.grace": "26m",
    "percentiles.median": "3s",
    "percentiles.p95": "19s",
    "percentiles.window": "37m",
    "slowdown.increase": "66%",
    "slowdown.window": "38m",
    "cost.increase": "67%",
    "cost.per_call_increase": "68%",
    "cost.window": "19d",
    "cost.min_cost": "13.5 USD",
    "cost.per_day": "29 USD",
}


@pytest.fixture(scope="module")
def example(root: Path) -> Settings:
    """The example with every limit that there is."""
    return every_limit(root)


@pytest.fixture(scope="module")
def rules(root: Path) -> Rules:
    """Of that; the labels that sentences are chosen by hold for any numbers."""
    return every_rule(root)


@pytest.mark.parametrize("path", list(changeable()))
def test_every_number_of_an_sla_stands_in_the_sentence_of_an_alert(example: Settings, rules: Rules, path: str) -> None:
    """Spelt as in the file, and not before it was set."""
    value = OTHER.get(path, "11")
    sla, _ = changed(example.slas["default"], [f"{path}={value}"])
    spelt = re.compile(rf"(?<![\w.]){re.escape(value)}(?![\w%]|\.\d)")
    before, after = (
        "\n".join(sentence(rule, settings) for rule in rules.alerts)
        for settings in (example, with_sla(example, "default", sla))
    )
    assert not spelt.search(before)
    assert spelt.search(after)


def test_every_alert_has_a_sentence_and_a_run_book(example: Settings, rules: Rules) -> None:
    """Also those without numbers of a team."""
    for rule in rules.alerts:
        assert re.fullmatch(r"[A-Z][^{}]+\.", sentence(rule, example)), rule.name
        runbook = runbook_of(rule.name)
        assert runbook is not None
        assert all((runbook.meaning, runbook.impact, runbook.diagnosis, runbook.mitigation, runbook.tuning))
        assert "###" not in runbook.meaning


def test_an_alert_without_a_heading_has_no_run_book(tmp_path: Path) -> None:
    """A name that is only the beginning of another is none."""
    (tmp_path / "alerts.md").write_text("## AgentStuckLong\n\n### Meaning\n\nIt hangs.\n")
    assert runbook_of("AgentStuck", tmp_path / "alerts.md") is None
    found = runbook_of("AgentStuckLong", tmp_path / "alerts.md")
    assert found is not None
    assert (found.meaning, found.impact) == ("It hangs.", "")


@pytest.mark.tools
def test_routes_lead_where_alertmanager_says(
    rules: Rules, rendered: Callable[..., Path], amtool: Path, root: Path
) -> None:
    """Every alert, those about an agent with one that has an owner."""
    extra = (root / "handrail.example.yaml").read_text().split("\nnotify:")[1].split("\nreceiver:")[0]
    folder = rendered("notify:" + extra)
    for rule in rules.alerts:
        more = {"agent": "support-bot", "owner": "support"} if rule.name.startswith("Agent") else {}
        labels = {"alertname": rule.name, **rule.labels, **more}
        pairs = [f"{name}={value}" for name, value in labels.items()]
        command = [amtool, "config", "routes", "test", f"--config.file={folder / 'alertmanager.yml'}", *pairs]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        wanted = done.stdout.strip().split(",")
        assert [one.receiver["name"] for one in told(rules.alertmanager, labels)] == wanted, pairs
