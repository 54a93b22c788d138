"""A feed trips a guard in the browser, and people decide about it."""

from playwright.sync_api import Page

from tests.browser.world import World, drop

FEED = b"sku,title,price\nA1,Shoe,12.50 EUR\nA2,Tent,9.90 EUR\n"
POINTLESS = FEED.replace(b"12.50", b"0.12").replace(b"9.90", b"0.09")
MENDED = FEED.replace(b"12.50", b"13.50").replace(b"9.90", b"9.40")


def test_a_feed_trips_a_guard_and_its_mended_version_is_approved(sqlite_world: World) -> None:
    """A guard is written by keyboard and tried; one feed is discarded after its diff is read, the next is approved."""
    world = sqlite_world
    merchant = world.gate.merchant()
    world.send("before.csv", FEED, merchant=merchant)
    world.shop.work()
    with world.context() as context:
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        world.sign_in(page, merchant, "read", "submit")
        _write_guard(page)
        _submit(world, page, merchant, "cheap.csv", POINTLESS)
        page.get_by_text("2 prices fall by more than half, 100 % of 2 records").wait_for()
        batch = page.url
        page.get_by_role("link", name="See each change").click()
        page.get_by_role("row", name="A1").get_by_text("0.12 EUR").wait_for()
        page.goto(batch)
        page.get_by_role("button", name="Discard").click()
        world.shop.work()
        page.get_by_text("it was discarded. Nothing was applied.").wait_for()
        _submit(world, page, merchant, "mended.csv", MENDED, "prices_rising:1")
        page.get_by_text("1 price rises; the submission holds a batch from 1 on.").wait_for()
        page.get_by_role("button", name="Approve and apply").click()
        world.shop.work()
        page.locator(".heading .badge.clean").wait_for()
        assert page.get_by_text("Guards held this batch, and it was approved.").is_visible()
        page.get_by_text("Settings").click()
        page.get_by_role("link", name="Guards", exact=True).click()
        page.get_by_role("link", name="decimal-point").click()
        page.get_by_text("The guard would have held 1 of the last 2 batches with figures.").wait_for()
        page.get_by_role("link", name="cheap.csv").click()
        page.wait_for_url(batch)
    items = world.shop.items(merchant=merchant)
    assert ("13.50" in str(items["A1"]), "9.40" in str(items["A2"])) == (True, True)


def _write_guard(page: Page) -> None:
    """Fill the form without a mouse: the order of the fields is that of the page."""
    page.get_by_text("Settings").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Guards", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.type("decimal-point")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "limit:prices_halved":
            break
    page.keyboard.type("10%")
    page.get_by_role("button", name="Try on the last batches").focus()
    page.keyboard.press("Enter")
    page.get_by_text("No past batch has figures to compare with.").wait_for()
    assert page.get_by_label("prices fall by more than half").input_value() == "10%"
    page.get_by_role("button", name="Save", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/guards/decimal-point")


def _submit(world: World, page: Page, merchant: str, name: str, content: bytes, hold_if: str = "") -> None:
    page.goto(f"{world.gate.url}/console/merchants/{merchant}/submit")
    drop(page, ".drop", name, content)
    page.locator("#policy").wait_for()
    if hold_if:
        page.get_by_text("More options").click()
        page.get_by_label("Hold it if").fill(hold_if)
        page.get_by_label("Hold it if").press("Enter")
        page.get_by_text("prices rise: 1 or more").wait_for()
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url(f"**/console/merchants/{merchant}/batches/*")
    world.shop.work()
