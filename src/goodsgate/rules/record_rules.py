"""All rules on one decoded record: the truth about it, every issue named.

The fast path (`fast`) may accept a record only if what is here finds nothing; a property test holds it to that.
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

MAKES: dict[str, Callable[[Field], Rule]] = {
    "sku": identifiers.sku, "gtin": identifiers.gtin, "text": text_checks.text, "long_text": text_checks.long_text,
    "choice": choices.choice, "yes_no": choices.yes_no, "money": prices.money, "currency": prices.currency,
    "whole": quantities.whole, "measure": quantities.measure, "moment": timestamps.moment, "span": timestamps.span,
    "url": urls.url, "brand": reference_rules.brand, "category": reference_rules.category,
    "tax_rule": reference_rules.tax_rule, "hs_code": reference_rules.hs_code, "country": reference_rules.country,
    "location": reference_rules.location, "attributes": attributes.attributes,
}
"""Type of a field → what makes its rule. ``any`` has none; ``variants`` is looked at below."""

PRICES = ("price", "sale_price")
"""Looked at together."""
OF_A_DELETE = frozenset({"location", "version_number", "observed_at"})
"""What counts in a delete beside its id."""


def _rules(fields: dict[str, Field]) -> dict[str, Rule]:
    return {
        name: MAKES[field.type](field) for name, field in fields.items()
        if field.type in MAKES and name not in PRICES and name != "id"
    }


RULES: dict[Kind, dict[str, Rule]] = {kind: _rules(fields) for kind, fields in FIELDS.items()}
VARIANT_RULES = _rules(VARIANT_FIELDS)
WITH_PRODUCT_TYPE: dict[str, Rule] = {
    **RULES[Kind.PRODUCT], "google_product_category": text_checks.text(FIELDS[Kind.PRODUCT]["google_product_category"]),
}
"""Where a product has a type of the merchant's own, Google's category is not looked up among the merchant's."""
SKU_RULE = identifiers.sku(VARIANT_FIELDS["id"])

TEXTS: dict[str, int] = {
    name: field.characters_max for name, field in FIELDS[Kind.PRODUCT].items() if field.type in ("text", "long_text")
}
"""Texts of which only length and edges are to be looked at once their bytes are known to be calm; their lengths."""
NO_TEXTS: dict[str, int] = {}

Record = dict[str, object]


def check_record(record: Record, kind: Kind, verb: Verb, context: RuleContext) -> Issues:
    """Every issue of a record."""
    found: Issues = []
    _identify(record, "", context, found)
    rules = WITH_PRODUCT_TYPE if kind is Kind.PRODUCT and record.get("product_type") else RULES[kind]
    if verb is Verb.DELETE:
        for name in OF_A_DELETE & record.keys():
            if record[name] is not None and name in rules:
                rules[name](record[name], f"/{name}", context, found)
        return found
    currency = record.get("currency")
    if isinstance(currency, str) and currency in DECIMALS and "currency" in rules:
        context = msgspec.structs.replace(context, currency=currency)
    whole = verb in (Verb.UPSERT, Verb.CREATE)
    lacking = REQUIRED[kind] if whole and _blank(record.get(REQUIRED[kind])) else ""
    if lacking:
        found.append(issue("field_missing", f"/{lacking}", value=record.get(lacking)))
    _apply(rules, record, "", context, found, lacking=lacking)
    price = None
    if kind is not Kind.STOCK:
        price = _prices(record, "", context, found, lacking=lacking, of_product=None)
    if kind is Kind.PRODUCT:
        _variants(record.get("variants"), context, found, price=price)
        category = reference_rules.category_of(record, context.reference)
        attributes.check_requirements(record, context.reference.requirements(category), context, found,
            category=category, whole=whole)
    return found


def _apply(rules: dict[str,
           Rule], members: Record, path: str, context: RuleContext, found: Issues, *, lacking: str) -> None:
    """Every rule of a single member; ``lacking`` is told already."""
    passing = TEXTS if context.ascii_only else NO_TEXTS
    for name, value in members.items():
        longest = passing.get(name)
        if longest and isinstance(value, str) and 0 < len(value) <= longest and value == value.strip():
            continue
        rule = rules.get(name)
        if rule is not None and value is not None and name != lacking:
            rule(value, f"{path}/{name}", context, found)


def key_of(record: Record, kind: Kind) -> str | None:
    """The key a record is held under; None where its SKU or location cannot be one."""
    sku = _key_part(record.get("id"), SKU_CHARACTERS_MAX)
    if sku is None or kind is Kind.PRODUCT:
        return sku
    location = record.get("location")
    if location is None or (isinstance(location, str) and not location.strip()):
        return sku
    part = _key_part(location, LOCATION_CHARACTERS_MAX)
    return None if part is None else item_key(sku, part)


def version_of(record: Record) -> int | None:
    """What "older never beats newer" compares: the version number, or else the moment observed, in microseconds."""
    number = quantities.whole_value(record.get("version_number"))
    if number is not None:
        return number if 0 <= number < 2**63 else None
    observed_at = record.get("observed_at")
    return timestamps.microseconds(observed_at) if isinstance(observed_at, str) else None


def _key_part(value: object, longest: int) -> str | None:
    if not isinstance(value, str) or not value.strip() or len(value) > longest or identifiers.INVISIBLE.search(value):
        return None
    return value


def _identify(record: Record, path: str, context: RuleContext, found: Issues) -> None:
    sku = record.get("id")
    if context.ascii_only and isinstance(sku, str) and 0 < len(sku) <= SKU_CHARACTERS_MAX and " " not in sku:
        return  # calm bytes are ASCII and hold no plus sign
    if sku is None:
        found.append(issue("sku_missing", f"{path}/id"))
    else:
        SKU_RULE(sku, f"{path}/id", context, found)


def _prices(
    record: Record, path: str, context: RuleContext, found: Issues, *, lacking: str, of_product: prices.Money | None
) -> prices.Money | None:
    """Price and sale price of a record or variant; a variant without a price has that of the product."""
    value, sale_value = record.get("price"), record.get("sale_price")
    price = of_product
    if value is not None and lacking != "price":
        price = prices.read_price(value, f"{path}/price", context, found)
    if sale_value is None:
        return price
    sale = prices.read_price(sale_value, f"{path}/sale_price", context, found)
    if sale is None or price is None:
        return price
    if sale.currency != price.currency:
        found.append(issue("sale_price_currency", f"{path}/sale_price", value=sale_value, expected=price.currency))
    elif sale.amount > price.amount:
        found.append(issue("sale_price_above_price", f"{path}/sale_price", value=sale_value,
                           expected=f"{price.plain} {price.currency}"))
    return price


def _variants(value: object, context: RuleContext, found: Issues, *, price: prices.Money | None) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        wrong_type(value, "/variants", found, expected="a list of objects")
        return
    seen: set[str] = set()
    last: object = None
    for at, variant in enumerate(value):
        path = f"/variants/{at}"
        if not isinstance(variant, dict):
            wrong_type(variant, path, found, expected="an object")
            continue
        _identify(variant, path, context, found)
        sku = variant.get("id")
        if isinstance(sku, str) and sku in seen:
            found.append(issue("variant_repeated", f"{path}/id", value=sku))
        elif isinstance(sku, str):
            seen.add(sku)
        _apply(VARIANT_RULES, variant, path, context, found, lacking="")
        if variant.get("price") is not None and variant["price"] == last and "sale_price" not in variant:
            continue  # as good as that of the variant before, which was
        before = len(found)
        _prices(variant, path, context, found, lacking="", of_product=price)
        last = variant.get("price") if len(found) == before else None


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
