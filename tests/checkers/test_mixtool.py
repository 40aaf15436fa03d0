"""mixtool takes the mixin alone, without Handrail's settings, as any other monitoring mixin."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

LINE = Path("alerting/mixin/mixin.libsonnet")


def run(*command: object, cwd: Path) -> str:
    """What the checker says; a failure says it too."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_mixtool_finds_no_fault(mixtool: Path, root: Path) -> None:
    """Names, severities, summaries, descriptions, sizes of groups."""
    assert run(mixtool, "lint", LINE, cwd=root) == ""


def test_mixtool_generates_the_rules(mixtool: Path, root: Path, everything: Path) -> None:
    """The same rules that handrail render writes for a file that sets nothing."""
    generated = [
        group
        for what in ("rules", "alerts")
        for group in yaml.safe_load(run(mixtool, "generate", what, LINE, cwd=root))["groups"]
    ]
    plain = yaml.safe_load((everything / "nothing/prometheus/rules/handrail.yml").read_text())["groups"]
    assert [group["name"] for group in generated] == [group["name"] for group in plain]
    assert [rule["expr"] for group in generated for rule in group["rules"]] == [
        rule["expr"] for group in plain for rule in group["rules"]
    ]
