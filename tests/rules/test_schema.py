"""Records checked against a schema that is data: tables of values, and how records map to items."""

import copy
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Policy, Strictness
from goodsgate.model.catalogue import ReferenceEntry, item_key
from goodsgate.rules import ReferenceData, Schema, SchemaChecker
from goodsgate.rules.member_access import TypedRecord
from goodsgate.rules.reference_data import level_of
from tests import effort

NODE = {
    "type": "object",
    "x-record": {
        "key": ["code"],
        "index": {
            "sku": {"path": "sizes/*/sku", "unique": []},
            "ean": {"path": "sizes/*/eans/*/value", "if_true": "main"},
            "slug": {"path": "slug", "unique": ["brand"]},
            "name": {"path": "name", "case_folded": True},
        },
        "find_by": [["slug"], ["sku", "ean"]],
        "requires": {"parent": {"kind": "product", "index": "sku"}},
    },
    "required": ["code", "name"],
    "properties": {
        "code": {"type": "string", "x-form": "identity"},
        "name": {"type": "string", "minLength": 2, "maxLength": 5},
        "slug": {"type": "string", "pattern": "^[a-z]+$", "x-expected": "small letters"},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "count": {"type": "integer", "minimum": 0},
        "low": {"type": "number", "x-at-most": "high"},
        "high": {"type": "number", "minimum": 1},
        "flag": {"type": ["boolean", "string"], "x-form": "yes_no"},
        "at": {"type": "string", "x-form": "moment"},
        "link": {"type": "string", "x-form": "url"},
        "tags": {"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}},
        "brand": {"type": "string", "x-reference": {"kind": "brand", "by": ["name"]}},
        "rooms": {"type": "array", "items": {"type": ["string", "integer"],
                  "x-reference": {"kind": "department", "by": ["code", "number"]}}},
        "template": {"type": "string", "x-reference": {"kind": "template", "by": ["code"]}},
        "category": {"type": "string", "x-reference": {"kind": "category", "by": ["name"], "level": 3}},
        "attributes": {"type": "object", "x-attributes-of": "category"},
        "hs": {"type": "string", "x-form": "hs_code"},
        "place": {"type": "string", "x-form": "identity", "x-own-location": True,
                  "x-reference": {"kind": "location", "by": ["code"]}},
        "sizes": {"type": "array", "items": {"type": "object", "required": ["sku"],
                  "properties": {"sku": {"type": "string", "x-form": "identity"}}}},
    },
}
SCHEMA = Schema(NODE)
REFERENCE = ReferenceData.build({
    "brand": [ReferenceEntry(code="13", name="Acme")],
    "department": [ReferenceEntry(code="5956", name="Shoes"), ReferenceEntry(code="kids", name="Kids")],
    "template": [ReferenceEntry(code="plain", name="Plain")],
    "category": [
        ReferenceEntry(code="1", name="A"), ReferenceEntry(code="2", name="B", parent="1"), ReferenceEntry(code="3",
            name="C", parent="2"),
        ReferenceEntry(code="9", name="Flat", data={"level": "3"}),
    ],
    "attribute": [ReferenceEntry(code="1/fit", data={"type": "text", "required": True, "allowed": ["slim"]})],
    "hs_code": [ReferenceEntry(code="6404")],
    "location": [ReferenceEntry(code="L1"), ReferenceEntry(code="L2")],
})
GOOD = {"code": "x1", "name": "Name"}


def _checker(reference=REFERENCE, **policy):
    return SchemaChecker(
        SCHEMA, Policy(references=Strictness.REFUSE, **policy), reference, issues_per_record_max=10, depth_max=8
    )


def _fast_path(schema, record, **policy):
    """The record by the fast way, None if that does not know."""
    return schema.fast_path.compile(_checker(**policy)._context)(orjson.dumps(record))


def _issues_of(record, **how):
    checked = _checker(**how).check([orjson.dumps(record)])
    return [(one.path, one.code) for one in checked.issues.get(0, ())]


@pytest.mark.parametrize("members", [
    {}, {"count": 0}, {"count": 3.0}, {"kind": "b"}, {"low": 1, "high": 1.5}, {"low": 9}, {"flag": True},
    {"flag": "no"}, {"flag": "YES"}, {"at": "2026-01-31T08:15:00Z"}, {"at": "2026-01-31"},
    {"link": "https://shop.example/a.jpg"}, {"tags": ["a", 1]}, {"brand": "Acme"}, {"rooms": ["5956", 5956, "kids"]},
    {"template": "plain"}, {"category": "C", "attributes": {"fit": "slim"}}, {"category": "Flat"}, {"hs": "6404"},
    {"place": "L1"}, {"unknown": {"a": [1]}}, {"kind": None, "sizes": None}, {"sizes": [{"sku": "s"}, {"sku": "t"}]},
])
def test_a_valid_record_has_no_issues(members):
    """Null is absent, unknown members are nobody's business."""
    assert _issues_of({**GOOD, **members}) == []


@pytest.mark.parametrize(("members", "path", "code"), [
    ({"name": None}, "/name", "field_missing"), ({"name": ""}, "/name", "field_missing"),
    ({"name": "x"}, "/name", "text_too_short"), ({"name": "xxxxxx"}, "/name", "text_too_long"),
    ({"name": 5}, "/name", "field_type"), ({"slug": "A b"}, "/slug", "text_form"),
    ({"slug": "ab\n"}, "/slug", "text_form"), ({"kind": "c"}, "/kind", "value_not_allowed"),
    ({"count": -1}, "/count", "number_negative"), ({"count": 1.5}, "/count", "field_type"),
    ({"count": True}, "/count", "field_type"), ({"high": 0}, "/high", "number_out_of_range"),
    ({"low": 3, "high": 2}, "/low", "sale_price_above_price"), ({"flag": "maybe"}, "/flag", "value_not_allowed"),
    ({"flag": 1}, "/flag", "value_not_allowed"), ({"at": "soon"}, "/at", "date_unreadable"),
    ({"at": 5}, "/at", "date_unreadable"), ({"link": "/a.jpg"}, "/link", "url_not_absolute"),
    ({"tags": []}, "/tags", "list_too_short"), ({"tags": [{}]}, "/tags/0", "field_type"),
    ({"tags": "a"}, "/tags", "field_type"), ({"brand": "Acmee"}, "/brand", "brand_unknown"),
    ({"rooms": [7]}, "/rooms/0", "department_unknown"), ({"template": "x"}, "/template", "template_unknown"),
    ({"category": "B"}, "/category", "category_unknown"), ({"hs": "64"}, "/hs", "hs_code_form"),
    ({"hs": "9999"}, "/hs", "hs_code_unknown"), ({"place": "L9"}, "/place", "location_unknown"),
    ({"category": "C", "attributes": {"fit": "wide"}}, "/attributes/fit", "attribute_not_allowed"),
    ({"code": "a\u200bb"}, "/code", "sku_characters"), ({"sizes": [{}]}, "/sizes/0/sku", "field_missing"),
    ({"sizes": [5]}, "/sizes/0", "field_type"),
    ({"sizes": [{"sku": "s"}, {"sku": "s"}]}, "/sizes/1/sku", "variant_repeated"),
])
def test_every_issue_names_its_path(members, path, code):
    """One issue for one thing that is wrong."""
    assert _issues_of({**GOOD, **members}) == [(path, code)]


def test_a_record_gets_all_its_issues():
    """Not only the first."""
    actual = _issues_of({"name": 5, "count": -1, "brand": "B", "sizes": [{}]})
    assert {code for _, code in actual} == {"field_missing", "field_type", "number_negative", "brand_unknown"}
    assert len(actual) == 5


def test_required_attributes_are_checked():
    """A correction need not name them all."""
    whole = Schema({**NODE, "required": ["attributes"]})
    checker = SchemaChecker(
        whole, Policy(references=Strictness.REFUSE), REFERENCE, issues_per_record_max=10, depth_max=8
    )
    record = {**GOOD, "category": "C", "attributes": {"other": 1}}
    assert [(one.path, one.code) for one in checker.check([orjson.dumps(record)]).issues[0]] == [
        ("/attributes/fit", "attribute_missing"),
    ]
    assert _issues_of(record) == []


def test_a_similar_value_is_suggested():
    """As for every reference."""
    (one,) = _checker().check([orjson.dumps({**GOOD, "brand": "acme"})]).issues[0]
    assert one.suggestion == "Acme"


def test_a_kind_without_entries_is_not_checked():
    """As everywhere in the house."""
    members = {"brand": "Any", "category": "Any", "rooms": [1], "template": "x", "hs": "9999", "place": "any"}
    assert _issues_of({**GOOD, **members}, reference=ReferenceData.build({})) == []


def test_a_policy_may_allow_only_one_location():
    """Others are foreign, known or not."""
    assert _issues_of({**GOOD, "place": "L1"}, location="L1") == []
    assert _issues_of({**GOOD, "place": "L2"}, location="L1") == [("/place", "location_foreign")]


@pytest.mark.parametrize(("document", "code"), [
    (b"[1]", "record_not_object"), (b"{", "line_unreadable"),
    (b'{"code":' + b"[" * 20 + b"]" * 20 + b"}", "line_too_deep"),
])
def test_an_unreadable_document_gets_an_issue(document, code):
    """And ties nothing."""
    checked = _checker().check([document])
    assert [one.code for one in checked.issues[0]] == [code]
    assert (checked.keys, checked.refs) == ([None], [None])


def test_a_record_maps_to_items_by_its_key_and_index_entries():
    """The path of a mark is found again; marks of entries that do not qualify are left out."""
    record = {
        **GOOD, "name": "ÄB", "slug": "s", "parent": "p",
        "sizes": [{"sku": "1", "eans": [{"value": "e1", "main": True}, {"value": "e2"}]}, {"sku": 2}, {}, "x"],
    }
    checked = _checker().check([orjson.dumps(record)])
    assert checked.keys == ["x1"]
    (refs,) = checked.refs
    assert refs.index_entries == [("sku", "1"), ("ean", "e1"), ("sku", "2"), ("slug", "s"), ("name", "äb")]
    assert refs.unique_entries == [("sku", "1"), ("sku", "2"), ("slug", "s")]
    assert [SCHEMA.mapping.path_of(record, mark) for mark in refs.index_entries] == [
        "/sizes/0/sku", "/sizes/0/eans/0/value", "/sizes/1/sku", "/slug", "/name",
    ]
    assert refs.find_by == [[("slug", "s")], [("sku", "1"), ("ean", "e1"), ("sku", "2")]]
    assert refs.required == [(Kind.PRODUCT, ("sku", "p"), "/parent")]


@pytest.mark.parametrize("code", [None, 5, "", " ", "a\x1fb", "x" * 256])
def test_a_record_without_a_usable_key_has_none(code):
    """Missing, no text, blank, with control characters, too long."""
    assert _checker().check([orjson.dumps({**GOOD, "code": code})]).keys == [None]


@pytest.mark.parametrize(("code", "key", "issues"), [
    ("a b.c", "a b.c", []), (" a ", " a ", []), (5, "5", []), (0, "0", []), (4.5, "4.5", []), ("1E+5", "1E+5", []),
    (" ", None, ["sku_missing"]), ("x" * 256, None, ["sku_too_long"]), ("a\x1fb", None, ["sku_characters"]),
    (True, None, ["field_type"]), ([1], None, ["field_type"]), (None, None, ["field_missing"]),
    ("", None, ["field_missing"]),
])
def test_a_key_may_be_a_number_if_the_schema_allows_it(code, key, issues):
    """Such a key is freer than an SKU; a value that cannot be a key is reported."""
    node = {
        "type": "object", "x-record": {"key": ["code"], "numeric_key": True}, "required": ["code"],
        "properties": {"code": {"x-form": "name"}},
    }
    checker = SchemaChecker(Schema(node), Policy(), ReferenceData.build({}), issues_per_record_max=9, depth_max=16)
    checked = checker.check([orjson.dumps({"code": code, "other": 1})])
    assert (checked.keys, [one.code for one in checked.issues.get(0, [])]) == ([key], issues)


def test_a_key_may_have_several_parts():
    """As a SKU at a location."""
    schema = Schema({**NODE, "x-record": {"key": ["code", "place"]}})
    assert schema.mapping.key_of({"code": "a", "place": "L1"}) == item_key("a", "L1")
    assert schema.mapping.key_of({"code": "a"}) is None


def test_a_level_is_named_or_counted():
    """A parent that is its own ancestor does not go on for ever."""
    parents = {"a": "b", "b": "a"}
    assert level_of(ReferenceEntry(code="x"), {}) == 1
    assert level_of(ReferenceEntry(code="x", data={"level": 2}), {}) == 2
    assert level_of(ReferenceEntry(code="a", parent="b"), parents) > 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8,
)


