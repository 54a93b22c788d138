"""What a record names must exist, and its category may ask for attributes."""

import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Policy, Strictness
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.rules import BUILTIN_KINDS, ReferenceData, builtin_entries
from goodsgate.rules.name_index import SEARCHED_NAMES_MAX, NameIndex, fold
from tests.data import sample_bytes
from tests.rules.truth import EUROS, NOTHING, REFERENCE, STRICT, codes, document, issues_of, product, rules

SHIRT = {"product_type": "c3", "attributes": {"color": "navy"}}

LOOKED_UP = [
    ({"brand": "Sony"}, {}), ({"brand": "Best & Sons"}, {}), ({"brand": "Best and Sons"}, {}),
    ({"brand": "sony"}, {"brand_unknown": "Sony"}), ({"brand": "Linksys"}, {"brand_unknown": "LINKSYS"}),
    ({"brand": "Sonny"}, {"brand_unknown": "Sony"}), ({"brand": "Grundig"}, {"brand_unknown": None}),
    ({"brand": " Sony"}, {"text_edge_blanks": "Sony", "brand_unknown": "Sony"}), ({"brand": ""}, {"text_empty": None}),
    (SHIRT, {}), ({**SHIRT, "product_type": "Apparel > Shirts > Linen shirts"}, {}),
    ({**SHIRT, "product_type": ["Apparel", "Shirts", "Linen shirts"]}, {}),
    ({**SHIRT, "product_type": ["c3", "c2"]}, {}),
    ({"product_type": "Apparel>Shirts"}, {"category_unknown": "Apparel > Shirts"}),
    ({"product_type": "Kettle"}, {"category_unknown": "Kettles"}),
    ({"product_type": "Linen shirts"}, {"category_unknown": "Apparel > Shirts > Linen shirts"}),
    ({"product_type": "Bags"}, {"category_unknown": None}),
    ({"product_type": ["c4", "c9"]}, {"category_unknown": None}),
    ({"google_product_category": "Kettles"}, {}), ({"google_product_category": "2271"}, {"category_unknown": None}),
    ({"google_product_category": "2271", "product_type": "c4"}, {}),
    ({"tax_rule": "standard"}, {}), ({"tax_rule": "Standard rate"}, {"tax_rule_unknown": "standard"}),
    ({"hs_code": "6205"}, {}), ({"hs_code": "62052000"}, {}), ({"hs_code": "6205.20"}, {"hs_code_form": "620520"}),
    ({"hs_code": "62"}, {"hs_code_form": None}), ({"hs_code": "620530"}, {"hs_code_unknown": "620520"}),
    ({"hs_code": 10121}, {"field_type": "010121"}), ({"hs_code": "10121"}, {"hs_code_form": "010121"}),
    ({"country_of_origin": "DE"}, {}), ({"country_of_origin": "de"}, {"country_unknown": "DE"}),
    ({"country_of_origin": "India"}, {"country_unknown": "IN"}),
    ({"country_of_origin": "DEU"}, {"country_unknown": "DE"}),
    ({"country_of_origin": "EU"}, {"country_unknown": None}), ({"country_of_origin": 49}, {"field_type": "49"}),
    ({"shopping_ads_excluded_country": ["DE", "XQ"]}, {"country_unknown": None}),
]

ATTRIBUTES = [
    ({"product_type": "c1"}, [("attribute_missing", "/attributes/color", None)]),
    ({"product_type": "c3"}, [("attribute_missing", "/attributes/color", None)]),  # inherited
    ({"product_type": "c3", "attributes": {"color": ""}},
     [("text_empty", "/attributes/color", None), ("attribute_missing", "/attributes/color", None)]),
    ({"product_type": "c3", "color": "navy"}, []),
    ({"product_type": "c3", "variants": [{"id": "1", "color": "navy"}, {"id": "2", "attributes": {"color": "black"}}]},
        []),
    ({"product_type": "c3", "variants": [{"id": "1", "color": "navy"}, {"id": "2"}]},
     [("attribute_missing", "/attributes/color", None)]),
    ({"product_type": "c3", "variants": [{"id": "1", "color": "Navy"}]},
     [("attribute_not_allowed", "/variants/0/color", "navy")]),
    ({"product_type": "c3", "attributes": {"color": "red"}}, [("attribute_not_allowed", "/attributes/color", None)]),
    ({"product_type": "c3", "attributes": {"color": ["navy", "whyte"]}},
     [("attribute_not_allowed", "/attributes/color/1", "white")]),
    ({"product_type": "c3", "attributes": {"color": 5}}, [("attribute_type", "/attributes/color", None)]),
    ({**SHIRT, "attributes": {"color": "navy", "washable": "sure"}},
        [("attribute_type", "/attributes/washable", None)]),
    ({**SHIRT, "attributes": {"color": "navy", "washable": "yes"}}, []),
    ({**SHIRT, "attributes": {"color": "navy", "washable": True, "weave": 5}},
     [("attribute_type", "/attributes/weave", None)]),
    ({"product_type": "c4", "attributes": {"wattage": 1400}}, []),
    # Spree
    ({"product_type": "c4", "attributes": {"wattage": "1400W"}}, []),
    ({"product_type": "c4", "attributes": {"wattage": {"value": 1400, "unit": "W"}}}, []),
    ({"product_type": "c4", "attributes": {"wattage": "1400 w"}},
        [("attribute_unit", "/attributes/wattage", "1400 W")]),
    ({"product_type": "c4", "attributes": {"wattage": "2 hp"}}, [("attribute_unit", "/attributes/wattage", None)]),
    ({"product_type": "c4", "attributes": {"wattage": 499}}, [("attribute_out_of_range", "/attributes/wattage", None)]),
    ({"product_type": "c4", "attributes": {"wattage": "3001"}},
        [("attribute_out_of_range", "/attributes/wattage", None)]),
    ({"product_type": "c4", "attributes": {"wattage": "1400,5"}},
        [("attribute_type", "/attributes/wattage", "1400.5")]),
    ({"product_type": "c4", "attributes": {"wattage": True}}, [("attribute_type", "/attributes/wattage", None)]),
    ({"product_type": "c4", "attributes": {"cups": 6}}, []), ({"product_type": "c4", "attributes": {"cups": "6"}}, []),
    ({"product_type": "c4", "attributes": {"cups": 5}}, [("attribute_not_allowed", "/attributes/cups", None)]),
    ({"product_type": "c4", "attributes": {"cups": 6.5}}, [("attribute_type", "/attributes/cups", None)]),
    ({"product_type": "c9"}, [("category_unknown", "/product_type", None)]),
]


