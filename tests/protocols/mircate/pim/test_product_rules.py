"""Rules for products by the configuration: families, variants, axes, groups, categories, unique values."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.catalogue import IndexEntry, Resource
from goodsgate.protocols.mircate.pim.configuration import PimConfiguration, encode
from goodsgate.protocols.mircate.pim.product_rules import PimRules, ProductRules
from goodsgate.rules.merchant_rules import Record
from tests import effort
from tests.protocols.mircate.pim.shirts import SHIRTS, configuration, model, product, variant


class CatalogueFake:
    """The catalogue as rules see it."""

    def __init__(self) -> None:
        self.documents: dict[str, Record] = {}
        self.index_entries: dict[str, list[IndexEntry]] = {}

    def document(self, key: str) -> Record | None:
        """Return a copy, since stored documents do not change."""
        return copy.deepcopy(self.documents.get(key))

    def owners(self, entry: IndexEntry) -> set[str]:
        """Return the owners by a scan of all items."""
        return {key for key, entries in self.index_entries.items() if entry in entries}

    def put(self, rules: ProductRules, record: Record) -> list[str]:
        """Check a product, store it if it passes, and return the texts."""
        key = record["id"]
        inputs = rules.inputs_for(key, record, self.documents.get(key))
        result = rules.check(key, copy.deepcopy(record), self)
        if not result.issues:
            assert result.record is not None
            self.documents[key], self.index_entries[key] = result.record, result.index_entries
            exclusive = {entry for entry in result.index_entries if entry[0] in ("unique", "axes")}
            assert exclusive <= set(inputs.index_entries)
        return [str(issue.expected) for issue in result.issues]


RULES = ProductRules(SHIRTS)


@pytest.fixture
def catalogue() -> CatalogueFake:
    """Return an empty catalogue."""
    return CatalogueFake()


def test_a_valid_product_is_stored_with_defaults(catalogue: CatalogueFake) -> None:
    """Its attributes are those of its family."""
    assert catalogue.put(RULES, product("s1", title="Shirt", odd="x", groups=["summer"], categories=["shirts"])) == []
    data = catalogue.documents["s1"]["data"]
    assert data["enabled"] is False
    assert [entry["code"] for entry in data["attributes"]] == ["title", "washable"]
    assert data["attributes"][1]["data"] == [{"value": True}]
    assert catalogue.put(RULES, product("s2", family="none")) == ["Product family not found!"]


@pytest.mark.parametrize(("members", "texts"), [
    ({"title": 5}, ["title has an invalid value!"]),
    ({"title": "A long title"}, ["title maximum length should be 10"]),
    ({"colour": "pink"}, ["Illegal option! (code: colour, option: pink)"]),
    ({"none": "x"}, ["Attribute property not found! (none)"]),
    ({"groups": ["winter"]}, ["Group not found! (winter)"]),
    ({"categories": ["masterCatalog#hats"]}, ["Category not found! (masterCatalog#hats)"]),
    ({"title": "A long title", "colour": "pink", "groups": ["winter"]}, [
        "title maximum length should be 10", "Illegal option! (code: colour, option: pink)",
        "Group not found! (winter)",
    ]),
])
def test_all_issues_are_reported(catalogue: CatalogueFake, members: dict[str, Any], texts: list[str]) -> None:
    """They have the ancestor's order, and nothing is stored."""
    assert catalogue.put(RULES, product("s1", **members)) == texts
    assert catalogue.documents == {}


def test_an_attribute_occurs_once(catalogue: CatalogueFake) -> None:
    """A duplicate is reported once."""
    record = product("s1", title="x")
    record["data"]["attributes"] *= 3
    assert catalogue.put(RULES, record) == ["Duplicated attribute detected! (title)"]


def test_a_channel_requires_a_value(catalogue: CatalogueFake) -> None:
    """This is checked for products that send any attributes."""
    rules = ProductRules(configuration(required={"blurb": ["eCommerce"]}))
    assert catalogue.put(rules, product("s1")) == []
    assert catalogue.put(rules, product("s1", title="x")) == ["blurb is required in this channel! (eCommerce)"]
    record = product("s1")
    record["data"]["attributes"] = [{"code": "blurb", "data": [{"scope": "eCommerce", "value": "x"}]}]
    assert catalogue.put(rules, record) == []


def test_unique_values_belong_to_one_product(catalogue: CatalogueFake) -> None:
    """The owner may send them again; once given up, another product may use them."""
    assert catalogue.put(RULES, product("s1", serial="A")) == []
    assert catalogue.put(RULES, product("s1", serial="A")) == []
    assert catalogue.put(RULES, product("s2", serial="A")) == ["This unique attribute value already taken!"]
    assert catalogue.put(RULES, product("s1", serial="B")) == []
    assert catalogue.put(RULES, product("s2", serial="A")) == []


def test_categories_are_paths_or_unique_codes(catalogue: CatalogueFake) -> None:
    """Two trees have a category for sales."""
    good = ["masterCatalog#shirts", "shirts", "masterCatalog#sale", "outlet#sale"]
    assert catalogue.put(RULES, product("s1", categories=good)) == []
    assert catalogue.put(RULES, product("s1", categories=["sale"])) == ["Category not found! (sale)"]


# -- variants ---------------------------------------------------------------------------------------------------------


