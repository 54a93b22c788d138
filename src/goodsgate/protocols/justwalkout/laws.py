"""What an item must be beyond its form, and what keeps one from being archived; for workers."""

from typing import Any

import msgspec

from goodsgate.model.catalogue import Mark, Resource, split_key
from goodsgate.model.issue import Issue, issue
from goodsgate.protocols.justwalkout import guesses
from goodsgate.protocols.justwalkout.barcodes import LENGTHS, why_not
from goodsgate.rules.bylaws import Asked, Law, Neighbours, Record, Verdict

BARCODE = "barcode"
"""Name of the mark by which items are found that have it; archived ones have none."""
NOTHING = Asked([], [])


class _Items:
    """Items of a store: barcodes, characters, price."""

    def asks(self, _key: str, record: Record, _held: Record | None) -> Asked:
        """Who has its barcodes."""
        return Asked([], [(BARCODE, barcode) for barcode, _, _ in _barcodes(record)])

    def judge(self, key: str, record: Record, neighbours: Neighbours) -> Verdict:
        """Everything that is wrong with it; one SKU may have a barcode in many stores, two SKUs never."""
        barcodes = _barcodes(record)
        sku, _ = split_key(key)
        found = [*_worded(record), *_priced(record)]
        for barcode, named, path in barcodes:
            wrong = why_not(barcode, named, path)
            if wrong is not None:
                found.append(wrong)
            elif any(split_key(owner)[0] != sku for owner in neighbours.owners((BARCODE, barcode))):
                found.append(issue("value_held", path, value=barcode))
            if named and named.strip().upper() not in LENGTHS:
                told, known = f"{path}_type", ", ".join(LENGTHS)
                found.append(issue("value_not_allowed", told, value=named, expected=known, severity="warning"))
        marks: list[Mark] = [*dict.fromkeys((BARCODE, barcode) for barcode, _, _ in barcodes)]
        return Verdict(found, marks)

    def part(self, _key: str, _neighbours: Neighbours) -> list[Issue]:
        """Nothing of this protocol deletes."""
        return []


class _Archived:
    """Items on their way out of the active catalogue."""

    def __init__(self, planogram: frozenset[str]) -> None:
        self._planogram = planogram

    def asks(self, _key: str, _record: Record, _held: Record | None) -> Asked:
        """Nothing: they were found by their SKU."""
        return NOTHING

    def judge(self, key: str, _record: Record, _neighbours: Neighbours) -> Verdict:
        """Whether the SKU is still on a shelf somewhere."""
        sku, _ = split_key(key)
        on_shelf = sku in self._planogram
        return Verdict([issue("item_on_planogram", "/item_sku", value=sku)] if on_shelf else [], [])

    def part(self, _key: str, _neighbours: Neighbours) -> list[Issue]:
        """Nothing of this protocol deletes."""
        return []


class ItemLaws:
    """The same for every merchant."""

    sort = "justwalkout/items"
    """Of a resource that nobody has; laws are told apart by it."""

    def read(self, _merchant: str, _settled: Resource | None) -> Law:
        """Nothing is settled that uploads depend on."""
        return _Items()


class ArchivalLaws:
    """What is on the planogram, read once a change."""

    sort = guesses.PLANOGRAM

    def __init__(self) -> None:
        self._read: tuple[str, int, _Archived] = ("", 0, _Archived(frozenset()))

    def read(self, merchant: str, settled: Resource | None) -> Law:
        """By the merchant's planogram."""
        version = settled.version if settled is not None else 0
        if self._read[:2] != (merchant, version):
            skus = msgspec.json.decode(settled.body, type=list[str]) if settled is not None else []
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