@settings(deadline=None, max_examples=effort.examples(200))
@given(st.dictionaries(st.sampled_from(sorted(NODE["properties"])), JSON))
def test_no_record_causes_a_failure(record):
    """Whatever the members hold: issues, never a fault."""
    assert "internal_fault" not in {code for _, code in _issues_of(record)}


GOODS = {
    "code": ["x1", "a b", "+1", ""], "name": ["ab", "x", "abcdef"], "slug": ["a", "A", "a\n"], "kind": ["a", "c"],
    "count": [0, -1, 1.0, 1.5, True], "low": [0.5, 3], "high": [1, 2, 0], "flag": [True, "yes", "Maybe", 0],
    "at": ["2026-01-28T08:15:00Z", "2026-01-31", "soon"],
    "link": ["https://a.example/b.jpg", "https://a.example/?a&b", "a"],
    "tags": [["a", 1], [], [None], [True]], "brand": ["Acme", "acme"], "rooms": [["5956", 5956], [7]],
    "template": ["plain", "x"], "category": ["C", "Flat", "B"], "attributes": [{}, {"fit": "slim"}, {"fit": [1]}, []],
    "hs": ["6404", "640411", "9999", "64"], "place": ["L1", "L2", "L3"],
    "sizes": [[{"sku": "s"}], [{"sku": ""}], [{}], [{"sku": "s", "more": 1}]], "other": [1, {"deep": [[[[[[[1]]]]]]]}],
}


