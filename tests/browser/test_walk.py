"""Walks through the console, as a user with a browser takes them."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests import stores
from tests.browser.world import DIRTY, World, drop


@pytest.mark.parametrize("world", stores.KINDS, indirect=True)
def test_a_file_with_errors_becomes_a_clean_batch(world: World, tmp_path: Path) -> None:
    """A user maps, validates and submits a file, applies suggestions, and corrects the remaining records."""
    merchant = world.gate.merchant()
    with world.context(accept_downloads=True) as context:
        page = context.new_page()
        world.sign_in(page, merchant)
        _submit(page)
        page.wait_for_url(f"**/console/merchants/{merchant}/batches/*")
        assert page.get_by_text("Next in its lane, waiting for a worker.").is_visible()
        path = page.url
        world.shop.work()
        page.locator(".badge.partial").wait_for()
        assert page.url == path, "the page updated itself"
        assert page.get_by_role("button", name="Apply suggestion to 2 records").is_visible()
        assert page.get_by_text("4006381333932 → 4006381333931").is_visible()
        assert page.get_by_role("button", name="Retry").is_hidden(), "the errors lie in the records"
        page.get_by_role("link", name="2 GTINs have a wrong check digit").click()
        assert page.locator(".field.marked .value").first.inner_text() == "4006381333932"
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Apply suggestion to all").click()
        page.wait_for_url(path)
        world.shop.work()
        page.get_by_role("listitem").filter(has_text="2 rejected").wait_for()
        _send_back(page, tmp_path)
        page.get_by_text("3 (including corrections and retries)").wait_for()
        world.shop.work()
        page.get_by_role("heading", name="No issues", exact=True).wait_for()
        assert page.locator(".heading .badge.clean").is_visible()
        assert page.locator(".legend").inner_text().split() == ["44", "created", "0", "updated", "0", "unchanged", "0",
                                                                "rejected"]
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/console/sign-in")


PRICE_LIST = "Price list\nKennziffer;Name;Preis;Modell;Notiz\nS-1;Taška;7,90;bag;k.A.\nS-2;;8,90;bag;x\n"


def test_how_a_file_is_read_is_chosen_and_saved_as_a_profile(sqlite_world: World) -> None:
    """The preview follows every choice, and the next file with these columns is read in the same way."""
    world = sqlite_world
    merchant = world.gate.merchant()
    with world.context() as context:
        page = context.new_page()
        world.sign_in(page, merchant)
        page.goto(f"{world.gate.url}/console/merchants/{merchant}/submit")
        drop(page, ".drop", "list.csv", PRICE_LIST.encode("windows-1250"))
        for label, text, shown in (
            ("Encoding", "Windows-1250", "Windows-1250 given"), ("Header row", "2", "header row 2 given"),
            ("Currency", "EUR", None), ("Group rows by", "Modell", "group Modell given"),
            ("Words for nothing", "k.A.", None),
        ):
            page.get_by_label(label).fill(text)
            page.get_by_label(label).press("Enter")
            if shown is not None:
                page.locator("#preview > form > p", has_text=shown).wait_for()
        page.get_by_label("Delimiter").select_option("semicolon")
        page.locator("#preview > form > p", has_text="delimiter semicolon given").wait_for()
        page.get_by_label("Decimal separator").select_option("comma")
        page.get_by_label("Field for Kennziffer").select_option("id")
        page.get_by_label("Field for Preis").select_option("price")
        page.get_by_text("2 created").wait_for()
        page.get_by_text("1 product, 2 variants").wait_for()
        page.get_by_label("Search columns").fill("kenn")
        assert page.locator("#columns tr:visible").count() == 1
        page.get_by_label("Search columns").fill("taška")
        assert page.locator("#columns tr:visible th").inner_text() == "Name"
        page.get_by_label("Search columns").fill("")
        page.get_by_role("button", name="Save as profile").click()
        assert page.evaluate("document.activeElement.name") == "save_as", "a name is needed"
        page.get_by_label("Profile name").fill("supplier-a")
        page.get_by_label("Profile name").press("Enter")
        page.get_by_text("Saved as profile supplier-a").wait_for()
        page.goto(page.url)
        drop(page, ".drop", "next.csv", PRICE_LIST.replace("S-", "T-").encode("windows-1250"))
        page.locator("#preview > form > p", has_text="profile supplier-a saved").wait_for()
        page.get_by_text("2 created").wait_for()
        page.locator("select[name=profile]").select_option("generic")
        page.get_by_text("No SKU column found").wait_for()
        page.locator("select[name=profile]").select_option("")
        page.get_by_text("2 created").wait_for()
        page.get_by_role("button", name="Submit", exact=True).click()
        page.wait_for_url(f"**/console/merchants/{merchant}/batches/*")
        world.shop.work()
        page.locator(".heading .badge.clean").wait_for()
        page.get_by_text("supplier-a: 1 product, 2 variants").wait_for()


def _submit(page: Page) -> None:
    page.get_by_role("link", name="Submit", exact=True).click()
    drop(page, ".drop", "summer.csv", DIRTY)
    page.get_by_text("No SKU column found").wait_for()
    page.get_by_label("Field for Kennziffer").focus()
    page.get_by_label("Field for Kennziffer").select_option("id")
    page.get_by_text("No SKU column found").wait_for(state="detached")
    assert page.evaluate("document.activeElement.name") == "map:Kennziffer", "the focus is kept"
    page.get_by_label("Field for Preis").select_option("price")
    page.locator("tr", has_text="Preis").get_by_text("Auto-detect").wait_for(state="attached")
    page.get_by_label("Field for Farbe").select_option("color")
    page.locator("tr", has_text="Farbe").get_by_text("Auto-detect").wait_for(state="attached")
    page.get_by_role("button", name="Preview validation").click()
    page.get_by_role("heading", name="Validation preview").wait_for()
    assert page.locator("#validation .legend").inner_text().split() == ["40", "created", "4", "rejected"]
    page.get_by_role("button", name="Submit", exact=True).click()


def _send_back(page: Page, folder: Path) -> None:
    with page.expect_download() as download:
        page.get_by_role("link", name="Download rejected records").click()
    download.value.save_as(folder / "report.csv")
    report = (folder / "report.csv").read_text("utf-8")
    corrected = report.replace("249,00 EUR", "249.00 EUR").replace("S-103,,", "S-103,Peg,")
    assert corrected != report
    (folder / "corrected.csv").write_text(corrected, "utf-8")
    page.set_input_files("[data-upload] input[type=file]", folder / "corrected.csv")
    page.locator("[role=status]", has_text="2 of 2 rows match rejected records").wait_for()
    assert page.get_by_role("row", name="S-103").inner_text().split() == ["4", "S-103", "Name", "empty", "Peg"]
    page.get_by_label("Encoding of the file").select_option("UTF-16")
    page.locator("[role=status]", has_text="No record of the file can be read").wait_for()
    page.get_by_label("Encoding of the file").focus()
    page.get_by_label("Encoding of the file").select_option("UTF-8")
    page.locator("[role=status]", has_text="2 of 2 rows match rejected records").wait_for()
    assert page.evaluate("document.activeElement.name") == "encoding"
    page.get_by_role("button", name="Send and revalidate").click()


def test_a_batch_can_be_opened_by_keyboard(world: World) -> None:
    """The first stop is the link to the content, the focus is always visible, and Enter opens a batch."""
    merchant = world.gate.merchant()
    paths = world.add_data(merchant)
    with world.context() as context:
        page = context.new_page()
        world.sign_in(page, merchant)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        for _ in range(40):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "(() => { const element = document.activeElement; const style = getComputedStyle(element);"
                " return [element.id, style.outlineStyle, parseFloat(style.outlineWidth)]; })()"
            )
            assert focused[1] != "none", focused
            assert focused[2] >= 1, focused
            if focused[0] == f"b-{paths['batch'].rpartition('/')[2]}":
                break
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{paths['batch']}")


def test_reading_needs_no_javascript(world: World) -> None:
    """Forms that upload no file work as well."""
    merchant = world.gate.merchant()
    paths = world.add_data(merchant)
    with world.context(java_script_enabled=False) as context:
        page = context.new_page()
        world.sign_in(page, merchant, "read", "submit", "admin")
        for name, path in paths.items():
            answer = page.goto(world.gate.url + path)
            assert answer is not None
            assert answer.ok, name
            assert page.locator("main h1").inner_text()
        page.goto(world.gate.url + paths["batches"])
        page.get_by_role("link", name="Failed", exact=True).click()
        page.get_by_label("Search batches").fill("partial csv")
        page.get_by_role("button", name="Search", exact=True).click()
        assert page.locator("tbody tr").count() == 1
        page.get_by_label("Search batches").fill("partial")
        page.get_by_role("button", name="Search", exact=True).click()
        assert page.locator("tbody tr").count() == 2
        page.goto(world.gate.url + paths["records"])
        page.get_by_role("button", name="Apply suggestion to all").click()
        page.wait_for_url(f"**{paths['batch']}")


def test_the_list_of_batches_is_live(world: World) -> None:
    """A new batch appears without a reload, and the focus is kept."""
    merchant = world.gate.merchant()
    with world.context() as context:
        page = context.new_page()
        world.sign_in(page, merchant)
        page.get_by_text("No batches yet").wait_for()
        batch = world.shop.send([{"id": "A", "title": "x"}], merchant=merchant)
        page.locator(f"#b-{batch}").focus()
        world.shop.work()
        page.locator(".badge.clean").wait_for()
        assert page.evaluate("document.activeElement.id") == f"b-{batch}"
