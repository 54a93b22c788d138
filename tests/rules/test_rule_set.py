"""Rules of merchants: what they say about a record, what they cost at most, and what is refused."""

from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import digest_of
from goodsgate.model.issue import issue
from goodsgate.model.record_rule import RecordRule
from goodsgate.rules import CompiledRule, PassedDocuments, RecordRules, RuleSet
from goodsgate.rules.cel import Expression
from goodsgate.rules.passed_documents import SLOTS
from tests import effort

TOY = {
    "id": "A", "title": "Blue train", "price": "7.90 EUR", "brand": "Brio", "quantity": 3,
    "product_type": ["Toys > Trains"], "product_weight": "0.25 kg", "additional_image_link": ["https://a", "http://b"],
}


def rule_set(*, kind: Kind = Kind.PRODUCT, collection: str = "products", **rules: RecordRule) -> RuleSet | None:
    """Compile rules by name."""
    return RecordRules(rules, PassedDocuments()).rule_set(kind, collection)


def check(rules: RuleSet, record: dict[str, object], held: dict[str, object] | None = None):
    """Check a record; None if nothing is to be said."""
    document = orjson.dumps(record)
    return rules.check(document, digest_of(document), orjson.dumps(held) if held is not None else None)


def fault_of(**rule: object) -> str | None:
    """Return why a rule cannot be used."""
    return CompiledRule("it", RecordRule(**rule)).fault  # type: ignore[arg-type]


HOLD = [
    "amount(record.price) >= 7.9", "amount(record.price) > 7.0 && unit(record.price) == 'EUR'",
    "amount(record.product_weight) < 1.0 && unit(record.product_weight) == 'kg'", "record.quantity > 2",
    "record.title.size() < 20", 'record.title.matches("^[A-Z][a-z]+")', r"record.title.matches(r'\w+ \w+')",
    "has(record.brand) && !has(record.color)", "record['brand'] == 'Brio'", "record.brand in ['Brio', 'Lego']",
    "record.additional_image_link.exists(link, link.startsWith('https:'))", "held == null", "size(record) == 8",
    "record.all(name, name != '')", "true // as always", "record.quantity % 2 == 1 ? true : false",
    "has(held.price) || true", "record.title != 'record.color'",
]
BROKEN = [
    ("amount(record.price) >= 10.0", "/price"), ("record.title.contains('green') || record.brand == 'Lego'", ""),
    ("record.additional_image_link.all(link, link.startsWith('https:'))", "/additional_image_link"),
    ("held != null", ""), ("false", ""), ("has(record.color)", "/color"),
]
FAILING = [
    ("record.color == 'red'", "color"), ("record.title > 3", "overload"), ("record.brand", "true or false"),
    ("amount(record.title) > 1.0", "Blue"), ("held.price == ''", ""), ("1 / (record.quantity - 3) == 0", "zero"),
    ("record.title[0] == 'B'", ""),
]


@pytest.mark.parametrize("expression", HOLD)
def test_nothing_is_said_about_a_record_that_satisfies_an_expression(expression):
    """Whatever it reads, and however."""
    assert fault_of(expression=expression) is None
    assert check(rule_set(it=RecordRule(expression=expression)), TOY) is None


@pytest.mark.parametrize(("expression", "path"), BROKEN)
def test_a_record_that_breaks_an_expression_has_an_issue_of_its_only_member(expression, path):
    """With the rule's name in its code, and the rule's message."""
    (found,) = check(rule_set(it=RecordRule(expression=expression, message="Not so.", suggestion="x")), TOY).issues
    assert (found.code, found.path, found.severity) == ("rule.it", path, "error")
    assert (found.message, found.suggestion) == ("Not so.", "x")


@pytest.mark.parametrize(("expression", "reason"), FAILING)
def test_a_rule_that_fails_says_nothing_about_the_record(expression, reason):
    """It is counted for the rule, with the reason; rules beside it still count."""
    rules = rule_set(bad=RecordRule(expression=expression), other=RecordRule(expression="record.quantity > 5"))
    results = check(rules, TOY)
    assert [each.code for each in results.issues] == ["rule.other"]
    ((name, counts),) = results.counts
    assert (name, counts.faults, counts.rejected) == ("bad", 1, 0)
    assert reason in counts.fault
    assert "\n" not in counts.fault


