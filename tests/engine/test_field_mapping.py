"""What columns and members are called, and which fields they become."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from goodsgate.engine.mapping_resolution import resolve_mapping
from goodsgate.engine.settings import CheckLimits
from goodsgate.engine.validator import CheckedChunk, Validator
from goodsgate.formats import Chunk
from goodsgate.model.batch import Kind, Policy, RoundKind, now
from goodsgate.model.fields import FIELDS
from goodsgate.store.contract import ClaimedRound

IssueList = list[tuple[str, str, str | None, str]]


class NoReferenceData:
    """A store of a merchant without reference data."""

    def reference_version(self, merchant: str) -> int:
        """Return 0: there is none."""
        return 0


def table_of(columns: Sequence[str], *rows: Sequence[str]) -> tuple[list[str], Chunk]:
    """Return a header and its rows."""
    return [*columns], Chunk(lines=[], rows=[[*row] for row in rows], source_rows=[*range(len(rows))], bytes_done=0)


def lines_of(*records: dict[str, Any]) -> Chunk:
    """Return JSON records."""
    lines = [orjson.dumps(record) for record in records]
    return Chunk(lines=lines, rows=[], source_rows=[*range(len(lines))], bytes_done=0)


def check(chunk: Chunk, columns: list[str] | None = None, kind: Kind = Kind.PRODUCT, **policy: Any) -> CheckedChunk:
    """Check records as a worker does."""
    given = Policy(**policy)
    mapping, _ = resolve_mapping(kind, given, columns=columns)
    round = ClaimedRound(
        merchant="m", batch="", number=0, round_kind=RoundKind.SUBMISSION, kind=kind, collection="products",
        policy=given, format="csv", content_encoding="identity", bytes_total=0, received_at=now(), started_at=now(),
        cancelling=False, chunks=0, records=0, total=0, columns=None, mapping=None,
    )
    return Validator(NoReferenceData(), CheckLimits(), {}).check(chunk, round, mapping)  # type: ignore[arg-type]


def documents(checked: CheckedChunk) -> list[dict[str, Any]]:
    """Return the documents of a chunk."""
    return [orjson.loads(document) for document in checked.documents]


def issues_at(checked: CheckedChunk, at: int = 0) -> IssueList:
    """Return the issues of a record: code, path, column and severity."""
    return [(each.code, each.path, each.column, each.severity) for each in checked.issues.get(at, ())]


@pytest.mark.parametrize(("columns", "policy", "severity"), [
    (["name-en_US", "name-fr_FR"], {}, "error"),
    (["name", "name-fr_FR"], {}, "warning"),
    (["name-en_US", "name-fr_FR"], {"mapping": {"name-fr_FR": ["title"]}}, "warning"),
    (["price_usd", "price_eur"], {"currency": "EUR"}, "warning"),
    (["price", "price_eur"], {}, "warning"),
])
def test_a_column_that_nobody_has_chosen_is_an_error(columns: list[str], policy: dict[str, Any], severity: str) -> None:
    """The batch is not clean if the first of several languages was used because it stands first."""
    _, found = resolve_mapping(Kind.PRODUCT, Policy(**policy), columns=["id", *columns])
    assert [(each.code, each.severity) for each in found] == [("header_field_repeated", severity)]


@pytest.mark.parametrize(("cell", "urls"), [
    ("https://a.example/1.jpg,https://a.example/2.jpg", ["https://a.example/1.jpg", "https://a.example/2.jpg"]),
    ("https://a.example/w_3,h_3/b.jpg, https://a.example/c.jpg",
     ["https://a.example/w_3,h_3/b.jpg", "https://a.example/c.jpg"]),
    ("https://a.example/1.jpg | HTTP://a.example/2.jpg;", ["https://a.example/1.jpg", "HTTP://a.example/2.jpg"]),
    ("https://a.example/1.jpg\nhttps://a.example/2.jpg", ["https://a.example/1.jpg", "https://a.example/2.jpg"]),
    ("1.jpg, 2.jpg", ["1.jpg", "2.jpg"]),
])
def test_a_cell_of_urls_is_split_where_one_begins(cell: str, urls: list[str]) -> None:
    """A comma inside a URL belongs to it."""
    columns, chunk = table_of(["id", "additional_image_link"], ["A", cell])
    (document,) = documents(check(chunk, columns))
    assert document["additional_image_link"] == urls


HEADERS = {
    "the key is known": (["sku", "title"], {}, {"sku": ["id"]}, []),
    "the gate's own name": (["id", "title"], {}, {}, []),
    "two may be the key": (
        ["ID", "SKU", "Name"], {}, {"ID": [], "SKU": [], "Name": ["title"]},
        [("header_key_ambiguous", "ID, SKU", "SKU:id")],
    ),
    "the own name and another one": (
        ["sku", "id", "title"], {}, {"sku": [], "id": []}, [("header_key_ambiguous", "sku, id", "id:id")],
    ),
    "one is named": (
        ["ID", "SKU"], {"SKU": ["id"]}, {"SKU": ["id"], "ID": []}, [("header_field_repeated", "ID", None)],
    ),
    "the other one is named": (
        ["sku", "id"], {"sku": ["id"]}, {"sku": ["id"], "id": []}, [("header_field_repeated", "id", None)],
    ),
    "two barcodes": (
        ["sku", "upc", "ean"], {}, {"sku": ["id"], "upc": ["gtin"], "ean": ["gtin"]},
        [("header_field_shared", "ean", None)],
    ),
    "two barcodes, one by its own name": (
        ["sku", "ean", "gtin"], {}, {"sku": ["id"], "ean": ["gtin"]}, [("header_field_shared", "gtin", None)],
    ),
    "a currency in a name": (
        ["sku", "Price (EUR)", "sale_price_usd", "color EUR"], {},
        {"sku": ["id"], "Price (EUR)": ["price"], "sale_price_usd": ["sale_price"]},
        [("header_unknown", "color EUR", "color")],
    ),
    "two currencies": (
        ["sku", "price_usd", "price_eur"], {},
        {"sku": ["id"], "price_usd": ["price"], "price_eur": ["price"]},
        [("header_currency_ambiguous", "price_usd, price_eur", None)],
    ),
    "two currencies, one mapped": (
        ["sku", "price_usd", "price_eur"], {"price_eur": ["price"]},
        {"sku": ["id"], "price_usd": [], "price_eur": ["price"]}, [("header_field_repeated", "price_usd", None)],
    ),
    "two languages": (
        ["sku", "name-en_US", "name-fr_FR"], {}, {"sku": ["id"], "name-en_US": ["title"], "name-fr_FR": []},
        [("header_field_repeated", "name-fr_FR", None)],
    ),
    "no key": (["title"], {}, {}, [("header_key_missing", None, None)]),
    "a mapped column that is not there": (
        ["sku", "Titel"], {"titel": ["title"]}, {"sku": ["id"], "Titel": ["title"]},
        [("map_column_missing", "titel", "Titel")],
    ),
}


@pytest.mark.parametrize(("columns", "given", "mapping", "issues"), HEADERS.values(), ids=HEADERS)
def test_a_column_is_never_chosen_in_silence(
    columns: list[str], given: dict[str, list[str]], mapping: dict[str, list[str]],
    issues: list[tuple[str, str | None, str | None]],
) -> None:
    """Of several keys none is used; of two columns for one field, the second is named."""
    resolved, found = resolve_mapping(Kind.PRODUCT, Policy(mapping=given), columns=columns)
    assert resolved.mapping == mapping
    assert [(each.code, each.value, each.suggestion) for each in found] == issues


def test_a_mapped_column_beats_one_that_has_the_name_by_chance() -> None:
    """Whichever of them comes first; also in JSON, as far as a record has the mapped member."""
    for columns, row in ((["sku", "id"], ["K", "7"]), (["id", "sku"], ["7", "K"])):
        header, chunk = table_of(columns, row)
        assert documents(check(chunk, header, mapping={"sku": ["id"]})) == [{"id": "K", "x_id": "7"}]
    checked = check(lines_of({"id": "7", "code": "K"}, {"id": "8"}), mapping={"code": ["id"]})
    assert documents(checked) == [{"id": "K", "x_id": "7"}, {"id": "8"}]


def test_nothing_is_applied_if_a_mapped_column_is_not_there() -> None:
    """Every row is rejected, and says why."""
    header, chunk = table_of(["sku", "Titel"], ["A", "Cup"])
    assert issues_at(check(chunk, header, mapping={"Name": ["title"]})) == [("not_applied", "", None, "error")]


TWO_COLUMNS = {
    "equal": ("4006381333931", "4006381333931", "4006381333931", []),
    "the first is empty": ("", "4006381333931", "4006381333931", []),
    "the second is empty": ("4006381333931", "", "4006381333931", []),
    "different": ("4006381333931", "4006381333948", "4006381333931", [("field_conflict", "/gtin", "ean", "error")]),
}


@pytest.mark.parametrize(("upc", "ean", "gtin", "issues"), TWO_COLUMNS.values(), ids=TWO_COLUMNS)
def test_two_columns_for_one_field_may_not_differ(upc: str, ean: str, gtin: str, issues: IssueList) -> None:
    """What one of them lacks, the other has."""
    header, chunk = table_of(["sku", "title", "upc", "ean"], ["A", "Cup", upc, ean])
    checked = check(chunk, header)
    assert (documents(checked)[0]["gtin"], issues_at(checked)) == (gtin, issues)


@pytest.mark.parametrize(("name", "first", "second", "held", "issues"), [
    ("sku", "A", "A", "A", []),
    ("sku", "A", "", "A", []),
    ("sku", "", "A", "A", []),
    ("sku", "A", "B", "A", [("field_conflict", "/id", "sku", "error")]),
    ("price", "1.00", "1.0", "1.00", []),
    ("price", "1.00", "2.00", "1.00", [("field_conflict", "/price", "price", "error")]),
    ("brand", "Acme", "Bolt", "Acme", [("field_conflict", "/brand", "brand", "warning")]),
    ("house code", "1", "2", "1", []),
])
def test_two_columns_of_one_name_may_not_differ(
    name: str, first: str, second: str, held: str, issues: IssueList,
) -> None:
    """They are one field; what nobody checks is told by the header alone."""
    columns, chunk = table_of([name, "title", name], [first, "Cup", second])
    checked = check(chunk, columns, currency="EUR")
    assert held in documents(checked)[0].values()
    assert [each for each in issues_at(checked) if each[0] == "field_conflict"] == issues


def test_two_columns_in_another_language_may_not_differ_either() -> None:
    """Names of the generic profile are names that anybody may use."""
    header, chunk = table_of(["sku", "Bezeichnung", "Produktname"], ["A", "Becher", "Tasse"])
    assert issues_at(check(chunk, header)) == [("field_conflict", "/title", "Produktname", "error")]


def test_two_names_of_a_brand_are_a_warning() -> None:
    """A manufacturer may differ from the brand: the first is used, the second is kept."""
    header, chunk = table_of(["sku", "title", "brand", "manufacturer"], ["A", "Cup", "Braun", "P&G"])
    checked = check(chunk, header)
    assert documents(checked) == [{"id": "A", "title": "Cup", "brand": "Braun", "manufacturer": "P&G"}]
    assert issues_at(checked) == [("field_conflict", "/brand", "manufacturer", "warning")]


def test_each_json_record_is_read_by_itself() -> None:
    """A name of a neighbour changes nothing, and one that is first met late counts as much."""
    records = [{"sku": f"A{number}", "title": "Cup"} for number in range(1_500)]
    records[700] = {"id": "C", "title": "Pot"}
    records[1_400] = {"Artikelnummer": "D", "Bezeichnung": "Topf"}
    checked = check(lines_of(*records))
    assert checked.keys[699:702] == ["A699", "C", "A701"]
    assert (checked.keys[1_400], checked.keys.count(None), checked.issues) == ("D", 0, {})
    assert documents(checked)[1_400] == {"id": "D", "title": "Topf"}


def test_a_broken_barcode_is_found_under_any_name() -> None:
    """Also beside a record that names it otherwise, and the issue has the name of its own record."""
    checked = check(lines_of(
        {"sku": "D", "title": "Cup", "ean": "123"}, {"sku": "E", "title": "Bowl", "gtin": "4006381333931"},
        {"sku": "F", "title": "Pot", "barcode": "124"}, {"id": "G", "title": "Pan", "gtin": "125"},
    ))
    assert [issues_at(checked, at) for at in range(4)] == [
        [("gtin_length", "/gtin", "ean", "error")], [], [("gtin_length", "/gtin", "barcode", "error")],
        [("gtin_length", "/gtin", None, "error")],
    ]


@pytest.mark.parametrize(("record", "document", "issues"), [
    ({"id": "A", "sku": "A"}, {"id": "A"}, [("field_repeated", "/id", "sku", "warning")]),
    ({"id": "A", "sku": None}, {"id": "A"}, [("field_repeated", "/id", "sku", "warning")]),
    ({"id": "", "sku": "A"}, {"id": "A"}, []),
    ({"id": "A", "sku": "B"}, {"id": "A"}, [("field_conflict", "/id", "sku", "error")]),
    ({"id": "A", "price_eur": "7.90"}, {"id": "A", "price": "7.90 EUR"}, []),
    ({"id": "A", "price_eur": 7.9}, {"id": "A", "price": "7.90 EUR"}, []),
    ({"id": "A", "weight_kg": 1.5}, {"id": "A", "product_weight": "1.5 kg"}, []),
    ({"id": "A", "Weight (kg)": "1.5 lb"}, {"id": "A", "product_weight": "1.5 lb"},
     [("unit_conflict", "/product_weight", "Weight (kg)", "warning")]),
    ({"id": "A", "price_eur": "7.90 USD"}, {"id": "A", "price": "7.90 USD"},
     [("currency_conflict", "/price", "price_eur", "error")]),
    ({"id": "A", "_row": 7}, {"id": "A"}, []),
    ({"id": "A", "unknown": [1e2]}, {"id": "A", "unknown": [100.0]}, []),
])
def test_two_names_in_a_json_record(record: dict[str, Any], document: dict[str, Any], issues: IssueList) -> None:
    """Equal or empty is told once; different values reject the record; what a name adds belongs to the value."""
    checked = check(lines_of({**record, "title": "Cup"}))
    assert (documents(checked), issues_at(checked)) == ([document | {"title": "Cup"}], issues)


@pytest.mark.parametrize(("column", "cell", "found"), [
    ("price_usd", "7.90", []),
    ("price_usd", "7.90 USD", []),
    ("price_usd", "$7.90", [("price_currency_form", "error")]),
    ("price_cad", "$7.90", [("price_currency_form", "error")]),  # any of the dollars
    ("price_usd", "7.90 EUR", [("currency_conflict", "error")]),
    ("Price (USD)", "7.90€", [("price_currency_form", "warning"), ("currency_conflict", "error")]),
    ("cost_usd", "EUR 7.90", [("price_currency_form", "warning"), ("currency_conflict", "error")]),
    ("weight_kg", "1.5 kg", []),
    ("weight_kg", "1.5 Kilogramm", [("unit_unknown", "warning")]),
    ("weight_kg", "250 g", [("unit_conflict", "warning")]),
])
def test_a_cell_that_contradicts_its_column_is_reported(column: str, cell: str, found: list[tuple[str, str]]) -> None:
    """A price in another currency than the name of its column says is not applied; another unit is a warning."""
    columns, chunk = table_of(["id", "title", column], ["A", "Cup", cell])
    issues = issues_at(check(chunk, columns))
    assert [(code, severity) for code, _, name, severity in issues if name == column] == found


@pytest.mark.parametrize(("members", "codes"), [
    ({"price": "7.90 EUR", "currency": "EUR"}, []),
    ({"price": 7.9, "currency": "EUR", "cost_of_goods_sold": "3.00 USD"}, []),
    ({"price": "7.90 EUR", "currency": "USD"}, ["/price"]),
    ({"price": {"value": "7.90", "currency": "EUR"}, "currency": "USD"}, ["/price"]),
    ({"price": {"value": "7.90 USD", "currency": "EUR"}}, ["/price/value"]),
    ({"price": 7.9, "sale_price": "6.90 EUR", "currency": "EUR", "variants": [{"id": "A1", "price": "9.00 USD"}]},
     ["/variants/0/price"]),
    ({"price": "7.90 EUR", "sale_price": "6.90 EUR", "currency": "USD"}, ["/price", "/sale_price"]),
])
def test_a_price_that_contradicts_the_currency_beside_it_is_rejected(members: dict[str, Any], codes: list[str]) -> None:
    """In a record, in its variants, in the price itself; a cost may be in another currency."""
    checked = check(lines_of({"id": "A", "title": "Cup", **members}))
    assert issues_at(checked) == [("currency_conflict", path, None, "error") for path in codes]


@pytest.mark.parametrize(("member", "severity"), [
    ("title", "error"), ("brand", "warning"), ("color", "warning"), ("description", "warning"), ("mpn", "warning"),
    ("product_type", "warning"), ("tax_rule", "warning"), ("custom_label_0", "warning"), ("material", "warning"),
])
@pytest.mark.parametrize("word", ["N/A", "null", "-", "#REF!", "None"])
def test_a_word_for_nothing_is_reported_in_json_as_in_a_table(member: str, severity: str, word: str) -> None:
    """In every field of text; a table and JSON say the same."""
    record = {"id": "A", "title": "Cup", "price": "1.00 EUR", member: word}
    columns, chunk = table_of([*record], [*record.values()])
    expected = [("value_placeholder", f"/{member}", None, severity)]
    assert issues_at(check(lines_of(record))) == issues_at(check(chunk, columns)) == expected
    assert issues_at(check(lines_of({**record, member: "Nothing"}))) == []


def test_names_of_variants_are_understood() -> None:
    """As those of records are, and a variant with two different keys is rejected."""
    checked = check(lines_of({"sku": "A", "title": "Cup", "variants": [
        {"sku": "A-1", "barcode": "4006381333931", "stock": 7, "colour": "red"}, {"id": "A-2", "sku": "A-3"},
    ]}))
    variants = documents(checked)[0]["variants"]
    assert variants == [{"id": "A-1", "gtin": "4006381333931", "quantity": 7, "color": "red"}, {"id": "A-2"}]
    assert issues_at(checked) == [("field_conflict", "/variants/1/id", "sku", "error")]


@pytest.mark.parametrize("kind", Kind)
def test_the_name_of_a_field_means_that_field_and_nothing_else(kind: Kind) -> None:
    """Whatever profiles say of names that are spelled alike."""
    mapping, _ = resolve_mapping(kind, Policy(), columns=None)
    assert [name for name in FIELDS[kind] if mapping.source_of(name) is not None] == []


def test_a_record_with_own_names_is_not_copied() -> None:
    """The bulk of feeds costs nothing more."""
    link = "https://cdn.example.com/1.jpg"
    chunk = lines_of(*({"id": f"A{at}", "title": "Cup", "own": 1, "image_link": link} for at in range(100)))
    checked = check(chunk)
    assert all(document is line for document, line in zip(checked.documents, chunk.lines, strict=True))


@pytest.mark.parametrize(("column", "cell", "field", "value"), [
    ("Price (EUR)", "7.90", "price", "7.90 EUR"), ("price_eur", "7.90", "price", "7.90 EUR"),
    ("Price EUR", "7.90 USD", "price", "7.90 USD"), ("priceEUR", "1 299.00", "price", "1 299.00 EUR"),
    ("Preis in €", "7.90", "price", "7.90 EUR"),
    ("Zustand", "Neu", "condition", "new"), ("Bild", "a.jpg", "Bild", "a.jpg"),
    ("Prix TTC (€)", "7.90", "price", "7.90 EUR"),
    ("VK-Preis [CHF]", "7.90", "price", "7.90 CHF"), ("Cena brutto (PLN)", "7.90", "price", "7.90 PLN"),
    ("Preço (BRL)", "7.90", "price", "7.90 BRL"), ("Price ($)", "7.90", "price", "7.90"),
    ("weight_kg", "1.5", "product_weight", "1.5 kg"), ("Gewicht (g)", "80", "product_weight", "80 g"),
    ("Poids (kg)", "1.5", "product_weight", "1.5 kg"), ("Peso [g]", "80", "product_weight", "80 g"),
    ("Länge in cm", "20", "product_length", "20 cm"), ("Weight (lbs)", "2", "product_weight", "2 lb"),
    ("name-de_DE", "Becher", "title", "Becher"), ("title[de]", "Becher", "title", "Becher"),
    ("description-en_US-ecommerce", "Soft", "description", "Soft"), ("Nazwa", "Kubek", "title", "Kubek"),
    ("Naam", "Beker", "title", "Beker"), ("Descrizione", "Tazza", "description", "Tazza"),
    ("Título", "Taza", "title", "Taza"), ("Código de barras", "4006381333931", "gtin", "4006381333931"),
    ("Marque", "Hella", "brand", "Hella"), ("Lagerort", "HEL", "Lagerort", "HEL"),
])
def test_a_header_supplies_currency_unit_and_language(column: str, cell: str, field: str, value: str) -> None:
    """In eight languages; a cell that is more than a number is left alone."""
    header, chunk = table_of(["sku", column], ["A", cell])
    assert documents(check(chunk, header))[0][field] == value


@pytest.mark.parametrize(("name", "suggestion"), [
    ("Variant Price Europe [EUR]", "price"), ("Pirce", "price"), ("Preis netto", "price"), ("colour EUR", "color"),
    ("Custom thing", None),
])
def test_an_unknown_column_names_the_field_it_may_be(name: str, suggestion: str | None) -> None:
    """The longest name of a field that it begins or ends with, or one that is spelled alike."""
    _, issues = resolve_mapping(Kind.PRODUCT, Policy(), columns=["sku", name])
    assert [(each.code, each.suggestion) for each in issues] == [("header_unknown", suggestion)]


@pytest.mark.parametrize("word", ["#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "NULL", "null", "N/A", "-", "nan",
                                  "NaN", "None", "#WERT!", "(null)", "\\N", "[object Object]"])
@pytest.mark.parametrize(("column", "field", "severity"), [
    ("sku", "id", "error"), ("title", "title", "error"), ("price", "price", "error"), ("gtin", "gtin", "error"),
    ("brand", "brand", "warning"),
])
def test_a_word_for_nothing_is_no_value(word: str, column: str, field: str, severity: str) -> None:
    """It rejects the record in a key, a title, a price or a GTIN."""
    row = {"sku": "A", "title": "Cup", "price": "7.90 EUR", "gtin": "", "brand": ""} | {column: word}
    header, chunk = table_of([*row], [*row.values()])
    issues = [each for each in issues_at(check(chunk, header)) if each[0] == "value_placeholder"]
    assert issues == [("value_placeholder", f"/{field}", column if column != field else None, severity)]
    if field in ("id", "title"):
        found = issues_at(check(lines_of({"id": "A", "title": "Cup"} | {field: word})))
        assert found == [("value_placeholder", f"/{field}", None, "error")]


@pytest.mark.parametrize(("key", "plain"), [
    ("Caf\u00e9-1", None), ("Cafe\u0301-1", "Caf\u00e9-1"), ("A\u00a01", "A 1"), ("A\u30001", "A 1"),
    ("\uff21\uff22\uff11", "AB1"), ("A\u200b1", "A1"), ("m\u00b2-1", None), ("\u8c61\u5370", None), ("A\u2009B", "A B"),
    ("\u30ab\u3099", "\u30ac"),
])
def test_keys_that_look_alike_are_never_two_items(key: str, plain: str | None) -> None:
    """The usual form is suggested; so are those of variants and in tables."""
    header, row = table_of(["sku", "title"], [key, "Cup"])
    variant = {"id": "P", "title": "Cup", "variants": [{"id": key}]}
    for checked in (check(lines_of({"id": key, "title": "Cup"})), check(row, header), check(lines_of(variant))):
        assert [each.suggestion for each in checked.issues.get(0, ())] == ([plain] if plain else [])


@pytest.mark.parametrize(("cell", "key"), [("'00417", "00417"), ('="00418"', "00418"), ("00419", "00419")])
def test_a_spreadsheets_mark_for_text_is_no_part_of_a_key(cell: str, key: str) -> None:
    """It is removed, and told."""
    header, chunk = table_of(["sku", "title"], [cell, "Cup"])
    checked = check(chunk, header)
    assert checked.keys == [key]
    assert issues_at(checked) == ([("text_mark", "/id", "sku", "warning")] if cell != key else [])
