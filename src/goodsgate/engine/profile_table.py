"""Items as rows of a profile: its columns, units and values, written the other way round than they are read."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice

from goodsgate.model.batch import Kind
from goodsgate.model.fields import FIELDS
from goodsgate.model.json_text import write_json
from goodsgate.profiles import Column, Pair, Profile, Span

OPTIONS_MAX = 3
"""Options of one item; Shopify has no more."""
MONEY_FIELDS = frozenset(field.name for field in FIELDS[Kind.PRODUCT].values() if field.type == "money")
OPTION_FIELDS = ("color", "size", "material", "pattern")
"""Fields that are written as options where the profile has no column for them, before the attributes."""
PRICES_WITH_CURRENCY = frozenset({"generic", "google"})
"""Profiles whose prices name their currency; elsewhere it is a column, or left out."""
ADDRESS = "https?://"
"""In the pattern of a column that holds addresses, or names of files, which no item has."""
NUMBERS = range(10)
"""What may stand for ``{n}`` in the name of a column."""
GRAMS = {"g": Decimal(1), "kg": Decimal(1000), "oz": Decimal("28.349523125"), "lb": Decimal("453.59237")}
CENTIMETRES = {"cm": Decimal(1), "in": Decimal("2.54")}

_AMOUNT = re.compile(r"([0-9.]+) ([A-Za-z]+)")

Record = dict[str, object]
"""Decoded members of an item."""
Cells = dict[str, str]
"""Column → cell of one row."""
Write = Callable[[Record, Cells], None]


class ProfileTable:
    """The columns of a profile, as far as they can be written."""

    def __init__(self, profile: Profile, kind: Kind) -> None:
        self._profile = profile
        self._signature = [*profile.signature[0]] if profile.signature else []
        """Columns by which the file is recognized; they are written even if they are empty."""
        self.written: dict[str, list[str]] = {}
        """Field → the columns that hold it."""
        self._writers: dict[str, Write] = {}
        for field, (name, column) in self._columns(kind).items():
            self._add(field, name, column)
        for before in profile.price_before:
            if before.now in self._signature or before is profile.price_before[0]:
                self.written |= {"price": [before.now, before.before], "sale_price": [before.now, before.before]}
                self._writers["price"] = self._price_writer(before.now, before.before)
                self._writers.pop("sale_price", None)
                break
        for span in profile.spans:
            if span.field not in self.written and span.field in FIELDS[kind]:
                self.written[span.field] = [span.begin, span.end]
                self._writers[span.field] = _span_writer(span)
        self._pair = profile.pairs[0] if profile.pairs else None

    def header(self, fields: set[str]) -> list[str]:
        """Return the columns for items with these fields, in the order of the profile."""
        names = dict.fromkeys((*self._signature, *self._profile.constants))
        names |= {name: None for field, columns in self.written.items() if field in fields for name in columns}
        if self._pair is not None and fields & {*self._optional(), "attributes"}:
            names |= {name: None for at in range(1, OPTIONS_MAX + 1) for name in _numbered(self._pair, at)}
        return [*names]

    def left_out(self, fields: set[str]) -> list[str]:
        """Return which of these members no column holds; ``currency`` stands for that of prices without one."""
        held = {*self.written, *([*self._optional(), "attributes"] if self._pair is not None else [])}
        bare = fields & {"price", "sale_price"} and self._profile.name not in PRICES_WITH_CURRENCY
        has_currency = any(len(columns) > 1 for field, columns in self.written.items() if field == "currency")
        return sorted(fields - held) + (["currency"] if bare and not has_currency else [])

    def row(self, record: Record, header: list[str]) -> list[str]:
        """Return the cells of an item."""
        cells: Cells = dict(self._profile.constants)
        for write in self._writers.values():
            write(record, cells)
        if self._pair is not None:
            for at, (name, value) in enumerate(self._options(record), 1):
                cells.update(zip(_numbered(self._pair, at), (name, value), strict=True))
        return [cells.get(name, "") for name in header]

    def _columns(self, kind: Kind) -> dict[str, tuple[str, Column]]:
        """Return the column of each field: one of the signature if there is one, else the first."""
        chosen: dict[str, tuple[str, Column]] = {}
        for pattern, entries in self._profile.columns.items():
            column = next(filter(_is_writable, entries), None)
            if column is None:
                continue
            for number in NUMBERS if "{n}" in pattern else (0,):
                name, field = pattern.replace("{n}", str(number)), column.to[0].replace("{n}", str(number))
                if "*" in name and name not in self._signature:  # which stands for any characters
                    continue
                is_better = field not in chosen or (name in self._signature and chosen[field][0] not in self._signature)
                if field in FIELDS[kind] and is_better:
                    chosen[field] = name, column
        return chosen

    def _add(self, field: str, name: str, column: Column) -> None:
        others = [other for other in (column.unit_column, column.currency_column) if other]
        self.written[field] = [name, *others]
        if column.rest:
            self.written[column.rest] = [name]
        gate_values = {gate: theirs for theirs, gate in reversed([*column.values.items()])}

        def write(record: Record, cells: Cells) -> None:
            values = [*_texts(record.get(field)), *(_texts(record.get(column.rest)) if column.rest else ())]
            texts = [gate_values.get(value, value) for value in values]
            if column.levels is not None:
                texts = [text.replace(" > ", column.levels) for text in texts]
            text = (column.separator or ",").join(texts)
            amount = _AMOUNT.fullmatch(text)
            if amount is not None and column.unit_column:
                text, cells[column.unit_column] = amount[1], amount[2]
            elif amount is not None and column.currency_column:
                text, cells[column.currency_column] = amount[1], amount[2]
            elif amount is not None and column.unit:
                text = _converted(amount[1], amount[2], column.unit)
            elif field in MONEY_FIELDS:
                text = self._amount(text)
            cells[name] = text

        self._writers[field] = write

    def _price_writer(self, now: str, before: str) -> Write:
        def write(record: Record, cells: Cells) -> None:
            price, sale = (self._amount("".join(_texts(record.get(name)))) for name in ("price", "sale_price"))
            cells[now], cells[before] = (sale, price) if sale else (price, "")

        return write

    def _amount(self, text: str) -> str:
        amount = _AMOUNT.fullmatch(text)
        return amount[1] if amount is not None and self._profile.name not in PRICES_WITH_CURRENCY else text

    def _optional(self) -> list[str]:
        return [field for field in OPTION_FIELDS if field not in self.written]

    def _options(self, record: Record) -> list[tuple[str, str]]:
        options = [
            (field.capitalize(), text) for field in self._optional() for text in islice(_texts(record.get(field)), 1)
        ]
        attributes = record.get("attributes")
        if isinstance(attributes, dict):
            options += [(name, ", ".join(_texts(value))) for name, value in attributes.items()]
        return options[:OPTIONS_MAX]


def _is_writable(column: Column) -> bool:
    """Return whether an entry of a column says how it is written: whatever the row, or beside another column."""
    is_beside = all(cells == ("*",) for cells in column.when.values())
    is_any = column.matching is None or ADDRESS in column.matching
    return bool(column.to) and is_beside and is_any and column.packed is None and not column.parts


def _span_writer(span: Span) -> Write:
    def write(record: Record, cells: Cells) -> None:
        cells[span.begin], _, cells[span.end] = "".join(_texts(record.get(span.field))).partition("/")

    return write


def _numbered(pair: Pair, number: int) -> tuple[str, str]:
    return pair.name.replace("{n}", str(number)), pair.value.replace("{n}", str(number))


def _texts(value: object) -> Iterator[str]:
    """Yield the texts of a member: those of a list, or its own."""
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, bool):
        yield "yes" if value else "no"
    elif value is not None:
        yield write_json(value).decode()


def _converted(number: str, unit: str, wanted: str) -> str:
    """Return a measure in the unit of the column, without it; as it is if the unit cannot be converted."""
    for factors in (GRAMS, CENTIMETRES):
        if unit in factors and wanted in factors:
            converted = Decimal(number) * factors[unit] / factors[wanted]
            return number if unit == wanted else format(converted.normalize(), "f")
    return number if unit == wanted else f"{number} {unit}"
