"""A file is recognised, mapped, checked without effect, and sent."""

import gzip
import re

import msgspec
import pytest

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.store.contract import BatchFilter
from tests.console.conftest import Person, text_of

FEED = b"ArtNr,Name,Preis,Farbe\nA1,Shoe,12.50,red\nA2,Tent,9.99,green\n"


def look(clerk: Person, content: bytes, **fields: str) -> str:
    """What the page shows of a file."""
    told = {"whole": "true", "bytes": str(len(content)), **fields}
    answer = clerk.drop(f"{clerk.base}/submit/preview", content, **told)
    assert answer.status_code == 200, answer.text
    return answer.text


def chosen(page: str, column: str) -> str:
    """The choice that a column's field shows."""
    found = re.search(rf'<select name="map:{column}".*?</select>', page, re.S)
    assert found is not None, page
    options = re.findall(r"<option( selected)?(?: value=\"([^\"]*)\")?( selected)?>([^<]*)", found[0])
    return next((text for one, _, two, text in options if one or two), options[0][3])


@pytest.mark.parametrize(("content", "name", "format", "charset"), [
    (FEED, "a.csv", "CSV", "UTF-8"),
    (FEED.replace(b",", b"\t"), "a.txt", "TSV", "UTF-8"),
    (gzip.compress(FEED, mtime=0), "a.csv.gz", "CSV", "UTF-8"),
    ("sku,title\nA,Größe\n".encode("cp1252"), "a.csv", "CSV", "Windows-1252"),
    ("sku,title\nA,Größe\n".encode("utf-16"), "a.csv", "CSV", "UTF-16"),
    (b'[{"sku":"A","title":"x"}]', "a.json", "JSON", "UTF-8"),
    (b'{"sku":"A","title":"x"}\n{"sku":"B"}\n', "a.ndjson", "NDJSON", "UTF-8"),
])
def test_a_file_is_recognised(clerk: Person, content: bytes, name: str, format: str, charset: str) -> None:
    """Format, packing, encoding, columns, and nothing has run."""
    page = text_of(look(clerk, content, filename=name))
    assert f"Format {format}" in page
    assert f"Encoding {charset}" in page
    assert ("compressed with gzip" in page) is name.endswith(".gz")
    assert clerk.gate.shop.store.batches(clerk.merchant, BatchFilter()).rows == []


