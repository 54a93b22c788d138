"""Countries: ISO 3166-1 alpha-2 codes, by way of the Unicode CLDR that babel carries."""

from babel import Locale
from babel.core import get_global

from goodsgate.rules.name_index import NameIndex

_NOT_COUNTRIES = frozenset({"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"})
"""Two-letter codes of CLDR that ISO 3166-1 does not assign: islands, unions, pseudo-regions. Kosovo's XK stays in,
as in every postal and customs system that needs it."""

NAMES: dict[str, str] = {
    code: name
    for code, name in sorted(Locale("en").territories.items())
    if len(code) == 2 and code.isalpha() and code not in _NOT_COUNTRIES
}
"""Code → English name."""


def _meant() -> dict[str, str]:
    """Names, and the three-letter and numeric codes that CLDR knows as aliases."""
    meant = {name: code for code, name in NAMES.items()}
    for alias, codes in get_global("territory_aliases").items():
        if len(codes) == 1 and codes[0] in NAMES and alias not in NAMES:
            meant.setdefault(alias, codes[0])
    return meant


COUNTRIES = NameIndex({code: code for code in NAMES}, _meant())
"""Looked up by code alone; an English name or another code says which was meant."""
