"""Rules that a merchant has saved: what becomes of the records of a batch, on both kinds of store."""

import pytest

from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_rules import (
    RULES_MAX,
    VERSIONS_MAX,
    delete_rule,
    recent_counts,
    save_rule,
    saved_rule,
    saved_rules,
)
from goodsgate.model.batch import Duplicates, Kind, Strictness, Verb
from goodsgate.model.record_rule import RecordRule
from goodsgate.model.rule_counts import RuleCounts
from tests.factories import product, products
from tests.shop import Shop

CHEAP = RecordRule(expression="amount(record.price) >= 1.0", message="The price is below 1.00.", suggestion="1.00 EUR")


def save(shop: Shop, name: str = "it", **rule: object) -> None:
    """Save a rule of acme."""
    save_rule(shop.store, "acme", name, RecordRule(**rule))  # type: ignore[arg-type]


def results(shop: Shop, batch: str) -> str:
    """Return the first letters of the results."""
    return "".join(str(each.result)[0] for each in shop.results(batch))


def test_a_rule_rejects_what_breaks_it(shop):
    """From the next batch on, of its merchant alone; the issue has the rule's message, and the group, too."""
    save_rule(shop.store, "acme", "cheap", CHEAP)
    batch = shop.run([product(1), product(2, price="0.50 EUR"), product(3)])
    assert results(shop, batch.id) == "crc"
    (found,) = shop.findings(batch.id)[0].issues
    assert (found.code, found.path, found.value, found.message) == (
        "rule.cheap", "/price", "0.50 EUR", "The price is below 1.00."
    )
    (group,) = shop.engine.groups("acme", batch.id)
    assert (group.code, group.message, group.field) == ("rule.cheap", "The price is below 1.00.", "/price")
    assert "rule" in group.remedy
    shop.engine.apply_suggestions("acme", batch.id, code="rule.cheap", field="/price")
    shop.work()
    assert shop.items()["SKU-0002"]["price"] == "1.00 EUR"
    assert shop.run([product(2, price="0.50 EUR")], merchant="other").counts.created == 1
    delete_rule(shop.store, "acme", "cheap")
    assert shop.run([product(4, price="0.50 EUR")]).counts.created == 1


def test_an_issue_names_the_column_of_the_file(shop):
    """So that its suggestion can be applied to the cell."""
    save_rule(shop.store, "acme", "cheap", CHEAP)
    rows = b"SKU,Name,Preis\nA,Cup,7.90 EUR\nB,Mug,0.50 EUR\n"
    batch = shop.run(rows, format="csv", mapping={"Preis": ["price"]})
    (found,) = shop.findings(batch.id)[-1].issues
    assert (found.code, found.path, found.column) == ("rule.cheap", "/price", "Preis")
    shop.engine.apply_suggestions("acme", batch.id, code="rule.cheap", field="/price")
    shop.work()
    assert shop.items()["B"]["price"] == "1.00 EUR"


def test_a_rule_sees_what_the_item_becomes(shop):
    """A part of a record is merged into its item first; a rule that warns keeps nothing back."""
    shop.run([product(1, brand="Brio")])
    save(shop, "brand", expression="record.brand == 'Brio' && amount(record.price) < 100.0")
    save(shop, "short", schema={"properties": {"title": {"maxLength": 5}}}, severity="warning")
    batch = shop.run([{"id": "SKU-0001", "price": "5.00 EUR"}, {"id": "SKU-0001", "price": "500.00 EUR"}],
        verb=Verb.UPDATE, duplicates=Duplicates.MERGE)
    assert results(shop, batch.id) == "ur"
    assert batch.warned == 1
    assert shop.items()["SKU-0001"]["price"] == "5.00 EUR"


def test_a_rule_can_compare_with_the_item_that_is_held(shop):
    """With the one that earlier records of the batch have left; a new record has none."""
    save(shop, expression="held == null || amount(record.price) > amount(held.price) / 2.0")
    assert results(shop, shop.run(products(1, 2, 3)).id) == "ccc"
    prices = ["12.00 EUR", "7.00 EUR", "4.00 EUR", "1.00 EUR", "2.50 EUR"]
    records = [{"id": "SKU-0001", "price": price} for price in prices]
    batch = shop.run(records, verb=Verb.UPDATE, duplicates=Duplicates.MERGE)
    assert results(shop, batch.id) == "uuuru"
    assert results(shop, shop.run([product(2, price="1.00 EUR"), product(3), product(4)], replace=True).id) == "ruc"


@pytest.mark.parametrize("kind_of", [Kind.PRICE, Kind.STOCK])
def test_prices_and_stock_have_rules_of_their_own(shop, kind_of):
    """A rule about products does not see them."""
    save(shop, "products", expression="false")
    name, good, bad = ("price", "5.00 EUR", "0.10 EUR") if kind_of is Kind.PRICE else ("quantity", 5, 0)
    save(shop, kind=kind_of, expression="record.quantity > 0" if name == "quantity" else "amount(record.price) > 1.0")
    batch = shop.run([{"id": "A", name: good}, {"id": "B", name: bad}], kind=kind_of, references=Strictness.OFF)
    assert results(shop, batch.id) == "cr"


