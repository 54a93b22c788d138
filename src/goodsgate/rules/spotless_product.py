"""The looks at products: the hottest loop of the house, so every look is as cheap as it can be made."""

from typing import Any, NamedTuple

from goodsgate.model.batch import Kind, Verb
from goodsgate.model.fields import FIELDS
from goodsgate.rules.attributes import meets
from goodsgate.rules.forms import Form
from goodsgate.rules.gtin import is_gtin
from goodsgate.rules.reference import Demand
from goodsgate.rules.references import hs_form
from goodsgate.rules.spotless import MAKING, Accept, Looks, trimmed
from goodsgate.rules.terms import Terms


class Plan(NamedTuple):
    """What a category asks, ready to be looked at."""

    asks: tuple[tuple[str, Accept, bool], ...]
    """Attribute, the look at its value (None: any text will do), whether it is required."""
    of_variants: bool
    """Whether variants, too, may hold one of these."""


NO_PLAN = Plan((), False)


class ProductLooks(Looks):
    """Looks at products and their variants."""

    hot_kind = Kind.PRODUCT

    def __init__(self, terms: Terms, verb: Verb, form: Form) -> None:
        known = terms.reference if terms.doubt else None
        self.brands = known.brand.codes if known and known.brand else None
        self.categories = known.category.codes if known and known.category else None
        self.tax_rules = known.tax_rule.codes if known and known.tax_rule else None
        self.hs_codes = known.hs_code.codes if known and known.hs_code else None
        self._plans: dict[str, Plan] = {}
        self._same: dict[tuple[Demand, ...], Plan] = {}
        super().__init__(terms, verb, form)

    def refit(self) -> None:
        """Follow the form."""
        super().refit()
        self._plans.clear()
        self._same.clear()
        self.other_money = any(FIELDS[Kind.PRODUCT][name].type == "money" for name, _ in self.warm)

    def spotless(self, record: Any) -> bool:
        """Whether there is nothing to say about a decoded record."""
        if " " in record.id and not trimmed(record.id):
            return False
        text = record.title
        if text is None:
            if (record.verb or self.verb) in MAKING:
                return False
        elif text != text.strip():
            return False
        text = record.description
        if text is not None and text != text.strip():
            return False
        text = record.mpn
        if text is not None and " " in text and not trimmed(text):
            return False
        text = record.gtin
        if text is not None and not is_gtin(text):
            return False
        text = record.link
        if text is not None and not (text.startswith(self.origins) and " " not in text) and not self.address(text):
            return False
        text = record.image_link
        if text is not None and not (text.startswith(self.origins) and " " not in text) and not self.address(text):
            return False
        links = record.additional_image_link
        if links is not None:
            for text in (links,) if type(links) is str else links:
                if not (text.startswith(self.origins) and " " not in text) and not self.address(text):
                    return False
        price, sale = record.price, record.sale_price
        if price is not None and not self.price(price, record.currency):
            return False
        if sale is not None and not self.sale(sale, price, record.currency):
            return False
        if record.currency is not None and self.other_money:
            return False  # the looks at cost and the like do not know of it
        if not self._exists(record):
            return False
        if record.variants is not None and not self._variants(record.variants, price, record.currency):
            return False
        for name, accept in self.warm:
            value = getattr(record, name)
            if value is not None and (value != value.strip() if accept is None else not accept(value)):
                return False
        return self._classified(record)

    def _exists(self, record: Any) -> bool:
        """Whether brand, tax rule and HS code are known."""
        text = record.brand
        if text is not None and not (text == text.strip() if self.brands is None else text in self.brands):
            return False
        text = record.tax_rule
        if text is not None and not (text == text.strip() if self.tax_rules is None else text in self.tax_rules):
            return False
        text = record.hs_code
        return text is None or (hs_form(text) and (self.hs_codes is None or text in self.hs_codes))

    def _classified(self, record: Any) -> bool:
        """Whether the category is known and the attributes are what it asks for."""
        attributes = record.attributes
        if attributes is not None:
            for value in attributes.values():
                if type(value) is str:
                    if " " in value and value != value.strip():
                        return False
                elif type(value) is list and not all(trimmed(entry) for entry in value):
                    return False
        category = record.product_type
        text = record.google_product_category
        if category is None:
            if text is not None:
                return False  # it stands in for the product type
            category = ""
        elif type(category) is not str or (text is not None and not trimmed(text)):
            return False
        plan = self._plans.get(category)
        if plan is None:
            known = category == category.strip() if self.categories is None else category in self.categories
            if category and not known:
                return False
            plan = self._make_plan(category) if self.terms.doubt else NO_PLAN
        return plan is NO_PLAN or self._answers(plan, attributes, record)

    def _make_plan(self, category: str) -> Plan:
        if not self.terms.doubt:
            return NO_PLAN
        reference = self.terms.reference
        code = reference.demanding(category)
        plan = self._plans.get(code)
        if plan is None:
            demands = reference.demands(category)
            content = tuple(demands.values())
            plan = self._same.get(content)
            if plan is None:
                asks = tuple((name, self._accepts(demand), demand.required) for name, demand in demands.items())
                inside = demands.keys() & set(self.form.seen_in_variants)
                plan = self._same[content] = Plan(asks, bool(inside)) if asks else NO_PLAN
            self._plans[code] = plan
        if self.categories is not None:
            self._plans[category] = plan  # a path beside its code; where any text is a category they would be too many
        return plan

    def _accepts(self, demand: Demand) -> Accept:
        """The look at a value; None: any text will do."""
        if demand.expected == "text":
            return demand.allowed.__contains__ if demand.allowed else None
        return lambda value: meets(value, demand, self.terms)

    def _answers(self, plan: Plan, attributes: Any, record: Any) -> bool:
        """Whether the attributes, or the product's own members of these names, answer the demands."""
        for name, accept, required in plan.asks:
            value = attributes.get(name) if attributes else None
            if value is None:
                value = getattr(record, name, None)
            if value is None:
                if required:
                    return False  # unless every variant has it
            elif type(value) is not str if accept is None else not accept(value):
                return False
        if record.variants and (plan.of_variants or any(variant.attributes for variant in record.variants)):
            return all(self._variant_answers(plan, variant) for variant in record.variants)
        return True

    def _variant_answers(self, plan: Plan, variant: Any) -> bool:
        attributes = variant.attributes or {}
        for name, accept, _ in plan.asks:
            value = attributes.get(name)
            if value is None:
                value = getattr(variant, name, None)
            if value is not None and (type(value) is not str if accept is None else not accept(value)):
                return False
        return True

    def _variants(self, variants: Any, price: Any, currency: str | None) -> bool:
        ids = set()
        last = None
        for variant in variants:
            sku = variant.id
            if " " in sku and not trimmed(sku):
                return False
            ids.add(sku)
            own = variant.price
            if own is not None and own != last:
                if not self.price(own, currency):
                    return False
                last = own
            if variant.sale_price is not None and not self.sale(
                variant.sale_price, price if own is None else own, currency
            ):
                return False
            if variant.gtin is not None and not is_gtin(variant.gtin):
                return False
            if variant.attributes is not None and not all(map(_trimmed_attribute, variant.attributes.values())):
                return False
            for name, accept in self.warm_of_variants:
                value = getattr(variant, name)
                if value is not None and (value != value.strip() if accept is None else not accept(value)):
                    return False
        return len(ids) == len(variants)


def _trimmed_attribute(value: object) -> bool:
    if type(value) is str:
        return trimmed(value)
    return type(value) is not list or all(map(trimmed, value))
