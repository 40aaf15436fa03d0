"""What reaches Slack is made of our own words, of labels of a closed set, and of numbers: no model speaks there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.alerting.test_labels import rules

# What the settings, the rules or a source name: short, bounded in number, and never a sentence.
NAMES = frozenset(
    (
        "agent", "credential", "cron", "dataset", "drilled", "gateway", "instance", "integration", "job", "lane",
        "rule_group", "scenario", "source", "worker",
    )
)  # fmt: skip
FREE_TEXT = {"prompt", "response", "answer", "text", "message", "task", "summary", "description", "output"}


def test_annotations_name_labels_of_a_closed_set_and_numbers_only(root: Path) -> None:
    """No label that could hold what a model wrote stands in a text that Alertmanager sends."""
    used = set()
    for alert in (rule for rule in rules(root) if "alert" in rule):
        for text in alert["annotations"].values():
            used |= set(re.findall(r"(?:\$labels|\.Labels)\.(\w+)", text))
    assert len(used) >= 3
    assert used <= NAMES, used - NAMES
    assert not used & FREE_TEXT


def test_no_metric_has_a_label_for_text(root: Path) -> None:
    """A template can show only what a label holds, and none holds a text, a user or an execution."""
    rows = re.findall(r"^\| `(handrail_\w+)` \| \w+ \| ([a-z_, ]*)\|", (root / "docs/metrics.md").read_text(), re.M)
    labels = {name for _, names in rows for name in re.findall(r"\w+", names)}
    assert len(labels) >= 10
    assert not labels & (FREE_TEXT | {"user", "customer", "email", "path", "url", "execution", "run", "trace"})
