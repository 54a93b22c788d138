"""Profiles: how a kind of supplier file is read. They are data, one YAML file each in this folder.

A profile names the columns of a file and says what they mean: fields, units, value maps, packed cells, options. It is
chosen by the option ``profile``, or recognized by the file's header or root element (`recognise`). Columns that the
profile does not name are read by `generic`, and those that it lists under ``kept`` are stored without a notice.

`load_profile` returns a profile by name; `Profile.column` finds what it says about a column. The engine's field mapping
applies it to one row at a time. Row groups (`Profile.group`) are applied before, to the cells of several rows: what
they put into empty cells, such as the name of an option, is read as if it had stood there.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, NamedTuple

import msgspec
import yaml

from goodsgate.model.batch import Kind
from goodsgate.model.fields import FIELDS, VARIANT_FIELDS
from goodsgate.profiles.group import Group

GENERIC = "generic"
"""Name of the profile of files that no other profile describes."""

_SPACING = re.compile(r"[\s_\-]+")
_LETTERS = str.maketrans({"ß": "ss", "ł": "l", "Ł": "l", "ø": "o", "Ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ı": "i"})
"""Letters that have no accent to take off."""
_URLS = frozenset(name for name, field in FIELDS[Kind.PRODUCT].items() if field.type == "url")
_ADDRESS = "(?i:https?://.*)"
"""What a column of addresses holds, unless it holds names of files, which are stored and not checked."""
_PLACEHOLDER = re.compile(r"\\\{n\\\}|\\\*")


class ProfileError(ValueError):
    """A profile is not valid; says which one and why."""


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition on a number; a cell that is no number does not meet it."""

    max: float


Conditions = dict[str, tuple[str, ...] | Bound]
"""Column → the cells that meet the condition (case does not matter; ``""`` is an empty cell, ``"*"`` any other one)."""


class Packed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a cell holds several named values, as in ``color=Blue,size=M``."""

    pair: str = ","
    """Between two pairs. A pair begins where a name and the equals sign follow, so that values may contain it."""
    equals: str = "="
    values: str | None = None
    """Between several values of one name; None: a name has one value."""
    record: str | None = None
    """Between several records, as in ``sku=a,color=Blue|sku=b,color=Red``; None: the cell holds one."""
    pattern: str | None = None
    """Pattern of one pair, with the groups ``name`` and ``value``, where marks stand around them; `pair` and `equals`
    are not used then."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a profile says about one column."""

    to: tuple[str, ...] = ()
    """Fields, dotted for members, that get the value. Several columns may fill one field: the first one in the
    profile's order that has a value counts, and a repeated field collects them all."""
    when: Conditions = {}
    """Conditions on other cells of the row; if they are not met, the next entry of the column is tried."""
    matching: str | None = None
    """Pattern of the whole value; a value that does not match is stored under the name of its column."""
    values: dict[str, str] = {}
    """Submitter's value (in lower case) → the gate's; others stay as they are."""
    empty: tuple[str, ...] = ()
    """Values (in lower case) that mean that there is none."""
    unit: str | None = None
    """Unit of a number without one."""
    unit_column: str | None = None
    currency_column: str | None = None
    """Columns that hold the unit or currency of a number without one."""
    separator: str | None = None
    """Between the values of a list."""
    rest: str | None = None
    """Field that gets all values of a list but the first."""
    levels: str | None = None
    """Between the levels of a category path; stored as `` > ``."""
    roots: tuple[str, ...] = ()
    """First levels of a category path that are left out, if others follow."""
    parts: tuple[str, ...] = ()
    """Names of the parts of each value, as the column's own name has them: ``shipping(country:price)``."""
    packed: Packed | None = None
    """The cell holds named values; names become fields as those of columns do, others members of ``attributes``."""


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two columns that hold the name and the value of an option or attribute; ``{n}`` is its number."""

    name: str
    value: str
    empty: tuple[str, ...] = ()
    """Values (in lower case) that mean that there is none."""
    separator: str | None = None
    """Between several names, and between their values; None: each cell holds one."""
    ends: str | None = None
    """Mark at which each name and value ends, as in ``Size:select:0``."""


class PriceBefore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two columns: what is paid now, and the price before a reduction, if it is higher."""

    now: str
    before: str


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two columns that hold the first and the last day or time of a period."""

    field: str
    begin: str
    end: str


class Derived(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that follows from other cells of the row, for a field that has none; the first that applies counts."""

    field: str
    value: str
    when: Conditions


