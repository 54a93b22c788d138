"""Files that are wrong as a whole: none ends clean, each says what to do, and none proves that an item is absent."""

import gzip
import io
import zipfile
from typing import Any

import pytest

from goodsgate.cli.errors import ExitCode
from goodsgate.cli.output import exit_code
from goodsgate.model.batch import Outcome, State
from goodsgate.model.remedies import REMEDIES
from tests.factories import products
from tests.shop import Shop

ROWS = b"sku,title\n" + b"".join(b"N%d,Cup\n" % number for number in range(300))
HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


def archive(*files: tuple[str, bytes]) -> bytes:
    """Return a ZIP archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in files:
            file.writestr(name, text)
    return content.getvalue()


FILES: dict[str, tuple[bytes, str, dict[str, Any], str]] = {
    "blank lines": (b"\n\n", "csv", {}, "payload_empty"),
    "a header alone": (b"sku,title\n", "csv", {}, "payload_empty"),
    "a header without an end": (b"sku,title", "csv", {}, "payload_empty"),
    "no objects": (b"[]", "json", {}, "payload_empty"),
    "a wrapper without objects": (b'{"items":[]}', "json", {}, "payload_empty"),
    "null": (b"null", "json", {}, "payload_corrupt"),
    "an error as JSON": (b'{"error":"not found"}', "json", {}, "sku_missing"),
    "no elements": (b"<items/>", "xml", {}, "sku_missing"),
    "a page as CSV": (HTML, "csv", {}, "payload_html"),
    "a page as JSON lines": (HTML, "ndjson", {}, "line_unreadable"),
    "a page as JSON": (HTML, "json", {}, "payload_corrupt"),
    "a page as XML": (HTML, "xml", {}, "payload_corrupt"),
    "a page as a workbook": (HTML, "xlsx", {}, "payload_corrupt"),
    "a sentence": (b"Service unavailable\nplease retry\n", "csv", {}, "header_key_missing"),
    "gzip without an end": (gzip.compress(ROWS)[:-30], "csv", {"content_encoding": "gzip"}, "payload_truncated"),
    "no gzip": (ROWS, "csv", {"content_encoding": "gzip"}, "payload_corrupt"),
    "JSON without an end": (b'[{"id":"N","title":"x"},{"id":"M","ti', "json", {}, "payload_truncated"),
    "a line without an end": (b'{"id":"N","title":"x"}\n{"id":"M","ti', "ndjson", {}, "line_unreadable"),
    "XML without an end": (b"<p><item><id>N</id><title>x</title></item><item>", "xml", {}, "payload_truncated"),
    "UTF-8 under another name": ("sku,title\nN,Käse\n".encode(), "csv", {"encoding": "cp1252"}, "encoding_uncertain"),
    "an uncertain charset": (b"sku,title\nN,Kr\xe1l\n", "csv", {}, "encoding_uncertain"),
    "no UTF-8 under its name": (b"sku,title\nN,Kr\xe1l\n", "csv", {"encoding": "utf-8"}, "encoding_broken"),
    "bytes": (bytes(range(256)) * 9, "csv", {}, "encoding_uncertain"),
    "a row of other length": (b"sku,title\nN,Cup,9\nM,Mug\n", "csv", {}, "row_ragged"),
    "an open quotation mark": (b'sku,title\nN,"Cup\nM,Mug\n', "csv", {}, "quotes_broken"),
    "two keys": (b"id,sku,title\n1,N,Cup\n", "csv", {}, "header_key_ambiguous"),
    "no key": (b"foo,title\n1,Cup\n", "csv", {}, "header_key_missing"),
    "two currencies": (b"sku,title,price_usd,price_eur\nN,Cup,1,2\n", "csv", {}, "header_currency_ambiguous"),
    "a mapped column that is not there": (ROWS, "csv", {"mapping": {"x": ["id"]}}, "map_column_missing"),
    "a workbook that is damaged": (b"PK\x03\x04garbage", "xlsx", {}, "payload_truncated"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "xlsx", {}, "payload_corrupt"),
    "two tables": (archive(("a.csv", ROWS), ("b.csv", ROWS)), "csv", {"content_encoding": "zip"}, "archive_ambiguous"),
    "an empty archive": (archive(), "csv", {"content_encoding": "zip"}, "payload_corrupt"),
    "a PDF": (b"%PDF-1.4 x", "csv", {}, "payload_corrupt"),
}


@pytest.mark.parametrize(("body", "format", "how", "code"), FILES.values(), ids=FILES)
def test_a_wrong_file_is_never_clean_and_deletes_nothing(
    shop: Shop, body: bytes, format: str, how: dict[str, Any], code: str
) -> None:
    """Also as a full feed that may delete everything; the command line exits with another code than 0."""
    held = products(1, 2)
    shop.run(held)
    batch = shop.run(body, format=format, mode="full", delete_share_max=1.0, **how)
    issues = [each for finding in shop.findings(batch.id) for each in finding.issues if each.severity == "error"]
    assert code in [each.code for each in issues]
    assert all(each.message and REMEDIES[each.code] for each in issues)
    assert batch.outcome is not Outcome.CLEAN
    document = {"state": batch.state, "outcome": batch.outcome, "withheld": batch.withheld}
    assert exit_code(document) is not ExitCode.CLEAN
    assert batch.withheld is not None or batch.state is State.BROKEN
    assert batch.counts.deleted == 0
    assert {each["id"] for each in held} <= shop.items().keys()


def test_two_full_feeds_and_a_fix_delete_what_the_last_of_them_lacks(shop: Shop) -> None:
    """Feeds that wait together are worked in order; a fix of the first one brings back nothing that is newer."""
    shop.run(products(1, 2, 3))
    first = shop.send([*products(1), {"id": "SKU-0002"}], mode="full", delete_share_max=1.0)
    second = shop.send(products(1, 4), mode="full", delete_share_max=1.0)
    shop.work()
    assert [shop.engine.batch("acme", each).counts.deleted for each in (first, second)] == [1, 1]
    assert sorted(shop.items()) == ["SKU-0001", "SKU-0004"]
    shop.fix(first, b'{"_row":2,"id":"SKU-0004","title":"Older"}\n', format="ndjson")
    shop.work()
    assert shop.items()["SKU-0004"] == products(4)[0]
    assert shop.codes(first) == {2: ["item_newer"]}
    assert shop.engine.batch("acme", first).outcome is Outcome.CLEAN
