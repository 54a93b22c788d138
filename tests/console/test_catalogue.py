"""Catalogue and reference data."""

import re

import pytest

from goodsgate.engine import search
from goodsgate.model.catalogue import ReferenceEntry
from tests.console.conftest import Person, text_of

PRODUCTS = b"sku,title,ean\nA1,Trail shoe,4006381333931\nA2,Zelt \xc3\x84tna,\nA3,Lamp,\n"
CATEGORIES = b"code,name,parent\nroot,Root,\nleaf,Leaf,root\n"
LOST = ReferenceEntry(code="lost", name="Lost", parent="nobody")
RING = ReferenceEntry(code="ring", name="Ring", parent="ring")
"""As an earlier version or another program stored them."""


def test_collections_and_their_items_are_listed(clerk: Person) -> None:
    """Collections show their number of items; items are listed by key."""
    clerk.submit(PRODUCTS)
    clerk.submit(b"sku,quantity,location\nA1,5,berlin\n", kind="stock")
    page = text_of(clerk.get(f"{clerk.base}/catalogue").text)
    assert "products 3 product items" in page
    assert "products 1 stock item" in page
    page = text_of(clerk.get(f"{clerk.base}/catalogue/product/products").text)
    assert "A1 Trail shoe 4006381333931" in page
    assert "A1@berlin 5" in text_of(clerk.get(f"{clerk.base}/catalogue/stock/products").text)


@pytest.mark.parametrize(("text", "key"), [
    ("A1", "A1"), ("a1", "A1"), ("trail SHOE", "A1"), ("33393", "A1"), ("ätna", "A2"), ("lamp", "A3"), ("xyz", ""),
])
def test_items_are_found_by_sku_gtin_and_title(clerk: Person, text: str, key: str) -> None:
    """Any part of the text matches, in upper or lower case, beyond ASCII too."""
    clerk.submit(PRODUCTS)
    page = clerk.get(f"{clerk.base}/catalogue/product/products", params={"q": text}).text
    assert re.findall(r"/item\?key=(\w+)", page) == ([key] if key else [])


