"""Somebody sets up a source in the browser, tests it, and follows its first run to the batch."""

import os
from pathlib import Path

from goodsgate.engine.source_definitions import SOURCE
from goodsgate.remote import RemoteSettings
from tests.browser.world import World


def test_a_source_is_set_up_tested_and_run(sqlite_world: World, tmp_path: Path) -> None:
    """From an empty page to the items of the feed."""
    world, shop = sqlite_world, sqlite_world.shop
    merchant = world.gate.merchant()
    settings = RemoteSettings(folders=(tmp_path,))
    world.gate.application.context.services.sources.settings = settings
    (tmp_path / "bowls.csv").write_text("sku,title,price,currency\nB-1,Bowl,3.00,EUR\n")
    os.utime(tmp_path / "bowls.csv", (1_700_000_000, 1_700_000_000))
    with world.context() as context:
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        world.sign_in(page, merchant, "read", "submit")
        page.get_by_text("Settings").click()
        page.get_by_role("link", name="Sources", exact=True).click()
        page.get_by_label("Name", exact=True).fill("bowls")
        page.get_by_label("Address").fill(f"{tmp_path.as_uri()}/*.csv")
        page.get_by_label("Schedule").fill("0 3 * * *")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Test").click()
        page.get_by_text("Of its first 1 record, 0 would be rejected.").wait_for()
        page.get_by_role("button", name="Run now").click()
        page.locator(".heading .badge.running").wait_for()
        world.work_job(SOURCE, settings)
        shop.work()
        page.reload()
        page.get_by_role("link", name="bowls.csv").click()
        page.locator(".heading .badge.clean").wait_for()
    assert [*shop.items(merchant=merchant)] == ["B-1"]
