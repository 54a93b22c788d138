"""Values of columns: what a cell means by what a profile and the header say about its column."""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial

import orjson

from goodsgate.engine.header_names import HeaderName, generic_column
from goodsgate.model import fields
from goodsgate.model.batch import Kind
from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import read_json, write_json
from goodsgate.profiles import GENERIC, Bound, Column, Conditions, Packed, load_profile
from goodsgate.rules.currencies import DECIMALS, meant_by
from goodsgate.rules.shipping import read_shipping

LEVELS_MAX = 32
"""Levels that a mapping creates at most; dots of a longer name are part of the name."""
OPTION_FIELDS = frozenset({
    "color", "size", "material", "pattern", "gender", "age_group", "size_type", "size_system", "brand", "gtin", "mpn",
})
"""Fields that the name of an option can stand for; other options are attributes."""

ReadCell = Callable[[str], str]
"""Returns the cell of a row in the column of a name; empty if there is no such column."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,17}")
_BARE_NUMBER = re.compile(r"[+\-]?[0-9.,'’ \u00a0\u202f]+", re.ASCII)
_NUMERIC = re.compile(r"[0-9.,'’()+\-−–\s]+")
_POSITION = re.compile(r"[0-9]{1,9}")
_URL = re.compile(r"https?://", re.IGNORECASE)
_BEFORE_URL = re.compile(r"[\s,;|]+(?=https?://)|[\s,;|]+\Z", re.IGNORECASE)
"""Separators of URLs in a cell; elsewhere a comma is part of a URL (``/w_300,h_300/a.jpg``)."""


def nests(target: str, kind: Kind) -> bool:
    """Return whether the dot separates two levels; below a field without members it is part of the name."""
    top = target.split(".", 1)[0]
    return 0 < target.count(".") <= LEVELS_MAX and fields.holds_members(top, kind)


def path_of(target: str, kind: Kind) -> tuple[str, ...]:
    """Return the members that lead to a target."""
    return tuple(target.split(".")) if nests(target, kind) else (target,)


def typed_value(cell: str, target: str, kind: Kind) -> object:
    """Return the cell as the field's type; a cell that cannot be converted stays text, and the rules report it."""
    if target == "shipping" and cell[:1] not in "[{":
        return read_shipping(cell) or cell
    wanted = fields.cell_type(target, kind)
    if wanted == "integer" and _INTEGER.fullmatch(cell):
        return int(cell)
    if wanted in ("list", "object") and cell[:1] in "[{":
        try:
            value = read_json(cell)
            write_json(value)  # which nests less deeply than it reads
        except (orjson.JSONDecodeError, RecursionError):
            return cell
        return value
    if wanted == "list":
        pieces = _BEFORE_URL.split(cell) if _URL.match(cell) else cell.split(",")
        return [part for part in (piece.strip() for piece in pieces) if part]
    return cell


def put(record: dict[str, object], path: tuple[str, ...], value: object) -> None:
    """Set a value at a path, creating objects and lists on the way."""
    at: object = record
    for step, following in zip(path, (*path[1:], None), strict=True):
        fresh: object = value if following is None else ([] if _POSITION.fullmatch(following) else {})
        if isinstance(at, list):
            if not _POSITION.fullmatch(step) or int(step) > len(at):
                return
            if int(step) == len(at):
                at.append(fresh)
            at = at[int(step)]
        elif isinstance(at, dict):
            if following is None:
                at[step] = fresh
            at = at.setdefault(step, fresh)
        else:
            return


def with_addition(texts: Iterable[str], addition: str, *, path: str) -> tuple[list[str], list[Issue]]:
    """Return numbers with the currency or unit of their column, and the issues of those that name another one.

    A text that is more than a number stays as it is.
    """
    wholes, issues = [], []
    for text in texts:
        if _BARE_NUMBER.fullmatch(text):
            wholes.append(f"{text} {addition}")
            continue
        wholes.append(text)
        if addition in DECIMALS:
            named, code = _sign_of(text, partial(meant_by, currency=addition)), "currency_conflict"
        else:
            named, code = _sign_of(text, load_profile(GENERIC).units.get), "unit_conflict"
        if named is not None and named != addition:
            issues.append(issue(code, path, value=text, expected=addition))
    return wholes, issues


def _sign_of(text: str, meaning: Callable[[str], str | None]) -> str | None:
    """Return what the sign beside a number means; None without a number or a sign that means something."""
    signs = _NUMERIC.sub(" ", text).split()
    if len(signs) != 1 or signs[0] == text:
        return None
    return meaning(signs[0]) or meaning(signs[0].lower())


def applies(conditions: Conditions, read_cell: ReadCell) -> bool:
    """Return whether a row meets conditions."""
    return all(_holds(wanted, read_cell(column)) for column, wanted in conditions.items())


