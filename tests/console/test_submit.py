"""Preview, mapping, validation and submission of a file."""

import gzip
import re

import msgspec
import pytest

from goodsgate.engine.saved_profiles import SavedProfile, saved_profiles
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.store.contract import BatchFilter
from tests.console.conftest import Person, text_of
from tests.formats.hostile_workbooks import entities, long_string

FEED = b"Kennung,Name,Betrag,Ton\nA1,Shoe,12.50,red\nA2,Tent,9.99,green\n"


def preview(clerk: Person, content: bytes, **fields: str) -> str:
    """Return the preview of a file."""
    fields = {"whole": "true", "bytes": str(len(content)), **fields}
    answer = clerk.drop(f"{clerk.base}/submit/preview", content, **fields)
    assert answer.status_code == 200, answer.text
    return answer.text


def selected_option(page: str, column: str) -> str:
    """Return the selected option in the field list of a column."""
    match = re.search(rf'<select name="map:{column}".*?</select>', page, re.S)
    assert match is not None, page
    options = re.findall(r"<option( selected)?(?: value=\"([^\"]*)\")?( selected)?>([^<]*)", match[0])
    return next((text for one, _, two, text in options if one or two), options[0][3])


@pytest.mark.parametrize(("content", "name", "format", "charset"), [
    (FEED, "a.csv", "CSV", "UTF-8"),
    (FEED.replace(b",", b"\t"), "a.txt", "TSV", "UTF-8"),
    (gzip.compress(FEED, mtime=0), "a.csv.gz", "CSV", "UTF-8"),
    ("sku,title\nA,Größe\n".encode("cp1252"), "a.csv", "CSV", "Windows-1252"),
    ("sku,title\nA,Größe\n".encode("utf-16"), "a.csv", "CSV", "UTF-16"),
    (b'[{"sku":"A","title":"x"}]', "a.json", "JSON", "UTF-8"),
    (b'{"sku":"A","title":"x"}\n{"sku":"B"}\n', "a.ndjson", "NDJSON", "UTF-8"),
    (b"<r><item><sku>A</sku></item><item><sku>B</sku></item></r>", "a.xml", "XML", "UTF-8"),
])
def test_the_format_of_a_file_is_detected(clerk: Person, content: bytes, name: str, format: str, charset: str) -> None:
    """The preview shows format, compression and encoding, and nothing is submitted."""
    page = text_of(preview(clerk, content, filename=name))
    assert f"Format {format}" in page
    assert f"Encoding {charset}" in page
    assert ("compressed with gzip" in page) is name.endswith(".gz")
    assert clerk.gate.shop.store.batches(clerk.merchant, BatchFilter()).rows == []


