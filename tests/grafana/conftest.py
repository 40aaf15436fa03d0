"""A page of a headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.grafana.pictures import SIZE


@pytest.fixture
def page() -> Iterator[Page]:
    """Of a browser that knows nothing yet."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]}).new_page()
        browser.close()
