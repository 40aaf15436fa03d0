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


def test_mixtool_generates_the_rules(mixtool: Path, root: Path) -> None:
    """The same groups that handrail render writes for a file that sets nothing."""
    rules = yaml.safe_load(run(mixtool, "generate", "rules", LINE, cwd=root))["groups"]
    alerts = yaml.safe_load(run(mixtool, "generate", "alerts", LINE, cwd=root))["groups"]
    assert [group["name"] for group in rules][:2] == ["handrail-tokens", "handrail-agents"]
    assert [group["name"] for group in alerts] == ["handrail-sla-default", "handrail-agent-state", "handrail-pipeline"]
