"""The grid of rejected records, as a clerk uses it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.world import World, violations

RECORDS = 1_200
FEED = ("Kennziffer,Name,Preis,EAN\n" + "".join(
    f'S-{number},{"" if number % 3 == 0 else f"Rope {number}"},{"abc" if number % 3 == 1 else "5.00 EUR"},'
    f'{"4006381333932" if number % 3 == 2 else ""}\n' for number in range(1, RECORDS + 1)
)).encode()
MAPPING = {"Kennziffer": ["id"], "Name": ["title"], "Preis": ["price"]}


class Grid:
    """The page of the grid of a batch, of which only the rows in view are in the page."""

    def __init__(self, world: World, page: Page, merchant: str, batch: str) -> None:
        self.world = world
        self.page = page
        self.path = f"/console/merchants/{merchant}/batches/{batch}/grid"

    def open(self) -> "Grid":
        """Load the page and set the focus on the first cell."""
        self.page.goto(self.world.gate.url + self.path)
        self.page.locator("[role=gridcell]").first.wait_for()
        self.page.locator("[role=gridcell][tabindex='0']").focus()
        return self

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def paste(self, text: str) -> None:
        """Paste as from a spreadsheet; what the machine's clipboard holds does not matter."""
        self.page.evaluate(
            "text => { const data = new DataTransfer(); data.setData('text/plain', text); document.activeElement"
            ".dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})); }",
            text,
        )

    def copied(self) -> str:
        """Copy, and return what a spreadsheet would get."""
        return str(self.page.evaluate(
            "(() => { const data = new DataTransfer(); document.activeElement.dispatchEvent(new ClipboardEvent('copy',"
            " {clipboardData: data, bubbles: true, cancelable: true})); return data.getData('text/plain'); })()"
        ))

    def said(self, text: str) -> None:
        """Wait until a screen reader is told this."""
        self.page.locator("#grid-status", has_text=text).wait_for()

    def cell(self, row: int, column: int) -> str:
        """Return the text of a cell, by its row and column from 1."""
        cell = self.page.locator(f"[aria-rowindex='{row + 1}'] [aria-colindex='{column}']")
        return str(cell.evaluate("cell => cell.firstChild?.data ?? ''"))

    def focused(self) -> list[str]:
        """Return row and column of the cell with the focus, as a screen reader tells them."""
        return list(self.page.evaluate(
            "[document.activeElement.parentElement.getAttribute('aria-rowindex'),"
            " document.activeElement.getAttribute('aria-colindex')]"
        ))

    def save(self) -> None:
        """Save, and work the round."""
        self.press("Control+s")
        self.said("validating")
        self.world.shop.work()


@pytest.fixture
def grid(sqlite_world: World) -> Iterator[Grid]:
    """The grid of a batch with many rejected records."""
    world, merchant = sqlite_world, sqlite_world.gate.merchant()
    batch = world.send("ropes.csv", FEED, merchant=merchant, mapping=MAPPING)
    world.shop.work()
    with world.context() as context:
        page = context.new_page()
        world.sign_in(page, merchant)
        yield Grid(world, page, merchant, batch).open()


