"""Countries: ISO 3166-1 alpha-2 codes, by way of the Unicode CLDR."""

from goodsgate.rules.cldr import CLDR
from goodsgate.rules.name_index import NameIndex

_NOT_COUNTRIES = frozenset({"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"})
"""Two-letter codes of CLDR that ISO 3166-1 does not assign: islands, unions, pseudo-regions. Kosovo's XK stays in,
as in every postal and customs system that needs it."""

NAMES: dict[str, str] = {code: name for code, name in CLDR.territories.items() if code not in _NOT_COUNTRIES}
"""Code → English name."""


def _meant() -> dict[str, str]:
    """Names, and the three-letter and numeric codes that CLDR knows as aliases."""
    meant = {name: code for code, name in NAMES.items()}
    for alias, code in CLDR.aliases.items():
        if code in NAMES and alias not in NAMES:
            meant.setdefault(alias, code)
    return meant


COUNTRIES = NameIndex({code: code for code in NAMES}, _meant())
"""Looked up by code alone; an English name or another code says which was meant."""