@pytest.mark.parametrize(("rule", "reason"), [
    ({"expression": "record.title =="}, "at character"), ({"expression": "nobody(record)"}, "undeclared"),
    ({"expression": "1 + 2"}, "true or false"), ({"expression": "'a' + 1 == ''"}, "overload"),
    ({"expression": "true) || (true"}, "at character"), ({"expression": "'abc"}, "quotation mark"),
    ({"expression": "(" * 900 + "true" + ")" * 900}, "recursion"), ({"expression": "[" * 900}, ""),
    ({"expression": "+".join(["1"] * 900) + " > 1"}, "recursion"), ({"expression": "record" + ".b" * 900}, "recursion"),
    ({"expression": "[1].all(x, " * 150 + "true" + ")" * 150}, "recursion"), ({"expression": "@#" * 1000}, ""),
    ({"expression": "record.title.matches(record.brand)"}, "quotation marks"),
    ({"expression": "matches(record.title, 'a')"}, "quotation marks"),
    ({"expression": "record.title.matches('a' + 'b')"}, "quotation marks"),
    ({"expression": "record.title.matches('(')"}, "missing )"), ({"expression": "record.title.matches('(?=a)')"}, ""),
    ({"expression": r"record.title.matches('\\pL{1,100}')"}, "large"),
    ({"expression": "record.title.matches('(a{1,90}){1,90}')"}, ""),
    ({"schema": {"type": "text"}}, "type"), ({"schema": {"properties": {"a": {"pattern": "("}}}}, "pattern"),
    ({"schema": {"properties": {"a": {"pattern": "(?=a)b"}}}}, "pattern"),
    ({"schema": {"$ref": "#"}}, "$ref"), ({"schema": {"allOf": [{"$dynamicRef": "#a"}]}}, "$dynamicRef"),
    ({"schema": {"properties": {"a": {"unevaluatedProperties": False}}}}, "unevaluatedProperties"),
    ({"schema": {"enum": [*range(2_000)]}}, "1,000"), ({"schema": {"$schema": "http://elsewhere/"}}, "$schema"),
])
def test_what_cannot_be_bounded_or_understood_is_refused(rule, reason):
    """When it is saved, with a reason."""
    fault = fault_of(**rule)
    assert fault is not None
    assert reason in fault


HOSTILE = {"l": [*range(20_000)], "s": "a" * 100_000, **{f"m{at}": "x" for at in range(1_000)}}


@pytest.mark.parametrize("expression", [
    "record.l.all(a, record.l.all(b, a + b >= 0))", "record.l.map(a, record.l.map(b, a + b)).size() > 0",
    "record.l.map(a, a).size() > 0", "record.l.all(a, record.l == record.l)",
    "record.l.exists(a, record.s.contains('b'))",
])
def test_an_expression_that_may_take_long_on_a_record_is_not_evaluated(expression):
    """The rule fails; on a small record it is evaluated."""
    compiled = Expression(expression)
    assert not compiled.fits(orjson.dumps(HOSTILE))
    assert compiled.fits(orjson.dumps({"l": [1, 2], "s": "a"}))
    ((_, counts),) = check(rule_set(it=RecordRule(expression=expression)), HOSTILE).counts
    assert "too large" in counts.fault



def test_expressions_without_steps_are_evaluated_on_large_records():
    """Text after text, and a pattern that others take exponential time for."""
    expression = "(" + " + ".join(["record.s"] * 20) + ").size() > 0 && !record.s.matches('(a+)+b(a|aa)+$')"
    assert check(rule_set(it=RecordRule(expression=expression)), HOSTILE) is None


def test_a_schema_has_an_issue_for_each_of_its_first_errors():
    """At their places; with a message of the rule, one for each place."""
    members = {"title": {"maxLength": 3}, "product_type": {"items": {"maxLength": 3}}}
    schema = {"required": ["color"], "properties": members}
    rules = rule_set(it=RecordRule(schema=schema, severity="warning"))
    found = check(rules, TOY).issues
    assert {each.path for each in found} == {"", "/title", "/product_type/0"}
    assert {each.severity for each in found} == {"warning"}
    assert check(rules, {"color": "red", "title": "abc"}) is None
    found = check(rule_set(it=RecordRule(schema=schema, message="Not so.", field="title")), TOY).issues
    assert [(each.path, each.value, each.message) for each in found] == [("/title", "Blue train", "Not so.")]


@pytest.mark.parametrize("schema", [
    {"anyOf": [{"required": [f"x{at}"]} for at in range(300)]},
    {"properties": {"l": {"items": {"allOf": [{"properties": {"a": {"type": "string"}}} for _ in range(150)]}}}},
])
def test_a_schema_that_may_take_long_on_a_record_is_not_evaluated(schema):
    """Its errors alone would take minutes; of a record that is not so large, only the first one is found."""
    rules = rule_set(it=RecordRule(schema=schema))
    ((_, counts),) = check(rules, {"l": [{"a": at} for at in range(20_000)]}).counts
    assert "too large" in counts.fault
    assert len(check(rules, {"l": [{"a": at} for at in range(100)]}).issues) == 1


def test_a_rule_is_about_its_kind_its_collection_and_its_category():
    """A category is met by itself and by those below it, in any case of its letters."""
    no = RecordRule(expression="false")
    assert rule_set(kind=Kind.PRICE, it=no) is None
    assert rule_set(it=RecordRule(expression="false", collection="other")) is None
    assert rule_set(it=RecordRule(expression="false", mode="off")) is None
    for category, is_met in (("toys", True), ("Toys > Trains", True), ("Toy", False), ("Trains", False)):
        rules = rule_set(it=RecordRule(expression="false", category=category))
        assert (check(rules, TOY) is not None) is is_met, category
        assert check(rules, {"id": "A"}) is None
    assert check(rule_set(it=RecordRule(expression="false", category="166")), {"google_product_category": 166})


