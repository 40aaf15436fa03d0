"""The console in a browser: by keyboard, on a phone, without scripts, for who cannot see it, and when things fail."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from alerting.receiver.schema import audit, kills
from drill.simulators.prometheus import WatchedAgent
from tests.alerting.console.conftest import PHONE, WIDE

pytestmark = pytest.mark.browser

PAGES = ["/", "/?agent=support-bot", "/?agent=invoice", "/runbook/AgentErrorRatioHigh?agent=support-bot", "/nothing"]
AWKWARD = ["two words", "quo\"te's", "🤖", "שלום עולם", "<img src=x onerror=alert(1)>", "a/b?c#d&e", "x" * 200]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is called so has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if name in page.evaluate(
            "document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent"
        ):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{name} has the focus and does not show it"
            return
    raise AssertionError(f"Tab never comes to {name}")


def test_a_night_is_mastered_by_keyboard(console):
    """Sign in, switch off with a reason, and on again in the name of who says that it is safe."""
    page = console.open(sign_in=False)
    tab_to(page, "Your name")
    page.keyboard.type("night shift")
    tab_to(page, "Operator token")
    page.keyboard.type("operator-token")
    page.keyboard.press("Enter")
    page.wait_for_url(console.url + "/")
    tab_to(page, "Switch off")
    page.keyboard.press("Enter")
    tab_to(page, "Why is it switched off?")
    page.keyboard.type("promises refunds")
    page.keyboard.press("Enter")
    page.wait_for_url("**/agents/support-bot/switch")
    expect(page.locator(".state")).to_contain_text("Off: disable asked for, by night shift")
    console.bench.later(120)
    page.reload()
    expect(page.locator(".state")).to_contain_text("Off: disable confirmed")
    tab_to(page, "Who says that it is safe?")
    page.keyboard.type("head of support")
    tab_to(page, "What has changed?")
    page.keyboard.type("prompt mended")
    page.keyboard.press("Enter")
    expect(page.locator(".state")).to_contain_text("On: enable asked for, by head of support")
    said = [(row.actor, row.action) for row in console.bench.rows(audit)]
    assert ("night shift", "disable requested") in said
    assert ("head of support", "enable requested") in said


def test_it_works_without_scripts(console):
    """Forms are sent and lead on; nothing that needs a script is shown."""
    page = console.open("/?agent=support-bot", java_script_enabled=False)
    assert page.locator(".chart").first.is_hidden()
    page.get_by_text("The same as a table").click()
    assert page.locator("#numbers").is_visible()
    page.get_by_label("Why is it switched off?").fill("promises refunds")
    page.get_by_role("button", name="Switch off").click()
    expect(page.locator(".state")).to_contain_text("Off: disable asked for")
    assert len(console.bench.rows(kills)) == 1
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Operator token")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(console, scheme):
    """Contrast of at least 4.5 to 1, in both schemes, on every page, with everything unfolded."""
    page = console.open(color_scheme=scheme)
    for path in [*PAGES[:4], "/login"]:
        page.goto(console.url + path)
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        found = page.evaluate(CONTRAST)
        assert len(found) > 5
        assert [(text, round(ratio, 2)) for ratio, text in found if ratio < 4.5] == []


def test_everything_has_a_name(console):
    """Links, buttons, fields and pictures, as a screen reader is told; one first heading, and no level left out."""
    page = console.open()
    session = page.context.new_cdp_session(page)
    for path in PAGES[:4]:
        page.goto(console.url + path)
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        named = {"link", "button", "textbox", "image", "img", "region", "DisclosureTriangle"}
        roles = [
            (node["role"]["value"], node["name"]["value"].strip())
            for node in nodes
            if not node["ignored"] and "name" in node
        ]
        assert {"link", "heading"} <= {role for role, _ in roles}
        assert [role for role, name in roles if role in named and not name] == []
        levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((each) => Number(each.tagName[1]))")
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
        assert len(ids) == len(set(ids))


def test_on_a_phone_nothing_is_cut_and_everything_can_be_hit(console):
    """No scrolling to the side, whatever agents are called; what is pressed is at least 24 pixels high (WCAG 2.5.8)."""
    for name in AWKWARD:
        console.bench.prometheus.agents[name] = WatchedAgent(owner=name, mean=lambda _: 2.0, p95=lambda _: 3.0)
        console.bench.prometheus.fire(
            "AgentStuck", name, severity="warning", since="2026-11-23T17:00:00Z", description=name
        )
    page = console.open(size=PHONE)
    for path in ["/", "/?agent=support-bot", "/login", "/runbook/AgentErrorRatioHigh?agent=support-bot"]:
        page.goto(console.url + path)
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], path
        low = "[...document.querySelectorAll('button, summary, input:not([type=hidden]), .links a, .rest a')]"
        assert page.evaluate(f"{low}.filter((each) => each.getBoundingClientRect().height < 24).length") == 0
    for name in AWKWARD:
        page.goto(console.url + "/")
        page.get_by_role("link", name=name, exact=True).first.click()
        expect(page.locator("h1 bdi")).to_have_text(name)
        # The text is there before the style sheet is.
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], name


def test_the_chart_is_drawn_and_said(console):
    """Lines on a canvas; the same in words, and as a table."""
    page = console.open("/?agent=support-bot")
    drawn = "[...document.querySelectorAll('canvas')].map((each) => each.toDataURL().length)"
    page.wait_for_function(f"{drawn}.length === 2 && {drawn}.every((length) => length > 10_000)")
    page.locator(".u-over").first.hover()
    expect(page.locator(".u-value").nth(1)).to_have_text(re.compile(r"^\d"))
    said = page.get_by_role("img", name="95th percentile").first.get_attribute("aria-label")
    assert "Mean, s: " in said
    assert "SLA limit: 5" in said
    assert page.locator("#numbers tbody tr").count() == 73


def test_it_looks_again_by_itself_and_leaves_what_is_being_typed(console):
    """Every 15 seconds; a form that is open stays as it is, everything else is new."""
    page = console.open("/login", sign_in=False)
    page.clock.install()
    page.get_by_label("Your name").fill("night shift")
    page.get_by_label("Operator token").fill("operator-token")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Switch off").first.click()
    page.get_by_label("Why is it switched off?").fill("promises ref")
    console.bench.prometheus.fire("AgentStuck", "invoice", severity="critical", since="2026-11-23T17:00:00Z")
    page.clock.fast_forward(15_000)
    expect(page.locator("#alerts")).to_contain_text("AgentStuck")
    expect(page).to_have_title("(3) Handrail")
    expect(page.get_by_label("Why is it switched off?")).to_have_value("promises ref")
    expect(page.locator("#stale")).to_be_hidden()


def test_a_page_that_is_old_says_so(console):
    """When nobody is signed in any more, and when the receiver does not answer."""
    page = console.open("/login", sign_in=False)
    page.clock.install()
    page.get_by_label("Your name").fill("night shift")
    page.get_by_label("Operator token").fill("operator-token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#summary")).to_be_visible()
    console.bench.clock.advance(13 * 3600)
    page.clock.fast_forward(15_000)
    expect(page.locator("#stale")).to_contain_text("You are not signed in any more")
    console.stop()
    page.clock.fast_forward(15_000)
    expect(page.locator("#stale")).to_contain_text("Handrail does not answer")
    assert all("ERR_" in complaint for complaint in console.complaints)
    console.complaints.clear()


def test_a_thousand_agents(console):
    """All of them are there, within seconds, on a phone too."""
    for number in range(1000):
        console.bench.prometheus.agents[f"agent-{number:04}"] = WatchedAgent(owner="many", mean=lambda _: 2.0)
    page = console.open(size=PHONE)
    assert page.locator(".rest li").count() > 1000
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.get_by_role("link", name="agent-0999").click()
    expect(page.locator("h1 bdi")).to_have_text("agent-0999")


def test_pictures_for_the_readme(console, root, tmp_path):
    """The same each time; `make screenshots` keeps them in docs/images."""
    folder = root / "docs" / "images" if os.environ.get("HANDRAIL_SCREENSHOTS") == "write" else tmp_path
    folder.mkdir(exist_ok=True)
    for name, path, size, height in (
        ("console", "/", WIDE, 1065),
        ("console-agent", "/?agent=support-bot", WIDE, 1310),
        ("console-phone", "/", PHONE, 844),
    ):
        page = console.open(path, size)
        if path != "/":
            page.wait_for_selector(".drawn canvas")
        page.set_viewport_size({"width": size[0], "height": height})
        picture = page.screenshot(path=folder / f"{name}.png", animations="disabled", caret="hide")
        assert 10_000 < len(picture) < 200_000
        page.context.close()
