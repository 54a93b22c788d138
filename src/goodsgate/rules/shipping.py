"""Shipping as Google writes it in a table: ``US:CA:Overnight:16.00 USD``, several with commas.

Source: https://support.google.com/merchants/answer/6324484: country, region, service and price, of which those in the
middle may be empty, and then the least and the most days of handling and of transit. A header may name the parts:
``shipping(country:service:price)``.
"""

import re
from collections.abc import Sequence

PARTS = (
    "country", "region", "service", "price", "min_handling_time", "max_handling_time", "min_transit_time",
    "max_transit_time",
)
"""Members of an entry in the order of a cell."""
PRICE_AT = PARTS.index("price")
LENGTHS = (PRICE_AT + 1, len(PARTS))
"""Parts of an entry without and with times."""
NAMED_PARTS = frozenset({*PARTS, "postal_code", "location_id", "location_group_name"})

_PRICE = re.compile(r"[0-9]+(?:\.[0-9]+)? [A-Z]{3}")
_COUNTRY = re.compile(r"(?:[A-Z]{2})?")
_HEADER = re.compile(r"(?:g:)?shipping\s*\(([a-z_:\s]+)\)", re.IGNORECASE)

Entry = dict[str, str]


def read_shipping(cell: str, parts: Sequence[str] = PARTS) -> list[Entry] | None:
    """Return the entries of a cell; None if it is written in another way."""
    entries = []
    for text in cell.split(","):
        values = [value.strip() for value in text.split(":")]
        if len(values) not in (LENGTHS if parts is PARTS else (len(parts),)):
            return None
        entry = {part: value for part, value in zip(parts, values, strict=False) if value}
        if not _PRICE.fullmatch(entry.get("price", "")) or not _COUNTRY.fullmatch(entry.get("country", "")):
            return None
        entries.append(entry)
    return entries


def shipping_cell(entries: object) -> str | None:
    """Return the cell that is read as these entries; None if there is none."""
    if not isinstance(entries, list) or not entries:
        return None
    texts = []
    for entry in entries:
        if not isinstance(entry, dict) or not all(isinstance(value, str) and value for value in entry.values()):
            return None
        length = LENGTHS[0] if entry.keys() <= {*PARTS[: LENGTHS[0]]} else LENGTHS[1]
        texts.append(":".join(entry.get(part, "") for part in PARTS[:length]))
    cell = ",".join(texts)
    return cell if read_shipping(cell) == entries else None


def shipping_parts(name: str) -> list[str] | None:
    """Return the parts that the name of a column names, as in ``shipping(country:price)``; None if it names none."""
    named = _HEADER.fullmatch(name.strip())
    if named is None:
        return None
    parts = [part.strip().lower() for part in named[1].split(":")]
    return parts if "price" in parts and NAMED_PARTS.issuperset(parts) else None