def test_a_head_is_enough(clerk: Person) -> None:
    """The record that breaks off at its end is nobody's fault."""
    page = text_of(look(clerk, FEED[:-4], filename="a.csv", whole="false", bytes="1000000"))
    assert "in the first 1 record " in page
    assert "Size 977 KB" in page
    packed = gzip.compress(b"sku,title\n" + b"".join(b"%d,%d\n" % (n, n * n * n) for n in range(40_000)))
    page = text_of(look(clerk, packed[: len(packed) // 2], filename="a.csv.gz", whole="false"))
    assert "in the first 200 records" in page
    assert "breaks off" not in page


def test_an_xlsx_is_looked_at_whole(clerk: Person) -> None:
    """It is read from its end."""
    path = clerk.submit(b"sku,title\nA,Tent\nB,\n")
    report = clerk.get(f"{path}/report", params={"format": "xlsx"}).content
    page = look(clerk, report, filename="report.xlsx")
    assert "Format XLSX" in text_of(page)
    assert chosen(page, "sku") == "id (detected)"


def test_columns_are_mapped_by_hand_and_the_mapping_is_saved(clerk: Person) -> None:
    """What is not known is asked; what was saved is offered for the next file."""
    page = look(clerk, FEED, filename="a.csv")
    assert "No SKU column found" in page
    assert chosen(page, "ArtNr") == "Unrecognized, stored unchanged"
    assert chosen(page, "Name") == "title (detected)"
    by_hand = {"map:ArtNr": "id", "map:Preis": "price", "map:Farbe": "-", "filename": "a.csv"}
    page = look(clerk, FEED, **by_hand)
    assert "No SKU column" not in page
    shown = [chosen(page, column) for column in ("ArtNr", "Preis", "Farbe")]
    assert shown == ["id", "price", "Store unchecked"]
    path = clerk.submit(FEED, **by_hand, save_as="erp", currency="EUR")
    assert "✓ clean" in text_of(clerk.get(path).text)
    saved = {"ArtNr": ["id"], "Preis": ["price"], "Farbe": []}
    assert clerk.gate.shop.store.mapping(clerk.merchant, "erp") == saved
    page = look(clerk, FEED, filename="b.csv", mapping="erp", **{"map:ArtNr": ""})
    assert chosen(page, "ArtNr") == "id", "the saved one was chosen anew, so that what was said before is not meant"
    page = look(clerk, FEED, filename="b.csv", mapping="erp", mapped_with="erp", **{"map:ArtNr": "mpn"})
    assert chosen(page, "ArtNr") == "mpn"
    path = clerk.submit(FEED, filename="b.csv", mapping="erp", mapped_with="erp", currency="EUR")
    assert "2 unchanged" in text_of(clerk.get(path).text)


def test_a_check_says_what_would_become_of_the_file(clerk: Person) -> None:
    """Against what is held and the reference data as they are now, and changes neither."""
    store = clerk.gate.shop.store
    clerk.submit(b"sku,title\nA1,Shoe\nA2,Tent\n")
    store.put_reference(clerk.merchant, "brand", [ReferenceEntry(code="Acme")])
    feed = b"sku,title,brand\nA1,Shoe,\nA2,Tarp,\nA3,Lamp,Other\nA3,Lamp,Acme\nA4,,\n"
    before = store.batches(clerk.merchant, BatchFilter()).rows
    answer = clerk.drop(f"{clerk.base}/submit/validate", feed, filename="a.csv", references="refuse")
    page = text_of(answer.text)
    for told in ("1 created", "1 updated", "1 unchanged", "2 rejected", 'Unknown brand "Other"', "title is missing"):
        assert told in page
    assert store.batches(clerk.merchant, BatchFilter()).rows == before
    assert store.item(clerk.merchant, Kind.PRODUCT, "products", "A3") is None


def test_every_setting_reaches_the_batch(clerk: Person) -> None:
    """Kind, collection, label, verb, mode, mark, currency, duplicates, references."""
    told = {
        "kind": "price", "collection": "summer", "label": "prices of june", "verb": "update", "decimal": "comma",
        "currency": "EUR", "duplicates": "refuse", "references": "off",
    }
    path = clerk.submit(b"sku;price\nA;12,50\n", **told)
    batch = clerk.gate.shop.store.batch(clerk.merchant, path.rpartition("/")[2])
    assert batch is not None
    assert (batch.kind, batch.collection, batch.label, batch.protocol) == ("price", "summer", "prices of june",
        "console")
    policy = msgspec.to_builtins(batch.policy)
    assert policy.pop("mapping", {}) == {}
    assert policy == {name: value for name, value in told.items() if name not in ("kind", "collection", "label")}


@pytest.mark.parametrize("wrong", [
    {"kind": "x"}, {"collection": "../x"}, {"verb": "x"}, {"currency": "euro"}, {"mapping": "nothing"},
    {"save_as": "a/b"}, {"mode": "full", "verb": "update"}, {"format": "pdf"}, {"duplicates": "x"},
])
def test_what_cannot_be_meant_is_refused(clerk: Person, wrong: dict[str, str]) -> None:
    """And nothing of it is kept."""
    answer = clerk.drop(f"{clerk.base}/submit", FEED, **{"filename": "a.csv", **wrong})
    assert answer.status_code in (400, 404, 415)
    assert "<html" not in answer.text
    assert clerk.gate.shop.store.batches(clerk.merchant, BatchFilter()).rows == []


@pytest.mark.parametrize("body", [b"", b"no line", b"[]\nx", b'{"a":1}\nx', b"{}\n"])
def test_a_body_without_its_line_is_refused(clerk: Person, body: bytes) -> None:
    """Nor is an empty file one."""
    token = re.search(r'data-csrf="([0-9a-f]+)"', clerk.get("/console/batches").text)
    assert token is not None
    for path in ("", "/preview", "/validate"):
        answer = clerk.post(f"{clerk.base}/submit{path}", content=body, headers={"x-csrf": token[1]})
        assert answer.status_code == 400


def test_a_large_file_is_streamed(clerk: Person) -> None:
    """In pieces, as any submission, with the line before it taken off."""
    rows = b"".join(b"K%d,Tent number %d\n" % (number, number) for number in range(120_000))
    path = clerk.drop(f"{clerk.base}/submit", b"sku,title\n" + rows, filename="large.csv").headers["x-location"]
    id = path.rpartition("/")[2]
    kept = clerk.gate.shop.store.payload(clerk.merchant, id, 0)
    assert kept is not None
    assert b"".join(kept) == b"sku,title\n" + rows
    clerk.gate.shop.store.cancel(clerk.merchant, id)
    clerk.gate.shop.work()