def test_records_that_change_nothing_are_checked_too(shop):
    """So that a new rule is told about what is held; deletions are not."""
    shop.run(products(1, 2))
    save(shop, expression="record.title != 'Linen shirt 1'", severity="warning")
    batch = shop.run(products(1, 2))
    assert (batch.counts.unchanged, batch.warned) == (2, 1)
    assert shop.run(products(2)).warned == 0
    assert shop.run([{"id": "SKU-0001"}], verb=Verb.DELETE).warned == 0


def test_a_shadow_rule_counts_and_a_rule_that_fails_is_counted(shop):
    """Both with the batch and over the last ones; the records are as if the rules were not there."""
    save(shop, "shadow", expression="amount(record.price) >= 19.0", mode="shadow")
    save(shop, "broken", expression="record.size == 'M'")
    batch = shop.run([product(1), product(2, price="1.00 EUR"), product(3, size="M")])
    assert (batch.counts.created, batch.warned) == (3, 0)
    assert batch.rule_counts["shadow"] == RuleCounts(rejected=1, examples=["SKU-0002"])
    assert (batch.rule_counts["broken"].faults, "size" in batch.rule_counts["broken"].fault) == (2, True)
    assert batch.rule_counts["broken"].examples == ["SKU-0001", "SKU-0002"]
    shop.run([product(4, price="1.00 EUR")])
    counts = recent_counts(shop.store, "acme")
    assert (counts["shadow"].rejected, counts["broken"].faults) == (2, 3)


def test_the_severity_of_a_code_can_be_set(shop):
    """An error becomes a warning, and the other values are canonical all the same; a warning becomes an error."""
    bad = product(1, gtin="4006381333932", title="<b>Shirt</b>")
    assert results(shop, shop.run([bad]).id) == "r"
    save(shop, "gtin", code="gtin_check_digit", severity="warning")
    batch = shop.run([bad | {"price": {"value": "7.9", "currency": "EUR"}}])
    assert (results(shop, batch.id), batch.warned) == ("c", 1)
    assert shop.items()["SKU-0001"]["price"] == "7.90 EUR"
    save(shop, "markup", code="text_markup", severity="error")
    assert results(shop, shop.run([bad]).id) == "r"
    save(shop, "markup", code="text_markup", severity="error", collection="elsewhere")
    assert results(shop, shop.run([bad]).id) == "u"
    save(shop, "markup", code="text_markup", severity="error", category="Hats")
    assert results(shop, shop.run([bad | {"product_type": "Shoes"}]).id) == "u"
    assert results(shop, shop.run([bad | {"product_type": "Hats > Caps"}]).id) == "r"


def test_a_shadow_severity_counts_what_it_would_accept(shop):
    """A record with another error stays rejected."""
    save(shop, code="gtin_check_digit", severity="warning", mode="shadow")
    batch = shop.run([product(1, gtin="4006381333932"), product(2, gtin="4006381333932", title="")])
    assert results(shop, batch.id) == "rr"
    assert batch.rule_counts == {"it": RuleCounts(accepted=1, examples=["SKU-0001"])}


def test_rules_keep_their_versions(shop):
    """The same rule again is no version; at most so many are kept, and so many rules."""
    for limit in range(VERSIONS_MAX + 3):
        save(shop, expression=f"record.quantity < {limit}")
        save(shop, expression=f"record.quantity < {limit}")
    saved = saved_rule(shop.store, "acme", "it")
    assert [each.version for each in saved.versions] == [*range(VERSIONS_MAX + 3, 3, -1)]
    assert saved.rule.expression == f"record.quantity < {VERSIONS_MAX + 2}"
    with pytest.raises(Refusal, match="not found"):
        delete_rule(shop.store, "acme", "other")
    delete_rule(shop.store, "acme", "it")
    assert saved_rules(shop.store, "acme") == {}
    save(shop, expression="true")
    assert saved_rule(shop.store, "acme", "it").versions[0].version == 1
    for number in range(RULES_MAX - 1):
        save(shop, f"r{number}", expression="true")
    with pytest.raises(Refusal) as refused:
        save(shop, "another", expression="true")
    assert refused.value.code == "rules_full"
    assert len(saved_rules(shop.store, "acme")) == RULES_MAX


@pytest.mark.parametrize("rule", [
    {}, {"expression": "true", "code": "gtin_length"}, {"expression": "record."}, {"schema": {"type": 5}},
    {"code": "sku_missing"}, {"code": "nothing"}, {"code": "gtin_length", "message": "x"},
    {"expression": "true", "kind": Kind.PRICE, "category": "Toys"}, {"schema": {"description": "x" * 20_000}},
])
def test_a_rule_that_cannot_be_used_is_not_saved(shop, rule):
    """It is refused with what is wrong."""
    with pytest.raises(Refusal) as refused:
        save(shop, **rule)
    assert refused.value.code == "rule_invalid"


def test_many_records_are_worked_as_few_are(opens):
    """In chunks, of which the next one is prepared while one commits."""
    shop = opens("acme", chunk_records_max=100)
    save(shop, expression="held == null || record.title != held.title || amount(record.price) > 1.0")
    save(shop, "shadow", expression="record.id != 'SKU-0007'", mode="shadow")
    records = products(*range(500))
    assert shop.run(records).counts.created == 500
    for each in records[::50]:
        each["price"] = "0.50 EUR"
    batch = shop.run(records)
    assert (batch.counts.rejected, batch.counts.unchanged) == (10, 490)
    assert batch.rule_counts == {"shadow": RuleCounts(rejected=1, examples=["SKU-0007"])}