@pytest.mark.parametrize(("members", "expected"), LOOKED_UP)
def test_references_of_a_product_must_exist(members, expected):
    """With the nearest name as suggestion."""
    found = issues_of(product(**members), reference=REFERENCE)
    assert {one.code: one.suggestion for one in found} == expected


@pytest.mark.parametrize(("members", "expected"), ATTRIBUTES)
def test_a_category_requires_attributes(members, expected):
    """Of the product or of every variant; its ancestors' demands are its own."""
    found = issues_of(product(**members), reference=REFERENCE)
    assert [(one.code, one.path, one.suggestion) for one in found] == expected


@pytest.mark.parametrize("members", [
    {"brand": "Grundig"}, {"product_type": "c9"}, {"product_type": "c1"}, {"tax_rule": "x"}, {"hs_code": "999999"},
    {"country_of_origin": "XQ"},
])
def test_the_policy_sets_the_severity(members):
    """Refuse, warn, wait, or do not look; what a record waits for is an error until it is there."""
    severities = {}
    for treatment in Strictness:
        found = issues_of(product(**members), policy=Policy(currency="EUR", references=treatment), reference=REFERENCE)
        severities[treatment] = [one.severity for one in found]
    assert severities == {
        Strictness.REFUSE: ["error"], Strictness.WARN: ["warning"], Strictness.WAIT: ["error"], Strictness.OFF: [],
    }


def test_a_kind_without_entries_is_not_checked():
    """A merchant who loaded brands alone hears of brands alone."""
    members = {"brand": "x", "product_type": "y", "tax_rule": "z", "hs_code": "999999"}
    assert codes(product(**members), reference=NOTHING, policy=STRICT) == []
    brands = ReferenceData.build({"brand": [ReferenceEntry(code="Sony")], "category": []})
    assert codes(product(**members), reference=brands) == [("brand_unknown", "/brand")]


def test_attributes_may_be_required_of_every_product():
    """An attribute whose code names no category."""
    reference = ReferenceData.build({"attribute": [ReferenceEntry(code="season",
        data={"required": "yes", "allowed": "winter|summer"})]})
    assert codes(product(), reference=reference) == [("attribute_missing", "/attributes/season")]
    assert codes(product(product_type="any", attributes={"season": "winter"}), reference=reference) == []
    assert codes(product(attributes={"season": "sumer"}), reference=reference) == [
        ("attribute_not_allowed", "/attributes/season")
    ]


def test_an_update_need_not_have_required_attributes():
    """Only a record that makes an item must be whole."""
    update = Policy(currency="EUR", verb="update")
    assert codes({"id": "A", "product_type": "c3"}, policy=update, reference=REFERENCE) == []
    assert codes({"id": "A", "attributes": {"color": "red"}, "product_type": "c3"}, policy=update,
        reference=REFERENCE) == [
        ("attribute_not_allowed", "/attributes/color")
    ]


