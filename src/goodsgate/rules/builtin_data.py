"""Reference data that comes with Goodsgate: currencies, countries and units, from the CLDR that babel carries."""

import functools
from collections.abc import Callable

from babel import Locale
from babel.units import format_unit

from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.rules import countries, currencies

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
    for unit in map(str, Locale("en").unit_display_names):
        measures, _, _ = unit.partition("-")
        symbol = format_unit(2, unit, length="short", locale="en").removeprefix("2").strip()
        name = format_unit(2, unit, length="long", locale="en").removeprefix("2").strip()
        entries.setdefault(symbol, ReferenceEntry(code=symbol, name=name, data={"measures": measures}))
    return [entries[symbol] for symbol in sorted(entries)]
