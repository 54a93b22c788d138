"""Edits of single rejected records in the console."""

import re

import orjson

from goodsgate.model.batch import Kind
from tests.console.conftest import Person, text_of

DIRTY = (
    b'sku,title,price,ean\nA1,Shoe,"12,50 EUR",4006381333931\nA2,Tent,9.99 EUR,4006381333932\n'
    b"A3,Lamp,5.00 EUR,4006381333932\nA4,,1.00 EUR,\nA5,Rope,2.00 EUR,\n"
)


def test_an_edited_record_keeps_columns_with_one_name_and_further_cells(clerk: Person) -> None:
    """Every cell of the row is in the form, under its position; short rows can be filled."""
    path = clerk.submit(b"sku,note,title,note\nA1,first,,second\nA2,one,Tent,two,three\nA3\n")
    page = clerk.get(f"{path}/records").text
    assert re.findall(r'name="cell:(\d+)" value', page) == [*"2013", *"01234", *"0123"]
    for record, cell, text in ((1, 2, "Peg"), (2, 4, ""), (3, 2, "Rope")):
        clerk.fill(f"{path}/records/{record}", path, **{f"cell:{cell}": text})
        clerk.gate.shop.work()
    items = clerk.gate.shop.items(merchant=clerk.merchant)
    assert {key: item["title"] for key, item in items.items()} == {"A1": "Peg", "A2": "Tent", "A3": "Rope"}
    findings = clerk.gate.shop.findings(path.rpartition("/")[2], merchant=clerk.merchant)
    assert [each.issues for each in findings if each.number and each.result == "rejected"] == []


def test_a_rejected_record_is_edited_and_validated_again(clerk: Person) -> None:
    """Cells that are not sent keep their values; the other members of a JSON record keep their bytes."""
    path = clerk.submit(DIRTY)
    clerk.fill(f"{path}/records/4", path, **{"cell:1": "Peg", "cell:0": "A4"})
    clerk.gate.shop.work()
    item = clerk.gate.shop.store.item(clerk.merchant, Kind.PRODUCT, "products", "A4")
    assert item is not None
    assert orjson.loads(item.document) == {"id": "A4", "title": "Peg", "price": "1.00 EUR"}
    path = clerk.submit(b'{"sku":"J1","title":"","x":1.50}\n', filename="feed.ndjson")
    bad = clerk.fill(f"{path}/records/1", path, record="{")
    assert (bad.status_code, "not a JSON object" in bad.text) == (400, True)
    clerk.fill(f"{path}/records/1", path, record='{"sku":"J1","title":"Tarp","x":1.50}')
    clerk.gate.shop.work()
    item = clerk.gate.shop.store.item(clerk.merchant, Kind.PRODUCT, "products", "J1")
    assert item is not None
    assert b'"x":1.50' in item.document


def test_an_edit_that_comes_too_late_is_shown_and_can_be_sent_again(clerk: Person) -> None:
    """If the record was corrected by somebody else, or accepted: the page has the typed values, and nothing is sent."""
    path = clerk.submit(b"sku,title,price\nA1,,x\nA2,,y\n")
    version = re.findall(r'name="version" value="(\w+)"', clerk.get(f"{path}/records").text)[0]
    clerk.fill(f"{path}/records/1", path, **{"cell:1": "theirs"})
    clerk.gate.shop.work()
    late = clerk.fill(f"{path}/records/1", path, **{"cell:1": "<mine>", "cell:2": "1.00 EUR", "version": version})
    assert late.status_code == 409
    assert 'name="cell:1" value="&lt;mine&gt;"' in late.text
    assert "Somebody else has corrected this record since the page was loaded." in text_of(late.text)
    assert "now: theirs" in text_of(late.text)
    now = re.findall(r'name="version" value="(\w+)"', late.text)[0]
    clerk.fill(f"{path}/records/1", path, **{"cell:1": "<mine>", "cell:2": "1.00 EUR", "version": now})
    clerk.gate.shop.work()
    assert clerk.gate.shop.items(merchant=clerk.merchant)["A1"] == {"id": "A1", "title": "<mine>", "price": "1.00 EUR"}
    gone = clerk.fill(f"{path}/records/1", path, **{"cell:1": "again", "version": now})
    assert (gone.status_code, 'value="again"' in gone.text, "Save and revalidate" in gone.text) == (409, True, False)
    path = clerk.submit(b'{"sku":"J1"}\n', filename="feed.ndjson")
    json = clerk.fill(f"{path}/records/1", path, record='{"sku":"J1","title":"Tarp"}', version="0")
    assert (json.status_code, "Tarp" in json.text) == (409, True)
