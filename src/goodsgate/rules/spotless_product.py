"""The looks at products: the hottest loop of the house, so every look is as cheap as it can be made."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from goodsgate.model.batch import Kind, Verb
from goodsgate.model.fields import FIELDS
from goodsgate.rules.attributes import meets
from goodsgate.rules.columns import (
    TRIMMED,
    Columns,
    Look,
    among,
    are_trimmed,
    doubtful,
    flat,
    is_clear,
    present,
    repeated,
    trimmed,
)
from goodsgate.rules.context import RuleContext
from goodsgate.rules.gtin import are_gtins, is_gtin
from goodsgate.rules.reference_data import AttributeRequirement
from goodsgate.rules.reference_rules import hs_form
from goodsgate.rules.spotless import Looks
from goodsgate.rules.typed_decoder import Form

Accept = Callable[[Any], bool] | None
"""A look at one value; None: any text will do."""

GTIN = Look(are_gtins, is_gtin)


class Plan(NamedTuple):
    """What a category asks, ready to be looked at."""

    asks: tuple[tuple[str, Accept, bool], ...]
    """Attribute, the look at its value (None: any text will do), whether it is required."""
    of_variants: bool
    """Whether variants, too, may hold one of these."""


NO_PLAN = Plan((), False)


def _are_attributes(attributes: list[dict[str, Any]]) -> bool:
    """Whether no text of these objects has a blank at an edge."""
    values = [*chain.from_iterable(map(dict.values, attributes))]
    if {*map(type, values)} == {str}:
        return are_trimmed(values)
    return are_trimmed([text for text in flat(values) if type(text) is str])


def _has_twins(variants: Sequence[Any]) -> bool:
    return len({variant.id for variant in variants}) < len(variants)


ATTRIBUTES = Look(_are_attributes, lambda attributes: _are_attributes([attributes]))


class ProductLooks(Looks):
    """Looks at products and their variants."""

    hot_kind = Kind.PRODUCT

    def __init__(self, context: RuleContext, verb: Verb, form: Form) -> None:
        reference = context.reference if context.lookup_severity else None
        self.categories = reference.category.codes if reference and reference.category else None
        self.requirements = reference is not None and reference.is_demanding
        self._plans: dict[str, Plan] = {}
        self._same: dict[tuple[AttributeRequirement, ...], Plan] = {}
        super().__init__(context, verb, form)

    def refit(self) -> None:
        """Follow the form."""
        super().refit()
        self._plans.clear()
        self._same.clear()
        self.other_money = any(FIELDS[Kind.PRODUCT][name].type == "money" for name in self.looks)

    def _named(self) -> dict[str, Look]:
        known = self.context.reference if self.context.lookup_severity else None
        codes = known.hs_code.codes if known and known.hs_code else None

        def is_hs_code(text: str) -> bool:
            return hs_form(text) and (codes is None or text in codes)

        return {
            "id": TRIMMED, "title": TRIMMED, "description": TRIMMED, "mpn": TRIMMED, "gtin": GTIN,
            "link": self.urls, "image_link": self.urls,
            "additional_image_link": repeated(self.urls), "attributes": ATTRIBUTES,
            "brand": among(known.brand.codes) if known and known.brand else TRIMMED,
            "tax_rule": among(known.tax_rule.codes) if known and known.tax_rule else TRIMMED,
            "hs_code": Look(lambda texts: all(map(is_hs_code, texts)), is_hs_code),
        }

    def _doubtful(self, columns: Columns) -> Iterable[int]:
        yield from self._made_without(columns["title"], columns)
        yield from self._doubtful_prices(columns)
        if self.other_money:  # the looks at cost and the like do not know of a record's own currency
            yield from (at for at, currency in enumerate(columns["currency"]) if currency is not None)
        yield from self._doubtful_categories(columns)
        yield from self._doubtful_variants(columns)

    # -- categories ---------------------------------------------------------------------------------------------------

    def _doubtful_categories(self, columns: Columns) -> Iterable[int]:
        """Places by category, and by whether what the category asks for is there."""
        categories = columns["product_type"]
        for at, text in enumerate(columns["google_product_category"]):
            # Without a product type it stands in for it.
            if text is not None and (categories[at] is None or not is_clear(trimmed, text)):
                yield at
        if not self.requirements and is_clear(self._are_categories, present(categories)):
            return
        is_answered = partial(self._is_answered, columns)
        yield from (at for at in range(len(categories)) if not is_clear(is_answered, at))

    def _are_categories(self, categories: list[Any]) -> bool:
        if self.categories is None:
            return are_trimmed(categories)
        return all(map(self.categories.__contains__, categories))

    def _is_answered(self, columns: Columns, at: int) -> bool:
        """Whether the category of the record there is known and the attributes are what it asks for."""
        category = columns["product_type"][at]
        if category is None:
            category = ""
        elif type(category) is not str:
            return False
        plan = self._plans.get(category)
        if plan is None:
            if category and not self._are_categories([category]):
                return False
            plan = self._make_plan(category)
        return plan is NO_PLAN or self._answers(plan, columns, at)

    def _make_plan(self, category: str) -> Plan:
        if not self.requirements:
            return NO_PLAN
        reference = self.context.reference
        code = reference.demanding(category)
        plan = self._plans.get(code)
        if plan is None:
            requirements = reference.requirements(category)
            content = tuple(requirements.values())
            plan = self._same.get(content)
            if plan is None:
                asks = tuple((name, self._accepts(requirement), requirement.required) for name,
                    requirement in requirements.items())
                inside = requirements.keys() & set(self.form.seen_in_variants)
                plan = self._same[content] = Plan(asks, bool(inside)) if asks else NO_PLAN
            self._plans[code] = plan
        if self.categories is not None:
            self._plans[category] = plan  # a path beside its code; where any text is a category they would be too many
        return plan

    def _accepts(self, requirement: AttributeRequirement) -> Accept:
        """The look at a value; None: any text will do."""
        if requirement.expected == "text":
            return requirement.allowed.__contains__ if requirement.allowed else None
        return lambda value: meets(value, requirement, self.context)

    def _answers(self, plan: Plan, columns: Columns, at: int) -> bool:
        """Whether the attributes, or the product's own members of these names, answer the demands."""
        attributes, variants = columns["attributes"][at], columns["variants"][at]
        for name, accept, required in plan.asks:
            value = attributes.get(name) if attributes else None
            if value is None:
                value = columns[name][at]
            if value is None:
                if required:
                    return False  # unless every variant has it
            elif type(value) is not str if accept is None else not accept(value):
                return False
        if variants and (plan.of_variants or any(getattr(variant, "attributes", None) for variant in variants)):
            return all(self._variant_answers(plan, variant) for variant in variants)
        return True

    def _variant_answers(self, plan: Plan, variant: Any) -> bool:
        attributes = getattr(variant, "attributes", None) or {}
        for name, accept, _ in plan.asks:
            value = attributes.get(name)
            if value is None:
                value = getattr(variant, name, None)
            if value is not None and (type(value) is not str if accept is None else not accept(value)):
                return False
        return True

    # -- variants -----------------------------------------------------------------------------------------------------

    def _doubtful_variants(self, columns: Columns) -> Iterable[int]:
        """Places of records of whose variants there may be something to say."""
        currencies = columns["currency"]
        places = [at for at, variants in enumerate(columns["variants"]) if variants]
        for currency in {*currencies} if places else ():
            alike = places if len({*currencies}) == 1 else [at for at in places if currencies[at] == currency]
            if alike:
                yield from self._doubtful_alike(columns, alike, currency)

    def _doubtful_alike(self, columns: Columns, places: list[int], currency: str | None) -> Iterable[int]:
        """Those of the places, all of records with this currency, of whose variants there may be something to say."""
        listed = [columns["variants"][at] for at in places]
        variants = [*chain.from_iterable(listed)]
        own = Columns(variants)
        ids = own["id"]
        if len({*ids}) < len(ids):  # two of one record, or records that hold the same
            yield from (at for at in places if _has_twins(columns["variants"][at]))
        looks = {"id": TRIMMED, "price": self.prices(currency), "gtin": GTIN, "attributes": ATTRIBUTES}
        looks.update(self.looks_at_variants)
        doubts = {at for name in own if name in looks for at in doubtful(own[name], looks[name])}
        reduced = present(own["sale_price"])
        if not doubts and not reduced:
            return
        owners = [at for at, some in zip(places, listed, strict=True) for _ in some]
        yield from (owners[at] for at in doubts)
        for owner, price, sale in zip(owners, own["price"], own["sale_price"], strict=True):
            price = columns["price"][owner] if price is None else price
            if sale is not None and not is_clear(partial(self.is_sale, price=price, currency=currency), sale):
                yield owner