def test_a_shadow_rule_only_counts():
    """By what it would do."""
    rules = rule_set(
        a=RecordRule(expression="false", mode="shadow"), b=RecordRule(schema={"required": ["x"]}, mode="shadow",
            severity="warning"), c=RecordRule(code="gtin_length", severity="warning", mode="shadow"),
        d=RecordRule(code="text_markup", mode="shadow"),
    )
    results = check(rules, TOY)
    assert results.issues == []
    assert {name: (counts.rejected, counts.warned) for name, counts in results.counts} == {"a": (1, 0), "b": (0, 1)}
    wrong, other = issue("gtin_length", "/gtin"), issue("field_missing", "/title")
    markup = issue("text_markup", "/title")
    assert [name for name, _ in rules.count_severities([wrong])] == ["c"]
    assert rules.count_severities([wrong, other]) == []
    ((name, counts),) = rules.count_severities([markup])
    assert (name, counts.rejected) == ("d", 1)


@pytest.mark.parametrize(("title", "passes"), [("Blue train", True), ("Red", False), (None, False)])
def test_many_records_pass_together_or_are_checked_one_by_one(title, passes):
    """The last one breaks a rule, or makes it fail."""
    rules = rule_set(
        it=RecordRule(expression="record.title.size() > 5 && held == null"), other=RecordRule(schema={"type": "object"})
    )
    records = [{**TOY, "id": str(number)} for number in range(20)] + [{"title": title} if title else {}]
    documents = [*map(orjson.dumps, records)]
    assert rules.pass_together(documents[:-1], [*map(digest_of, documents[:-1])])
    assert rules.pass_together(documents, [*map(digest_of, documents)]) is passes
    assert (check(rules, records[-1]) is None) is passes
    assert fault_of(expression="records.size() > 0") is not None


def test_documents_that_share_a_pair_of_slots_are_both_remembered():
    """Only the third displaces the first."""
    passed = PassedDocuments()
    first, second, third = (SLOTS * number + number % 2 for number in (1, 2, 3))
    for each in (first, second):
        passed.add(each)
    assert passed.contain(first)
    assert passed.contain(second)
    passed.add(third)
    assert [passed.contain(each) for each in (first, second, third)] == [False, True, True]


def test_a_document_that_passed_is_not_checked_again():
    """Unless a rule reads the item that it replaces."""
    document = orjson.dumps(TOY)
    rules = rule_set(it=RecordRule(expression="record.quantity > 2"))
    assert not rules.has_passed(digest_of(document))
    check(rules, TOY)
    assert rules.has_passed(digest_of(document))
    rules = rule_set(it=RecordRule(expression="held == null || amount(record.price) < 2.0 * amount(held.price)"))
    assert check(rules, TOY) is None
    assert not rules.has_passed(digest_of(document))
    assert check(rules, TOY, {"price": "1.00 EUR"}) is not None


RECORDS = st.fixed_dictionaries({}, optional={
    "price": st.decimals(0, 1000, places=2).map(lambda number: f"{number} EUR"), "quantity": st.integers(-5, 5),
    "title": st.text("aZ ä🙂\n", max_size=6), "tags": st.lists(st.sampled_from(["new", "old", ""]), max_size=3),
})
PREDICATES = [
    ("!has(record.quantity) || record.quantity >= 0", lambda record: record.get("quantity", 0) >= 0),
    ("has(record.title) && record.title.size() <= 4", lambda record: len(record.get("title", "12345")) <= 4),
    ("!has(record.price) || amount(record.price) <= 500.0",
        lambda record: Decimal(record.get("price", "0 EUR")[:-4]) <= 500),
    ("!has(record.tags) || record.tags.all(tag, tag != '')", lambda record: "" not in record.get("tags", [])),
    ("!has(record.tags) || !('new' in record.tags && 'old' in record.tags)",
        lambda record: not {"new", "old"} <= {*record.get("tags", [])}),
]


@settings(max_examples=effort.examples(150), deadline=None)
@given(record=RECORDS, chosen=st.sets(st.integers(0, len(PREDICATES) - 1), min_size=1))
def test_rules_say_what_plain_predicates_say(record, chosen):
    """Alone, and together."""
    rules = rule_set(**{f"r{at}": RecordRule(expression=PREDICATES[at][0]) for at in sorted(chosen)})
    results = check(rules, record)
    broken = [f"rule.r{at}" for at in sorted(chosen) if not PREDICATES[at][1](record)]
    assert ([each.code for each in results.issues] if results else []) == broken
    assert results is None or results.counts == []
