"""The console in a real browser, in front of a receiver on a real socket; what the browser complains about fails."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.alerting.console.shown import a_night_on_call
from tests.alerting.receiver.conftest import Bench, Telling, build_bench

WIDE, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium of this machine."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the PATH")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def served(bench: Bench) -> Iterator[tuple[str, Callable[[], None]]]:
    """The bench's pages on a free port: their address, and what stops them."""
    config = uvicorn.Config(bench.receiver.app, port=0, log_config=None, access_log=False, lifespan="off")
    serving = uvicorn.Server(config)
    thread, pause = threading.Thread(target=serving.run, daemon=True), threading.Event()
    thread.start()
    while not serving.started:
        assert thread.is_alive()
        pause.wait(0.01)

    def stop() -> None:
        serving.force_exit = serving.should_exit = True
        thread.join(timeout=10)

    yield f"http://127.0.0.1:{serving.servers[0].sockets[0].getsockname()[1]}", stop
    stop()


@dataclass
class Console:
    """Opens pages; `complaints` is what the browser said, and every request to somewhere else."""

    browser: Browser
    bench: Bench
    url: str
    stop: Callable[[], None]
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/", size: tuple[int, int] = WIDE, *, sign_in: bool = True, **options: Any) -> Page:
        """A page of a browser that knows nothing yet, signed in."""
        viewport = {"width": size[0], "height": size[1]}
        context = self.browser.new_context(viewport=viewport, **options)
        context.set_default_timeout(15_000)
        context.on("request", lambda request: self._went_to(request.url))
        page = context.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(self.url + path)
        if sign_in:
            page.get_by_label("Your name").fill("night shift")
            page.get_by_label("Operator token").fill("operator-token")
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(self.url + path)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _went_to(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.url).netloc and not url.startswith("data:"):
            self.complaints.append(f"went to {url}")


@pytest.fixture
def console(browser, tmp_path, clock) -> Iterator[Console]:
    """A night on call; at the end nothing may have been complained about."""
    for bench in build_bench(tmp_path, clock):
        a_night_on_call(bench, Telling(clock))
        with served(bench) as (url, stop):
            shown = Console(browser, bench, url, stop)
            yield shown
            for context in browser.contexts:
                context.close()
        assert shown.complaints == []
