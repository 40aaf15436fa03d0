"""Looks at every dashboard in a headless Chromium: a picture of each, and what a person would see to be wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as TooLate

from tests.alerting.dashboards.boards import Board

SIZE = (1600, 1200)
# As Grafana names them for tests, from 10.2 on.
_NAME, _PASSWORD, _SIGN_IN = (
    f"data-testid {what}" for what in ("Username input field", "Password input field", "Login button")
)
_FAILED = "data-testid Panel status error"


def sign_in(page: Page, url: str, name: str, password: str) -> None:
    """On its page for that."""
    page.goto(f"{url}/login")
    page.get_by_test_id(_NAME).fill(name)
    page.get_by_test_id(_PASSWORD).fill(password)
    page.get_by_test_id(_SIGN_IN).click()
    page.wait_for_url(lambda at: not at.endswith("/login"))


def taken(page: Page, url: str, boards: Iterable[Board], folder: Path) -> Iterator[str]:
    """A picture of each in `folder`; gives every row that is not there, and how many panels say that they failed."""
    folder.mkdir(parents=True, exist_ok=True)
    for board in boards:
        page.goto(f"{url}/d/{board['uid']}?kiosk")
        for row in (panel["title"] for panel in board["panels"] if panel["type"] == "row"):
            try:
                page.get_by_text(row, exact=True).first.scroll_into_view_if_needed()
            except TooLate:
                yield f"{board['title']}: no row {row}"
        page.wait_for_load_state("networkidle")
        if failed := page.get_by_test_id(_FAILED).count():
            yield f"{board['title']}: {failed} panels failed"
        page.screenshot(path=folder / f"{board['uid']}.png", full_page=True)
