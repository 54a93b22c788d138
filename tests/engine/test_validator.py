"""Which rules check the records of a merchant."""

import orjson
import pytest

from goodsgate.engine.field_mapping import FieldMapping, resolve_mapping
from goodsgate.engine.settings import CheckLimits
from goodsgate.engine.validator import Validator
from goodsgate.model.batch import Kind, Policy
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.rules import Checker, SchemaChecker
from goodsgate.store.contract import Page
from tests.factories import product


class ReferenceReads:
    """A store with reference data only, which counts its reads."""

    def __init__(self, **brands: list[str]) -> None:
        self.brands = brands
        self.reads = 0

    def reference_version(self, merchant: str) -> int:
        """Return 0 for a merchant without reference data."""
        return len(self.brands.get(merchant, ()))

    def reference(self, merchant: str, kind: str, *, after: str | None, limit: int) -> Page[ReferenceEntry]:
        """Return one page of brands."""
        self.reads += 1
        assert (after, limit > 1) == (None, True)
        return Page([ReferenceEntry(code=code) for code in self.brands.get(merchant, ()) if kind == "brand"], None)


def test_merchants_without_reference_data_share_their_rules() -> None:
    """Nothing is read for them; a merchant with reference data is checked by its own alone."""
    store = ReferenceReads(acme=["Bolt"])
    validator = Validator(store, CheckLimits(), {})  # type: ignore[arg-type]
    record = [orjson.dumps(product(brand="Other"))]

    def rules(merchant: str) -> Checker | SchemaChecker:
        return validator.rules(merchant, Kind.PRODUCT, Policy())

    for number in range(100):
        assert rules(f"m{number}") is rules("m0")
    assert store.reads == 0
    assert not rules("m0").check(record).issues
    assert rules("acme").check(record).issues
    assert store.reads > 0
    store.brands["m0"] = ["Bolt"]
    assert not rules("m0").check(record).issues
    validator.refresh()
    assert rules("m0").check(record).issues
    assert not rules("m1").check(record).issues


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
    mapping = FieldMapping(Kind.PRODUCT, {}, ["id", "additional_image_link"])
    (document,) = mapping.documents([], [["A", cell]], {})
    assert orjson.loads(document)["additional_image_link"] == urls


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
    "one is named": (["ID", "SKU"], {"SKU": ["id"]}, {"SKU": ["id"]}, [("header_field_repeated", "ID", None)]),
    "the other one is named": (
        ["sku", "id"], {"sku": ["id"]}, {"sku": ["id"], "id": []}, [("header_field_repeated", "id", None)],
    ),
    "two barcodes": (
        ["sku", "upc", "ean"], {}, {"sku": ["id"], "upc": ["gtin"]}, [("header_field_repeated", "ean", None)],
    ),
    "two barcodes, one by its own name": (
        ["sku", "ean", "gtin"], {}, {"sku": ["id"]}, [("header_field_repeated", "ean", None)],
    ),
    "a currency in a name": (
        ["sku", "Price (EUR)", "sale_price_usd", "color EUR"], {}, {"sku": ["id"]},
        [("header_unknown", "Price (EUR)", "price"), ("header_unknown", "sale_price_usd", "sale_price"),
         ("header_unknown", "color EUR", "color")],
    ),
    "no key": (["title"], {}, {}, [("header_key_missing", None, None)]),
}


@pytest.mark.parametrize(("columns", "given", "mapping", "issues"), HEADERS.values(), ids=HEADERS)
def test_a_column_is_never_chosen_in_silence(
    columns: list[str], given: dict[str, list[str]], mapping: dict[str, list[str]],
    issues: list[tuple[str, str | None, str | None]],
) -> None:
    """Of several keys none is used; of two columns for one field, the one that is not used is named."""
    resolved, found = resolve_mapping(Kind.PRODUCT, Policy(mapping=given), columns=columns, sample=[])
    assert resolved.mapping == mapping
    assert [(each.code, each.value, each.suggestion) for each in found] == issues


def test_a_mapped_column_beats_one_that_has_the_name_by_chance() -> None:
    """Whichever of them comes first."""
    for columns, row in ((["sku", "id"], ["K", "7"]), (["id", "sku"], ["7", "K"])):
        mapping, _ = resolve_mapping(Kind.PRODUCT, Policy(mapping={"sku": ["id"]}), columns=columns, sample=[])
        (document,) = mapping.documents([], [row], {})
        assert orjson.loads(document) == {"id": "K", "x_id": "7"}