def test_a_search_continues_where_it_stopped(clerk: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each response searches some items, until all were searched."""
    monkeypatch.setattr(search, "ITEMS_AT_ONCE", 20)
    monkeypatch.setattr(search, "RESULTS_MAX", 3)
    rows = b"".join(b"K%03d,%s\n" % (number, b"Tent" if number % 25 == 0 else b"Rope") for number in range(200))
    clerk.submit(b"sku,title\n" + rows)
    keys, link = [], f"{clerk.base}/catalogue/product/products?q=tent"
    while link:
        page = clerk.get(link, headers={"hx-request": "true"}).text
        keys += re.findall(r"/item\?key=(\w+)", page)
        next_link = re.search(r'hx-get="([^"]+)"', page)
        link = next_link[1].replace("&amp;", "&") if next_link else ""
    assert keys == [f"K{number:03d}" for number in range(0, 200, 25)]


def test_words_are_found_by_the_index_and_parts_of_words_one_by_one(clerk: Person) -> None:
    """Further pages stay with the way that has found the first one."""
    rows = b"".join(b"K%03d,Tents %d\n" % (number, number) for number in range(60))
    clerk.submit(b"sku,title\n" + rows)
    path = f"{clerk.base}/catalogue/product/products"
    for text, in_link in (("tent", False), ("ents", True)):
        page = clerk.get(path, params={"q": text}).text
        assert len(re.findall(r"/item\?key=(\w+)", page)) == 50
        next_link = re.search(r'hx-get="([^"]+)"', page)
        assert next_link is not None
        assert ("in=anywhere" in next_link[1]) == in_link
        page = clerk.get(next_link[1].replace("&amp;", "&"), headers={"hx-request": "true"}).text
        assert re.findall(r"/item\?key=(\w+)", page) == [f"K{number:03d}" for number in range(50, 60)]


def test_a_search_may_have_filters(clerk: Person) -> None:
    """They are typed with their names, alone or beside words."""
    clerk.submit(b"sku,title,brand,ean\nA1,Shoe,Nordic Trail,4006381333931\nA2,Tent,Nordic Trail,\nB1,Shoe,Other,\n")
    path = f"{clerk.base}/catalogue/product/products"
    for text, keys in (
        ('brand:"nordic trail"', ["A1", "A2"]), ("brand:NordicTrail shoe", ["A1"]), ("gtin:4006381333931", ["A1"]),
        ("key:B", ["B1"]), ("since:2020-01-01 tent", ["A2"]), ("since:2999-01-01", []), ("color:red", []),
    ):
        page = clerk.get(path, params={"q": text}).text
        assert re.findall(r"/item\?key=(\w+)", page) == keys, text


def test_an_item_shows_its_record_price_stock_and_issue_history(clerk: Person) -> None:
    """Price and stock are shown by location, each with the batch that last changed it."""
    clerk.submit(b"sku,title,ean\nA1,Trail shoe,1234\n", filename="bad.csv")
    clerk.submit(PRODUCTS, filename="spring.csv")
    clerk.submit(b"sku,price,location\nA1,9.99 EUR,\nA1,8.99 EUR,berlin\n", kind="price", filename="prices.csv")
    clerk.submit(b"sku,quantity,location\nA1,5,berlin\nA10,7,berlin\n", kind="stock", filename="stock.csv")
    page = clerk.get(f"{clerk.base}/catalogue/product/products/item", params={"key": "A1"}).text
    content = text_of(page)
    assert "all locations 9.99 EUR prices.csv" in content
    assert "berlin 8.99 EUR prices.csv" in content
    assert "berlin 5 stock.csv" in content
    assert "Last changed by spring.csv" in content
    assert re.search(r"Issue history bad\.csv .* record 1 ✕ rejected ✕ error GTIN 1234", content)
    stock = clerk.get(f"{clerk.base}/catalogue/stock/products/item", params={"key": "A1\x1fberlin"}).text
    assert "berlin 5 stock.csv" in text_of(stock)
    assert clerk.get(f"{clerk.base}/catalogue/product/products/item", params={"key": "none"}).status_code == 404


def test_an_item_shows_its_versions_as_they_were_submitted(clerk: Person) -> None:
    """A time is a time; groups of fields are named if their versions differ."""
    path = f"{clerk.base}/catalogue/product/products/item?key=A1"
    clerk.submit(b"sku,title,observed_at\nA1,Lamp,2026-01-01T12:00:00Z\n")
    assert "version 2026-01-01T12:00:00Z" in text_of(clerk.get(path).text)
    clerk.submit(b"sku,title,price,observed_at\nA1,Lamp,9.00 EUR,2026-01-01T11:00:00Z\n")
    page = text_of(clerk.get(path).text)
    assert "version 2026-01-01T11:00:00Z (price), none (availability), 2026-01-01T12:00:00Z (content)" in page


def test_reference_data_is_loaded_and_browsed_as_a_tree(clerk: Person) -> None:
    """Entries with a missing parent are at the top, and so is an entry that is its own parent."""
    path = f"{clerk.base}/reference/category"
    assert "Records are not checked against this kind" in clerk.get(path).text
    answer = clerk.drop(path, CATEGORIES, filename="categories.csv")
    assert (answer.status_code, answer.headers["x-location"]) == (202, path)
    clerk.gate.shop.store.put_reference(clerk.merchant, "category", [LOST, RING])
    page = clerk.get(path).text
    assert re.search(r"<summary>Root</summary>.*?<ul class=\"tree\"><li>Leaf", page, re.S)
    assert "Lost" in page
    assert "Ring" in page
    results = text_of(clerk.get(path, params={"q": "LEAF"}).text)
    assert "leaf Leaf root" in results
    replaced = clerk.drop(path, b"code\nonly\n", filename="c.csv", replace="yes")
    assert replaced.status_code == 202
    assert [entry.code for entry in clerk.gate.shop.store.reference(clerk.merchant, "category").rows] == ["only"]


def test_an_invalid_reference_file_changes_nothing(clerk: Person) -> None:
    """Every problem is reported with its line."""
    answer = clerk.drop(f"{clerk.base}/reference/attribute", b"code,minimum\na/b,x\n", filename="a.csv")
    assert (answer.status_code, "Line 2: minimum is not a number" in answer.text) == (422, True)
    answer = clerk.drop(f"{clerk.base}/reference/category", b"code,parent\na,b\nb,a\n", filename="a.csv")
    assert (answer.status_code, "the parents form a cycle: a → b → a" in answer.text) == (422, True)
    assert clerk.drop(f"{clerk.base}/reference/currency", b"code\nX\n", filename="a.csv").status_code == 409
    assert clerk.drop(f"{clerk.base}/reference/nothing", b"code\nX\n", filename="a.csv").status_code == 404


def test_items_that_use_an_entry_are_listed(clerk: Person) -> None:
    """Only items with the code as a complete value are listed."""
    clerk.submit(b"sku,title,brand\nA1,Shoe,Acme\nA2,Acme tent,Other\nA3,Rope,acme\n")
    page = clerk.get(f"{clerk.base}/reference/brand/usage", params={"code": "Acme"}).text
    assert re.findall(r"/item\?key=(\w+)", page) == ["A1", "A3"]
    assert clerk.get(f"{clerk.base}/reference/brand/usage", params={"code": "A", "in": "x/y"}).status_code == 400


def test_built_in_kinds_are_read_only(clerk: Person) -> None:
    """Their entries are shown, and there is no form to load others."""
    page = clerk.get(f"{clerk.base}/reference/country").text
    assert "Load from a file" not in page
    assert "DE" in page
