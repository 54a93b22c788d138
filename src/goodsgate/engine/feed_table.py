"""Items as rows of a target: each value is checked by the rule of its column before it is written.

What falls short is an issue. A value that its column cannot have is left out, or cut, with a warning. An item without a
value that the target requires is incomplete, which is an error.
"""

import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.model.fields import URL_CHARACTERS_MAX
from goodsgate.model.issue import Issue, Severity, issue
from goodsgate.model.json_text import write_json
from goodsgate.rules.shipping import shipping_cell
from goodsgate.targets import FeedColumn, FeedTarget

SHAPES: dict[str, tuple[re.Pattern[str], str, str]] = {
    "url": (re.compile(r"https?://[^\s]+", re.IGNORECASE), "url_not_absolute", "https://…"),
    "price": (re.compile(r"[0-9]+(?:\.[0-9]+)? [A-Z]{3}"), "price_unreadable", "an amount and a currency: 7.90 EUR"),
    "gtin": (re.compile(r"[0-9]{8}|[0-9]{12,14}"), "gtin_length", "8, 12, 13 or 14 digits"),
    "date": (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*"), "date_unreadable", "YYYY-MM-DD"),
    "country": (re.compile(r"[A-Z]{2}"), "country_unknown", "two letters of ISO 3166-1"),
    "yes_no": (re.compile(r"yes|no|true|false"), "value_not_allowed", "yes or no"),
    "number": (re.compile(r"[0-9]+"), "number_unreadable", "digits"),
}
"""Shape → what a text must match, the issue if it does not, and what is expected."""
DATE_CHARACTERS = 10
WORD_CHARACTERS_MAX = 40
"""A text that is cut ends at a word, unless that costs more characters than this."""

_MEASURE = re.compile(r"([0-9.]+) ?([A-Za-z]+)")
_MARKUP = re.compile(r"</?[A-Za-z][^>]{0,200}>")

Record = Mapping[str, object]
"""Decoded members of an item."""
Cell = str | list[Any] | dict[str, Any]
"""Value of a column: a text, a list of texts or objects, or an object."""


class FeedRow(NamedTuple):
    """An item as the columns of a target."""

    cells: list[Cell | None]
    """As many as the header has columns; None for a column without a value."""
    issues: list[Issue]
    is_complete: bool


class FeedTable:
    """The columns of a target, for one feed."""

    def __init__(self, target: FeedTarget, *, options: Mapping[str, str] | None = None,
                 only: Collection[str] | None = None) -> None:
        """Take the values that a destination sets for items without one, and the columns that it wants; None: all.

        Columns that the target requires are always written. Without `options` (None), what is about the shop and not
        about an item is not required.
        """
        self.target = target
        named = {
            name: column for name, column in target.columns.items() if only is None or name in only or column.required
        }
        self.header = [*named]
        self._columns = [_compile(name, column, options) for name, column in named.items()]
        self._positions = {name: at for at, name in enumerate(self.header)}
        self._one_of = [[self._positions[name] for name in names if name in named] for names in target.one_of]
        self._all_or_none = [
            [self._positions[name] for name in names if name in named] for names in target.all_or_none
        ]

    @property
    def fields(self) -> set[str]:
        """Members of items that some column holds."""
        return {field for name, column in self.target.columns.items() for field in (column.fields or (name,))}

    def row(self, record: Record) -> FeedRow:
        """Return the row of an item, and what falls short."""
        issues: list[Issue] = []
        cells = [
            read(record, issues) if field is None or field in record else None for field, read in self._columns
        ]
        for positions in self._all_or_none:
            present = [at for at in positions if cells[at] is not None]
            if present and len(present) < len(positions):
                missing = next(at for at in positions if cells[at] is None)
                issues.append(_issue("field_missing", self.header[missing], severity="warning"))
                for at in present:
                    cells[at] = None
        for positions in self._one_of:
            if positions and all(cells[at] is None for at in positions):
                names = [self.header[at] for at in positions]
                issues.append(_issue("field_missing", names[0], expected=f"one of {', '.join(names)}"))
        is_complete = not issues or all(each.severity == "warning" for each in issues)
        return FeedRow(cells, issues, is_complete)


def check_options(target: FeedTarget, options: Mapping[str, str]) -> None:
    """Raise Refusal (parameter_invalid) for an option that is no column of the target, or a value it cannot have."""
    for name, value in options.items():
        column = target.columns.get(name)
        if column is None:
            known = ", ".join(name for name, column in target.columns.items() if column.option)
            detail = f"{target.title} has no column {name!r}; values are often set for: {known or 'no column'}."
            raise Refusal("parameter_invalid", detail, parameter="set")
        issues: list[Issue] = []
        _check_text(name, column)(value, issues)
        if issues:
            raise Refusal("parameter_invalid", issues[0].message, parameter="set")


def text_cell(cell: Cell | None) -> str:
    """Return the value of a column as the cell of a table."""
    if cell is None:
        return ""
    if type(cell) is str:
        return cell
    if isinstance(cell, list):
        if all(type(each) is str and "," not in each for each in cell):
            return ",".join(cell)
        if (text := shipping_cell(cell)) is not None:
            return text
    return write_json(cell).decode()


Read = Callable[[Record, list[Issue]], Cell | None]


def _compile(name: str, column: FeedColumn, options: Mapping[str, str] | None) -> tuple[str | None, Read]:
    """Return what reads the value of a column from an item, and adds what falls short to its issues.

    If nothing is to be read or said without a certain member, the name of that member comes first.
    """
    default = (options or {}).get(name, column.default)
    required = column.required and not (column.option and options is None)
    fields = column.fields or (name,)
    needs_member = not (required or column.required_if or default) and len(fields) == 1 and column.part != "presence"
    take = _take(column, fields)
    check = _check(name, column)
    conditions = [(field, frozenset(values)) for field, values in column.required_if.items()]

    def read(record: Record, issues: list[Issue]) -> Cell | None:
        value = take(record)
        if value is None:
            value = default
        if value is not None:
            before = len(issues)
            value = check(value, record, issues)
            if value is not None:
                return value
            if required:
                issues[before:] = [msgspec.structs.replace(each, severity="error") for each in issues[before:]]
        elif required:
            issues.append(_issue("field_missing", name))
        elif conditions:
            for field, values in conditions:
                if field in record and ("*" in values or record[field] in values):
                    issues.append(_issue("field_missing", name, expected=f"a value if {field} is {record[field]}"))
        return None

    return (fields[0] if needs_member else None), read


def _take(column: FeedColumn, fields: tuple[str, ...]) -> Callable[[Record], Cell | None]:
    """Return what takes the value of a column from an item, unchecked."""
    if column.part == "options":
        def options(record: Record) -> Cell | None:
            return {field: value for field in fields if (value := _plain(record.get(field)))} or None
        return options
    (first, *others) = fields

    def take(record: Record) -> Cell | None:
        value = record.get(first)
        if value is None or value == "" or value == []:
            for field in others:
                if (value := record.get(field)) is not None and value != "":
                    break
            else:
                return None
        return value if type(value) is str else _plain(value)

    if column.part is None:
        return take
    if column.part == "presence":
        return lambda record: "true" if take(record) is not None else "false"
    return _part_of(take, column.part)


def _part_of(take: Callable[[Record], Cell | None], part: str) -> Callable[[Record], Cell | None]:
    """Return what takes one part of a measure or a period."""
    def of_measure(record: Record) -> Cell | None:
        value = take(record)
        measure = _MEASURE.fullmatch(value) if isinstance(value, str) else None
        return (measure[1] if part == "amount" else measure[2]) if measure is not None else None

    def of_period(record: Record) -> Cell | None:
        value = take(record)
        if not isinstance(value, str):
            return None
        begin, _, end = value.partition("/")
        return (begin if part == "begin" else end) or None

    return of_measure if part in ("amount", "unit") else of_period


def _plain(value: object) -> Cell | None:
    """Return a member as the value of a column: numbers and truth values as texts, and so in lists."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return [each if isinstance(each, str | dict) else write_json(each).decode() for each in value] or None
    if isinstance(value, dict):
        return value
    return None if value is None else str(value)


def _check(name: str, column: FeedColumn) -> Callable[[Cell, Record, list[Issue]], Cell | None]:
    """Return what checks a value by the rule of its column; None for a value that is left out."""
    check_text = _check_text(name, column)
    at_most, entries_max = column.at_most, column.entries_max

    def check(value: Cell, record: Record, issues: list[Issue]) -> Cell | None:
        if type(value) is str:
            text = check_text(value, issues)
            if text is not None and at_most is not None and not _is_at_most(text, record.get(at_most)):
                issues.append(_issue("sale_price_above_price", name, value=text, expected=str(record.get(at_most)),
                                     severity="warning"))
                return None
            return text
        if not isinstance(value, list):
            return value
        if entries_max is not None and len(value) > entries_max:
            if entries_max > 1:
                issues.append(_issue("list_too_long", name, value=len(value), expected=f"at most {entries_max}"))
            value = value[:entries_max]
        kept: list[object] = []
        for each in value:
            checked = check_text(each, issues) if isinstance(each, str) else each
            if checked is not None:
                kept.append(checked)
        return kept or None

    return check


def _check_text(name: str, column: FeedColumn) -> Callable[[str, list[Issue]], str | None]:
    values, choices, cut = column.values, frozenset(column.choices), column.cut
    shape = SHAPES.get(column.shape)
    expected_choices = ", ".join(column.choices)
    characters_max = column.characters_max or (URL_CHARACTERS_MAX if column.shape == "url" else None)
    is_date, plain = column.shape == "date", column.plain

    def check_text(text: str, issues: list[Issue]) -> str | None:
        if values:
            text = values.get(text, text)
        if choices and text not in choices:
            issues.append(_issue("value_not_allowed", name, value=text, expected=expected_choices, severity="warning"))
            return None
        if shape is not None and shape[0].fullmatch(text) is None:
            issues.append(_issue(shape[1], name, value=text, expected=shape[2], severity="warning"))
            return None
        if is_date:
            return text[:DATE_CHARACTERS]
        if characters_max is not None and len(text) > characters_max:
            expected = f"at most {characters_max:,} characters"
            issues.append(_issue("text_too_long", name, value=text, expected=expected, severity="warning"))
            return cut_text(text, characters_max) if cut else None
        if plain and "<" in text and _MARKUP.search(text) is not None:
            issues.append(_issue("text_markup", name, value=text))
        return text

    return check_text


def cut_text(text: str, characters_max: int) -> str:
    """Return a text cut to a number of characters, at the end of a word if there is one near."""
    cut = text[:characters_max]
    if text[characters_max : characters_max + 1].isspace():
        return cut.rstrip()
    words, blank, rest = cut.rpartition(" ")
    return words.rstrip() if blank and len(rest) <= WORD_CHARACTERS_MAX else cut


def _is_at_most(price: str, other: object) -> bool:
    if not isinstance(other, str):
        return True
    (amount, currency), (limit, other_currency) = price.split(" "), (*other.split(" "), "")[:2]
    return currency != other_currency or amount == limit or Decimal(amount) <= Decimal(limit)


def _issue(code: str, column: str, *, value: object = None, expected: str | None = None,
           severity: Severity | None = None) -> Issue:
    return issue(code, f"/{column}", value=value, expected=expected, severity=severity)