def _holds(wanted: tuple[str, ...] | Bound, cell: str) -> bool:
    if isinstance(wanted, Bound):
        number = read_decimal(cell)
        return number is not None and number <= wanted.max
    return cell.lower() in wanted or (cell != "" and "*" in wanted)


def read_decimal(cell: str) -> Decimal | None:
    """Return a number with a decimal point or comma; None if the cell is no such number."""
    try:
        number = Decimal(cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def is_same(cell: str, other: str) -> bool:
    """Return whether two cells say the same: equal, or equal as numbers."""
    if cell == other:
        return True
    number = read_decimal(cell)
    return number is not None and number == read_decimal(other)


def column_texts(cell: str, column: Column) -> list[str]:
    """Return the values in a cell as texts, by the rules of its column; empty if the cell means that there is none."""
    if cell.lower() in column.empty:
        return []
    parts = split_list(cell, column.separator) if column.separator else [cell]
    if column.values:
        parts = [column.values.get(part.lower(), part) for part in parts]
    if column.levels:
        parts = [_category_path(part, column) for part in parts]
    return parts


def addition_of(column: Column, header: HeaderName | None, read_cell: ReadCell) -> str | None:
    """Return the currency or unit of a column: that in its name, else what its profile says."""
    if header is not None and (header.currency or header.unit):
        return header.currency or header.unit
    if column.currency_column and (currency := read_cell(column.currency_column)):
        return currency
    unit = read_cell(column.unit_column).lower() if column.unit_column else ""
    return load_profile(GENERIC).units.get(unit, unit) or column.unit


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern of a profile matches a whole value."""
    return re.fullmatch(pattern, text) is not None


def split_list(cell: str, separator: str) -> list[str]:
    """Return the values of a list; a backslash before the separator makes it part of a value."""
    if separator == "," and _URL.match(cell):
        pieces = _BEFORE_URL.split(cell)
    else:
        pieces = [piece.replace(f"\\{separator}", separator) for piece in _unescaped(separator).split(cell)]
    return [part for part in (piece.strip() for piece in pieces) if part]


@functools.lru_cache(64)
def _unescaped(separator: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\\){re.escape(separator)}")


def _category_path(path: str, column: Column) -> str:
    levels = [level.strip() for level in path.split((column.levels or "").strip()) if level.strip()]
    if len(levels) > 1 and levels[0] in column.roots:
        levels = levels[1:]
    return " > ".join(levels)


def unpack(cell: str, packed: Packed) -> list[dict[str, list[str]]]:
    """Return the named values of a cell: a dict of lists for each record in it."""
    records = cell.split(packed.record) if packed.record else [cell]
    return [dict(_pairs(record, packed)) for record in records if record.strip()]


def _pairs(record: str, packed: Packed) -> Iterator[tuple[str, list[str]]]:
    for name, value in _split_pairs(record, packed):
        name, value = name.strip(), value.strip()
        if name and value:
            values = value.split(packed.values) if packed.values else [value]
            yield name, [each for each in (each.strip().strip('"') for each in values) if each]


def _split_pairs(record: str, packed: Packed) -> Iterator[tuple[str, str]]:
    if packed.pattern:
        for found in re.finditer(packed.pattern, record):
            yield found["name"], found["value"]
        return
    for pair in _between_pairs(packed.pair, packed.equals).split(record):
        name, _, value = pair.partition(packed.equals)
        yield name, value


@functools.lru_cache(64)
def _between_pairs(pair: str, equals: str) -> re.Pattern[str]:
    mark, stop = re.escape(pair), re.escape(equals)
    return re.compile(rf"{mark}(?=[^{mark}{stop}]+{stop})")


def option_path(name: str, kind: Kind) -> tuple[str, ...]:
    """Return where the value of an option of this name belongs: a field, or an attribute."""
    field = fields.resolve(name, kind)
    if field is None and (column := generic_column(name)) is not None:
        field = column.to[0]
    return (field,) if field in OPTION_FIELDS else attribute_path(name)


def attribute_path(name: str) -> tuple[str, ...]:
    """Return where the value of an attribute of this name belongs."""
    return ("attributes", "_".join(name.lower().split()))


def field_value(field: str, values: Sequence[str], kind: Kind) -> str | None:
    """Return the values of an option as that of a field; None if the field does not allow one of them."""
    known = fields.FIELDS[kind].get(field)
    words = load_profile(GENERIC).values.get(field, {})
    texts = [*dict.fromkeys(words.get(value.lower(), value) for value in values)]
    if field == "gender" and {"male", "female"} <= {*texts}:
        return "unisex"
    choices = {choice.lower() for choice in known.choices} if known is not None else set()
    if choices and not all(text.lower() in choices for text in texts):
        return None
    return " / ".join(texts)
