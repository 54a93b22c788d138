"""The fast path accepts only records in which the rules find nothing, and returns the same keys and versions."""

import copy
import json

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Policy, Verb
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.model.fields import FIELDS, VARIANT_FIELDS
from goodsgate.rules import Checker, ReferenceData
from tests import effort
from tests.rules.truth import EUROS, NOTHING, REFERENCE, truth
from tests.rules.values import AMOUNTS, POLICIES, SAMPLES, SPECIALS, STOCK, TEXTS, VALUES

texts = st.text(max_size=20) | st.sampled_from(TEXTS)
prices = (
    st.integers(-10, 10**13) | st.floats(-1, 1e13, allow_nan=False) | st.decimals(0, 1000, places=3).map(str)
    | st.sampled_from(AMOUNTS)
)
prices = prices | st.fixed_dictionaries({}, optional={
    "value": prices, "amount": prices, "currency": st.sampled_from(["EUR", "USD", "JPY", "eur", "XXX", None, 5]),
    "currency_code": st.sampled_from(["EUR", "KWD"]), "list": prices,
})
specials = st.sampled_from(SPECIALS)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**64) | st.floats(allow_nan=False, allow_infinity=False) | texts
    | prices | specials,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)

members = {kind: st.sampled_from([*FIELDS[kind], "_verb", "unknown", "another"]) for kind in Kind}
changes = {
    kind: st.lists(st.tuples(
        members[kind], st.none() | st.sampled_from([*VARIANT_FIELDS, "color", "washable", "fit"]), values,
    ), min_size=1, max_size=3)
    for kind in Kind
}
PLAIN_ASCII = {"description": "plain", "availability_date": "2026-02-24T11:07:00Z"}
"""Members without a byte that needs a text check."""
PRODUCT_POLICIES = (0, 1, 4)
"""Numbers of the policies that matter to members of products."""
KETTLE = {"id": "K-1", "title": "Kettle", "product_type": "c4"}
WRITERS = [
    orjson.dumps, lambda record: json.dumps(record).encode(),
    lambda record: json.dumps(record, ensure_ascii=False, indent=1).encode(),
]


def changed(record: dict[str, object], steps: list[tuple[str, str | None, object]]) -> dict[str, object]:
    """Return the record with some members, or members of their values, replaced."""
    record = copy.deepcopy(record)
    for name, below, value in steps:
        held = record.get(name)
        if below is not None and isinstance(held, dict):
            held[below] = value
        elif below is not None and isinstance(held, list) and held and isinstance(held[-1], dict):
            held[-1][below] = value
        elif value is None:
            record.pop(name, None)
        else:
            record[name] = value
    return record


def same_as_truth(rules: Checker, policy: Policy, reference: ReferenceData, raws: list[bytes]) -> None:
    """Assert that the checker finds in documents exactly what all rules find."""
    checked = rules.check(raws)
    for at, raw in enumerate(raws):
        key, version, issues = truth(raw, rules.kind, policy, reference)
        assert checked.issues.get(at, []) == issues, raw
        assert (checked.keys[at], checked.versions[at]) == (key, version), raw


def trained_checker(kind: Kind, policy: Policy, reference: ReferenceData) -> Checker:
    """Return a checker that has learned the members of the samples."""
    rules = Checker(kind, policy, reference)
    sample = orjson.dumps({**dict.fromkeys(FIELDS[kind]), **SAMPLES[kind]})
    variants = orjson.dumps({**SAMPLES[kind], "variants": [dict.fromkeys(VARIANT_FIELDS)]})
    for raw in (sample, sample, variants, *[sample] * 20):
        rules.check([raw])
    return rules


def values_of(member: int, policy: int) -> tuple[object, ...]:
    """Return the values that a member of a product takes: in the short form, each value under one policy."""
    return VALUES[(member + PRODUCT_POLICIES.index(policy)) % effort.SHARES :: effort.SHARES]


