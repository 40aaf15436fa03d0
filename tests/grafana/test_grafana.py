"""A real Grafana loads every dashboard as it was rendered, fills every panel, and shows them in a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page

from handrail.http import HttpClient
from stack.tools import ToolMissing
from stack.tools import find as find_tool
from tests.alerting.dashboards import living
from tests.alerting.dashboards.boards import Board, boards
from tests.alerting.dashboards.simulated import newest, simulated
from tests.alerting.dashboards.test_simulated_day import wait
from tests.grafana.checks import complaints_about_boards, complaints_about_panels
from tests.grafana.pictures import sign_in, taken
from tests.grafana.running import ADMIN, Image, NoGrafana, Program, find, running

pytestmark = pytest.mark.grafana
LOADED_WITHIN_MS = 60_000


@dataclass(frozen=True)
class Shown:
    """A Grafana that shows a simulated day."""

    client: HttpClient
    boards: list[Board]
    password: str


@pytest.fixture(scope="module")
def program() -> Program | Image:
    """A Grafana of this machine; nothing else is begun without one."""
    try:
        return find()
    except NoGrafana as none:
        pytest.skip(str(none))


@pytest.fixture(scope="module")
def grafana(program: Program | Image, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """In front of a Prometheus that goes on watching."""
    try:
        alertmanager = find_tool("alertmanager", state=root / ".handrail")
    except ToolMissing as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("grafana")
    prometheus = newest("prometheus")
    with (
        simulated(folder) as past,
        living.living(past.world, prometheus, alertmanager, past.storage, folder / "living") as ask,
    ):
        wait(ask, past.queries)
        rendered, address = past.rendered / "dashboards", str(ask.client.base_url)
        with running(program, prometheus=address, boards=rendered, folder=folder / "grafana") as client:
            password = (folder / "grafana" / "secrets" / "admin_password").read_text()
            yield Shown(client, list(boards(rendered).values()), password)


def test_every_dashboard_is_loaded_as_it_was_rendered(grafana: Shown) -> None:
    """By its uid, with its title, and not migrated to another version of the model."""
    assert list(complaints_about_boards(grafana.client, grafana.boards)) == []


def test_every_panel_has_data(grafana: Shown) -> None:
    """As Grafana asks for it, through the provisioned data source."""
    assert list(complaints_about_panels(grafana.client, grafana.boards, now_s=time.time())) == []


def test_every_dashboard_is_shown_in_a_browser(grafana: Shown, page: Page, root: Path) -> None:
    """Each row is there and no panel failed; the pictures are in .handrail/grafana."""
    url = str(grafana.client.base_url).rstrip("/")
    page.set_default_timeout(LOADED_WITHIN_MS)
    sign_in(page, url, ADMIN, grafana.password)
    assert list(taken(page, url, grafana.boards, root / ".handrail" / "grafana")) == []