def test_locations_are_part_of_the_key():
    """So blanks and control characters in them are errors; an unknown one is the policy's to judge."""
    stock = {"id": "A", "quantity": 1}
    checked = rules(Kind.STOCK, EUROS, REFERENCE).check([
        document({**stock, "location": name}) for name in ("ALB", "Austin", " ALB", "A\x1fB", "", 5, "x" * 65)
    ])
    assert checked.keys == ["A\x1fALB", "A\x1fAustin", "A\x1f ALB", None, "A", None, None]
    assert {at: [(one.code, one.severity, one.suggestion) for one in found] for at,
        found in checked.issues.items()} == {
        1: [("location_unknown", "warning", "AUS")], 2: [("text_edge_blanks", "error", "ALB")],
        3: [("text_control_characters", "error", "AB")], 4: [("text_empty", "warning", None)],
        5: [("field_type", "error", "5")], 6: [("text_too_long", "error", None), ("location_unknown", "warning", None)],
    }


def test_a_category_may_be_its_own_ancestor():
    """Reference data is somebody's, too."""
    reference = ReferenceData.build({"category": [ReferenceEntry(code="a", parent="b"), ReferenceEntry(code="b",
        parent="a")],
                                 "attribute": [ReferenceEntry(code="b/x", data={"required": True})]})
    assert codes(product(product_type="a"), reference=reference) == [("attribute_missing", "/attributes/x")]


@pytest.mark.parametrize("data", [
    {"type": 5, "required": [], "allowed": {"a": 1}, "unit": 7, "minimum": "x", "maximum": None}, {},
    {"allowed": [None, 5]},
])
def test_invalid_requirements_are_ignored(data):
    """They ask for nothing that could not be met."""
    reference = ReferenceData.build({"attribute": [ReferenceEntry(code="x", data=data)]})
    assert {code for code, _ in codes(product(attributes={"x": 1}), reference=reference)} <= {"attribute_not_allowed"}


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=30, unique=True), st.text(max_size=14))
def test_the_nearest_name_is_one_of_the_names(names, wrong):
    """And the same but for case and punctuation is always found."""
    found = NameIndex({name: name for name in names})
    near = found.nearest(wrong)
    assert near is None or near in names
    for name in names:
        assert fold(found.nearest(name.upper()) or "") == fold(name.upper()) or fold(name) != fold(name.upper())


def test_similar_names_are_searched_up_to_a_limit():
    """A hundred thousand are; more would take more memory than suggestions are worth."""
    names = NameIndex({f"brand-{number:06d}": "x" for number in range(SEARCHED_NAMES_MAX)})
    assert names.nearest("Brand 000500") == "brand-000500"
    assert names.nearest("brand-0005000") in names.codes
    assert NameIndex({f"{number}": "x" for number in range(SEARCHED_NAMES_MAX + 1)}).nearest("1 ") is None


def test_built_in_reference_data_is_complete():
    """What comes with Goodsgate can be listed like what was loaded."""
    by_kind = {kind: {entry.code: entry for entry in builtin_entries(kind)} for kind in BUILTIN_KINDS}
    assert by_kind["currency"]["JPY"].data == {"decimals": 0}
    assert by_kind["country"]["DE"].name == "Germany"
    assert by_kind["unit"]["kg"].data == {"measures": "mass"}
    assert {len(code) for code in by_kind["country"]} == {2}
    assert all(entry.name for entries in by_kind.values() for entry in entries.values())


def test_categories_of_best_buy():
    """An excerpt of a tree of categories: the path that each one carries is the path that is looked up."""
    rows = json.loads(sample_bytes("bestbuy/categories.json.gz"))
    assert len(rows) == 459
    rows = [row for row in rows if all(step["name"] for step in row["path"])]
    entries = {}
    for row in rows:  # some ancestors appear in paths alone
        for above, step in zip([None, *row["path"]], row["path"], strict=False):
            entries[step["id"]] = ReferenceEntry(
                code=step["id"], name=step["name"], parent=above["id"] if above else None
            )
    reference = ReferenceData.build({"category": entries.values()})
    paths = [" > ".join(step["name"] for step in row["path"]) for row in rows]
    documents = [document(product(id=str(at), product_type=path)) for at, path in enumerate(paths)]
    documents += [document(product(id=row["id"], product_type=row["id"])) for row in rows]
    found = rules(reference=reference).check(documents).issues
    assert Counter(one.code for issues in found.values() for one in issues if one.code == "category_unknown") == {}
    wrong = issues_of(product(product_type=paths[100].replace(" > ", "/")), reference=reference)
    assert [one.suggestion for one in wrong] == [paths[100]]


def test_the_harmonized_system():
    """Six chapters: each code is known, headings and subheadings alike, and so are the tariff lines below."""
    rows = csv.DictReader(io.StringIO(sample_bytes("reference/harmonized-system.csv.gz").decode()))
    codes_known = [row["hscode"] for row in rows if row["hscode"].isdigit() and len(row["hscode"]) >= 4]
    reference = ReferenceData.build({"hs_code": [ReferenceEntry(code=code) for code in codes_known]})
    documents = [document(product(id=code, hs_code=code)) for code in codes_known]
    documents += [document(product(id=code, hs_code=f"{code}90")) for code in codes_known if len(code) == 6]
    assert rules(reference=reference).check(documents).issues == {}
    assert codes(product(hs_code="00000000"), reference=reference) == [("hs_code_unknown", "/hs_code")]
