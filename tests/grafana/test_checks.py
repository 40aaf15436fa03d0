"""The checks of a Grafana find what is wrong with it, and nothing where all is well."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from drill.simulators.wire import serve
from handrail.http import HttpClient, build_client
from tests.alerting.dashboards.boards import boards, panels
from tests.grafana import stand_in
from tests.grafana.checks import SignInRefused, complaints_about_boards, complaints_about_panels

BOARDS = list(boards().values())
NOW_S = 1_764_000_000.0


@pytest.fixture
def grafana() -> stand_in.StandIn:
    """One that provisioned all of them."""
    return stand_in.StandIn({board["uid"]: copy.deepcopy(dict(board)) for board in BOARDS})


@pytest.fixture
def client(grafana: stand_in.StandIn) -> Iterator[HttpClient]:
    """Signed in."""
    with serve(grafana) as server, build_client(base_url=server.url, auth=(stand_in.NAME, stand_in.PASSWORD)) as client:
        yield client


def test_nothing_is_wrong_with_one_that_has_everything(grafana: stand_in.StandIn, client: HttpClient) -> None:
    """Each query of each panel was asked, at the provisioned data source and with no variable left in it."""
    assert list(complaints_about_boards(client, BOARDS)) == []
    assert list(complaints_about_panels(client, BOARDS, now_s=NOW_S)) == []
    assert len(grafana.asked) == sum(len(panel["targets"]) for board in BOARDS for panel in panels(board))
    (asked,) = grafana.asked[0]["queries"]
    assert asked["datasource"]["uid"] == "prometheus"
    assert all("$" not in each["queries"][0]["expr"] for each in grafana.asked)
    assert {each["to"] for each in grafana.asked} == {str(int(NOW_S * 1000))}


def test_a_dashboard_that_is_missing_is_named(grafana: stand_in.StandIn, client: HttpClient) -> None:
    """As one that was not loaded because its file could not be read."""
    del grafana.boards["handrail-weekly"]
    assert list(complaints_about_boards(client, BOARDS)) == ["Handrail: weekly review: HTTP 404: Dashboard not found"]


@pytest.mark.parametrize(
    ("key", "value"), [("schemaVersion", 43), ("title", "New dashboard"), ("tags", []), ("uid", "another")]
)
def test_a_dashboard_that_was_rewritten_is_named(
    grafana: stand_in.StandIn, client: HttpClient, key: str, value: Any
) -> None:
    """As one whose model is of an older version."""
    grafana.boards["handrail-agent"][key] = value
    assert list(complaints_about_boards(client, BOARDS)) == [f"Handrail: agent: {key} is {value!r}"]


def test_a_panel_that_was_lost_is_seen(grafana: stand_in.StandIn, client: HttpClient) -> None:
    """As one of a type that is not there any more."""
    grafana.boards["handrail-agent"]["panels"].pop()
    (complaint,) = complaints_about_boards(client, BOARDS)
    assert "its panels or their queries are not those of the file" in complaint


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (stand_in.REFUSED, "HTTP 400: bad_data: parse error"),
        (stand_in.NO_FRAMES, "no data"),
        (stand_in.NO_VALUES, "no data"),
        (stand_in.NO_COLUMNS, "no data"),
    ],
)
def test_a_panel_that_cannot_show_anything_is_named(
    grafana: stand_in.StandIn, client: HttpClient, wrong: tuple[int, dict[str, Any]], text: str
) -> None:
    """Refused, or empty in any of the ways in which an answer can be."""
    grafana.broken["handrail_ledger_up"] = wrong
    where = "Handrail: pipeline / Ledger / A"
    assert list(complaints_about_panels(client, BOARDS, now_s=NOW_S)) == [f"{where}: {text}"]
    allowed = list(complaints_about_panels(client, BOARDS, now_s=NOW_S, may_be_empty=[where]))
    assert allowed == ([] if text == "no data" else [f"{where}: {text}"])


def test_a_wrong_password_is_no_empty_dashboard(grafana: stand_in.StandIn) -> None:
    """It is said, whatever is asked."""
    with serve(grafana) as server, build_client(base_url=server.url, auth=(stand_in.NAME, "another")) as client:
        for checking in (complaints_about_boards(client, BOARDS), complaints_about_panels(client, BOARDS, now_s=NOW_S)):
            with pytest.raises(SignInRefused, match="HTTP 401"):
                list(checking)
