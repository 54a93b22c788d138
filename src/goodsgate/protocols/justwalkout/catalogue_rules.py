"""Rules for items beyond their schema, and the reasons that keep an item from being archived."""

from typing import Any

import msgspec

from goodsgate.model.catalogue import IndexEntry, Resource, split_key
from goodsgate.model.issue import Issue, issue
from goodsgate.protocols.justwalkout import unpublished
from goodsgate.protocols.justwalkout.barcodes import LENGTHS, check_barcode, spellings_of
from goodsgate.rules.merchant_rules import CatalogueLookup, CompiledRules, Record, RuleInputs, RuleResult

BARCODE = "barcode"
"""Name of the index of items by barcode; archived items are not in it."""


class _CompiledItemRules:
    """Checks of an item's barcodes, characters and price."""

    def inputs_for(self, _key: str, record: Record, _current: Record | None) -> RuleInputs:
        """Ask for the items that have the record's barcodes."""
        return RuleInputs([], [
            (BARCODE, spelling) for barcode, _, _ in _barcodes(record) for spelling in spellings_of(barcode)
        ])

    def check(self, key: str, record: Record, lookup: CatalogueLookup) -> RuleResult:
        """Check an item; one SKU may have a barcode in several stores, two SKUs may not share one."""
        barcodes = _barcodes(record)
        sku, _ = split_key(key)
        issues = [*_check_texts(record), *_check_price(record)]
        for barcode, named_type, path in barcodes:
            barcode_issue = check_barcode(barcode, named_type, path)
            if barcode_issue is not None:
                issues.append(barcode_issue)
            elif any(
                split_key(owner)[0] != sku for spelling in spellings_of(barcode)
                for owner in lookup.owners((BARCODE, spelling))
            ):
                issues.append(issue("value_held", path, value=barcode))
            if named_type and named_type.strip().upper() not in LENGTHS:
                issues.append(issue(
                    "value_not_allowed", f"{path}_type", value=named_type, expected=", ".join(LENGTHS),
                    severity="warning",
                ))
        entries: list[IndexEntry] = [*dict.fromkeys((BARCODE, barcode) for barcode, _, _ in barcodes)]
        return RuleResult(issues, entries)

    def check_deletion(self, _key: str, _lookup: CatalogueLookup) -> list[Issue]:
        """Return nothing: this protocol has no deletions."""
        return []


class _CompiledArchivalRules:
    """Check that an item to be archived is not on the planogram."""

    def __init__(self, planogram: frozenset[str]) -> None:
        self._planogram = planogram

    def inputs_for(self, _key: str, _record: Record, _current: Record | None) -> RuleInputs:
        """Ask for nothing."""
        return RuleInputs([], [])

    def check(self, key: str, _record: Record, _lookup: CatalogueLookup) -> RuleResult:
        """Refuse a SKU that is on the planogram."""
        sku, _ = split_key(key)
        return RuleResult([issue("item_on_planogram", "/item_sku", value=sku)] if sku in self._planogram else [], [])

    def check_deletion(self, _key: str, _lookup: CatalogueLookup) -> list[Issue]:
        """Return nothing: this protocol has no deletions."""
        return []


class CatalogItemRules:
    """Rules for items, the same for every merchant."""

    resource_type = "justwalkout/items"
    """No resource has this type; it only identifies these rules."""

    def compile(self, _merchant: str, _resource: Resource | None) -> CompiledRules:
        """Return the rules, which depend on no configuration."""
        return _CompiledItemRules()


class ArchivalRules:
    """Rules for archivals, which depend on the planogram; compiled once for each version of it."""

    resource_type = unpublished.PLANOGRAM

    def __init__(self) -> None:
        self._cache: tuple[str, int, _CompiledArchivalRules] = ("", 0, _CompiledArchivalRules(frozenset()))

    def compile(self, merchant: str, resource: Resource | None) -> CompiledRules:
        """Compile the merchant's planogram."""
        version = resource.version if resource is not None else 0
        if self._cache[:2] != (merchant, version):
            skus = msgspec.json.decode(resource.body, type=list[str]) if resource is not None else []
            self._cache = (merchant, version, _CompiledArchivalRules(frozenset(skus)))
        return self._cache[2]


def _barcodes(record: Record) -> list[tuple[str, str | None, str]]:
    """Return the text, the named type and the path of each barcode of a record."""
    entries: list[tuple[dict[str, Any], str]] = [(record, "/external_product_id")]
    additional = record.get("additional_external_product_information")
    if isinstance(additional, list):
        entries += [
            (entry, f"/additional_external_product_information/{at}/external_product_id")
            for at, entry in enumerate(additional) if isinstance(entry, dict)
        ]
    return [
        (barcode, _text_or_none(entry.get("external_product_id_type")), path)
        for entry, path in entries if (barcode := _text_or_none(entry.get("external_product_id")))
    ]


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _check_texts(record: Record) -> list[Issue]:
    issues = []
    sku, name = str(record.get("item_sku", "")), str(record.get("item_name", ""))
    if not unpublished.SKU.fullmatch(sku):
        issues.append(issue("text_form", "/item_sku", value=sku, expected="letters, digits, -, _ and ."))
    if name and not name.strip():
        issues.append(issue("field_missing", "/item_name", value=name))
    if not unpublished.NAME.fullmatch(name):
        plain = "".join(character for character in name if " " <= character <= "~").strip()
        issues.append(issue("text_form", "/item_name", value=name, expected="plain ASCII", suggestion=plain or None))
    if len(name) > unpublished.NAME_CHARACTERS_ADVISED:
        most = f"at most {unpublished.NAME_CHARACTERS_ADVISED} characters"
        issues.append(issue("text_too_long", "/item_name", value=name, expected=most, severity="warning"))
    return issues


def _check_price(record: Record) -> list[Issue]:
    price = record.get("standard_price")
    if price is None or unpublished.PRICE.fullmatch(str(price)):
        return []
    return [issue("text_form", "/standard_price", value=price, expected="a decimal such as 9.99")]
