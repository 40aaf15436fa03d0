"""A look at the dashboards in a browser finds what is wrong with them, and takes a picture of each."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as TooLate

from drill.simulators.wire import serve
from tests.alerting.dashboards.boards import boards
from tests.grafana import stand_in
from tests.grafana.pictures import sign_in, taken

pytestmark = pytest.mark.grafana
BOARDS = list(boards().values())


def test_what_is_wrong_on_a_page_is_named(page: Page, tmp_path: Path) -> None:
    """A panel that says that it failed, a row that is missing, a password that is not taken."""
    grafana = stand_in.StandIn({board["uid"]: copy.deepcopy(dict(board)) for board in BOARDS})
    page.set_default_timeout(1000)
    with serve(grafana) as server:
        with pytest.raises(TooLate):
            sign_in(page, server.url, stand_in.NAME, "another")
        sign_in(page, server.url, stand_in.NAME, stand_in.PASSWORD)
        assert list(taken(page, server.url, BOARDS, tmp_path)) == []
        assert sorted(path.stem for path in tmp_path.glob("*.png")) == sorted(board["uid"] for board in BOARDS)
        grafana.failed = {"Ledger"}
        grafana.boards["handrail-overview"]["panels"].pop(0)
        complaints = ["Handrail: overview: no row At a glance", "Handrail: pipeline: 1 panels failed"]
        assert list(taken(page, server.url, BOARDS, tmp_path)) == complaints
