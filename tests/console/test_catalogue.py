"""What is held and what rules look up."""

import re

import pytest

from goodsgate.engine import search
from tests.console.conftest import Person, text_of

PRODUCTS = b"sku,title,ean\nA1,Trail shoe,4006381333931\nA2,Zelt \xc3\x84tna,\nA3,Lamp,\n"
BRANDS = b"code,name,parent\nroot,Root,\nleaf,Leaf,root\nlost,Lost,nobody\nring,Ring,ring\n"


def test_collections_and_their_items(clerk: Person) -> None:
    """Counted, listed by key."""
    clerk.submit(PRODUCTS)
    clerk.submit(b"sku,quantity,location\nA1,5,berlin\n", kind="stock")
    page = text_of(clerk.get(f"{clerk.base}/catalogue").text)
    assert "products 3 product items" in page
    assert "products 1 stock items" in page
    page = text_of(clerk.get(f"{clerk.base}/catalogue/product/products").text)
    assert "A1 Trail shoe 4006381333931" in page
    assert "A1@berlin 5" in text_of(clerk.get(f"{clerk.base}/catalogue/stock/products").text)


@pytest.mark.parametrize(("text", "found"), [
    ("A1", "A1"), ("a1", "A1"), ("trail SHOE", "A1"), ("33393", "A1"), ("ätna", "A2"), ("lamp", "A3"), ("xyz", ""),
])
def test_items_are_found_by_sku_gtin_and_title(clerk: Person, text: str, found: str) -> None:
    """Any part of them, whatever the case, beyond ASCII too."""
    clerk.submit(PRODUCTS)
    page = clerk.get(f"{clerk.base}/catalogue/product/products", params={"q": text}).text
    assert re.findall(r"/item\?key=(\w+)", page) == ([found] if found else [])


def test_a_search_goes_on_from_where_it_stopped(clerk: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stretch at a time, until everything was seen."""
    monkeypatch.setattr(search, "ITEMS_AT_ONCE", 20)
    monkeypatch.setattr(search, "RESULTS_MAX", 3)
    rows = b"".join(b"K%03d,%s\n" % (number, b"Tent" if number % 25 == 0 else b"Rope") for number in range(200))
    clerk.submit(b"sku,title\n" + rows)
    found, link = [], f"{clerk.base}/catalogue/product/products?q=tent"
    while link:
        page = clerk.get(link, headers={"hx-request": "true"}).text
        found += re.findall(r"/item\?key=(\w+)", page)
        onward = re.search(r'hx-get="([^"]+)"', page)
        link = onward[1].replace("&amp;", "&") if onward else ""
    assert found == [f"K{number:03d}" for number in range(0, 200, 25)]


def test_an_item_shows_what_is_held_of_it_and_who_wrote_it(clerk: Person) -> None:
    """Its price and stock by location, the batch of each, and the issues it ever had."""
    clerk.submit(b"sku,title,ean\nA1,Trail shoe,1234\n", filename="bad.csv")
    clerk.submit(PRODUCTS, filename="spring.csv")
    clerk.submit(b"sku,price,location\nA1,9.99 EUR,\nA1,8.99 EUR,berlin\n", kind="price", filename="prices.csv")
    clerk.submit(b"sku,quantity,location\nA1,5,berlin\nA10,7,berlin\n", kind="stock", filename="stock.csv")
    page = clerk.get(f"{clerk.base}/catalogue/product/products/item", params={"key": "A1"}).text
    told = text_of(page)
    assert "all locations 9.99 EUR prices.csv" in told
    assert "berlin 8.99 EUR prices.csv" in told
    assert "berlin 5 stock.csv" in told
    assert "Last changed by spring.csv" in told
    assert re.search(r"Issue history bad\.csv .* record 1 ✕ rejected ✕ error GTIN 1234", told)
    stock = clerk.get(f"{clerk.base}/catalogue/stock/products/item", params={"key": "A1\x1fberlin"}).text
    assert "berlin 5 stock.csv" in text_of(stock)
    assert clerk.get(f"{clerk.base}/catalogue/product/products/item", params={"key": "none"}).status_code == 404


def test_reference_data_is_loaded_and_browsed_as_a_tree(clerk: Person) -> None:
    """What has no parent that is there stands at the top, even what is its own."""
    path = f"{clerk.base}/reference/category"
    assert "Records are not checked against this kind" in clerk.get(path).text
    answer = clerk.drop(path, BRANDS, filename="categories.csv")
    assert (answer.status_code, answer.headers["x-location"]) == (202, path)
    page = clerk.get(path).text
    assert re.search(r"<summary>Root</summary>.*?<ul class=\"tree\"><li>Leaf", page, re.S)
    assert "Lost" in page
    assert "Ring" in page
    found = text_of(clerk.get(path, params={"q": "LEAF"}).text)
    assert "leaf Leaf root" in found
    replaced = clerk.drop(path, b"code\nonly\n", filename="c.csv", replace="yes")
    assert replaced.status_code == 202
    assert [entry.code for entry in clerk.gate.shop.store.reference(clerk.merchant, "category").rows] == ["only"]


def test_a_reference_file_with_trouble_changes_nothing(clerk: Person) -> None:
    """And each trouble is told with its line."""
    answer = clerk.drop(f"{clerk.base}/reference/attribute", b"code,minimum\na/b,x\n", filename="a.csv")
    assert (answer.status_code, "Line 2: minimum is not a number" in answer.text) == (422, True)
    assert clerk.drop(f"{clerk.base}/reference/currency", b"code\nX\n", filename="a.csv").status_code == 409
    assert clerk.drop(f"{clerk.base}/reference/nothing", b"code\nX\n", filename="a.csv").status_code == 404


def test_what_uses_an_entry(clerk: Person) -> None:
    """Items that have its code as a whole value."""
    clerk.submit(b"sku,title,brand\nA1,Shoe,Acme\nA2,Acme tent,Other\nA3,Rope,acme\n")
    page = clerk.get(f"{clerk.base}/reference/brand/usage", params={"code": "Acme"}).text
    assert re.findall(r"/item\?key=(\w+)", page) == ["A1", "A3"]
    assert clerk.get(f"{clerk.base}/reference/brand/usage", params={"code": "A", "in": "x/y"}).status_code == 400


def test_kinds_that_come_with_the_gate_can_be_looked_at(clerk: Person) -> None:
    """And not loaded."""
    page = clerk.get(f"{clerk.base}/reference/country").text
    assert "Load from a file" not in page
    assert "DE" in page