@settings(deadline=None, max_examples=effort.examples(500))
@given(st.fixed_dictionaries({}, optional={
    name: st.sampled_from([*values, None]) for name, values in GOODS.items()
}), st.sampled_from([None, "L1"]))
def test_the_fast_path_accepts_only_valid_records(record, location):
    """What it acquits has no issue."""
    actual = []
    SCHEMA.check_record(record, "", _checker(location=location)._context, actual)
    assert _fast_path(SCHEMA, record, location=location) is None or not actual


@pytest.mark.parametrize("members", [
    {}, {"count": 3, "kind": "a", "tags": ["a", 1], "flag": "No"}, {"sizes": [{"sku": "s"}], "brand": "Acme"},
    {"category": "C", "attributes": {"fit": "slim"}}, {"link": "https://shop.example/a/b.jpg", "hs": "6404"},
])
def test_valid_records_take_the_fast_path(members):
    """Or it would be none."""
    assert _fast_path(SCHEMA, {**GOOD, **members}) is not None


NAMED = {
    "type": "object",
    "x-record": {
        "key": ["code", "slug"],
        "index": {
            "sku": {"path": "sizes/*/sku", "unique": []}, "ean": {"path": "sizes/*/eans/*/value", "if_true": "main"},
            "tax": {"path": "tax/rule"}, "name": {"path": "name", "case_folded": True},
        },
        "find_by": [["tax"], ["sku", "ean"]],
        "requires": {"parent-code": {"kind": "product", "index": "sku"}},
    },
    "required": ["code"],
    "properties": {
        "code": {"type": "string", "x-form": "identity"}, "slug": {"type": "string"}, "name": {"type": "string"},
        "parent-code": {"type": "string"}, "tax": {"type": "object", "properties": {"rule": {"type": "string"}}},
        "sizes": {"type": "array", "items": {"type": "object", "properties": {
            "sku": {"type": "string"},
            "eans": {"type": "array", "items": {"type": "object", "properties": {
                "value": {"type": "string"}, "main": {"type": "boolean"},
            }}},
        }}},
    },
}
TEXT = st.sampled_from(["a", "B", "", "ÄB", "x" * 600])
EANS = st.lists(st.fixed_dictionaries({}, optional={"value": TEXT, "main": st.sampled_from([True, False, None])}))
SIZES = st.lists(st.fixed_dictionaries({}, optional={"sku": TEXT, "eans": EANS | st.none()}), max_size=3)