class ColumnMatch(NamedTuple):
    """What a profile says about a column of a file."""

    columns: tuple[Column, ...]
    """Entries in order; empty: the column is stored and not checked."""
    order: int
    """Place in the profile, by which columns for one field are preferred."""
    number: str
    """What stands for ``{n}``."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one kind of file is read."""

    name: str
    title: str
    """As people call it, for example "Shopify product export"."""
    sources: tuple[str, ...]
    """Addresses of the documents that publish the names of its columns."""
    kinds: tuple[Kind, ...] = (Kind.PRODUCT,)
    """Kinds of records for which a file is recognized."""
    signature: tuple[tuple[str, ...], ...] = ()
    """Sets of columns; a header that contains all of one set is recognized."""
    roots: tuple[str, ...] = ()
    """Root elements of an XML file, in Clark notation (``{namespace}name``) where they have a namespace."""
    namespaces: tuple[str, ...] = ()
    """Namespaces of which an XML file must declare one; none: any."""
    records_at: str | None = None
    """Name of the element or path of the list that holds the records."""
    header_rows: int = 1
    """Rows of the header; the last one has the names."""
    columns: dict[str, tuple[Column, ...]] = {}
    """Column → entries, of which the first whose conditions are met counts. ``{n}`` stands for a number."""
    names: dict[str, tuple[tuple[str, ...], ...]] = {}
    """Field → names of its columns, in lists by language."""
    values: dict[str, dict[str, str]] = {}
    """Field → values (in lower case) of the columns in `names`, and what they mean."""
    kept: tuple[str, ...] = ()
    """Columns that are stored and not checked, without a notice; ``*`` stands for any characters."""
    pairs: tuple[Pair, ...] = ()
    price_before: tuple[PriceBefore, ...] = ()
    spans: tuple[Span, ...] = ()
    derived: tuple[Derived, ...] = ()
    empty_words: tuple[str, ...] = ()
    """Cells (in lower case) that count as empty in every column."""
    text_marks: bool = False
    """Whether the system writes an apostrophe before digits, so that it is removed without a notice."""
    languages: dict[str, str] = {}
    """Word of a header → ISO 639-1 code of the language of its column."""
    units: dict[str, str] = {}
    """Word of a header or cell → unit."""
    constants: dict[str, str] = {}
    """Column → cell of every row that is written; these columns say what a row is, and are not stored."""
    group: Group | None = None
    """How rows belong together; None: each row stands alone."""

    def column(self, name: str) -> ColumnMatch | None:
        """Return what the profile says about a column; None if it does not know it."""
        exact, patterns = _matchers(self)
        folded = fold(name)
        found = exact.get(folded)
        if found is not None:
            return found
        for pattern, match in patterns:
            if (matched := pattern.fullmatch(folded)) is not None:
                return match._replace(number=matched[1] if matched.groups() else "")
        return None


@functools.lru_cache(8_192)
def fold(name: str) -> str:
    """Return the name of a column without what does not matter: case, accents, spaces, dashes and underscores."""
    name = _SPACING.sub("", name.removeprefix("g:")).lower()
    if name.isascii():
        return name
    return "".join(filter(_is_no_accent, unicodedata.normalize("NFKD", name.translate(_LETTERS))))


def _is_no_accent(character: str) -> bool:
    return not unicodedata.combining(character)


def recognise(names: Iterable[str], *, kind: Kind = Kind.PRODUCT, root: str | None = None,
              namespaces: Iterable[str] = ()) -> tuple[Profile, float]:
    """Return the profile of a file and the confidence, 0 to 1; `generic` with 0 if no other one fits.

    `names` are the columns of the header; `root` (in Clark notation) and `namespaces` are those of an XML file.
    """
    header = [*names]
    folded, declared = {*map(fold, header)}, {*namespaces}
    best, confidence = load_profile(GENERIC), 0.0
    for profile in shipped_profiles():
        if kind not in profile.kinds:
            continue
        found = 0.0
        if root is not None:
            if root in profile.roots and (not profile.namespaces or declared.intersection(profile.namespaces)):
                found = 1.0
        elif any({*map(fold, columns)} <= folded for columns in profile.signature):
            known = sum(profile.column(name) is not None for name in header)
            found = round(0.5 + 0.5 * known / len(header), 2)
        if found > confidence:
            best, confidence = profile, found
    return best, confidence


@functools.cache
def profile_names() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


@functools.cache
def load_profile(name: str) -> Profile:
    """Return a shipped profile. Raises KeyError if there is none of that name."""
    if name not in profile_names():
        raise KeyError(name)
    return parse_profile(name, resources.files(__name__).joinpath(f"{name}.yaml").read_text("utf-8"))


