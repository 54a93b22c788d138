"""Fast path of products and their variants: the code that runs most often, so every check is as cheap as possible."""

from typing import Any, NamedTuple

from goodsgate.model.batch import Kind, Verb
from goodsgate.model.fields import FIELDS
from goodsgate.rules.attributes import satisfies
from goodsgate.rules.context import RuleContext
from goodsgate.rules.fast_path import FastPath, ValueCheck, is_plain_text, is_trimmed
from goodsgate.rules.gtin import ZERO_GTINS, is_gtin
from goodsgate.rules.name_index import NameIndex
from goodsgate.rules.placeholders import PLACEHOLDERS
from goodsgate.rules.reference_data import AttributeRequirement
from goodsgate.rules.reference_rules import is_hs_code
from goodsgate.rules.typed_decoder import TypedDecoder


class CategoryRequirements(NamedTuple):
    """The attributes that a category requires, compiled to checks."""

    attributes: tuple[tuple[str, ValueCheck, bool], ...]
    """Name, check (None: any text is valid), and whether it is required."""
    in_variants: bool
    """Whether variants may hold one of these themselves."""


SHORT = max(map(len, PLACEHOLDERS)) + 1
"""A longer text is no word for nothing: the hash of a description would cost more than all else about it."""
NO_REQUIREMENTS = CategoryRequirements((), False)


def _codes(names: NameIndex | None) -> dict[str, str] | None:
    return names.codes if names is not None else None


