"""Take the screenshots of the console for the docs: `make pictures`."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Merchant
from tests import factories
from tests.browser.world import DIRTY, World, chromium, drop
from tests.http_gate import HttpGate
from tests.shop import Shop

TOP = Path(__file__).resolve().parents[2]
PICTURES = TOP / "docs" / "pictures"
SIZE = {"width": 1120, "height": 720}
MERCHANT = "acme"
PAGES = (
    "batches", "batch", "records", "grid", "catalogue", "items", "item", "reference", "categories", "used", "merchants",
    "keys", "health", "scorecard",
)


def main() -> None:
    """Take all screenshots, over a temporary store."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser, Shop(Path(folder), MERCHANT) as shop:
        gate = HttpGate(shop)
        try:
            world = World(shop, gate, browser)
            _take_pictures(world)
            if world.problems:
                sys.exit("\n".join(world.problems))
        finally:
            gate.close()


def _take_pictures(world: World) -> None:
    paths = _add_data(world)
    with world.context(viewport=SIZE, color_scheme="light") as context:
        page = context.new_page()
        page.goto(f"{world.gate.url}/console/sign-in")
        _save_picture(page, "sign-in")
        world.sign_in(page, MERCHANT, "read", "submit", "admin")
        for name in PAGES:
            page.goto(world.gate.url + paths[name])
            if name == "grid":
                page.locator("[role=gridcell][aria-invalid]").first.click()
            if name == "health":
                page.locator(".u-legend").first.wait_for()
            _save_picture(page, name)
        page.goto(world.gate.url + paths["submit"])
        drop(page, ".drop", "summer.csv", DIRTY)
        page.get_by_label("Field for Kennziffer").select_option("id")
        page.locator("tr", has_text="Kennziffer").get_by_text("Auto-detect").wait_for(state="attached")
        _save_picture(page, "submit")
        page.get_by_role("button", name="Preview validation").click()
        page.get_by_role("heading", name="Validation preview").wait_for()
        page.get_by_role("heading", name="Validation preview").scroll_into_view_if_needed()
        page.screenshot(path=PICTURES / "check.png")
    with world.context(viewport={"width": 360, "height": 720}, color_scheme="dark") as context:
        page = context.new_page()
        world.sign_in(page, MERCHANT, "read", "submit")
        page.goto(world.gate.url + paths["batch"])
        _save_picture(page, "phone-dark")


def _add_data(world: World) -> dict[str, str]:
    """Add a real feed with errors and other merchants to the data of the tests; return name → path of every page."""
    shop = world.shop
    for merchant in ("bolt", "nordic-home"):
        shop.store.add_merchant(Merchant(id=merchant, name=merchant.title(), created_at=factories.NOW))
    feed = (TOP / "demo/feed/spree-home/products.csv").read_bytes()
    world.send("products.csv", feed, merchant="nordic-home")
    for round in range(3):
        items = [{"id": f"B-{n}", "title": f"Lamp {n}", "price": f"{n + round}.00 EUR"} for n in range(400)]
        world.send(f"lamps-{round}.ndjson", items, merchant="bolt")
        stock = [{"id": f"B-{n}", "quantity": n - round} for n in range(50)]
        world.send(f"stock-{round}.ndjson", stock, merchant="bolt", kind=Kind.STOCK)
    shop.work()
    return world.add_data(MERCHANT, script="winter")


def _save_picture(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement?.blur?.(); scrollTo(0, 0)")
    page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
