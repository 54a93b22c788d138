"""A collection is written to a file from which the gate reads the same items."""

import csv
import io
import sys
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from goodsgate.engine import export as exports
from goodsgate.engine.refusal import Refusal
from goodsgate.formats import FormatOverflowError
from goodsgate.model.batch import Kind
from goodsgate.model.json_text import read_json
from tests.shop import Shop, ndjson

GOOGLE = "{http://base.google.com/ns/1.0}"
ITEMS = [
    {"id": "A", "title": "Mug, \"large\"", "price": "7.90 EUR", "size_type": ["big", "tall"], "x note": "ü;\t|"},
    {"id": "a", "title": "=1+1", "multipack": 3, "additional_image_link": [
        "https://img.example/1.png", "https://img.example/w_300,h_300/2.png"]},
    {"id": "B/1", "title": "<b>&amp;</b>", "attributes": {"fit": "slim", "sizes": ["S", "M"]}, "x note": "a\u2028 0"},
    {"id": "C", "title": "Cup", "gtin": "4006381333931", "availability": "in_stock", "quantity_text": "007"},
]
OTHER = [{"id": "Z", "title": "Odd", "x number": 5, "x object": {"a": [1.50]}}]


def exported(shop: Shop, format: str, *, kind: Kind = Kind.PRODUCT, **how: str) -> bytes:
    """The bytes of an export."""
    return b"".join(shop.engine.export("acme", kind, "products", format=format, **how).pieces)


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pages for a few items."""
    monkeypatch.setattr(exports, "PAGE_ITEMS", 2)


@pytest.mark.parametrize("format", ["ndjson", "json", "csv", "tsv", "xlsx"])
def test_what_is_exported_and_submitted_again_is_unchanged(shop: Shop, format: str) -> None:
    """In every format that the gate reads, for products, prices and stock."""
    stock = [{"id": "A", "location": "north", "quantity": 5}, {"id": "A", "quantity": 2}]
    prices = [{"id": "A", "price": "7.90 EUR", "location": "north"}, {"id": "B", "price": "1.00 EUR"}]
    for kind, records in ((Kind.PRODUCT, ITEMS), (Kind.STOCK, stock), (Kind.PRICE, prices)):
        assert shop.run(records, kind=kind).counts.created == len(records)
        before = shop.items(kind=kind)
        counts = shop.run(exported(shop, format, kind=kind), kind=kind, format=format).counts
        assert (counts.unchanged, counts.accounted) == (len(records), len(records)), (kind, format)
        assert shop.items(kind=kind) == before


def test_a_table_names_what_it_leaves_out(shop: Shop) -> None:
    """A number and an object of unknown members; submitted again, they stay in NDJSON alone."""
    shop.run([*ITEMS, *OTHER])
    report = shop.engine.export("acme", Kind.PRODUCT, "products", format="csv")
    header = b"".join(report.pieces).decode().splitlines()[0]
    assert sorted(report.left_out) == ["x number", "x object"]
    assert header.split(",")[:3] == ["id", "title", "additional_image_link"]
    assert "x note" in header
    assert "x number" not in header
    again = shop.run(exported(shop, "ndjson"))
    assert again.counts.unchanged == len(ITEMS) + 1


def test_an_export_is_continued_after_the_last_item(shop: Shop) -> None:
    """By its SKU, or its SKU and location; items are ordered by key."""
    shop.run(ITEMS)
    shop.run([{"id": "A", "location": place, "quantity": 1} for place in ("n", "s", "w")], kind=Kind.STOCK)
    for kind, names in ((Kind.PRODUCT, ["A", "a", "B/1"]), (Kind.STOCK, ["A@n", "A@s"])):
        lines = exported(shop, "ndjson", kind=kind).splitlines()
        for count, name in enumerate(names, 1):
            assert exported(shop, "ndjson", kind=kind, after=name).splitlines() == lines[count:]
    assert exported(shop, "ndjson", after="C") == b""
    assert shop.engine.export("acme", Kind.PRODUCT, "none", format="json").filename == "none-product.json"


def test_a_feed_for_google_holds_every_field(shop: Shop) -> None:
    """Values escaped, lists repeated, objects nested; unknown members are named."""
    shop.run([*ITEMS, {"id": "D", "title": "Tarp\r\n2", "shipping": {"country": "DE", "price": "4.95 EUR"}}])
    report = shop.engine.export("acme", Kind.PRODUCT, "products", format="google_rss")
    channel = ElementTree.fromstring(b"".join(report.pieces)).find("channel")
    assert channel is not None
    items = {item.findtext(f"{GOOGLE}id"): item for item in channel.findall("item")}
    assert [*items] == ["A", "a", "B/1", "C", "D"]
    assert items["B/1"].findtext(f"{GOOGLE}title") == "<b>&amp;</b>"
    assert items["D"].findtext(f"{GOOGLE}title") == "Tarp\r\n2"
    assert items["D"].findtext(f"{GOOGLE}shipping/{GOOGLE}country") == "DE"
    images = ITEMS[1]["additional_image_link"]
    assert [each.text for each in items["a"].findall(f"{GOOGLE}additional_image_link")] == images
    assert {"x note", "quantity_text"} <= {*report.left_out}


@pytest.mark.parametrize(("format", "title"), [
    ("google_rss", "a\x0bb"), ("google_rss", "\uffff"), ("xlsx", "x" * 33_000),
])
def test_what_a_format_cannot_hold_is_said_before_the_first_byte(shop: Shop, format: str, title: str) -> None:
    """Control characters in XML, long cells in XLSX; the other formats hold them."""
    shop.run([{"id": "A", "title": "Mug"}, {"id": "B", "title": "Mug", "product_detail": title}])
    pieces = shop.engine.export("acme", Kind.PRODUCT, "products", format=format).pieces
    with pytest.raises(FormatOverflowError, match=r"product_detail of item 'B'|32,767 characters"):
        next(filter(None, pieces))


def test_parquet_needs_its_package(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a sentence says how to install it; an unknown format is refused with those that exist."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for format, word in (("parquet", r"goodsgate\[parquet\]"), ("pdf", "google_rss")):
        with pytest.raises(Refusal, match=word) as refused:
            shop.engine.export("acme", Kind.PRODUCT, "products", format=format)
        assert refused.value.code == "parameter_invalid"


def test_parquet_has_the_columns_of_a_table(shop: Shop) -> None:
    """All of them text; what an item does not have is null."""
    parquet = pytest.importorskip("pyarrow.parquet")
    shop.run(ITEMS)
    table = parquet.read_table(io.BytesIO(exported(shop, "parquet")))
    assert table.column("title").to_pylist() == [item["title"] for item in ITEMS]
    assert table.column("multipack").to_pylist() == [None, "3", None, None]


def test_what_changes_meanwhile_does_not_change_the_file(shop: Shop) -> None:
    """The store is read once: the rows are those that were read with the header, and nothing breaks off."""
    shop.run(ITEMS[:3])
    whole = exported(shop, "csv")
    pieces: Iterator[bytes] = iter(shop.engine.export("acme", Kind.PRODUCT, "products", format="csv").pieces)
    assert next(pieces) == b""
    assert next(pieces) == b""
    shop.run(ndjson([{"id": "B/1", "title": "New", "x later": "1"}]))
    assert b"".join(pieces) == whole


@pytest.mark.parametrize(("profile", "format"), [(None, "csv"), ("shopify", "csv"), ("google", "tsv")])
def test_a_table_that_is_continued_has_the_header_of_the_whole(shop: Shop, profile: str | None, format: str) -> None:
    """So that its rows can be added to those that arrived."""
    shop.run([{"id": "A", "title": "Mug", "color": "red"}, {"id": "B", "title": "Cup"}, {"id": "C", "title": "Pot"}])
    how = {"profile": profile} if profile else {}
    header, *rows = exported(shop, format, **how).splitlines()
    assert exported(shop, format, after="A", **how).splitlines() == [header, *rows[1:]]


@pytest.mark.parametrize("format", ["ndjson", "csv"])
def test_an_export_is_one_state_while_others_write(shop: Shop, format: str) -> None:
    """With the changes behind its position it is the collection: nothing is missing, and nothing is there twice."""
    shop.run([{"id": f"M{number}", "title": "Mug"} for number in range(9)])
    report = shop.engine.export("acme", Kind.PRODUCT, "products", format=format)
    pieces = []
    for turn, piece in enumerate(report.pieces):
        pieces.append(piece)
        if turn < 3:
            shop.run([{"id": "M8", "title": f"Cup {turn}"}, {"id": f"N{turn}", "title": "Pot"}])
    copy = _titles(b"".join(pieces), format)
    assert copy == {f"M{number}": "Mug" for number in range(9)}
    (position,) = report.positions
    page = shop.store.changes("acme", after=position)
    assert len(page.changes) == 6
    for change in page.changes:
        assert change.after is not None
        copy[change.key] = read_json(change.after.document)["title"]
    assert copy == _titles(exported(shop, format), format)


def _titles(content: bytes, format: str) -> dict[str, str]:
    """Return title by key of an exported file."""
    lines = content.decode().splitlines()
    rows = csv.DictReader(lines) if format == "csv" else map(read_json, lines)
    return {row["id"]: row["title"] for row in rows}
