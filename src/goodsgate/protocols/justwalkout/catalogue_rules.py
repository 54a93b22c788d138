"""Rules for items beyond their schema, and the reasons that keep an item from being archived."""

from typing import Any

import msgspec

from goodsgate.model.catalogue import IndexEntry, Resource, split_key
from goodsgate.model.issue import Issue, issue
from goodsgate.protocols.justwalkout import guesses
from goodsgate.protocols.justwalkout.barcodes import LENGTHS, why_not
from goodsgate.rules.merchant_rules import CatalogueLookup, CompiledRules, Record, RuleInputs, RuleResult

BARCODE = "barcode"
"""Name of the mark by which items are found that have it; archived ones have none."""
NOTHING = RuleInputs([], [])


class _Items:
    """Items of a store: barcodes, characters, price."""

    def inputs_for(self, _key: str, record: Record, _current: Record | None) -> RuleInputs:
        """Who has its barcodes."""
        return RuleInputs([], [(BARCODE, barcode) for barcode, _, _ in _barcodes(record)])

    def check(self, key: str, record: Record, lookup: CatalogueLookup) -> RuleResult:
        """Everything that is wrong with it; one SKU may have a barcode in many stores, two SKUs never."""
        barcodes = _barcodes(record)
        sku, _ = split_key(key)
        found = [*_worded(record), *_priced(record)]
        for barcode, named, path in barcodes:
            wrong = why_not(barcode, named, path)
            if wrong is not None:
                found.append(wrong)
            elif any(split_key(owner)[0] != sku for owner in lookup.owners((BARCODE, barcode))):
                found.append(issue("value_held", path, value=barcode))
            if named and named.strip().upper() not in LENGTHS:
                told, known = f"{path}_type", ", ".join(LENGTHS)
                found.append(issue("value_not_allowed", told, value=named, expected=known, severity="warning"))
        entries: list[IndexEntry] = [*dict.fromkeys((BARCODE, barcode) for barcode, _, _ in barcodes)]
        return RuleResult(found, entries)

    def check_deletion(self, _key: str, _lookup: CatalogueLookup) -> list[Issue]:
        """Nothing of this protocol deletes."""
        return []


class _Archived:
    """Items on their way out of the active catalogue."""

    def __init__(self, planogram: frozenset[str]) -> None:
        self._planogram = planogram

    def inputs_for(self, _key: str, _record: Record, _current: Record | None) -> RuleInputs:
        """Nothing: they were found by their SKU."""
        return NOTHING

    def check(self, key: str, _record: Record, _lookup: CatalogueLookup) -> RuleResult:
        """Whether the SKU is still on a shelf somewhere."""
        sku, _ = split_key(key)
        on_shelf = sku in self._planogram
        return RuleResult([issue("item_on_planogram", "/item_sku", value=sku)] if on_shelf else [], [])

    def check_deletion(self, _key: str, _lookup: CatalogueLookup) -> list[Issue]:
        """Nothing of this protocol deletes."""
        return []


class ItemRules:
    """Rules for items, the same for every merchant."""

    resource_type = "justwalkout/items"
    """Nobody has a resource of this type; it only names these rules."""

    def compile(self, _merchant: str, _resource: Resource | None) -> CompiledRules:
        """Return the rules, which depend on no configuration."""
        return _Items()


class ArchivalRules:
    """Rules for archivals, which depend on the planogram; compiled once per version of it."""

    resource_type = guesses.PLANOGRAM

    def __init__(self) -> None:
        self._read: tuple[str, int, _Archived] = ("", 0, _Archived(frozenset()))

    def compile(self, merchant: str, resource: Resource | None) -> CompiledRules:
        """Compile the merchant's planogram."""
        version = resource.version if resource is not None else 0
        if self._read[:2] != (merchant, version):
            skus = msgspec.json.decode(resource.body, type=list[str]) if resource is not None else []
            self._read = (merchant, version, _Archived(frozenset(skus)))
        return self._read[2]


def _barcodes(record: Record) -> list[tuple[str, str | None, str]]:
    """Barcode, the type it names, and its path, of all that are written as such."""
    own = [(record, "/external_product_id")]
    more = record.get("additional_external_product_information")
    if isinstance(more, list):
        own += [
            (entry, f"/additional_external_product_information/{at}/external_product_id")
            for at, entry in enumerate(more) if isinstance(entry, dict)
        ]
    return [
        (barcode, _text(entry.get("external_product_id_type")), path)
        for entry, path in own if (barcode := _text(entry.get("external_product_id")))
    ]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _worded(record: Record) -> list[Issue]:
    found = []
    sku, name = str(record.get("item_sku", "")), str(record.get("item_name", ""))
    if not guesses.SKU.fullmatch(sku):
        found.append(issue("text_form", "/item_sku", value=sku, expected="letters, digits, -, _ and ."))
    if not guesses.NAME.fullmatch(name):
        plain = "".join(character for character in name if " " <= character <= "~").strip()
        found.append(issue("text_form", "/item_name", value=name, expected="plain ASCII", suggestion=plain or None))
    if len(name) > guesses.NAME_CHARACTERS_ADVISED:
        most = f"at most {guesses.NAME_CHARACTERS_ADVISED} characters"
        found.append(issue("text_too_long", "/item_name", value=name, expected=most, severity="warning"))
    return found


def _priced(record: Record) -> list[Issue]:
    price = record.get("standard_price")
    if price is None or guesses.PRICE.fullmatch(str(price)):
        return []
    return [issue("text_form", "/standard_price", value=price, expected="a decimal such as 9.99")]
