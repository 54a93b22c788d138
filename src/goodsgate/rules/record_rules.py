"""All rules for one decoded record: they define what is valid, and report every issue.

The fast path (`fast_path`) accepts a record only if these rules find nothing; a property test compares the two.
"""

from collections.abc import Callable

import msgspec

from goodsgate.model.batch import Kind, Verb
from goodsgate.model.catalogue import item_key
from goodsgate.model.fields import FIELDS, LOCATION_CHARACTERS_MAX, REQUIRED, SKU_CHARACTERS_MAX, VARIANT_FIELDS, Field
from goodsgate.model.issue import issue
from goodsgate.rules import (
    attributes,
    choices,
    identifiers,
    prices,
    quantities,
    reference_rules,
    text_checks,
    timestamps,
    urls,
)
from goodsgate.rules.context import Issues, Rule, RuleContext, wrong_type
from goodsgate.rules.currencies import DECIMALS
from goodsgate.rules.placeholders import PLACEHOLDERS

RULE_MAKERS: dict[str, Callable[[Field], Rule]] = {
    "sku": identifiers.sku, "gtin": identifiers.gtin, "text": text_checks.text, "long_text": text_checks.long_text,
    "choice": choices.choice, "yes_no": choices.yes_no, "money": prices.money, "currency": prices.currency,
    "whole": quantities.whole, "measure": quantities.measure, "moment": timestamps.timestamp, "span": timestamps.span,
    "url": urls.url, "brand": reference_rules.brand, "category": reference_rules.category,
    "tax_rule": reference_rules.tax_rule, "hs_code": reference_rules.hs_code, "country": reference_rules.country,
    "location": reference_rules.location, "attributes": attributes.attributes,
}
"""Type of a field → function that makes its rule. ``any`` has none; ``variants`` are checked below."""

PRICES = ("price", "sale_price")
"""Checked together."""
OF_A_DELETE = frozenset({"location", "version_number", "observed_at"})
"""Members that count in a delete besides the id."""


def _rules(fields: dict[str, Field]) -> dict[str, Rule]:
    return {
        name: RULE_MAKERS[field.type](field) for name, field in fields.items()
        if field.type in RULE_MAKERS and name not in PRICES and name != "id"
    }


RULES: dict[Kind, dict[str, Rule]] = {kind: _rules(fields) for kind, fields in FIELDS.items()}
VARIANT_RULES = _rules(VARIANT_FIELDS)
WITH_PRODUCT_TYPE: dict[str, Rule] = {
    **RULES[Kind.PRODUCT], "google_product_category": text_checks.text(FIELDS[Kind.PRODUCT]["google_product_category"]),
}
"""If a product names a category of the merchant, Google's category is not looked up among them."""
SKU_RULE = identifiers.sku(VARIANT_FIELDS["id"])

TEXTS: dict[str, int] = {
    name: field.characters_max for name, field in FIELDS[Kind.PRODUCT].items() if field.type in ("text", "long_text")
}
"""Texts of a plain ASCII record need only a check of length and edges; their maximum lengths."""
NO_TEXTS: dict[str, int] = {}

Record = dict[str, object]


def check_record(record: Record, kind: Kind, verb: Verb, context: RuleContext) -> Issues:
    """Return every issue of a record."""
    issues: Issues = []
    _check_id(record, "", context, issues)
    rules = WITH_PRODUCT_TYPE if kind is Kind.PRODUCT and record.get("product_type") else RULES[kind]
    if verb is Verb.DELETE:
        issues = [each for each in issues if each.code != "value_placeholder"]  # an item with such a key can be removed
        for name in OF_A_DELETE & record.keys():
            if record[name] is not None and name in rules:
                rules[name](record[name], f"/{name}", context, issues)
        return issues
    currency = _currency(record) if "currency" in rules else None
    if currency is not None:
        context = msgspec.structs.replace(context, currency=currency)
    whole = verb in (Verb.UPSERT, Verb.CREATE)
    lacking = REQUIRED[kind] if whole and _blank(record.get(REQUIRED[kind])) else ""
    if lacking:
        issues.append(issue("field_missing", f"/{lacking}", value=record.get(lacking)))
    _apply(rules, record, "", context, issues, lacking=lacking)
    price = None
    if kind is not Kind.STOCK:
        price = _prices(record, "", context, issues, lacking=lacking, of_product=None, currency=currency)
    if kind is Kind.PRODUCT:
        _variants(record.get("variants"), context, issues, price=price, currency=currency)
        category = reference_rules.category_of(record, context.reference)
        attributes.check_requirements(record, context.reference.requirements(category), context, issues,
            category=category, whole=whole)
    if not context.ascii_only:
        text_checks.add_nul_issues(record, FIELDS[kind], issues)
    return issues