def test_a_variant_has_its_models_family(catalogue: CatalogueFake) -> None:
    """Its own family is ignored."""
    assert catalogue.put(RULES, variant("v1", "m1", colour="red")) == ["Parent product not found!"]
    assert catalogue.put(RULES, model("m1")) == []
    assert catalogue.put(RULES, variant("v1", "m1", colour="red", family="hats")) == []
    assert catalogue.documents["v1"]["data"]["family"] == "shirts"
    assert catalogue.put(RULES, variant("v2", "v1", colour="red")) == ["Parent product not found!"]


def test_a_model_has_a_variant_of_its_family(catalogue: CatalogueFake) -> None:
    """The variant must exist."""
    assert catalogue.put(RULES, model("m1", way="by_taste")) == ["Product family variant not found!"]


@pytest.mark.parametrize(("axes", "texts"), [
    ({}, ["Axe value required! (colour)", "Axe value required! (size)"]),
    ({"colour": "red"}, ["Axe value required! (size)"]),
    ({"colour": "pink", "size": "L"}, ["Invalid axe value!"]),
    ({"colour": "red", "size": "L", "smell": "x"}, ["Unsupported axe! (smell)"]),
    ({"colour": "red", "size": "M"}, ["These axes are already in use!"]),
])
def test_variants_differ_by_their_axes(catalogue: CatalogueFake, axes: dict[str, str], texts: list[str]) -> None:
    """A variant has all axes and no others."""
    catalogue.put(RULES, model("m1"))
    assert catalogue.put(RULES, variant("v1", "m1", colour="red", size="M")) == []
    record = variant("v2", "m1")
    record["axesValues"] = [{"axe": axe, "value": value} for axe, value in axes.items()]
    assert catalogue.put(RULES, record) == texts
    assert catalogue.put(RULES, variant("v1", "m1", colour="red", size="M")) == []


def test_a_variant_has_only_its_own_attributes(catalogue: CatalogueFake) -> None:
    """It has neither axes nor common attributes."""
    catalogue.put(RULES, model("m1"))
    record = variant("v1", "m1", colour="red")
    record["data"]["attributes"] = [
        {"code": code, "data": [{"value": "x"}]} for code in ("serial", "colour", "title")
    ]
    assert catalogue.put(RULES, record)[:2] == [
        "You can not edit an axe in the attributes! (colour)",
        "You can not edit common attributes in a variant! (title)",
    ]
    record["data"]["attributes"] = record["data"]["attributes"][:1]
    assert catalogue.put(RULES, record) == []


def test_a_model_stays_while_it_has_variants(catalogue: CatalogueFake) -> None:
    """The text is the published one."""
    catalogue.put(RULES, model("m1"))
    assert RULES.check_deletion("m1", catalogue) == []
    catalogue.put(RULES, variant("v1", "m1", colour="red"))
    assert [result.expected for result in RULES.check_deletion("m1", catalogue)] == [
        "You can not delete! This product model have a product(s)."
    ]


def test_the_data_type_is_fixed(catalogue: CatalogueFake) -> None:
    """A product cannot become a model."""
    catalogue.put(RULES, product("x"))
    assert catalogue.put(RULES, model("x")) == ["Data type can not be changed!"]


def test_index_entries_find_a_product(catalogue: CatalogueFake) -> None:
    """There is one for each filter."""
    catalogue.put(RULES, model("m1"))
    catalogue.put(RULES, variant("V1", "m1", colour="red"))
    marks = dict(catalogue.index_entries["V1"])
    assert {name: marks[name] for name in ("id", "text", "type", "family", "parent", "is_variant", "label")} == {
        "id": "V1", "text": "v1", "type": "PRODUCT", "family": "shirts", "parent": "m1", "is_variant": "true",
        "label": "V1",
    }


def test_rules_are_compiled_once() -> None:
    """They are compiled again when the configuration changes."""
    merchant_rules = PimRules()
    resource = Resource(merchant="m", type="s", number=1, version=1, name="n", body=encode(PimConfiguration()))
    first = merchant_rules.compile("m", resource)
    assert merchant_rules.compile("m", msgspec.structs.replace(resource, version=2)) is first
    assert merchant_rules.compile("m", msgspec.structs.replace(resource, body=encode(SHIRTS))) is not first
    assert merchant_rules.compile("n", None) is not first


# -- against a plain model --------------------------------------------------------------------------------------------

STEPS = st.lists(st.tuples(
    st.sampled_from(["v1", "v2", "v3"]), st.sampled_from(["m1", "m2"]), st.sampled_from(["red", "blue"]),
    st.sampled_from(["S", "M"]), st.sampled_from([None, "A", "B"]),
), max_size=12)


@settings(deadline=None, max_examples=effort.examples(100))
@given(STEPS)
def test_axes_and_unique_values_are_never_shared(steps: list[tuple[str, str, str, str, str | None]]) -> None:
    """This holds for any sequence of products."""
    catalogue = CatalogueFake()
    catalogue.put(RULES, model("m1"))
    catalogue.put(RULES, model("m2"))
    places: dict[str, tuple[str, str, str]] = {}
    serials: dict[str, str | None] = {}
    for key, parent, colour, size, serial in steps:
        record = variant(key, parent, colour=colour, size=size)
        if serial is not None:
            record["data"]["attributes"] = [{"code": "serial", "data": [{"value": serial}]}]
        place = (parent, colour, size)
        taken = any(other != key and used == place for other, used in places.items())
        taken |= serial is not None and any(other != key and used == serial for other, used in serials.items())
        assert (catalogue.put(RULES, record) == []) is not taken
        if not taken:
            places[key], serials[key] = place, serial