def test_the_start_of_a_file_is_enough_for_a_preview(clerk: Person) -> None:
    """A record that is cut off at the end of the preview is not reported."""
    page = text_of(preview(clerk, FEED[:-4], filename="a.csv", whole="false", bytes="1000000"))
    assert "in the first 1 record " in page
    assert "Size 977 KB" in page
    packed = gzip.compress(b"sku,title\n" + b"".join(b"%d,%d\n" % (n, n * n * n) for n in range(40_000)))
    page = text_of(preview(clerk, packed[: len(packed) // 2], filename="a.csv.gz", whole="false"))
    assert "in the first 200 records" in page
    assert "breaks off" not in page


def test_the_preview_shows_what_becomes_of_the_first_records(clerk: Person) -> None:
    """They follow the options of the form; fields that every record needs come first, and nothing is kept."""
    feed = b"Handle,Variant SKU,Title,Variant Price,Option1 Name,Option1 Value\ncap,C-1,Cap,9.90,Color,Red\n"
    page = preview(clerk, feed, filename="export.csv")
    assert "profile <strong>shopify</strong>" in page
    assert "1 rejected" in text_of(page)
    page = preview(clerk, feed, filename="export.csv", currency="EUR")
    assert "1 created" in text_of(page)
    assert "&#34;price&#34;: &#34;9.90 EUR&#34;" in page
    assert page.index('<optgroup label="Every record needs"><option>id<') < page.index("<option>brand<")
    assert clerk.gate.shop.store.batches(clerk.merchant, BatchFilter()).rows == []
    refused = clerk.drop(f"{clerk.base}/submit/preview", feed, filename="export.csv", whole="true", currency="eur")
    assert refused.status_code == 400
    assert "three capital letters" in refused.text


def test_an_xlsx_file_is_previewed_completely(clerk: Person) -> None:
    """Its directory is at its end."""
    path = clerk.submit(b"sku,title\nA,Tent\nB,\n")
    report = clerk.get(f"{path}/report", params={"format": "xlsx"}).content
    page = preview(clerk, report, filename="report.xlsx")
    assert "Format XLSX" in text_of(page)
    assert selected_option(page, "sku") == "id (detected)"


def test_columns_are_mapped_and_saved_as_a_profile(clerk: Person) -> None:
    """Unrecognized columns can be mapped; the next file of this kind is recognized, or read otherwise on request."""
    page = preview(clerk, FEED, filename="a.csv")
    assert "No SKU column found" in page
    assert selected_option(page, "Kennung") == "Unrecognized, stored unchanged"
    assert selected_option(page, "Name") == "title (detected)"
    by_hand = {"map:Kennung": "id", "map:Betrag": "price", "map:Ton": "-", "filename": "a.csv", "currency": "EUR"}
    page = preview(clerk, FEED, **by_hand)
    assert "No SKU column" not in page
    fields = [selected_option(page, column) for column in ("Kennung", "Betrag", "Ton")]
    assert fields == ["id", "price", "Store unchecked"]
    saved = clerk.drop(f"{clerk.base}/submit/profile", FEED, **by_hand, save_as="erp", empty_words="n/a, -")
    assert "Saved as profile <strong>erp</strong>" in saved.text
    assert saved_profiles(clerk.gate.shop.store, clerk.merchant) == {"erp": SavedProfile(
        header=("Kennung", "Name", "Betrag", "Ton"), map={"Kennung": ["id"], "Betrag": ["price"], "Ton": []},
        delimiter="comma", currency="EUR", empty_words=("n/a", "-"),
    )}
    page = preview(clerk, FEED, filename="b.csv")
    assert "profile <strong>erp</strong> <small class=\"quiet\">saved" in page
    assert selected_option(page, "Kennung") == "id"
    page = preview(clerk, FEED, filename="b.csv", profile="generic", mapped_with="erp", **{"map:Kennung": "id"})
    assert selected_option(page, "Kennung") == "Unrecognized, stored unchanged", "it was chosen for another profile"
    page = preview(clerk, FEED, filename="b.csv", mapped_with="erp", **{"map:Kennung": "mpn"})
    assert selected_option(page, "Kennung") == "mpn"
    path = clerk.submit(FEED, filename="b.csv", mapped_with="erp")
    assert "2 created" in text_of(clerk.get(path).text)
    path = clerk.submit(FEED, filename="b.csv", mapped_with="erp", **{"map:Kennung": "", "map:Name": "id"})
    assert '2 records lack "title"' in text_of(clerk.get(path).text)


def test_a_validation_preview_changes_nothing(clerk: Person) -> None:
    """The file is validated against the current catalogue and reference data."""
    store = clerk.gate.shop.store
    clerk.submit(b"sku,title\nA1,Shoe\nA2,Tent\n")
    store.put_reference(clerk.merchant, "brand", [ReferenceEntry(code="Acme")])
    feed = b"sku,title,brand\nA1,Shoe,\nA2,Tarp,\nA3,Lamp,Other\nA5,Lamp,Acme\nA4,,\n"
    before = store.batches(clerk.merchant, BatchFilter()).rows
    answer = clerk.drop(f"{clerk.base}/submit/validate", feed, filename="a.csv", references="refuse")
    page = text_of(answer.text)
    for text in ("1 created", "1 updated", "1 unchanged", "2 rejected", 'Unknown brand "Other"', "title is missing"):
        assert text in page
    assert store.batches(clerk.merchant, BatchFilter()).rows == before
    assert store.item(clerk.merchant, Kind.PRODUCT, "products", "A3") is None


def test_every_option_reaches_the_batch(clerk: Person) -> None:
    """The batch has the kind, collection, label and policy of the form."""
    options = {
        "kind": "price", "collection": "summer", "label": "prices of june", "verb": "update", "decimal": "comma",
        "currency": "EUR", "duplicates": "reject", "references": "off",
        "replace": "true", "empty": "clear",
    }
    path = clerk.submit(b"sku;price\nA;12,50\n", **options)
    batch = clerk.gate.shop.store.batch(clerk.merchant, path.rpartition("/")[2])
    assert batch is not None
    assert (batch.kind, batch.collection, batch.label, batch.protocol) == ("price", "summer", "prices of june",
        "console")
    policy = msgspec.to_builtins(batch.policy)
    assert policy.pop("mapping", {}) == {}
    expected = {name: value for name, value in options.items() if name not in ("kind", "collection", "label")}
    assert policy == {**expected, "replace": True}


@pytest.mark.parametrize("wrong", [
    {"kind": "x"}, {"collection": "../x"}, {"verb": "x"}, {"currency": "euro"}, {"profile": "nothing"},
    {"mode": "full", "verb": "update"}, {"format": "pdf"}, {"duplicates": "x"},
])
def test_invalid_options_are_refused(clerk: Person, wrong: dict[str, str]) -> None:
    """No batch is created."""
    answer = clerk.drop(f"{clerk.base}/submit", FEED, **{"filename": "a.csv", **wrong})
    assert answer.status_code in (400, 404, 415)
    assert "<html" not in answer.text
    assert clerk.gate.shop.store.batches(clerk.merchant, BatchFilter()).rows == []


@pytest.mark.parametrize("name", ["", "a/b", "shopify"])
def test_a_profile_needs_a_name_of_its_own(clerk: Person, name: str) -> None:
    """Not one with other characters, nor that of a profile that comes with Goodsgate."""
    assert clerk.drop(f"{clerk.base}/submit/profile", FEED, filename="a.csv", save_as=name).status_code == 400
    assert saved_profiles(clerk.gate.shop.store, clerk.merchant) == {}


@pytest.mark.parametrize("body", [b"", b"no line", b"[]\nx", b'{"a":1}\nx', b"{}\n"])
def test_an_upload_without_form_fields_is_refused(clerk: Person, body: bytes) -> None:
    """An empty file is refused as well."""
    token = re.search(r'data-csrf="([0-9a-f]+)"', clerk.get("/console/batches").text)
    assert token is not None
    for path in ("", "/preview", "/validate", "/profile"):
        answer = clerk.post(f"{clerk.base}/submit{path}", content=body, headers={"x-csrf": token[1]})
        assert answer.status_code == 400


def test_a_large_file_is_streamed(clerk: Person) -> None:
    """The stored payload is the file without the form fields."""
    rows = b"".join(b"K%d,Tent number %d\n" % (number, number) for number in range(120_000))
    path = clerk.drop(f"{clerk.base}/submit", b"sku,title\n" + rows, filename="large.csv").headers["x-location"]
    id = path.rpartition("/")[2]
    kept = clerk.gate.shop.store.payload(clerk.merchant, id, 0)
    assert kept is not None
    assert b"".join(kept) == b"sku,title\n" + rows
    clerk.gate.shop.store.cancel(clerk.merchant, id)
    clerk.gate.shop.work()


def test_the_preview_of_a_hostile_workbook_says_what_to_do(clerk: Person) -> None:
    """Entities are refused; of five kilobytes that would need 8 GB the first rows are shown."""
    assert "a document type declaration is not allowed" in text_of(preview(clerk, entities(), filename="a.xlsx"))
    assert "Columns 2" in text_of(preview(clerk, long_string(), filename="a.xlsx"))
