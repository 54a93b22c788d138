"""Dry runs in the console."""

from tests.console.conftest import Person, text_of

BEFORE = b"sku,title,price\nA1,Shoe,12.50 EUR\nA2,Tent,9.99 EUR\n"
AFTER = b"sku,title,price\nA1,Shoe,1.25 EUR\nA2,<b>,9.99 EUR\nA3,Cup,cheap\n"


def test_a_dry_run_is_submitted_and_its_diff_is_read(clerk: Person) -> None:
    """The batch says what it would change, and offers no correction."""
    clerk.submit(BEFORE, filename="a.csv")
    clerk.gate.shop.work()
    path = clerk.submit(AFTER, filename="a.csv", dry_run="true")
    clerk.gate.shop.work()
    page = clerk.get(path).text
    assert "Dry run: nothing is applied." in page
    assert "price falls in 1 item, by −90 %; 1 by more than half" in text_of(page)
    assert not any(action in page for action in (f"{path}/retry", f"{path}/fix", f"{path}/confirm"))
    assert "partial dry run" in text_of(clerk.get("/console/batches").text)
    diff = clerk.get(f"{path}/diff").text
    assert "A1 2 updated price 12.50 EUR 1.25 EUR" in text_of(diff)
    assert "&lt;b&gt;" in diff
    only = text_of(clerk.get(f"{path}/diff?field=title").text)
    assert ("A2 3 updated" in only, "A1 2 updated" in only) == (True, False)
    assert clerk.get(f"{path}/diff?format=csv").text.startswith("number,operation,id,")
    assert clerk.get(f"{path}/diff?after=x").status_code == clerk.get(f"{path}/diff?operation=x").status_code == 400
