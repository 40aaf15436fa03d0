"""pint finds nothing in any rendered rules, for anybody; what alerting/.pint.hcl switches off has its reason there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

RULES = ("prometheus/rules/handrail.yml", "kubernetes/prometheusrules.yaml", "mimir/rules.yaml")


def lint(pint: Path, root: Path, path: Path) -> tuple[int, str]:
    """Exit code and what pint says; the least word of it counts."""
    command = [pint, "--offline", "--no-color", "--config", "alerting/.pint.hcl", "lint"]
    command += ["--min-severity=info", "--fail-on=info", "--show-duplicates", path]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("settings", ["example", "odd"])
@pytest.mark.parametrize("name", RULES)
def test_pint_finds_nothing(pint: Path, root: Path, everything: Path, settings: str, name: str) -> None:
    """And it did look at all rules."""
    path = everything / settings / name
    code, said = lint(pint, root, path)
    assert code == 0, said
    text = path.read_text()
    rules = text.count("- record: ") + text.count("- alert: ")
    assert rules > 50
    assert f"entries={rules} " in said


@pytest.mark.parametrize(
    ("right", "wrong", "check"),
    [
        ("severity: critical", "severity: page", "rule/label"),
        ("max by (agent) (handrail_oldest_", "topk(1, handrail_oldest_", "promql/fragile"),
        ("summary: Too many", "summary: '{{ $value }} of", "yaml/parse"),
    ],
)
def test_pint_still_finds_what_is_wrong(
    pint: Path, root: Path, everything: Path, tmp_path: Path, right: str, wrong: str, check: str
) -> None:
    """What is switched off does not hide the rest."""
    text = (everything / "example/prometheus/rules/handrail.yml").read_text()
    assert right in text
    (tmp_path / "rules.yml").write_text(text.replace(right, wrong))
    code, said = lint(pint, root, tmp_path / "rules.yml")
    assert code == 1
    assert check in said
