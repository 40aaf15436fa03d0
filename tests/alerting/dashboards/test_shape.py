"""What every dashboard is: Grafana's classic format, an address that stays, and panels that explain themselves."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.alerting.dashboards.boards import boards, panels

BOARDS = boards()


@pytest.fixture(params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One of the dashboards."""
    return dict(BOARDS[request.param])


def test_addresses_never_change() -> None:
    """A uid stands in bookmarks and in links of others."""
    assert {name: board["uid"] for name, board in BOARDS.items()} == {
        "overview.json": "handrail-overview",
        "agent.json": "handrail-agent",
        "pipeline.json": "handrail-pipeline",
        "weekly.json": "handrail-weekly",
    }


def test_it_is_the_format_that_provisioning_takes(board: dict[str, Any]) -> None:
    """Classic, schema 42; without an id or a version, which Grafana gives."""
    assert board["schemaVersion"] == 42
    assert not {"id", "version", "apiVersion", "spec"} & set(board)
    assert [panel["id"] for panel in board["panels"]] == list(range(1, len(board["panels"]) + 1))


def test_panels_lie_beside_each_other(board: dict[str, Any]) -> None:
    """None over another, none beyond the right edge."""
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_panel_explains_itself_and_says_why_it_is_empty(board: dict[str, Any]) -> None:
    """A sentence for people who never saw PromQL, and a text in place of "No data"."""
    for panel in panels(board):
        assert re.search(r"\w{3}.*\.$", panel["description"], re.DOTALL), panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]


def test_every_state_is_a_word_and_not_only_a_colour(board: dict[str, Any]) -> None:
    """Each mapped value has a text, and no two states of one panel have the same."""
    for panel in panels(board):
        properties = [each for override in panel["fieldConfig"]["overrides"] for each in override["properties"]]
        mapped = [each["value"] for each in properties if each["id"] == "mappings"]
        for mappings in [*mapped, panel["fieldConfig"]["defaults"].get("mappings", [])]:
            words = [result["text"] for mapping in mappings for result in mapping["options"].values()]
            assert all(words)
            assert len(words) == len(set(words))
    used = set(re.findall(r'"(#[0-9A-Fa-f]{6})"', str(board).replace("'", '"')))
    assert used <= {"#0072B2", "#E69F00", "#D55E00", "#CC79A7", "#8C8C8C", "#56B4E9"}, "told apart by everybody"


def test_links_keep_time_and_variables_and_lead_to_the_run_book(board: dict[str, Any]) -> None:
    """And whatever stands in a name is written so that it stays a name in an address."""
    (across, _) = board["links"]
    assert across["includeVars"]
    assert across["keepTime"]
    urls = re.findall(r"'url': '([^']+)'", str(panels(board)))
    assert any("/runbook/" in url for url in urls) or board["uid"] == "handrail-weekly"
    for url in urls:
        for name in re.findall(r"agent=\$\{([^}]+)\}", url):
            assert name.endswith(":percentencode"), url
        if url.startswith("/d/"):
            assert "${__url_time_range}" in url
            assert "${datasource:queryparam}" in url


def test_annotations_are_of_alerts_and_switches(board: dict[str, Any]) -> None:
    """On every dashboard the same."""
    names = [annotation["name"] for annotation in board["annotations"]["list"]]
    assert names == ["Alerts", "Switched on or off", "Proofs of switching off"]
