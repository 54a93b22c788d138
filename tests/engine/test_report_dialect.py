"""A report is written as the submission was, and comes back unchanged as what was received."""

import csv
import io

import pytest

from goodsgate.formats import write
from goodsgate.model.batch import Outcome
from goodsgate.model.issue import Issue
from tests.shop import Shop

HEADER = ["Artikel", "sku", "title", "Preis", "", "price", "Note", "Note"]
ROWS = [
    ["1", "A", "Größe “M”", "ask", "x", "ask", "n", "m"],
    ["2", "B", "", "1,5", "=1+1", "1 EUR", "'quoted", "-5"],
    ["3", "C", 'Mug, 5"; |large|', "5", " ", "on request", "a\r\nb", "\tc"],
    ["4", "D", "Short"],
    ["5", "E", "Long", "5", "", "1 EUR", "", "", "6", "", "=7"],
    ["6", "F", "Good", "5", "", "1 EUR", "", ""],
    ["7", "G", "Ü\u00a0", "5", "", "1.00 XXQ", "", ""],
]


def table(delimiter: str) -> str:
    """The rows above as text."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows([HEADER, *ROWS])
    return text.getvalue()


def workbook() -> bytes:
    """The rows above as a workbook."""
    return b"".join(write(iter(ROWS), format="xlsx", header=HEADER))


TEXT = table(";")
NDJSON = (
    '{"sku":"A","title":"Größe","price":"ask","x":1.50}\n{"sku":"B","price":"1 EUR"}\n[1]\n{"sku":"C",\n'
    '{"sku":"D","title":"\ud7ff ok","price":"1 EUR"}\n{"sku":"E","title":"x","n":1e400,"price":{"value":"a"}}\n'
)
SUBMISSIONS = [
    ("csv", table(",").encode(), {}), ("csv", TEXT.encode(), {}), ("csv", table("\t").encode(), {}),
    ("csv", TEXT.encode("cp1252"), {"encoding": "cp1252"}), ("csv", TEXT.encode("utf-16"), {}),
    ("csv", TEXT.replace("“M”", "M").encode("iso8859-2", "replace"), {"encoding": "iso8859-2"}),
    ("csv", ("sep=^\r\n" + table("^")).encode(), {}),
    ("tsv", table("\t").encode(), {}), ("xlsx", workbook(), {}), ("ndjson", NDJSON.encode(), {}),
    ("ndjson", NDJSON.encode() + b'{"sku":"F","title":"\xff","price":"ask"}\n', {}),
    ("json", f"[{','.join(line for line in NDJSON.splitlines() if line[-1] == '}')}]".encode(), {}),
]


def rejected(shop: Shop, batch: str) -> list[tuple[int, bytes, list[Issue]]]:
    """The rejected records of a batch as received, with their issues."""
    return [(each.number, each.raw or b"", each.issues) for each in shop.store.rejected_records("acme", batch)]


@pytest.mark.parametrize(("format", "body", "policy"), SUBMISSIONS, ids=range(len(SUBMISSIONS)))
def test_a_report_that_comes_back_unchanged_changes_nothing(
    shop: Shop, format: str, body: bytes, policy: dict[str, object]
) -> None:
    """The same records are rejected, with the same cells and the same issues: ragged rows, broken lines, formulas."""
    batch = shop.run(body, format=format, **policy)
    before = rejected(shop, batch.id)
    groups = shop.engine.groups("acme", batch.id)
    assert len(before) >= 3
    shop.fix(batch.id, shop.report(batch.id), format=format)
    shop.work()
    after = shop.engine.batch("acme", batch.id)
    assert rejected(shop, batch.id) == before
    assert (after.rounds, after.counts, after.columns) == (2, batch.counts, batch.columns)
    assert after.reading == batch.reading
    assert shop.engine.groups("acme", batch.id) == groups


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("cp1252", ";"), ("utf-16", ","), ("utf-8", "\t"), ("cp1250", "|")]
)
def test_a_report_has_encoding_delimiter_and_header_of_the_submission(
    shop: Shop, encoding: str, delimiter: str
) -> None:
    """With every cell of a row that has too many; another format is UTF-8."""
    text = table(delimiter).replace("“M”", "M")
    batch = shop.run(text.encode(encoding), format="csv", **({} if encoding == "utf-8" else {"encoding": encoding}))
    report = shop.report(batch.id)
    header, *rows = list(csv.reader(io.StringIO(report.decode(encoding), newline=""), delimiter=delimiter))
    assert header == [*HEADER, "_row", "_codes", "_messages"]
    by_number = {row[8]: row for row in rows}
    assert by_number["5"][:8] + by_number["5"][11:] == ["5", "E", "Long", "5", "", "1 EUR", "", "", "6", "", "'=7"]
    assert by_number["1"][2] == "Größe M"
    if encoding == "utf-16":
        assert report.startswith((b"\xff\xfe", b"\xfe\xff"))
    assert "Größe M" in shop.report(batch.id, format="ndjson").decode()


def test_a_report_that_was_saved_as_utf8_is_read_as_utf8(shop: Shop) -> None:
    """A spreadsheet may change the encoding, and the delimiter, of what it saves."""
    body = "sku;title;price\r\nA;Größe;ask\r\n".encode("cp1252")
    batch = shop.run(body, format="csv", encoding="cp1252")
    fixed = shop.report(batch.id).decode("cp1252").replace("ask", "1 EUR").replace(";", ",")
    shop.fix(batch.id, fixed.encode(), format="csv")
    shop.work()
    assert shop.engine.batch("acme", batch.id).outcome is Outcome.CLEAN
    assert shop.items()["A"]["title"] == "Größe"  # type: ignore[index]


def test_a_column_that_a_fix_adds_is_mapped_as_in_a_submission(shop: Shop) -> None:
    """By its name and the options of the batch; the next report has it, too."""
    batch = shop.run(b"sku,Name,price\nA,Mug,1\nB,,2\n", format="csv", mapping={"Name": ["title"]}, currency="EUR")
    rows = b"sku,Name,price,_row,EAN,Brand,Colour note\nB,,2,2,4006381333931,Acme,red\n"
    shop.fix(batch.id, rows, format="csv")
    shop.work()
    after = shop.engine.batch("acme", batch.id)
    assert after.columns == ["sku", "Name", "price", "EAN", "Brand", "Colour note"]
    report = shop.report(batch.id)
    assert report.splitlines()[1].startswith(b"B,,2,4006381333931,Acme,red,2,")
    shop.fix(batch.id, report.replace(b"B,,2", b"B,Cup,2"), format="csv")
    shop.work()
    assert shop.engine.batch("acme", batch.id).outcome is Outcome.CLEAN
    item = dict(shop.items()["B"])  # type: ignore[call-overload]
    assert (item["title"], item["gtin"], item["brand"], item["Colour note"]) == ("Cup", "4006381333931", "Acme", "red")


def test_a_repaired_ragged_row_is_accepted(shop: Shop) -> None:
    """Its further cells are moved to their columns, or removed."""
    batch = shop.run(b"sku,title,price\nA,Mug, large,1 EUR\nB,Cup\n", format="csv")
    assert batch.counts.rejected == 2
    header, first, second = shop.report(batch.id).decode().splitlines()
    assert (first.startswith("A,Mug, large,1,row_ragged,"), first.endswith(",1 EUR")) == (True, True)
    first = first.replace("A,Mug, large,", 'A,"Mug, large",1 EUR,').removesuffix(",1 EUR")
    shop.fix(batch.id, "\n".join([header, first, second.replace("B,Cup,", "B,Cup,2 EUR")]).encode(), format="csv")
    shop.work()
    assert shop.engine.batch("acme", batch.id).outcome is Outcome.CLEAN
    assert shop.items()["A"]["title"] == "Mug, large"  # type: ignore[index]


@pytest.mark.parametrize("format", ["xlsx", "ndjson", "json"])
def test_a_ragged_row_that_comes_back_in_another_format_is_not_repaired(shop: Shop, format: str) -> None:
    """Not even where its further cells are not kept."""
    batch = shop.run(b"sku,title,price\nA,Mug, large,1 EUR\nB,Cup\n", format="csv")
    before = rejected(shop, batch.id)
    shop.fix(batch.id, shop.report(batch.id, format=format), format=format)
    shop.work()
    assert rejected(shop, batch.id) == before
