"""Accessibility of every page: axe reports no serious problem."""

import os

from playwright.sync_api import Page

from tests.browser.world import DIRTY, World, drop, violations

WIDTHS = (1600, 360)
ALL_COMBINATIONS = os.environ.get("GOODSGATE_TEST_BROWSER") == "long"
"""Check all rules in both colour schemes at both widths; otherwise dark mode is checked for contrast only."""


def test_every_page_is_accessible_and_fits(sqlite_world: World) -> None:
    """Pages are checked in light and dark mode, on a wide screen and a phone, with scripts in the data."""
    world = sqlite_world
    merchant = world.gate.merchant()
    paths = world.add_data(merchant)
    with world.context() as context:
        page = context.new_page()
        page.goto(f"{world.gate.url}/console/sign-in")
        problems_by_page = {"sign-in": _problems(page)}
        world.sign_in(page, merchant, "read", "submit", "admin")
        page.on("dialog", lambda dialog: world.problems.append(f"dialog {dialog.message}"))
        for name, path in paths.items():
            page.goto(world.gate.url + path)
            if "grid" in name:
                page.locator("[role=gridcell]").first.wait_for()
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            problems_by_page[name] = _problems(page)
        page.goto(world.gate.url + paths["submit"])
        drop(page, ".drop", "summer.csv", DIRTY)
        page.locator("#policy").wait_for()
        page.get_by_role("button", name="Preview validation").click()
        page.get_by_role("heading", name="Validation preview").wait_for()
        problems_by_page["validation"] = _problems(page)
    assert {name: problems for name, problems in problems_by_page.items() if problems} == {}


def test_the_navigation_fits_and_its_menu_needs_no_script(sqlite_world: World) -> None:
    """One line at 1,024 pixels; the menu opens by keyboard, and Escape and a click elsewhere close it."""
    world = sqlite_world
    merchant = world.gate.merchant()
    with world.context(viewport={"width": 1024, "height": 700}) as context:
        page = context.new_page()
        world.sign_in(page, merchant, "admin")
        assert page.evaluate("document.querySelector('.top').offsetHeight") < 60
        audit = page.get_by_role("link", name="Audit", exact=True)
        for close in (lambda: page.keyboard.press("Escape"), lambda: page.locator("h1").click()):
            page.get_by_text("Settings").focus()
            page.keyboard.press("Enter")
            audit.wait_for()
            close()
            audit.wait_for(state="hidden")
    with world.context(java_script_enabled=False) as context:
        page = context.new_page()
        world.sign_in(page, merchant, "admin")
        page.get_by_text("Settings").click()
        page.get_by_role("link", name="Rules", exact=True).click()
        page.wait_for_url("**/rules")


def _problems(page: Page) -> list[str]:
    problems: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"wider than {width}")
        for scheme in ("light", "dark"):
            if ALL_COMBINATIONS or width == WIDTHS[0]:
                page.emulate_media(color_scheme=scheme)
                rules = () if ALL_COMBINATIONS or scheme == "light" else ("color-contrast",)
                problems += violations(page, rules)
    return problems