@pytest.mark.parametrize(("kind", "number"), [
    *((Kind.PRODUCT, number) for number in PRODUCT_POLICIES),
    *((kind, number) for kind in (Kind.PRICE, Kind.STOCK) for number in range(len(POLICIES))),
])
def test_the_fast_path_agrees_with_the_rules_for_every_value_of_every_member(kind, number):
    """Every member takes every value in turn, and so do the members of variants, attributes and price."""
    policy = POLICIES[number]
    sample = SAMPLES[kind]
    ascii_only = {**sample, **PLAIN_ASCII} if kind is Kind.PRODUCT else sample
    reference = REFERENCE if number % 3 != 1 else NOTHING
    rules = trained_checker(kind, policy, reference)
    spoiled = [
        {**ascii_only, name: value} for at, name in enumerate(FIELDS[kind])
        for value in (values_of(at, number) if kind is Kind.PRODUCT else VALUES)
    ]
    spoiled += [{**sample, name: "é"} for name in FIELDS[kind]]
    if kind is Kind.PRODUCT:
        inside = [*(("variants", name) for name in VARIANT_FIELDS), ("attributes", "color"), ("attributes", "washable")]
        spoiled += [
            changed(ascii_only, [(name, below, value)]) for at, (name, below) in enumerate(inside)
            for value in values_of(at, number)
        ]
        spoiled += [{**KETTLE, "attributes": {name: value}} for name in ("wattage", "cups") for value in VALUES]
        spoiled.append({**ascii_only, "currency": "JPY", "cost_of_goods_sold": "15.99"})
    writer = WRITERS[(number + number // 4) % 3]
    same_as_truth(rules, policy, reference, [writer(record) for record in spoiled])


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=effort.examples(150), deadline=None)
@given(data=st.data())
def test_the_fast_path_agrees_with_the_rules(kind, writer, data):
    """For valid records with several changes, in every notation of JSON."""
    policy = data.draw(st.sampled_from(POLICIES))
    reference = data.draw(st.sampled_from([NOTHING, REFERENCE]))
    raws = []
    for steps in data.draw(st.lists(changes[kind] | st.just([]), min_size=1, max_size=4)):
        record = changed(SAMPLES[kind], steps)
        if record.get("_verb") is not None and record["_verb"] not in list(Verb):
            del record["_verb"]
        try:
            raws.append(writer(record))
            orjson.loads(raws[-1])
        except (TypeError, ValueError):
            return  # lone surrogates and the like, which are tested with what cannot be read
    rules = Checker(kind, policy, reference)
    rules.check([orjson.dumps(SAMPLES[kind])])
    same_as_truth(rules, policy, reference, raws)


@pytest.mark.parametrize("kind", Kind)
def test_valid_records_take_the_fast_path(kind):
    """Otherwise the test above would test nothing."""
    rules = Checker(kind, EUROS, REFERENCE)
    sample = orjson.dumps(SAMPLES[kind])
    assert not rules.check([sample]).issues
    assert rules._fast_path.is_valid(sample, rules._decoder.decode(sample))


@settings(max_examples=effort.examples(300), deadline=None)
@given(st.dictionaries(st.text(max_size=8), values, max_size=5))
@example({"": 1, "\"": 2, "\\": 3, "é": 4, "a b": 5, "verb": 6, "member_0": 7, "__init__": 8})
def test_unknown_members_are_accepted(extra):
    """They are learned, cause no issue, and do not hide issues of known members."""
    extra = {name: value for name, value in extra.items() if name not in FIELDS[Kind.STOCK] and name != "_verb"}
    try:
        raw = orjson.dumps({**extra, **STOCK})
    except (TypeError, orjson.JSONEncodeError):
        return
    rules = Checker(Kind.STOCK, EUROS, NOTHING)
    for _ in range(3):
        checked = rules.check([raw, orjson.dumps({**extra, **STOCK, "quantity": -1})])
        assert [one.code for one in checked.issues.pop(1)] == ["number_negative"]
        assert not checked.issues


@pytest.mark.parametrize("amount", ["0.0099999999999999999999", "19.990000000000000001", "1.0050000000000000000001"])
@pytest.mark.parametrize("price", [
    '"price":{0}', '"price":{{"value":{0},"currency":"EUR"}}', '"price":"50 EUR","sale_price":{0}',
    '"price":"50 EUR","variants":[{{"id":"A-1","price":{0}}}]',
])
def test_a_number_with_more_digits_than_a_float_is_read_exactly(amount, price):
    """A price is not valid because the nearest float is."""
    policy = Policy(currency="EUR")
    raw = f'{{"id":"A","title":"Cup",{price.format(amount)}}}'.encode()
    rules = Checker(Kind.PRODUCT, policy, NOTHING)
    for _ in range(3):  # the decoder learns the members
        same_as_truth(rules, policy, NOTHING, [raw])
    assert rules.check([raw]).issues


def test_a_feed_with_a_new_member_in_every_record_is_checked():
    """Learning stops when it would cost more than it gains."""
    rules = Checker(Kind.STOCK, EUROS, NOTHING)
    raws = [orjson.dumps({**STOCK, f"member-{number}": number}) for number in range(700)]
    checked = rules.check([*raws, orjson.dumps({**STOCK, "quantity": 1.5})])
    assert {at: [one.code for one in issues] for at, issues in checked.issues.items()} == {700: ["number_not_whole"]}
    assert rules._decoder._builds < 30


def test_attributes_of_variants_must_satisfy_the_category():
    """Even if no member of a variant was ever new to the decoder."""
    reference = ReferenceData.build({
        "category": [ReferenceEntry(code="c", name="Shoes")],
        "attribute": [ReferenceEntry(code="c/fit", data={"type": "text", "allowed": ["slim"]})],
    })
    fast = Checker(Kind.PRODUCT, Policy(), reference, issues_per_record_max=10, depth_max=20)
    records = [
        {"id": fit, "title": "T", "product_type": "c", "variants": [{"id": "v", "attributes": {"fit": fit}}]}
        for fit in ("slim", "wide", "slim")
    ]
    checked = fast.check([orjson.dumps(record) for record in records], [bytes([at]) * 16 for at in range(3)])
    actual = {at: [(one.code, one.path) for one in issues] for at, issues in checked.issues.items()}
    assert actual == {1: [("attribute_not_allowed", "/variants/0/attributes/fit")]}
