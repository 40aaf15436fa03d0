"""Cases as promtool's test files, and promtool run on them. A case that promtool cannot read is a failed one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from alerting.rule_tests.case import Case
from handrail.quantities import format_duration

_TIMEOUT_S = 300
# Over many days promtool is not quite repeatable (prometheus/prometheus#10863; seen with 2.42, once in many thousand
# cases), presumably as its database compacts in the background. A rule that is wrong is wrong each time.
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What promtool said about one case; `said` is empty when the case passed."""

    case: Case
    passed: bool
    said: str


def document(case: Case, rules: str, groups: Sequence[str]) -> dict[str, Any]:
    """promtool's test file for one case on the rule file `rules`, whose groups run in the given order."""
    pairs = {"alertname": case.alert, **case.subject}
    wanted = ", ".join(f'{name}="{value}"' for name, value in sorted(pairs.items()))
    count = f'count(ALERTS{{alertstate="firing", {wanted}}}) > bool 0 or vector(0)'
    return {
        "rule_files": [rules],
        "group_eval_order": list(groups),
        "evaluation_interval": format_duration(case.step),
        "tests": [
            {
                "name": f"{case.alert}: {case.says}",
                "interval": format_duration(case.step),
                "input_series": [{"series": s.selector, "values": s.notation} for s in case.series],
                "promql_expr_test": [
                    {
                        "expr": count,
                        "eval_time": format_duration(moment.at),
                        "exp_samples": [{"labels": "{}", "value": int(moment.firing)}],
                    }
                    for moment in case.moments
                ],
            }
        ],
    }


def verify(case: Case, rules: Mapping[str, Any], *, promtool: Path, folder: Path) -> Verdict:
    """Run one case on the groups of `rules` that it needs; it has failed if it fails twice.

    `folder` keeps what was run, for a person to see.
    """
    groups = [group for group in rules["groups"] if not case.groups or group["name"].startswith(case.groups)]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    test = folder / "case.test.yml"
    names = [group["name"] for group in groups]
    test.write_text(yaml.safe_dump(document(case, "rules.yml", names), allow_unicode=True), encoding="utf-8")
    said = ""
    for _ in range(_TRIES):
        done = subprocess.run(  # noqa: S603 - our own file, by a program that the caller names
            [promtool, "test", "rules", test], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode == 0:
            return Verdict(case, passed=True, said="")
        said = done.stdout + done.stderr
    return Verdict(case, passed=False, said=said)