def _apply(rules: dict[str,
           Rule], members: Record, path: str, context: RuleContext, issues: Issues, *, lacking: str) -> None:
    """Apply the rules of single members; the issue of ``lacking`` has been added already."""
    passing = TEXTS if context.ascii_only else NO_TEXTS
    for name, value in members.items():
        longest = passing.get(name)
        if (
            longest and isinstance(value, str) and 0 < len(value) <= longest and value == value.strip()
            and value not in PLACEHOLDERS
        ):
            continue
        rule = rules.get(name)
        if rule is not None and value is not None and name != lacking:
            rule(value, f"{path}/{name}", context, issues)


def key_of(record: Record, kind: Kind) -> str | None:
    """Return the key of a record; None if its SKU or location cannot be part of a key."""
    sku = _key_part(record.get("id"), SKU_CHARACTERS_MAX)
    if sku is None or kind is Kind.PRODUCT:
        return sku
    location = record.get("location")
    if location is None or (isinstance(location, str) and not location.strip()):
        return sku
    part = _key_part(location, LOCATION_CHARACTERS_MAX)
    return None if part is None else item_key(sku, part)


def version_of(record: Record) -> int | None:
    """Return the version of a record: its version number, or else its ``observed_at`` (see `model.versions`)."""
    number = quantities.whole_value(record.get("version_number"))
    if number is not None:
        return number if 0 <= number < 2**63 else None
    observed_at = record.get("observed_at")
    return timestamps.version(observed_at) if isinstance(observed_at, str) else None


def _key_part(value: object, longest: int) -> str | None:
    if not isinstance(value, str) or not value.strip() or len(value) > longest or identifiers.INVISIBLE.search(value):
        return None
    return value


def _check_id(record: Record, path: str, context: RuleContext, issues: Issues) -> None:
    sku = record.get("id")
    if context.ascii_only and isinstance(sku, str) and 0 < len(sku) <= SKU_CHARACTERS_MAX and " " not in sku:
        if sku in PLACEHOLDERS:
            issues.append(issue("value_placeholder", f"{path}/id", value=sku))
        return  # a plain ASCII record holds no plus sign
    if sku is None:
        issues.append(issue("sku_missing", f"{path}/id"))
    else:
        SKU_RULE(sku, f"{path}/id", context, issues)


def _prices(
    record: Record, path: str, context: RuleContext, issues: Issues, *, lacking: str, of_product: prices.Money | None,
    currency: str | None,
) -> prices.Money | None:
    """Check price and sale price of a record or variant; a variant without a price has that of the product.

    ``currency`` is the one that the record names for its prices.
    """
    value, sale_value = record.get("price"), record.get("sale_price")
    price = of_product
    if value is not None and lacking != "price":
        price = prices.read_price(value, f"{path}/price", context, issues)
        prices.check_same_currency(price, currency, value=value, path=f"{path}/price", issues=issues)
    if sale_value is None:
        return price
    sale = prices.read_price(sale_value, f"{path}/sale_price", context, issues)
    prices.check_same_currency(sale, currency, value=sale_value, path=f"{path}/sale_price", issues=issues)
    if sale is None or price is None:
        return price
    if sale.currency != price.currency:
        issues.append(issue("sale_price_currency", f"{path}/sale_price", value=sale_value, expected=price.currency))
    elif sale.amount > price.amount:
        issues.append(issue("sale_price_above_price", f"{path}/sale_price", value=sale_value,
                            expected=f"{price.plain} {price.currency}"))
    return price


def _variants(value: object, context: RuleContext, issues: Issues, *, price: prices.Money | None,
              currency: str | None) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        wrong_type(value, "/variants", issues, expected="a list of objects")
        return
    known: set[str] = set()
    last: object = None
    for at, variant in enumerate(value):
        path = f"/variants/{at}"
        if not isinstance(variant, dict):
            wrong_type(variant, path, issues, expected="an object")
            continue
        _check_id(variant, path, context, issues)
        sku = variant.get("id")
        if isinstance(sku, str) and sku in known:
            issues.append(issue("variant_repeated", f"{path}/id", value=sku))
        elif isinstance(sku, str):
            known.add(sku)
        _apply(VARIANT_RULES, variant, path, context, issues, lacking="")
        if variant.get("price") is not None and variant["price"] == last and "sale_price" not in variant:
            continue  # the same as that of the variant before, which was valid
        before = len(issues)
        _prices(variant, path, context, issues, lacking="", of_product=price, currency=currency)
        last = variant.get("price") if len(issues) == before else None


def _currency(record: Record) -> str | None:
    """Return the currency that a record names for its prices; None without a valid one."""
    currency = record.get("currency")
    return currency if isinstance(currency, str) and currency in DECIMALS else None


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