class ProductFastPath(FastPath):
    """Checks of products and their variants."""

    kind = Kind.PRODUCT

    def __init__(self, context: RuleContext, verb: Verb, decoder: TypedDecoder) -> None:
        reference = context.reference if context.lookup_severity else None
        self._brands = _codes(reference.brand) if reference else None
        self._categories = _codes(reference.category) if reference else None
        self._tax_rules = _codes(reference.tax_rule) if reference else None
        self._hs_codes = _codes(reference.hs_code) if reference else None
        self._has_requirements = reference is not None and reference.has_requirements
        self._requirements: dict[str, CategoryRequirements] = {}
        self._compiled: dict[tuple[AttributeRequirement, ...], CategoryRequirements] = {}
        super().__init__(context, verb, decoder)

    def update_members(self) -> None:
        """Select the checks for the members that the decoder knows now."""
        super().update_members()
        self._requirements.clear()
        self._compiled.clear()
        self._has_other_money = any(FIELDS[Kind.PRODUCT][name].type == "money" for name, _ in self.checks)

    def _has_valid_members(self, record: Any) -> bool:
        price, sale, currency = record.price, record.sale_price, record.currency
        if price is not None and not self._has_valid_price(record):
            return False
        if sale is not None and not self.is_sale_price(sale, price, currency):
            return False
        if currency is not None and self._has_other_money:
            return False  # the checks of other amounts do not know the record's own currency
        key, title, description, mpn, gtin = record.id, record.title, record.description, record.mpn, record.gtin
        if title is None:
            if self.creates(record):
                return False
        elif title != title.strip():
            return False
        return (
            key == key.strip()
            and (mpn is None or mpn == mpn.strip())
            and (description is None or (
                description == description.strip() and (len(description) >= SHORT or description not in PLACEHOLDERS)
            ))
            and (gtin is None or (is_gtin(gtin) and (gtin > "1" or gtin not in ZERO_GTINS)))
            and PLACEHOLDERS.isdisjoint((key, title, mpn, record.brand, record.tax_rule))
            and self._has_valid_urls(record)
            and self._has_known_references(record)
            and (record.variants is None or self._has_valid_variants(record.variants, price, currency))
            and (record.attributes is None or _are_trimmed(record.attributes))
            and self._has_valid_category(record)
        )

    def _has_valid_urls(self, record: Any) -> bool:
        is_url, link, image, more = self.is_url, record.link, record.image_link, record.additional_image_link
        if (link is not None and not is_url(link)) or (image is not None and not is_url(image)):
            return False
        if more is None:
            return True
        if type(more) is str:
            self.deviations += 1
            return is_url(more)
        return all(map(is_url, more))

    def _has_known_references(self, record: Any) -> bool:
        """Return whether brand, tax rule and HS code are known, or have no blank at an edge if any is."""
        brand, tax_rule, hs_code = record.brand, record.tax_rule, record.hs_code
        if brand is not None and not (brand == brand.strip() if self._brands is None else brand in self._brands):
            return False
        if tax_rule is not None and not (
            tax_rule == tax_rule.strip() if self._tax_rules is None else tax_rule in self._tax_rules
        ):
            return False
        return hs_code is None or (is_hs_code(hs_code) and (self._hs_codes is None or hs_code in self._hs_codes))

    # -- categories ---------------------------------------------------------------------------------------------------

    def _has_valid_category(self, record: Any) -> bool:
        """Return whether the category is known and the product satisfies its requirements."""
        category, google_category = record.product_type, record.google_product_category
        if google_category is not None and (category is None or not is_plain_text(google_category)):
            return False  # without a product type, Google's category takes its place
        if category is None:
            category = ""
        elif type(category) is not str:
            return False
        requirements = self._requirements.get(category)
        if requirements is None:
            if category and not (is_plain_text(category) if self._categories is None else category in self._categories):
                return False
            requirements = self._requirements_of(category) if self._has_requirements else NO_REQUIREMENTS
        return requirements is NO_REQUIREMENTS or self._satisfies(requirements, record)

    def _requirements_of(self, category: str) -> CategoryRequirements:
        reference = self.context.reference
        code = reference.requirements_code(category)
        requirements = self._requirements.get(code)
        if requirements is None:
            wanted = reference.requirements(category)
            content = tuple(wanted.values())
            requirements = self._compiled.get(content)
            if requirements is None:
                attributes = tuple((name, self._attribute_check(one), one.required) for name, one in wanted.items())
                in_variants = not wanted.keys().isdisjoint(self.decoder.variant_members)
                requirements = CategoryRequirements(attributes, in_variants) if attributes else NO_REQUIREMENTS
                self._compiled[content] = requirements
            self._requirements[code] = requirements
        if self._categories is not None:  # a path beside its code; if any text is a category, they are too many
            self._requirements[category] = requirements
        return requirements

    def _attribute_check(self, wanted: AttributeRequirement) -> ValueCheck:
        if wanted.expected == "text":
            return wanted.allowed.__contains__ if wanted.allowed else None
        return lambda value: satisfies(value, wanted, self.context)

    def _satisfies(self, requirements: CategoryRequirements, record: Any) -> bool:
        """Return whether the attributes, or the product's own members of these names, satisfy the requirements."""
        if not self._are_satisfied(requirements, record, is_variant=False):
            return False
        variants = record.variants
        if variants and (requirements.in_variants or any(variant.attributes for variant in variants)):
            return all(self._are_satisfied(requirements, variant, is_variant=True) for variant in variants)
        return True

    @staticmethod
    def _are_satisfied(requirements: CategoryRequirements, holder: Any, *, is_variant: bool) -> bool:
        attributes = holder.attributes
        for name, check, required in requirements.attributes:
            value = attributes.get(name) if attributes else None
            if value is None:
                value = getattr(holder, name, None)
            if value is None:
                if required and not is_variant:
                    return False  # valid only if every variant has it, which the rules find out
            elif type(value) is not str if check is None else not check(value):
                return False
        return True

    # -- variants -----------------------------------------------------------------------------------------------------

    def _has_valid_variants(self, variants: Any, price: Any, currency: str | None) -> bool:
        self.has_variants = True
        keys = set()
        last = None
        checks = self.variant_checks
        for variant in variants:
            key, own, sale, gtin, attributes = (
                variant.id, variant.price, variant.sale_price, variant.gtin, variant.attributes
            )
            if key != key.strip():
                return False
            keys.add(key)
            if own is not None and own != last:
                if not self.is_price(own, currency):
                    return False
                last = own
            if (
                (sale is not None and not self.is_sale_price(sale, price if own is None else own, currency))
                or (gtin is not None and not (is_gtin(gtin) and (gtin > "1" or gtin not in ZERO_GTINS)))
                or (attributes is not None and not _are_trimmed(attributes))
            ):
                return False
            for name, check in checks:
                value = getattr(variant, name)
                if value is not None and (
                    value != value.strip() or value in PLACEHOLDERS if check is None else not check(value)
                ):
                    return False
        return len(keys) == len(variants) and keys.isdisjoint(PLACEHOLDERS)


def _are_trimmed(attributes: dict[str, Any]) -> bool:
    """Return whether no text of the attributes has a blank at an edge."""
    for value in attributes.values():
        if type(value) is str:
            if value != value.strip():
                return False
        elif type(value) is list and not all(map(is_trimmed, value)):
            return False
    return True
