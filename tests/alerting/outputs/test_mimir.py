"""Files for mimirtool: its namespaces, Mimir's limits, and a configuration without files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.outputs.mimir import Mimir

MIMIR = Mimir("https://handrail.example.com/v1/alerts")


@pytest.fixture
def folder(example_rendered: Callable[..., Path]) -> Path:
    """The example, rendered."""
    return example_rendered(MIMIR)


def rules(folder: Path) -> dict[str, Any]:
    """The namespace file."""
    document: dict[str, Any] = yaml.safe_load((folder / "rules.yaml").read_text())
    return document


def test_rules_are_one_namespace_of_groups_that_mimir_takes(folder: Path, root: Path) -> None:
    """At most 20 rules in a group and 70 groups are Mimir's defaults; every group says how often."""
    document = rules(folder)
    plain = yaml.safe_load((root / "alerting/rendered/rules/handrail.yml").read_text())
    assert list(document) == ["namespace", "groups"]
    assert document["namespace"] == "handrail"
    assert [group["rules"] for group in document["groups"]] == [group["rules"] for group in plain["groups"]]
    assert len(document["groups"]) <= 70
    assert all(len(group["rules"]) <= 20 and group["interval"] for group in document["groups"])


@pytest.mark.tools
def test_rules_are_rules(folder: Path, promtool: Path, tmp_path: Path) -> None:
    """Without the namespace, which only mimirtool knows, Prometheus' own checker takes them."""
    (tmp_path / "groups.yml").write_text(yaml.safe_dump({"groups": rules(folder)["groups"]}))
    command = [promtool, "check", "rules", "--lint=all", "--lint-fatal", tmp_path / "groups.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_setting_names_a_file_and_no_secret_is_written(folder: Path) -> None:
    """Mimir refuses files, and the file on disk must not hold what they hold."""
    text = (folder / "alertmanager.yaml.tmpl").read_text()
    assert "_file:" not in text
    assert "/run/secrets" not in text
    assert set(re.findall(r"\$\{([A-Z]\w*)\}", text)) == {"HANDRAIL_WEBHOOK_TOKEN", "SLACK_WEBHOOK_URL"}
    assert "https://handrail.example.com/v1/alerts" in text


@pytest.mark.tools
def test_filled_in_it_is_a_configuration(folder: Path, amtool: Path, tmp_path: Path) -> None:
    """As docs/commands.md says to: only the two variables, for Slack's texts have dollars of their own."""
    if not shutil.which("envsubst"):
        pytest.skip("no envsubst (Debian: gettext-base)")
    secrets = {"HANDRAIL_WEBHOOK_TOKEN": "t0ken", "SLACK_WEBHOOK_URL": "https://hooks.slack.test/a"}
    with (folder / "alertmanager.yaml.tmpl").open() as template, (tmp_path / "filled.yml").open("w") as filled:
        names = " ".join(f"${name}" for name in secrets)
        environment = {**os.environ, **secrets}
        subprocess.run(["envsubst", names], stdin=template, stdout=filled, env=environment, timeout=20, check=True)
    text = (tmp_path / "filled.yml").read_text()
    assert "credentials: t0ken\n" in text
    assert "range $i, $alert := .Alerts" in text
    done = subprocess.run(
        [amtool, "check-config", tmp_path / "filled.yml"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