@functools.cache
def shipped_profiles() -> tuple[Profile, ...]:
    """Return all shipped profiles but `generic`."""
    return tuple(load_profile(name) for name in profile_names() if name != GENERIC)


def parse_profile(name: str, text: str) -> Profile:
    """Return the profile that a YAML text describes. Raises ProfileError if it is not valid."""
    try:
        raw = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
        columns = {column: _entries(said) for column, said in (raw.pop("columns", None) or {}).items()}
        profile = msgspec.convert({**raw, "name": name, "columns": columns}, Profile)
    except (yaml.YAMLError, msgspec.ValidationError, AttributeError, TypeError) as error:
        raise ProfileError(f"profile {name}: {error}") from error
    _check(profile)
    return profile


def _entries(said: Any) -> list[dict[str, Any]]:
    """Return the entries of a column, which may be written as a field, a list of fields, an entry, or entries."""
    if isinstance(said, str):
        return [{"to": [said]}]
    if isinstance(said, list) and all(isinstance(each, str) for each in said):
        return [{"to": said}]
    entries = [*said] if isinstance(said, list) else [said]
    return [{**entry, "to": [entry["to"]]} if isinstance(entry.get("to"), str) else entry for entry in entries]


def _check(profile: Profile) -> None:
    """Raise ProfileError for a field, column or pattern that does not exist or cannot be used."""
    known = {name for fields in FIELDS.values() for name in fields} | VARIANT_FIELDS.keys() | {"_verb"}
    known |= {f"{name[:-1]}{{n}}" for name in known if name[-1:].isdigit()}
    targets = [*profile.names, *profile.values, *(each.field for each in profile.derived)]
    targets += [span.field for span in profile.spans]
    for entries in profile.columns.values():
        for entry in entries:
            targets += (*entry.to, *([entry.rest] if entry.rest else ()))
            _check_pattern(profile, entry.matching)
            _check_pattern(profile, entry.packed.pattern if entry.packed else None)
    for target in targets:
        if target.split(".", 1)[0] not in known:
            raise ProfileError(f"profile {profile.name}: there is no field {target}")
    used = [column for pair in profile.pairs for column in (pair.name, pair.value)]
    used += [column for pair in profile.price_before for column in (pair.now, pair.before)]
    used += [column for span in profile.spans for column in (span.begin, span.end)]
    used += [column for columns in profile.signature for column in columns]
    for column in used:
        if profile.column(column.replace("{n}", "1")) is None:
            raise ProfileError(f"profile {profile.name}: column {column} is neither in columns nor in kept")


def _check_pattern(profile: Profile, pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise ProfileError(f"profile {profile.name}: pattern {pattern}: {error}") from error


Matchers = tuple[Mapping[str, ColumnMatch], list[tuple[re.Pattern[str], ColumnMatch]]]


def _matchers(profile: Profile) -> Matchers:
    """Return what a profile says by folded name, and by pattern for names with placeholders."""
    known = _MATCHERS.get(profile.name)
    if known is None or known[0] is not profile:
        known = _MATCHERS[profile.name] = profile, _build_matchers(profile)
    return known[1]


_MATCHERS: dict[str, tuple[Profile, Matchers]] = {}
"""Name → profile and its matchers, which a frozen struct cannot hold itself."""


def _build_matchers(profile: Profile) -> Matchers:
    exact: dict[str, ColumnMatch] = {}
    patterns: list[tuple[re.Pattern[str], ColumnMatch]] = []
    paired = [column for pair in profile.pairs for column in (pair.name, pair.value)]
    said: list[tuple[str, tuple[Column, ...]]] = [*profile.columns.items()]
    for field, lists in profile.names.items():
        matching = _ADDRESS if field in _URLS else None
        column = Column(to=(field,), values=profile.values.get(field, {}), matching=matching)
        said += [(name, (column,)) for names in lists for name in names]
    said += [(name, ()) for name in (*paired, *profile.kept)]
    for order, (name, entries) in enumerate(said):
        match = ColumnMatch(entries, order, "")
        if "{n}" in name or "*" in name:
            pattern = _PLACEHOLDER.sub(
                lambda placeholder: r"(\d+)" if "n" in placeholder[0] else ".*", re.escape(fold(name))
            )
            patterns.append((re.compile(pattern), match))
        else:
            exact.setdefault(fold(name), match)
    return exact, patterns
