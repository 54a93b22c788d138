"""What a profile says about several cells of a row: options, reduced prices, periods, and derived values."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from goodsgate.engine.column_values import (
    ReadCell,
    applies,
    attribute_path,
    field_value,
    option_path,
    put,
    read_decimal,
)
from goodsgate.model import fields
from goodsgate.model.batch import Kind
from goodsgate.model.issue import Issue, issue
from goodsgate.profiles import Column, Pair, Profile, fold
from goodsgate.rules.timestamps import EXPECTED_SPAN, parse

Record = dict[str, object]

_MIDNIGHT = re.compile(r"[T ]00:00(?::00)?\Z")
"""The time that systems write behind a date."""


class _PairColumns(NamedTuple):
    """Positions of the names and the values of options."""

    name: int
    value: int
    pair: Pair


class _SpanColumns(NamedTuple):
    """Positions of the first and the last day of a period."""

    field: str
    begin: int
    end: int


class RowRules:
    """The rules of a profile for the columns of one table."""

    def __init__(self, profile: Profile, kind: Kind, columns: Sequence[str], *, positions: Mapping[str, int],
                 mapped: Collection[int], maps_prices: bool, used: Iterable[Column] = (),
                 filling: Collection[int] = ()) -> None:
        """Find the columns by their folded names (`positions`), except those that the submission itself has `mapped`.

        `maps_prices` says whether one of those is a price. `used` is what the profile says about the columns of the
        file, of which those at `filling` fill a field.
        """
        self._columns = columns
        self.consumed: set[int] = set()
        """Columns that are read by these rules alone."""
        self._pairs: list[_PairColumns] = []
        for pair in profile.pairs if kind is Kind.PRODUCT else ():
            for number in range(1, len(positions) + 1) if "{n}" in pair.name else (0,):
                name = positions.get(fold(pair.name.replace("{n}", str(number))))
                value = positions.get(fold(pair.value.replace("{n}", str(number))))
                if name is not None and value is not None and not {name, value} & {*self.consumed, *mapped}:
                    self._pairs.append(_PairColumns(name, value, pair))
                    self.consumed |= {name, value}
        self._prices: list[tuple[int, int | None]] = []
        for each in profile.price_before if kind is not Kind.STOCK and not maps_prices else ():
            now, before = positions.get(fold(each.now)), positions.get(fold(each.before))
            if now is not None and not {now, before} & {*mapped}:
                self._prices.append((now, before))
                self.consumed |= {now} | ({before} if before is not None else set())
        self._spans: list[_SpanColumns] = []
        for span in profile.spans:
            begin, end = positions.get(fold(span.begin)), positions.get(fold(span.end))
            is_known = span.field in fields.FIELDS[kind] and begin is not None and end is not None
            if is_known and begin is not None and end is not None and not {begin, end} & {*mapped}:
                self._spans.append(_SpanColumns(span.field, begin, end))
                self.consumed |= {begin, end}
        described = [name for column in used for name in (column.unit_column, column.currency_column) if name]
        beside = {positions.get(fold(column)) for column in (*profile.constants, *described)}  # parts of other values
        self.consumed |= {at for at in beside if at is not None and at not in mapped and at not in filling}
        self._derived = [each for each in profile.derived if each.field in fields.FIELDS[kind]]
        self._kind = kind

    def __bool__(self) -> bool:
        return bool(self._pairs or self._prices or self._spans or self._derived)

    def fill(self, record: Record, cells: Sequence[str], read_cell: ReadCell, issues: list[Issue]) -> None:
        """Add the values of a row to its record; what a column has filled stays."""
        for now, before in self._prices:
            _fill_prices(record, cells[now], cells[before] if before is not None else "")
        for pair in self._pairs:
            self._fill_pair(record, cells, pair)
        for span in self._spans:
            self._fill_span(record, cells, span, issues)
        for derived in self._derived:
            if derived.field not in record and applies(derived.when, read_cell):
                record[derived.field] = derived.value

    def _fill_pair(self, record: Record, cells: Sequence[str], columns: _PairColumns) -> None:
        name, value, pair = cells[columns.name], cells[columns.value], columns.pair
        if value and not name:
            record[self._columns[columns.value]] = value
            return
        names, values = [name], [value]
        if pair.separator is not None:
            names, values = (cell.split(pair.separator) for cell in (name, value))
            if pair.ends is not None:
                names, values = ([each.partition(pair.ends)[0] for each in some] for some in (names, values))
        for each, text in zip(map(str.strip, names), map(str.strip, values), strict=False):
            if each and text and text.lower() not in pair.empty:
                put_options(record, each, [text], self._kind)

    def _fill_span(self, record: Record, cells: Sequence[str], columns: _SpanColumns, issues: list[Issue]) -> None:
        begin, end = (_MIDNIGHT.sub("", cells[at]) for at in (columns.begin, columns.end))
        if not begin and not end:
            return
        begins, ends = parse(begin), parse(end)
        if begins is not None and ends is not None and begins <= ends:
            record.setdefault(columns.field, f"{begin}/{end}")
            return
        for at in (columns.begin, columns.end):
            if cells[at]:
                record[self._columns[at]] = cells[at]
        found = issue(
            "date_unreadable", f"/{columns.field}", value=f"{begin}/{end}", expected=EXPECTED_SPAN, severity="warning",
            column=self._columns[columns.begin if begins is None else columns.end],
        )
        issues.append(found)


def put_options(record: Record, name: str, values: Sequence[str], kind: Kind) -> None:
    """Add the values of an option or attribute; a field that a column has filled stays."""
    path = option_path(name, kind)
    text = field_value(path[0], values, kind)
    if path[0] != "attributes" and text is None:  # a choice that the gate does not have
        path = attribute_path(name)
    if path[0] == "attributes":
        put(record, path, values[0] if len(values) == 1 else [*values])
    elif path[0] not in record:
        put(record, path, text)


def _fill_prices(record: Record, price: str, higher: str) -> None:
    """Add what is paid now and, if it was higher, the price before."""
    paid, full = read_decimal(price), read_decimal(higher)
    if paid is not None and full is not None and full > paid:
        record["price"], record["sale_price"] = higher, price
    elif price:
        record["price"] = price
