"""Products against what their merchant has settled: families, variants, axes, groups, categories, unique values."""

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
from tests.protocols.mircate.pim.shirts import SHIRTS, configuration, model, product, variant


class Shelf:
    """What is held, as a law sees it."""

    def __init__(self) -> None:
        self.held: dict[str, Record] = {}
        self.marks: dict[str, list[IndexEntry]] = {}

    def document(self, key: str) -> Record | None:
        """A copy: nobody changes what is held."""
        return copy.deepcopy(self.held.get(key))

    def owners(self, mark: IndexEntry) -> set[str]:
        """By looking at all of them."""
        return {key for key, marks in self.marks.items() if mark in marks}

    def put(self, rules: ProductRules, record: Record) -> list[str]:
        """Judge, and hold what passes; the texts."""
        key = record["id"]
        inputs = rules.inputs_for(key, record, self.held.get(key))
        result = rules.check(key, copy.deepcopy(record), self)
        if not result.issues:
            assert result.record is not None
            self.held[key], self.marks[key] = result.record, result.index_entries
            mine = {mark for mark in result.index_entries if mark[0] in ("unique", "axes")}
            assert mine <= set(inputs.index_entries)  # what is looked at was asked for
        return [str(told.expected) for told in result.issues]


RULES = ProductRules(SHIRTS)


@pytest.fixture
def shelf() -> Shelf:
    """Nothing yet."""
    return Shelf()


def test_a_product_keeps_its_family(shelf: Shelf) -> None:
    """And is held with what goes without saying."""
    assert shelf.put(RULES, product("s1", title="Shirt", odd="x", groups=["summer"], categories=["shirts"])) == []
    held = shelf.held["s1"]["data"]
    assert held["enabled"] is False
    assert [entry["code"] for entry in held["attributes"]] == ["title", "washable"]
    assert held["attributes"][1]["data"] == [{"value": True}]
    assert shelf.put(RULES, product("s2", family="none")) == ["Product family not found!"]


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
def test_all_that_is_wrong_is_told(shelf: Shelf, members: dict[str, Any], texts: list[str]) -> None:
    """In the ancestor's order, and nothing is held."""
    assert shelf.put(RULES, product("s1", **members)) == texts
    assert shelf.held == {}


def test_an_attribute_is_said_once(shelf: Shelf) -> None:
    """Twice is told once."""
    record = product("s1", title="x")
    record["data"]["attributes"] *= 3
    assert shelf.put(RULES, record) == ["Duplicated attribute detected! (title)"]


def test_a_channel_wants_a_value(shelf: Shelf) -> None:
    """Of products that say anything of their attributes."""
    rules = ProductRules(configuration(required={"blurb": ["eCommerce"]}))
    assert shelf.put(rules, product("s1")) == []
    assert shelf.put(rules, product("s1", title="x")) == ["blurb is required in this channel! (eCommerce)"]
    record = product("s1")
    record["data"]["attributes"] = [{"code": "blurb", "data": [{"scope": "eCommerce", "value": "x"}]}]
    assert shelf.put(rules, record) == []


def test_unique_values_are_somebodys(shelf: Shelf) -> None:
    """They may be said again by whoever has them, and taken once they are given up."""
    assert shelf.put(RULES, product("s1", serial="A")) == []
    assert shelf.put(RULES, product("s1", serial="A")) == []
    assert shelf.put(RULES, product("s2", serial="A")) == ["This unique attribute value already taken!"]
    assert shelf.put(RULES, product("s1", serial="B")) == []
    assert shelf.put(RULES, product("s2", serial="A")) == []


def test_categories_are_paths_or_codes_that_only_one_has(shelf: Shelf) -> None:
    """Two trees have sales."""
    good = ["masterCatalog#shirts", "shirts", "masterCatalog#sale", "outlet#sale"]
    assert shelf.put(RULES, product("s1", categories=good)) == []
    assert shelf.put(RULES, product("s1", categories=["sale"])) == ["Category not found! (sale)"]


# -- variants ---------------------------------------------------------------------------------------------------------


def test_a_variant_has_its_models_family(shelf: Shelf) -> None:
    """Whatever it says itself."""
    assert shelf.put(RULES, variant("v1", "m1", colour="red")) == ["Parent product not found!"]
    assert shelf.put(RULES, model("m1")) == []
    assert shelf.put(RULES, variant("v1", "m1", colour="red", family="hats")) == []
    assert shelf.held["v1"]["data"]["family"] == "shirts"
    assert shelf.put(RULES, variant("v2", "v1", colour="red")) == ["Parent product not found!"]


def test_a_model_varies_in_a_way_of_its_family(shelf: Shelf) -> None:
    """One that there is."""
    assert shelf.put(RULES, model("m1", way="by_taste")) == ["Product family variant not found!"]


