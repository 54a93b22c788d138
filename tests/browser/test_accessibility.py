"""What people with other eyes, other screens and other hands find: axe has nothing serious to say of any page."""

import os

from playwright.sync_api import Page

from tests.browser.world import DIRTY, World, drop, violations

WIDTHS = (1600, 360)
EVERY_WAY = os.environ.get("GOODSGATE_BROWSER") == "long"
"""All rules in both schemes at both widths; else all by light, and those of colours by dark."""


def test_every_page_is_accessible_and_fits(sqlite_world: World) -> None:
    """By light and by dark, on a wide screen and on a phone; scripts in the data stay text."""
    world = sqlite_world
    merchant = world.gate.merchant()
    paths = world.furnished(merchant)
    with world.context() as context:
        page = context.new_page()
        page.goto(f"{world.gate.url}/console/sign-in")
        found = {"sign-in": _judged(page)}
        world.sign_in(page, merchant, "read", "submit", "admin")
        page.on("dialog", lambda dialog: world.trouble.append(f"dialog {dialog.message}"))
        for name, path in paths.items():
            page.goto(world.gate.url + path)
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            found[name] = _judged(page)
        page.goto(world.gate.url + paths["submit"])
        drop(page, ".drop", "summer.csv", DIRTY)
        page.locator("#policy").wait_for()
        page.get_by_role("button", name="Preview validation").click()
        page.get_by_role("heading", name="Validation preview").wait_for()
        found["checked"] = _judged(page)
    assert {name: told for name, told in found.items() if told} == {}


def _judged(page: Page) -> list[str]:
    found: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"wider than {width}")
        for scheme in ("light", "dark"):
            if EVERY_WAY or width == WIDTHS[0]:
                page.emulate_media(color_scheme=scheme)
                found += violations(page, () if EVERY_WAY or scheme == "light" else ("color-contrast",))
    return found
