"""Reference data of a merchant, compiled once for many records."""

import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from decimal import Decimal, InvalidOperation
from typing import Literal, Self

import msgspec

from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.model.json_text import write_json
from goodsgate.rules.name_index import NameIndex
from goodsgate.rules.numbers import exact_number

PATH_SEPARATOR = " > "
"""Between the names of a category's full path, as in Google's product taxonomy."""
LEVEL = re.compile(r"[0-9]{1,9}")
"""A level that an entry states as a text."""
DEPTH_MAX = 50
"""Maximum depth of a category tree; it also ends a chain in which a category is its own ancestor."""
EVERY_CATEGORY = ""

Expected = Literal["any", "text", "number", "integer", "boolean"]
_EXPECTED: dict[str, Expected] = {
    "text": "text", "string": "text", "str": "text", "enum": "text",
    "number": "number", "decimal": "number", "float": "number",
    "integer": "integer", "int": "integer", "boolean": "boolean", "bool": "boolean",
}


class AttributeRequirement(msgspec.Struct, frozen=True, kw_only=True):
    """Requirement of a category for one attribute of its products."""

    name: str
    expected: Expected = "any"
    required: bool = False
    allowed: frozenset[str] = frozenset()
    """Texts, or numbers as text; empty: any."""
    unit: str = ""
    """Of numbers; a number without a unit is in this one."""
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    near: NameIndex


Requirements = Mapping[str, AttributeRequirement]
Ask = Callable[[str], Iterable[ReferenceEntry]]
NO_REQUIREMENTS: Requirements = {}


class ReferenceData:
    """Compiled lookups. A kind without entries is None and is not checked."""

    def __init__(
        self, *, brand: NameIndex | None, category: NameIndex | None, location: NameIndex | None,
        tax_rule: NameIndex | None,
        hs_code: NameIndex | None, parents: Mapping[str, str], requirements: Mapping[str, dict[str,
            AttributeRequirement]],
        ask: Ask,
    ) -> None:
        self.brand = brand
        self.category = category
        self.location = location
        self.tax_rule = tax_rule
        self.hs_code = hs_code
        self._parents = parents
        self._own = requirements
        self._inherited: dict[str, Requirements] = {}
        self._ask = ask
        self._entries: dict[str, dict[str, ReferenceEntry]] = {}
        self._indexes: dict[tuple[str, tuple[str, ...], int | None], NameIndex | None] = {}

    @classmethod
    def build(cls, entries: Mapping[str, Iterable[ReferenceEntry]], *, ask: Ask | None = None) -> Self:
        """Compile the entries of each kind; kinds that are absent or empty are not checked.

        `ask` returns the entries of a kind again, for `index` and `entry`.
        """
        rows_of = {kind: list(rows) for kind, rows in entries.items()}
        categories = rows_of.get("category", [])
        category = _index_categories(categories) if categories else None
        return cls(
            brand=_index_by_code_and_name(rows_of.get("brand", [])),
            category=category,
            location=_index_by_code(rows_of.get("location", [])),
            tax_rule=_index_by_code(rows_of.get("tax_rule", [])),
            hs_code=_index_by_code(rows_of.get("hs_code", [])),
            parents={entry.code: entry.parent for entry in categories if entry.parent},
            requirements=_compile_requirements(rows_of.get("attribute", []), category),
            ask=ask or (lambda kind: rows_of.get(kind, [])),
        )

    def awaited(self) -> "ReferenceData":
        """Return the same data for records that wait for it: a brand or a category is missing, too, if there is none.

        Without this, the first products of a merchant would not wait for the first load.
        """
        awaited = copy(self)
        awaited.brand = self.brand or NameIndex({})
        awaited.category = self.category or NameIndex({})
        return awaited

    def index(self, kind: str, *, by: tuple[str, ...], level: int | None = None) -> NameIndex | None:
        """Return the entries of a kind by some of ``code``, ``name`` and ``number``; None if there are none.

        Of a tree, `level` (from 1) selects the entries of one level. The index is compiled when it is first needed.
        """
        key = (kind, by, level)
        if key not in self._indexes:
            self._indexes[key] = _build_index([*self._ask(kind)], by, level)
        return self._indexes[key]

    def entry(self, kind: str, text: str) -> ReferenceEntry | None:
        """Return the entry of a kind that has this name or code."""
        if kind not in self._entries:
            named = {entry.code: entry for entry in self._ask(kind)}
            self._entries[kind] = named | {entry.name: entry for entry in named.values() if entry.name}
        return self._entries[kind].get(text)

    @property
    def has_requirements(self) -> bool:
        """Whether any category requires attributes."""
        return bool(self._own)

    def requirements(self, category: str | None) -> Requirements:
        """Return attribute → requirement of a category (by code or path) and its ancestors; the nearest one wins."""
        if not self._own:
            return NO_REQUIREMENTS
        code = self.requirements_code(category)
        known = self._inherited.get(code)
        if known is None:
            known = self._inherited[code] = self._inherit(code)
        return known

    def requirements_code(self, category: str | None) -> str:
        """Return the code whose requirements apply to a category: its own, or that of every category."""
        codes = self._own if self.category is None else self.category.codes
        if not category or category not in codes:
            return EVERY_CATEGORY
        return category if self.category is None else self.category.codes[category]

    def _inherit(self, category: str) -> Requirements:
        code: str | None = category
        inherited: dict[str, AttributeRequirement] = {}
        for _ in range(DEPTH_MAX):
            if not code:
                break
            inherited = {**self._own.get(code, {}), **inherited}
            code = self._parents.get(code)
        return {**self._own.get(EVERY_CATEGORY, {}), **inherited}


