"""Every label that a rule, a text or a route asks for is one that somebody gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from handrail.settings import ALERT_LABELS
from tests.known_series import TARGET, judge, rules, series
from tests.promql_labels import Labels


@pytest.fixture(scope="module")
def known(root: Path) -> dict[str, Labels]:
    """Exposed and recorded series with their labels."""
    return series(root)


def test_every_label_of_an_expression_is_exposed(root: Path, known: dict[str, Labels]) -> None:
    """Matched, grouped by, joined on or replaced: a label that is not there selects nothing, or all as one."""
    wrong = {}
    for rule in rules(root):
        inference = judge(known | ({"up": TARGET | {"source"}} if 'up{job="n8n"}' in rule["expr"] else {}))
        inference.of(rule["expr"])
        if inference.complaints:
            wrong[rule.get("record") or rule.get("alert")] = inference.complaints
    assert wrong == {}


def test_every_label_of_a_text_is_the_alerts(root: Path, known: dict[str, Labels]) -> None:
    """`$labels.x` is what the expression's result has; the rule's own labels are not in it."""
    wrong = []
    for alert in (rule for rule in rules(root) if "alert" in rule):
        result = judge(known).of(alert["expr"])
        assert result is not None
        used = {name for text in alert["annotations"].values() for name in re.findall(r"\$labels\.(\w+)", text)}
        wrong += [(alert["alert"], name) for name in used - result]
    assert wrong == []


def test_every_series_that_a_text_looks_up_has_the_label_it_is_looked_up_by(
    root: Path, known: dict[str, Labels]
) -> None:
    """A text that finds nothing ends in the middle of its sentence."""
    texts = [text for rule in rules(root) if "alert" in rule for text in rule["annotations"].values()]
    looked_up = {found for text in texts for found in re.findall(r'printf "([\w:]+)\{(\w+)=%q\}"', text)}
    assert len(looked_up) >= 5
    assert [(name, label) for name, label in looked_up if label not in (known[name] or ())] == []


def test_every_label_of_a_route_is_one_that_an_alert_has(root: Path, known: dict[str, Labels]) -> None:
    """Grouping, matching and inhibiting: a misspelt label would send alerts to nobody."""
    given = {"alertname"}
    for alert in (rule for rule in rules(root) if "alert" in rule):
        given |= set(judge(known).of(alert["expr"]) or ()) | set(alert["labels"])
    text = (root / "alerting/rendered/alertmanager.yml").read_text()
    config = yaml.safe_load(text)
    matched = set(re.findall(r"^\s*- (\w+)(?:=~|!~|!=|=)\"", text, re.MULTILINE))
    inhibited = {name for rule in config["inhibit_rules"] for name in rule["equal"]}
    assert {"agent", "severity"} <= matched
    assert (matched | inhibited | set(config["route"]["group_by"])) - given == set()


def test_an_incident_can_be_told_apart_by_every_label_of_an_alert_and_by_no_other(
    root: Path, known: dict[str, Labels]
) -> None:
    """What `receiver.incident_labels` accepts is what the rules give."""
    given = {"alertname"}
    for alert in (rule for rule in rules(root) if "alert" in rule):
        exposing_n8n = known | ({"up": TARGET | {"source"}} if 'up{job="n8n"}' in alert["expr"] else {})
        given |= set(judge(exposing_n8n).of(alert["expr"]) or ()) | set(alert["labels"])
    assert given == ALERT_LABELS


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("max by (agent) (handrail_oldest", "max by (agnt) (handrail_oldest", "agnt in"),
        ('{lane!="kills"}', '{lanes!="kills"}', "lanes in"),
        ("group_left (sla, owner)", "group_left (sla, team)", "team in"),
        ("* on (agent)", "* on (agent, model)", "model in"),
    ],
)
def test_a_label_that_is_misspelt_is_found(
    root: Path, known: dict[str, Labels], right: str, wrong: str, complaint: str
) -> None:
    """The test can fail."""
    rule = next(rule["expr"] for rule in rules(root) if right in rule["expr"])
    inference = judge(known)
    inference.of(rule.replace(right, wrong))
    assert any(text.startswith(complaint) or complaint in text for text in inference.complaints)
