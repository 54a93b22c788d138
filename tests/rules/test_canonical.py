"""What the catalogue holds of a value, however it was written."""

import orjson
import pytest

from goodsgate.model.batch import Kind, Policy
from goodsgate.model.catalogue import digest_of
from goodsgate.rules import Checker, ReferenceData, ValidCache

EUR, COMMA = Policy(currency="EUR"), Policy(currency="EUR", decimal="comma")
NOTHING = ReferenceData.build({})

FORMS = [
    (EUR, "price", ["7.90 EUR", "7.9 EUR", "7.9", 7.9, {"value": "7.90", "currency": "EUR"}, {"amount": 7.9},
                    {"value": 7.9, "currency_code": "EUR"}, "7.9000", "7.90"], "7.90 EUR"),
    (COMMA, "price", ["7,90 EUR", "7,9", 7.9, {"value": "7,90"}], "7.90 EUR"),
    (EUR, "price", ["790 JPY", "790.00 JPY", {"value": 790, "currency": "JPY"}], "790 JPY"),
    (EUR, "price", ["1.5 KWD", "1.500 KWD"], "1.500 KWD"),
    (EUR, "price", ["0", "0.00 EUR"], "0.00 EUR"),
    (Policy(currency="USD"), "price", ["1.29", 1.29], "1.29 USD"),
    (Policy(currency="GBP"), "price", ["1.29", 1.29], "1.29 GBP"),
    (EUR, "price", [{"value": "7.9", "label": "now"}], {"value": "7.90", "currency": "EUR", "label": "now"}),
    (EUR, "cost_of_goods_sold", ["5", 5, "5.00 EUR"], "5.00 EUR"),
    (EUR, "product_weight", ["0.25 kg", "0.250 kg", "0.25kg", {"value": 0.25, "unit": "kg"}], "0.25 kg"),
    (COMMA, "product_weight", ["0,25 kg", "0,250kg", {"value": 0.25, "unit": "kg"}], "0.25 kg"),
    (EUR, "product_weight", ["250 g", "250g", "0250 g", "250.0 g"], "250 g"),
    (EUR, "product_weight", ["250"], "250"),
    (EUR, "availability", ["in_stock", "in stock", "IN-STOCK"], "in_stock"),
    (EUR, "energy_efficiency_class", ["A++", "a++"], "A++"),
    (EUR, "adult", [True, "yes", "true", "Yes"], True),
    (EUR, "is_bundle", [False, "no", "FALSE"], False),
    (EUR, "multipack", [3, "3"], 3),
    (EUR, "availability_date", ["2026-02-24T11:07:00Z", "2026-02-24t11:07Z", "2026-02-24 11:07:00+00:00",
                                "2026-02-24T11:07:00.000", "2026-02-24T11:07+0000"], "2026-02-24T11:07:00Z"),
    (EUR, "availability_date", ["2026-02-24T11:07+0100", "2026-02-24T11:07:00+01"], "2026-02-24T11:07:00+01:00"),
    (EUR, "availability_date", ["2026-02-24"], "2026-02-24"),
    (EUR, "sale_price_effective_date", ["2026-02-24T11:07Z/2026-02-25T11:07+0000"],
     "2026-02-24T11:07:00Z/2026-02-25T11:07:00Z"),
    (EUR, "additional_image_link", ["https://a.example/1", ["https://a.example/1"]], ["https://a.example/1"]),
    (EUR, "size_type", ["Petite", ["petite"]], ["petite"]),
    (EUR, "shopping_ads_excluded_country", ["DE", ["DE"]], ["DE"]),
    (EUR, "product_type", ["Home > Cups"], "Home > Cups"),
    (EUR, "gtin", ["4006381333931"], "4006381333931"),
    (EUR, "variants", [[{"id": "A-1", "price": 5, "quantity": "3", "x": 1.10}]],
     [{"id": "A-1", "price": "5.00 EUR", "quantity": 3, "x": 1.10}]),
]
CASES = [(policy, field, value, canonical) for policy, field, values, canonical in FORMS for value in values]


def held(checker: Checker, document: bytes) -> bytes:
    """The document as the catalogue holds it."""
    result = checker.check([document], [digest_of(document)])
    assert not [each for each in result.issues.get(0, ()) if each.severity == "error"], result.issues
    form = result.canonical.get(0, document)
    assert result.hashes[0] == digest_of(form)
    return form


@pytest.mark.parametrize(("policy", "field", "value", "canonical"), CASES)
def test_a_value_has_one_form_however_it_is_written(policy, field, value, canonical):
    """The fast path and the rules give the same form, and the form is its own form."""
    checker = Checker(Kind.PRODUCT, policy, NOTHING, valid_cache=ValidCache(1024))
    document = orjson.dumps({"id": "A", "title": "Cup", field: value, "other": [1, {"price": "7"}]})
    forms = [held(checker, document) for _ in range(2)]  # the first one teaches the decoder the members
    assert forms[0] == forms[1]
    assert orjson.loads(forms[0])[field] == canonical
    assert held(Checker(Kind.PRODUCT, EUR, NOTHING, valid_cache=ValidCache(1024)), forms[0]) == forms[0]
    cached = checker.check([document], [digest_of(document)])
    assert cached.hashes[0] == digest_of(forms[0])


def test_members_that_are_no_fields_stay_byte_for_byte():
    """Numbers keep their digits and objects their blanks, beside and inside of what is rewritten."""
    document = (
        b'{"id":"A","title":"Cup","price":7.9,"x":{"a": 1.10},"y":1.50e3,'
        b'"variants":[{"id":"A-1","price":5,"z":2.50}]}'
    )
    form = held(Checker(Kind.PRODUCT, EUR, NOTHING), document)
    assert form == (
        b'{"id":"A","title":"Cup","price":"7.90 EUR","x":{"a": 1.10},"y":1.50e3,'
        b'"variants":[{"id":"A-1","price":"5.00 EUR","z":2.50}]}'
    )


@pytest.mark.parametrize("document", [
    b'{"id":"A","title":"C","x":{"price":{"value":"7.9","currency":"EUR"}},"price": {"value":"7.9","currency":"EUR"}}',
    b'{"id":"A","title":"{","x":{"price":"7.90"},"price":"7.90"}',
    b'{"id":"A","title":"Cup","a\\"price":"7.90","price" :"7.90"}',
])
def test_only_the_price_of_the_record_is_rewritten(document):
    """A member of the same name and value in another object stays."""
    checker = Checker(Kind.PRODUCT, EUR, NOTHING)
    for _ in range(3):
        before, after = orjson.loads(document), orjson.loads(held(checker, document))
        assert after == {**before, "price": "7.90 EUR"}


def test_metadata_and_nulls_are_no_part_of_what_is_held():
    """A null clears a member of the item; nulls in lists are values."""
    document = (
        b'{"id":"A","title":"Cup","_verb":"upsert","observed_at":"2026-02-24T11:07:00Z","version_number":3,'
        b'"brand":null,"x":{"a":null,"b":{"c":null}},"y":[null]}'
    )
    result = Checker(Kind.PRODUCT, EUR, NOTHING).check([document])
    assert orjson.loads(result.canonical[0]) == {"id": "A", "title": "Cup", "x": {"b": {}}, "y": [None]}
    assert orjson.loads(result.patches[0]) == {
        "id": "A", "title": "Cup", "brand": None, "x": {"a": None, "b": {"c": None}}, "y": [None],
    }
