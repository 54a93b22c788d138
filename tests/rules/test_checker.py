"""Documents that are no records, verbs, and the promise that a bad record harms nobody."""

import json
import logging

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Policy, Verb
from goodsgate.model.issue import CODES
from goodsgate.rules import Checker
from tests import effort
from tests.rules.truth import EUROS, NOTHING, REFERENCE, codes, document, issues_of, product, rules
from tests.rules.values import SAMPLES

GOOD = document(product())

UNREADABLE = [
    (b"", "line_unreadable"), (b"{", "line_unreadable"), (b'{"id": "A", "title": "x"', "line_unreadable"),
    (b'{"id": "A",}', "line_unreadable"), (b'{"id": NaN}', "line_unreadable"), (b'{"id": Infinity}', "line_unreadable"),
    (b"{'id': 'A'}", "line_unreadable"), (b'{"id": "A"} {"id": "B"}', "line_unreadable"),
    (b'{"id": "A", "title": "caf\xe9"}', "line_unreadable"),
    (b'{"id": "A", "x": "\xff", "title": "y"}', "line_unreadable"),
    (b'{"id": "A\\ud800", "title": "x"}', "line_unreadable"),
    (b'{"id": "A", "title": "x", "y": "\\udc00"}', "line_unreadable"),
    (b'{"id": "A", "title": "x", "y": "\xed\xa0\x80"}', "line_unreadable"),
    (b'{"id": "A", "title": "\x01"}', "line_unreadable"),
    (b'\xef\xbb\xbf{"id": "A", "title": "x"}', "line_unreadable"), (b"\x00", "line_unreadable"),
    (b'{"id": "A", "x": 1e999, "y": "\\ud800"}', "line_unreadable"),
    (b'{"id": "A", "x": 1e999, "y": NaN}', "line_unreadable"),
    (b"[]", "record_not_object"), (b'["A"]', "record_not_object"), (b"null", "record_not_object"),
    (b'"A"', "record_not_object"), (b"5", "record_not_object"), (b"true", "record_not_object"),
    (b'{"id": "A", "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "line_too_deep"), (b"[" * 100_000, "line_too_deep"),
    (b'{"a":' * 1_100 + b"1" + b"}" * 1_100, "line_too_deep"),
]


@pytest.mark.parametrize(("raw", "code"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_an_unreadable_document_gets_an_issue_and_others_are_not_affected(raw, code):
    """One issue, no key, and the position where reading stopped."""
    checked = rules().check([GOOD, raw, GOOD])
    assert checked.keys == ["A-1", None, "A-1"]
    assert {at: [one.code for one in found] for at, found in checked.issues.items()} == {1: [code]}
    assert "None" not in checked.issues[1][0].message


@pytest.mark.parametrize(("raw", "value"), [
    (b'{"id": "A",}', "trailing comma is not allowed at character 11"),
    (b'{"id": "A", "title": "caf\xe9"}', "not UTF-8 at byte 26"),
    (b'{"id": "A", "n": NaN}', "unexpected character, expected a JSON value at character 18"),
])
def test_the_issue_names_the_position(raw, value):
    """From 1, as an editor counts."""
    assert rules().check([raw]).issues[0][0].value == value


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("depth_max", [2, 4, 5, 16])
def test_a_record_may_be_nested_up_to_the_limit(kind, depth_max):
    """The record itself is the first level; texts that hold brackets are not nested."""
    checked = Checker(kind, EUROS, NOTHING, depth_max=depth_max)
    base = {"id": "A", "title": "x [[[[[[[[[[[[[[[[[[[[ {{{{{{{{{{{{", "price": 5, "quantity": 5}
    for levels in (depth_max, depth_max + 1):
        deep: object = 1
        for _ in range(levels - 1):
            deep = [deep]
        for extra in ({"x": deep}, {"x": deep, "y": {}}):
            found = checked.check([document({**base, **extra})] * 2).issues
            expected = {} if levels == depth_max else {0: ["line_too_deep"], 1: ["line_too_deep"]}
            assert {at: [one.code for one in told_of] for at, told_of in found.items()} == expected


def test_the_last_of_two_equal_members_counts():
    """JSON leaves it open; every common reader does so."""
    raw = b'{"id": "A", "title": "x", "id": "B", "price": "5 EUR"}'
    assert rules().check([raw, raw]).keys == ["B", "B"]
    assert rules().check([b'{"id": "A", "title": "x", "title": 5}'] * 2).issues[1][0].code == "field_type"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 400, "1" * 6_000, "123456789012345678901234567890",
    "1e-999"])
def test_numbers_may_have_any_size(number):
    """JSON does not limit them: unknown members keep them, known ones get an issue."""
    unknown = b'{"id": "A", "title": "x", "n": ' + number.encode() + b"}"
    assert rules().check([unknown, unknown, GOOD, unknown]).issues == {}
    known = b'{"id": "A", "quantity": ' + number.encode() + b"}"
    assert rules(Kind.STOCK).check([known]).issues[0][0].code in ("number_not_whole", "number_out_of_range")
    assert codes_of(b'{"id": "A", "title": "x", "price": ' + number.encode() + b"}") <= {
        "price_too_large", "price_negative", "price_zero", "price_decimals",
    }
    assert codes_of(b'{"id": "A", "title": "x", "attributes": {"wattage": ' + number.encode() + b"}}") <= {
        "attribute_out_of_range",
    }


def codes_of(raw):
    """Return the issue codes of a document."""
    return {one.code for one in rules(reference=REFERENCE).check([raw]).issues.get(0, [])}


def test_verbs_of_records():
    """There are none until a record names one; an unknown one is reported, and the policy's verb counts."""
    raws = [document(product(_verb=verb)) for verb in (None, "upsert", "create", "update", "delete", "DELETE", 5)]
    checked = rules().check([GOOD, GOOD])
    assert checked.verbs is None
    checked = rules().check(raws)
    assert checked.verbs == [None, Verb.UPSERT, Verb.CREATE, Verb.UPDATE, Verb.DELETE, None, None]
    assert {at: [(one.code, one.path) for one in found] for at, found in checked.issues.items()} == {
        5: [("verb_unknown", "/_verb")], 6: [("verb_unknown", "/_verb")],
    }


@pytest.mark.parametrize("kind", Kind)
def test_a_delete_needs_only_its_key(kind):
    """Whatever else the record holds is not looked at, but for its version."""
    policy = Policy(verb=Verb.DELETE)
    assert codes({"id": "A"}, kind=kind, policy=policy) == []
    assert codes({"id": "A", "title": 5, "price": "bad", "quantity": -1, "gtin": "1"}, kind=kind, policy=policy) == []
    assert codes({"title": "x"}, kind=kind, policy=policy) == [("sku_missing", "/id")]
    assert codes({"id": "A", "observed_at": "soon"}, kind=kind, policy=policy) == [("date_unreadable", "/observed_at")]
    assert codes({"id": "A", "_verb": "delete", "price": -1}, kind=kind) == []
    assert codes({"id": "A", "_verb": "upsert"}, kind=kind, policy=policy) != []


@pytest.mark.parametrize("kind", Kind)
def test_an_update_needs_only_the_members_that_it_changes(kind):
    """What it does hold must be good."""
    policy = Policy(verb=Verb.UPDATE, currency="EUR")
    assert codes({"id": "A"}, kind=kind, policy=policy) == []
    assert codes({"id": "A", "title": None, "price": None, "quantity": None}, kind=kind, policy=policy) == []
    assert codes({"id": "A", "price": -1, "quantity": -1}, kind=kind, policy=policy) != []


def test_issues_are_limited_and_errors_come_first():
    """So that a rejected record never looks as if it had only warnings."""
    record = product(variants=[{"id": f"{at}", "title": " x", "gtin": "1"} for at in range(20)])
    assert len(issues_of(record)) == 40
    found = Checker(Kind.PRODUCT, EUROS, NOTHING, issues_per_record_max=10).check([document(record)]).issues[0]
    assert [one.code for one in found] == ["gtin_length"] * 9 + ["issues_cut"]
    found = Checker(Kind.PRODUCT, EUROS, NOTHING, issues_per_record_max=1).check([document(record)]).issues[0]
    assert [one.code for one in found] == ["gtin_length"]
    found = Checker(Kind.PRODUCT, EUROS, NOTHING, issues_per_record_max=40).check([document(record)]).issues[0]
    assert "issues_cut" not in {one.code for one in found}


def test_a_fault_of_ours_affects_only_its_record(caplog):
    """A record that a rule fails on is rejected and logged; its neighbours are as they would be."""
    faulty = rules(reference=REFERENCE)
    faulty._ascii_context = faulty._context = None  # what no rule can work with
    with caplog.at_level(logging.ERROR):
        checked = faulty.check([GOOD, document(product(gtin="1")), GOOD])
    assert checked.keys[1] is None
    assert {at: [one.code for one in found] for at, found in checked.issues.items() if at} == {1: ["internal_fault"]}
    name = checked.issues[1][0].value
    assert name
    assert name in caplog.text


@settings(max_examples=effort.examples(400), deadline=None)
@given(st.lists(
    st.binary(max_size=60) | st.from_regex(rb'\{"id": ?"[^"]{0,5}"(, ?"(title|price|variants)": ?.{0,20})?\}')
))
@example([b"{}"])
def test_a_check_never_raises_for_any_bytes(raws):
    """And accounts for each of them."""
    for kind in Kind:
        checked = rules(kind).check(raws)
        assert len(checked.keys) == len(checked.versions) == len(raws)
        for at, key in enumerate(checked.keys):
            if key is None:
                assert any(one.severity == "error" for one in checked.issues[at])
            else:
                key.encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.text(max_size=6) | st.sampled_from(["id", "price", "value", "currency", "variants", "attributes", "_verb"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)


@settings(max_examples=effort.examples(400), deadline=None)
@given(json_values, st.sampled_from(Kind))
def test_a_check_never_raises_for_any_json(value, kind):
    """Whatever Python's json writes, lone surrogates and NaN included; and every issue can be worded."""
    raw = json.dumps({**SAMPLES[kind], **value} if isinstance(value, dict) else value).encode()
    checked = rules(kind, reference=REFERENCE).check([raw])
    for one in checked.issues.get(0, []):
        assert one.code != "internal_fault"
        assert one.code in CODES
        assert one.message
        assert one.suggestion is None or isinstance(one.suggestion, str)
        orjson.dumps([one.path, one.value, one.expected, one.suggestion, one.message])  # can be answered as JSON