@pytest.mark.parametrize(("axes", "texts"), [
    ({}, ["Axe value required! (colour)", "Axe value required! (size)"]),
    ({"colour": "red"}, ["Axe value required! (size)"]),
    ({"colour": "pink", "size": "L"}, ["Invalid axe value!"]),
    ({"colour": "red", "size": "L", "smell": "x"}, ["Unsupported axe! (smell)"]),
    ({"colour": "red", "size": "M"}, ["These axes are already in use!"]),
])
def test_variants_differ_by_their_axes(shelf: Shelf, axes: dict[str, str], texts: list[str]) -> None:
    """All of them, and only those."""
    shelf.put(RULES, model("m1"))
    assert shelf.put(RULES, variant("v1", "m1", colour="red", size="M")) == []
    record = variant("v2", "m1")
    record["axesValues"] = [{"axe": axe, "value": value} for axe, value in axes.items()]
    assert shelf.put(RULES, record) == texts
    assert shelf.put(RULES, variant("v1", "m1", colour="red", size="M")) == []


def test_a_variant_says_what_its_model_leaves_to_it(shelf: Shelf) -> None:
    """Neither an axis nor what they have in common."""
    shelf.put(RULES, model("m1"))
    record = variant("v1", "m1", colour="red")
    record["data"]["attributes"] = [
        {"code": code, "data": [{"value": "x"}]} for code in ("serial", "colour", "title")
    ]
    assert shelf.put(RULES, record)[:2] == [
        "You can not edit an axe in the attributes! (colour)",
        "You can not edit common attributes in a variant! (title)",
    ]
    record["data"]["attributes"] = record["data"]["attributes"][:1]
    assert shelf.put(RULES, record) == []


def test_a_model_stays_while_it_has_variants(shelf: Shelf) -> None:
    """In the words that are published."""
    shelf.put(RULES, model("m1"))
    assert RULES.check_deletion("m1", shelf) == []
    shelf.put(RULES, variant("v1", "m1", colour="red"))
    assert [told.expected for told in RULES.check_deletion("m1", shelf)] == [
        "You can not delete! This product model have a product(s)."
    ]


def test_what_a_product_is_stays(shelf: Shelf) -> None:
    """A product is no model from one day to the next."""
    shelf.put(RULES, product("x"))
    assert shelf.put(RULES, model("x")) == ["Data type can not be changed!"]


def test_marks_find_a_product(shelf: Shelf) -> None:
    """By all that it may be asked for."""
    shelf.put(RULES, model("m1"))
    shelf.put(RULES, variant("V1", "m1", colour="red"))
    marks = dict(shelf.marks["V1"])
    assert {name: marks[name] for name in ("id", "text", "type", "family", "parent", "is_variant", "label")} == {
        "id": "V1", "text": "v1", "type": "PRODUCT", "family": "shirts", "parent": "m1", "is_variant": "true",
        "label": "V1",
    }


def test_a_law_is_read_once() -> None:
    """And anew when it changes."""
    merchant_rules = PimRules()
    kept = Resource(merchant="m", type="s", number=1, version=1, name="n", body=encode(PimConfiguration()))
    first = merchant_rules.compile("m", kept)
    assert merchant_rules.compile("m", msgspec.structs.replace(kept, version=2)) is first
    assert merchant_rules.compile("m", msgspec.structs.replace(kept, body=encode(SHIRTS))) is not first
    assert merchant_rules.compile("n", None) is not first


# -- against a plain model --------------------------------------------------------------------------------------------

STEPS = st.lists(st.tuples(
    st.sampled_from(["v1", "v2", "v3"]), st.sampled_from(["m1", "m2"]), st.sampled_from(["red", "blue"]),
    st.sampled_from(["S", "M"]), st.sampled_from([None, "A", "B"]),
), max_size=12)


@settings(deadline=None, max_examples=100)
@given(STEPS)
def test_no_two_have_one_place_or_one_serial(steps: list[tuple[str, str, str, str, str | None]]) -> None:
    """Whatever is sent in whatever order."""
    shelf = Shelf()
    shelf.put(RULES, model("m1"))
    shelf.put(RULES, model("m2"))
    places: dict[str, tuple[str, str, str]] = {}
    serials: dict[str, str | None] = {}
    for key, parent, colour, size, serial in steps:
        record = variant(key, parent, colour=colour, size=size)
        if serial is not None:
            record["data"]["attributes"] = [{"code": "serial", "data": [{"value": serial}]}]
        place = (parent, colour, size)
        taken = any(other != key and held == place for other, held in places.items())
        taken |= serial is not None and any(other != key and held == serial for other, held in serials.items())
        assert (shelf.put(RULES, record) == []) is not taken
        if not taken:
            places[key], serials[key] = place, serial
