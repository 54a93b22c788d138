"""Reference data that comes with Goodsgate: currencies, countries and units, from the Unicode CLDR."""

import functools
from collections.abc import Callable

from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.rules import countries, currencies
from goodsgate.rules.cldr import CLDR

BUILTIN_KINDS = ("currency", "country", "unit")
"""Read-only; merchants load the other kinds."""


def builtin_entries(kind: str) -> list[ReferenceEntry]:
    """Every entry of a kind that comes with Goodsgate, by code; raises KeyError for other kinds."""
    entries: dict[str, Callable[[], list[ReferenceEntry]]] = {"currency": _currencies, "country": _countries,
        "unit": _units}
    return entries[kind]()


def _currencies() -> list[ReferenceEntry]:
    return [
        ReferenceEntry(code=code, name=name, data={"decimals": currencies.DECIMALS[code]})
        for code, name in sorted(currencies.NAMES.items())
    ]


def _countries() -> list[ReferenceEntry]:
    return [ReferenceEntry(code=code, name=name) for code, name in sorted(countries.NAMES.items())]


@functools.cache
def _units() -> list[ReferenceEntry]:
    """Symbol, name, and what it measures (length, mass, volume …)."""
    entries: dict[str, ReferenceEntry] = {}
    for unit in CLDR.units:
        entry = ReferenceEntry(code=unit.symbol, name=unit.name, data={"measures": unit.measures})
        entries.setdefault(unit.symbol, entry)
    return [entries[symbol] for symbol in sorted(entries)]
