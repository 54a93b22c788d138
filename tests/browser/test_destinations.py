"""Somebody sets up a destination in the browser, publishes a feed, and decides about one that shrinks."""

from pathlib import Path

from playwright.sync_api import Page

from goodsgate.engine.destination_definitions import DESTINATION
from goodsgate.remote import RemoteSettings
from tests.browser.world import World


def test_a_feed_is_published_held_and_approved(sqlite_world: World, tmp_path: Path) -> None:
    """What was published before stays until somebody decides."""
    world, shop = sqlite_world, sqlite_world.shop
    merchant = world.gate.merchant()
    settings = RemoteSettings(folders=(tmp_path,))
    world.gate.application.context.services.destinations.settings = settings
    shop.run([{"id": f"K-{number}", "title": f"Cup {number}"} for number in range(20)], merchant=merchant)

    def work(page: Page) -> None:
        page.locator(".heading .badge.running").wait_for()
        world.work_job(DESTINATION, settings)
        page.reload()

    def lines() -> int:
        return len((tmp_path / "cups.csv").read_text().splitlines())

    with world.context() as context:
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        world.sign_in(page, merchant, "read", "submit")
        page.get_by_text("Settings").click()
        page.get_by_role("link", name="Destinations", exact=True).click()
        page.get_by_label("Name", exact=True).fill("cups")
        page.get_by_label("Where to").fill(f"{tmp_path.as_uri()}/cups.csv")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Test the connection").click()
        page.get_by_text("Connected.").wait_for()
        page.get_by_role("button", name="Run now").click()
        work(page)
        page.get_by_text("published", exact=False).first.wait_for()
        assert lines() == 21
        shop.run([{"id": f"K-{number}", "_verb": "delete"} for number in range(15)], merchant=merchant)
        page.get_by_role("button", name="Run now").click()
        work(page)
        page.get_by_text("The feed would shrink from 20 to 5 items, by 75%; 20% is allowed.").first.wait_for()
        assert lines() == 21
        page.get_by_role("button", name="Publish it as the catalogue now is").click()
        work(page)
        page.locator(".heading .badge.idle").wait_for()
        assert lines() == 6


def test_an_address_for_mail_is_refused_where_the_gate_sends_none(sqlite_world: World) -> None:
    """The page says which setting of the operator is missing."""
    world = sqlite_world
    merchant = world.gate.merchant()
    with world.context() as context:
        page = context.new_page()
        world.sign_in(page, merchant, "read", "submit")
        page.goto(f"{world.gate.url}/console/merchants/{merchant}/webhooks")
        page.get_by_label("URL", exact=True).fill("mailto:feeds@supplier.example")
        page.get_by_role("button", name="Add webhook").click()
        page.get_by_text("This gate sends no mail (setting mail_host).").wait_for()
    world.problems[:] = [problem for problem in world.problems if "422" not in problem]