def test_many_records_are_corrected_like_cells_of_a_spreadsheet(grid: Grid) -> None:
    """By keyboard: edit, undo, fill down, paste, suggestions, save; what is still wrong stays."""
    page = grid.page
    grid.said("1,200 records rejected, 500 loaded")
    assert page.locator("tbody tr").count() < 60, "only rows in view are in the page"
    assert page.locator("thead th").all_inner_texts() == [
        "Record", "Kennziffer id", "Name title", "Preis price", "EAN gtin", "What is wrong"
    ]
    grid.press("ArrowRight", "ArrowRight")
    assert grid.focused() == ["2", "4"]
    assert '"abc" is not a valid price' in page.locator("#grid-note").inner_text()
    assert page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
    page.keyboard.type("7.00 EUR")
    grid.press("Escape")
    assert grid.cell(1, 4) == "abc", "Escape discards"
    page.keyboard.type("7.00 EUR")
    grid.press("Enter")
    assert (grid.cell(1, 4), grid.focused()) == ("7.00 EUR", ["3", "4"])
    grid.press("Control+z")
    assert grid.cell(1, 4) == "abc"
    grid.press("Control+y", "Shift+ArrowDown", "Shift+ArrowDown", "Shift+ArrowDown", "Control+d")
    assert [grid.cell(row, 4) for row in range(1, 6)] == ["7.00 EUR"] * 4 + ["5.00 EUR"], "from the first selected cell"
    grid.said("Filled 3 cells")
    grid.press("Control+Home", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown")
    grid.paste('Peg\t"8.00\nEUR"\nTent, ""2""\t9.00 EUR\n')
    grid.said("Pasted 4 cells")
    assert (grid.cell(3, 3), grid.cell(3, 4), grid.cell(4, 3)) == ("Peg", "8.00\nEUR", 'Tent, ""2""')
    grid.press("ArrowRight", "F2")
    assert violations(page) == []
    page.locator("textarea").fill("8.00 EUR")
    grid.press("Tab")
    assert grid.focused() == ["4", "5"]
    grid.press("ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowDown")
    assert grid.copied() == 'Peg\t8.00 EUR\n"Tent, """"2"""""\t9.00 EUR'
    grid.press("Control+a")
    grid.said("1,200 selected")
    page.get_by_role("button", name="Apply 400 suggestions").click()
    grid.said("Applied the suggestion to 400 cells")
    page.locator("[role=gridcell][tabindex='0']").focus()
    grid.press("Control+End")
    assert grid.focused() == ["1201", "6"]
    assert page.locator("tbody tr").count() < 60
    grid.save()
    grid.said("403 records accepted. 797 records rejected")
    assert page.locator("tbody tr").first.get_by_role("rowheader").inner_text() == "6", "what was accepted has left"
    grid.press("Tab")
    assert not page.evaluate("document.getElementById('grid-scroller').contains(document.activeElement)"), "no trap"


def test_what_was_typed_survives_others_and_the_end_of_the_session(grid: Grid) -> None:
    """A change by somebody else is told and not overwritten; after a new sign-in the values are there again."""
    page, shop = grid.page, grid.world.shop
    merchant, batch = grid.path.split("/")[3], grid.path.split("/")[5]
    grid.press("ArrowRight", "ArrowRight")
    for text in ("1.00 EUR", "mine", "2.00 EUR"):
        page.keyboard.type(text)
        grid.press("Enter")
    theirs = (
        b'{"_row":1,"Kennziffer":"S-1","Name":"Rope","Preis":"3.00 EUR"}\n'
        b'{"_row":2,"Kennziffer":"S-2","Preis":"x"}\n'
    )
    shop.fix(batch, theirs, format="ndjson", merchant=merchant)
    grid.press("Control+s")
    grid.said("Somebody else's correction of this batch is being processed")
    shop.work()
    grid.said("1 record sent, validating")
    shop.work()
    grid.said("0 records accepted. 1 record still has errors")
    warning = page.locator("#grid-notice").inner_text()
    assert "Somebody else has corrected 1 record in the meantime" in warning
    assert "Record 1: Preis = 1.00 EUR" in warning
    assert "mine" in grid.cell(1, 4)
    page.locator("[aria-rowindex='2'] [aria-colindex='4']").click()
    assert "Somebody else has sent: x" in page.locator("#grid-note").inner_text()
    page.context.clear_cookies()
    grid.press("Control+s")
    page.get_by_text("Your session has ended").wait_for()
    page.get_by_role("link", name="Sign in again").click()
    page.fill("#key", grid.world.gate.secret(merchant, ("submit", "read")))
    page.click("button.primary")
    page.wait_for_url(f"**{grid.path}")
    grid.said("1 record with values that were typed before")
    assert grid.cell(1, 4) == "mine"
    grid.world.problems = [each for each in grid.world.problems if "status of 4" not in each]


def test_a_value_is_set_in_selected_rows_by_pointer(grid: Grid) -> None:
    """Rows are selected by their boxes, and other columns can be shown."""
    page = grid.page
    page.get_by_label("Select record 3, S-3").check()
    page.get_by_label("Select record 6, S-6").check()
    page.locator("[aria-rowindex='4'] [aria-colindex='3']").click()
    page.get_by_label("Set Name to").fill("Rope")
    page.get_by_role("button", name="Set 2 cells").click()
    grid.said("Set 2 cells")
    page.locator("[aria-rowindex='2'] [aria-colindex='4']").dblclick()
    page.locator("textarea").fill("1.00 EUR")
    page.locator("[aria-rowindex='3'] [aria-colindex='4']").hover()
    page.mouse.down()
    page.locator("[aria-rowindex='4'] [aria-colindex='5']").hover()
    page.mouse.up()
    assert grid.copied() == "5.00 EUR\t4006381333932\n5.00 EUR\t", "a drag selects cells"
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="EAN").uncheck()
    assert page.locator("thead th").count() == 5
    assert (grid.cell(1, 4), grid.cell(3, 3), grid.cell(6, 3)) == ("1.00 EUR", "Rope", "Rope")
    page.get_by_role("button", name="Save and revalidate 3 records").click()
    grid.said("validating")
    grid.world.shop.work()
    grid.said("3 records accepted")


