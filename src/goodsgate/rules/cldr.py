"""Countries, currencies and units of the Unicode CLDR.

They are a few of babel's data, in a file of 50 kB; babel itself has 34 MB. `tests/rules/cldr.py` writes the file.
"""

from importlib.resources import files

import msgspec


class Currency(msgspec.Struct, frozen=True):
    """A currency that is legal tender somewhere."""

    name: str
    decimals: int
    symbol: str | None


class Unit(msgspec.Struct, frozen=True):
    """A unit of measure and what it measures: length, mass, volume and so on."""

    symbol: str
    name: str
    measures: str


class Cldr(msgspec.Struct, frozen=True):
    """The data, with English names."""

    territories: dict[str, str]
    aliases: dict[str, str]
    """Other code → code of two letters."""
    currencies: dict[str, Currency]
    units: list[Unit]


CLDR = msgspec.json.decode((files("goodsgate.rules") / "cldr_data.json").read_bytes(), type=Cldr)