def _build_index(entries: list[ReferenceEntry], by: tuple[str, ...], level: int | None) -> NameIndex | None:
    if not entries:
        return None
    if level is not None:
        parents = {entry.code: entry.parent for entry in entries}
        entries = [entry for entry in entries if level_of(entry, parents) == level]
    codes: dict[str, str] = {}
    for entry in entries:
        spellings = {"code": entry.code, "name": entry.name or entry.code, "number": str(entry.number)}
        for way in by:
            codes.setdefault(spellings[way], entry.code)
    return NameIndex(codes)


def level_of(entry: ReferenceEntry, parents: Mapping[str, str | None]) -> int:
    """Return the level of an entry in its tree, from 1: the one it names, else the number of its ancestors plus one."""
    level_member = entry.data.get("level")
    if isinstance(level_member, int) or (isinstance(level_member, str) and LEVEL.fullmatch(level_member)):
        return int(level_member)
    level, above = 1, entry.parent
    while above is not None and level < DEPTH_MAX:
        level, above = level + 1, parents.get(above)
    return level


def _index_by_code_and_name(entries: list[ReferenceEntry]) -> NameIndex | None:
    """Index entries by code and by name."""
    if not entries:
        return None
    codes = {entry.name: entry.code for entry in entries if entry.name}
    codes.update({entry.code: entry.code for entry in entries})
    return NameIndex(codes)


def _index_by_code(entries: list[ReferenceEntry]) -> NameIndex | None:
    """Index entries by code; a name implies its code."""
    if not entries:
        return None
    return NameIndex(
        {entry.code: entry.code for entry in entries}, {entry.name: entry.code for entry in entries if entry.name}
    )


def _index_categories(entries: list[ReferenceEntry]) -> NameIndex:
    """Index categories by code and by full path; a name that only one category has implies its path."""
    rows = {entry.code: entry for entry in entries}
    codes: dict[str, str] = {}
    hints: dict[str, str] = {}
    shared: set[str] = set()
    for entry in entries:
        path = PATH_SEPARATOR.join(_ancestry(entry, rows))
        codes[path] = entry.code
        leaf = entry.name or entry.code
        if hints.setdefault(leaf, path) != path:
            shared.add(leaf)
    codes.update({code: code for code in rows})
    return NameIndex(codes, {leaf: path for leaf, path in hints.items() if leaf not in shared})


def _ancestry(entry: ReferenceEntry, rows: dict[str, ReferenceEntry]) -> list[str]:
    names: list[str] = []
    at: ReferenceEntry | None = entry
    while at is not None and len(names) < DEPTH_MAX:
        names.append(at.name or at.code)
        at = rows.get(at.parent) if at.parent else None
    return names[::-1]


def _compile_requirements(
    entries: list[ReferenceEntry], category: NameIndex | None
) -> dict[str, dict[str, AttributeRequirement]]:
    """Return category code → requirements; an attribute whose code names no category is required of every product."""
    requirements: dict[str, dict[str, AttributeRequirement]] = {}
    same: dict[tuple[str, bytes], AttributeRequirement] = {}  # thousands of categories ask the same
    for entry in entries:
        below, _, name = entry.code.rpartition("/")
        owner = entry.parent or below
        code = category.codes.get(owner, owner) if category else owner
        content = (name, write_json(entry.data))
        if content not in same:
            same[content] = _compile_requirement(name, entry.data)
        requirements.setdefault(code, {})[name] = same[content]
    return requirements


def _compile_requirement(name: str, data: Mapping[str, object]) -> AttributeRequirement:
    allowed = data.get("allowed")
    texts = allowed.split("|") if isinstance(allowed, str) else allowed if isinstance(allowed, list) else []
    values = {text_of(value).strip() for value in texts}
    return AttributeRequirement(
        name=name,
        expected=_EXPECTED.get(str(data.get("type", "")).casefold(), "any"),
        required=str(data.get("required", "")).casefold() in ("true", "yes", "1"),
        allowed=frozenset(values - {""}),
        unit=str(data.get("unit") or ""),
        minimum=_number(data.get("minimum")),
        maximum=_number(data.get("maximum")),
        near=NameIndex({text: text for text in sorted(values - {""})}),
    )


def text_of(value: object) -> str:
    """Return a value of an attribute as text, as it is compared with allowed values."""
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(value.strip()) if isinstance(value, str) else exact_number(value)
    except InvalidOperation:
        return None
    return number if number is not None and not number.is_nan() else None
