"""Every series that there is, exposed or recorded, with its labels."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from handrail.settings import ALERT_LABELS
from tests.every_limit import every_rule
from tests.promql_labels import Inference, Labels, recorded

TARGET = frozenset({"job", "instance"})
# What is not ours, as its program exposes it.
OTHERS: dict[str, frozenset[str]] = {
    "up": TARGET,
    "alertmanager_notifications_failed_total": TARGET | {"integration"},
    "alertmanager_notifications_total": TARGET | {"integration"},
    "prometheus_rule_evaluation_failures_total": TARGET | {"rule_group"},
    "prometheus_rule_group_iterations_missed_total": TARGET | {"rule_group"},
    "prometheus_rule_group_last_duration_seconds": TARGET | {"rule_group"},
    "prometheus_rule_group_interval_seconds": TARGET | {"rule_group"},
    "ALERTS": ALERT_LABELS | {"alertstate"},
    "ALERTS_FOR_STATE": ALERT_LABELS,
    # handrail.yaml's name of the source is a label of the target.
    "n8n_workflow_(success|failed)_total": TARGET | {"source"},
}


def exposed(root: Path) -> dict[str, Labels]:
    """Every metric with its labels as docs/metrics.md says, which another test holds against the running programs."""
    rows = re.findall(
        r"^\| `(handrail_[a-z0-9_]+)` \| (\w+) \| ([a-z_, ]*)\|", (root / "docs/metrics.md").read_text(), re.MULTILINE
    )
    found: dict[str, Labels] = dict(OTHERS)
    for name, kind, labels in rows:
        own = TARGET | frozenset(re.findall(r"\w+", labels))
        if kind == "histogram":
            found |= {f"{name}_bucket": own | {"le"}, f"{name}_count": own, f"{name}_sum": own}
        else:
            found[name] = own
    return found


def rules(root: Path) -> list[dict[str, Any]]:
    """All rules of an SLA with every limit, as they are rendered."""
    found = every_rule(root)
    records = [{"record": rule.name, "expr": rule.expr, "labels": rule.labels} for rule in found.records]
    alerts = [
        {"alert": rule.name, "expr": rule.expr, "labels": rule.labels, "annotations": rule.annotations}
        for rule in found.alerts
    ]
    return [*records, *alerts]


@cache
def series(root: Path) -> dict[str, Labels]:
    """Exposed and recorded series with their labels."""
    every = exposed(root)
    return every | recorded([rule for rule in rules(root) if "record" in rule], every)


def judge(known: dict[str, Labels]) -> Inference:
    """Knows these series and no others; `up` of n8n has the name of the source too."""

    def lookup(name: str) -> Labels:
        assert name in known, f"nothing exposes or records {name}"
        return known[name]

    return Inference(lookup)