@settings(deadline=None, max_examples=effort.examples(300))
@given(st.fixed_dictionaries({"code": st.sampled_from(["x1", "y"])}, optional={
    "slug": TEXT | st.none(), "name": TEXT, "parent-code": TEXT, "sizes": SIZES | st.none(),
    "tax": st.fixed_dictionaries({}, optional={"rule": TEXT | st.none()}) | st.none(),
}))
def test_the_mapping_of_a_record_is_the_same_on_the_fast_path(record):
    """Typed and decoded records have the same key, index entries in order, required items, and issues."""
    schema = Schema(NAMED)
    typed = _fast_path(schema, record)
    assert isinstance(typed, TypedRecord)
    told_typed, told_plain = [], []
    assert schema.mapping.key_of(typed) == schema.mapping.key_of(record)
    assert schema.mapping.refs_of(typed, told_typed) == schema.mapping.refs_of(record, told_plain)
    assert told_typed == told_plain


@pytest.mark.parametrize(("path", "named"), [
    (("code",), {"type": ["string", "integer"], "x-form": "name"}), (("parent-code",), {"type": ["string", "integer"]}),
    (("tax",), {"type": "object"}), (("sizes", "items", "eans", "items", "main"), {"type": "string"}),
    (("sizes", "items", "sku"), {"type": "number"}),
])
def test_records_mapped_by_more_than_texts_are_not_changed(path, named):
    """A number has many spellings, and its types know one."""
    node = copy.deepcopy(NAMED)
    at = node["properties"]
    for step, inner in pairwise(path):
        at = at[step]["items"]["properties"] if inner == "items" else at[step]["properties"] if step != "items" else at
    at[path[-1]] = named
    assert type(_fast_path(Schema(node), {"code": "x1"})) is dict
