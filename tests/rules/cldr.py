"""What Goodsgate ships of the Unicode CLDR, computed from babel: `python -m tests.rules.cldr` writes it."""

import json
from pathlib import Path
from typing import Any

import babel.core
from babel import Locale
from babel.numbers import get_currency_precision
from babel.units import format_unit

from tests.conventions.source import PACKAGE

DATA = PACKAGE / "rules" / "cldr_data.json"
LICENSE = PACKAGE / "rules" / "cldr_license.txt"
LICENSE_OF_BABEL = Path(babel.core.__file__).parent / "locale-data" / "LICENSE.unicode"
ENGLISH = Locale("en")


def cldr_data() -> dict[str, Any]:
    """Return countries, currencies in use and units."""
    return {"territories": _territories(), "aliases": _aliases(), "currencies": _currencies(), "units": _units()}


def _territories() -> dict[str, str]:
    names = sorted(ENGLISH.territories.items())
    return {code: name for code, name in names if len(code) == 2 and code.isalpha()}


def _aliases() -> dict[str, str]:
    """Return other codes of a territory, such as those of three letters; one that stands for several is left out."""
    aliases = sorted(babel.core.get_global("territory_aliases").items())
    return {alias: codes[0] for alias, codes in aliases if len(codes) == 1}


def _currencies() -> dict[str, dict[str, Any]]:
    histories = babel.core.get_global("territory_currencies").values()
    in_use = {code for history in histories for code, _, end, tender in history if tender and end is None}
    return {
        code: {
            "name": str(ENGLISH.currencies[code]), "decimals": get_currency_precision(code),
            "symbol": ENGLISH.currency_symbols.get(code),
        }
        for code in sorted(in_use)
    }


def _units() -> list[dict[str, str]]:
    units = []
    for unit in map(str, ENGLISH.unit_display_names):
        short, name = (
            format_unit(2, unit, length=length, locale="en").removeprefix("2").strip() for length in ("short", "long")
        )
        units.append({"symbol": short, "name": name, "measures": unit.partition("-")[0]})
    return units


def text() -> str:
    """Return the file, one entry a line."""
    return json.dumps(cldr_data(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    DATA.write_text(text(), "utf-8")
    LICENSE.write_bytes(LICENSE_OF_BABEL.read_bytes())
