"""`handrail render`: which files for whom, and what is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main

EXAMPLE = Path(__file__).parents[2] / "handrail.example.yaml"
DASHBOARDS = {f"dashboards/{name}.json" for name in ("overview", "agent", "pipeline", "weekly")}
PLAIN = {"rules/handrail.yml", "alertmanager.yml", "prometheus.yml"} | DASHBOARDS
FILES = {
    "prometheus": PLAIN,
    "kubernetes": {"prometheusrules.yaml", "alertmanagerconfig.yaml", "scrapeconfigs.yaml", "dashboards.yaml"},
    "mimir": {"rules.yaml", "alertmanager.yaml.tmpl"} | DASHBOARDS,
}


def run(tmp_path: Path, *arguments: str) -> tuple[int, str, set[str]]:
    """Exit code, output and the files that were written."""
    done = CliRunner().invoke(main, ["render", "--config", str(EXAMPLE), "--to", str(tmp_path), *arguments])
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    return done.exit_code, done.output, written


@pytest.mark.parametrize("name", FILES)
def test_each_reader_gets_its_files(tmp_path: Path, name: str) -> None:
    """And no others."""
    code, _, written = run(tmp_path, "--for", name)
    assert (code, written) == (0, FILES[name])


def test_plain_prometheus_is_the_default(tmp_path: Path) -> None:
    """What make up runs."""
    assert run(tmp_path)[2] == PLAIN


def test_namespace_and_labels_are_the_teams(tmp_path: Path) -> None:
    """The selectors of a cluster's Prometheus decide which labels those are."""
    code, _, _ = run(
        tmp_path, "--for", "kubernetes", "--namespace", "ops", "--label", "release=kps", "--label", "a=b=c"
    )
    text = (tmp_path / "prometheusrules.yaml").read_text()
    assert code == 0
    assert "  namespace: ops\n" in text
    assert "    release: kps\n" in text
    assert "    a: b=c\n" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--namespace", "ops"], "--namespace and --label go with --for kubernetes only"),
        (["--for", "mimir", "--label", "a=b"], "--namespace and --label go with --for kubernetes only"),
        (["--for", "kubernetes", "--label", "release"], "'release' is not a label; write e.g. release=prometheus"),
        (["--for", "kubernetes", "--namespace", "My Team"], "'My Team' cannot be a namespace"),
        (["--for", "thanos"], "'thanos' is not one of 'prometheus', 'kubernetes', 'mimir'"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    """Exit code 2, what to write instead, and no files."""
    code, output, written = run(tmp_path, *arguments)
    assert code == 2
    assert said in output
    assert written == set()
