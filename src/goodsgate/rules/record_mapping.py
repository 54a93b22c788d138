"""How records of a schema map to items: their key, their index entries, and how an update finds its item.

Members of ``x-record``:

``key``             members that make the item's key
``numeric_key``     whether these may be numbers, which are kept as they are written in texts
``index``           name → ``path`` (members with ``/`` between them, ``*`` for every entry of a list), ``if_true`` (a
                    member of the same entry that must be true), ``unique`` (no two items have the value, among those
                    that agree in these members), ``repeatable`` (one item may have it several times all the same),
                    ``case_folded`` (stored without its case, for search)
``timestamps``      whether items are indexed by the times of their creation and last change
``find_by``         lists of index names by which an update or a delete finds its item if its key finds none, in order
``all_matches``     whether an update changes all items found this way (or none); without it there must be exactly one
``history``         ``member`` in which the item keeps the current and past values of ``fields``, newest first, and how
                    many at most (``entries_max``)
``immutable``       members that must have the value that the item has
``reference_ids``   members that must be the number or code of the reference entry (``kind``) that a member of the item
                    (``of``) names
``references``      member → kind of reference data; two values that name the same entry (by code or name) are the same
``merge``           objects of which an update replaces only the members it names
``lists``           lists whose entries are identified by a member (``id``); ``immutable`` are the index names of an
                    entry that an update cannot change
``delete_from``     the list of which a delete may name entries
``requires``        member → ``kind`` and ``index``: an item that must exist
``merged_schema``   the schema that the result of a merge must satisfy
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import IndexEntry, item_key
from goodsgate.model.issue import issue
from goodsgate.model.json_text import is_number
from goodsgate.rules.context import Issues, pointer
from goodsgate.rules.identifiers import INVISIBLE
from goodsgate.rules.member_access import JSON_MEMBERS, TYPED_MEMBERS, MemberAccess, TypedRecord, members_of

Record = Mapping[str, Any] | TypedRecord
EntryWithPath = tuple[IndexEntry, str]
"""An index entry and the path of the value it was made from."""
Collector = Callable[[Record, list[IndexEntry]], None]
"""Appends the index entries of an object."""

KEY_CHARACTERS_MAX = 255
"""Of each member of a key."""
INDEX_VALUE_CHARACTERS_MAX = 500
"""Longer values are cut; those that must be unique have bounds of their own."""


class RecordRefs(msgspec.Struct, frozen=True):
    """Everything in one record that refers to items."""

    index_entries: list[IndexEntry]
    unique_entries: list[IndexEntry]
    """Index entries that no two items may have, among all items or some."""
    find_by: list[list[IndexEntry]]
    """Index entries that find the item, in order of preference; each list may be empty."""
    required: list[tuple[Kind, IndexEntry, str]]
    """Kind and index entry of each item that must exist, and the path of the member that names it."""


class IndexRule(msgspec.Struct, frozen=True, kw_only=True):
    """How the index entries of one name are made from a record."""

    name: str
    steps: tuple[str, ...]
    if_true: str | None = None
    unique: tuple[str, ...] | None = None
    """None: any number of items may have the value."""
    repeatable: bool = False
    case_folded: bool = False

    def entries_with_paths(self, record: Record) -> list[EntryWithPath]:
        """Return every index entry of this name with its path."""
        access = members_of(record)
        level: list[tuple[Any, str]] = [(record, "")]
        for step in self.steps[:-1]:
            if step == "*":
                level = [
                    (entry, f"{path}/{position}") for value, path in level if type(value) is list
                    for position, entry in enumerate(value)
                ]
            else:
                level = [
                    (access.getter(step)(value), f"{path}/{step}") for value, path in level
                    if isinstance(value, access.object_type)
                ]
        last = self.steps[-1]
        collect = _member_collector(self, last, access)
        return [
            (entry, f"{path}/{last}") for value, path in level if isinstance(value, access.object_type)
            for entry in _collect(value, [collect])
        ]


def _collect(record: Record, collectors: Sequence[Collector]) -> list[IndexEntry]:
    entries: list[IndexEntry] = []
    for collect in collectors:
        collect(record, entries)
    return entries


def _collectors(rules: Iterable[tuple[tuple[str, ...], IndexRule]], access: MemberAccess) -> list[Collector]:
    """Make the collectors of some rules, each at its steps; an object on the way is entered once for all of them."""
    collectors: list[Collector] = []
    inner: dict[tuple[str, ...], list[Collector]] = {}
    below: dict[tuple[str, ...], list[tuple[tuple[str, ...], IndexRule]]] = {}
    for steps, rule in rules:
        if len(steps) == 1:
            collectors.append(_member_collector(rule, steps[0], access))
            continue
        step = steps[: 2 if steps[1] == "*" else 1]
        if step not in below:
            inner[step] = []
            make = _list_collector if len(step) > 1 else _object_collector
            collectors.append(make(step[0], inner[step], access))
        below.setdefault(step, []).append((steps[len(step) :], rule))
    for step, rest in below.items():
        inner[step] += _collectors(rest, access)
    return collectors


def _member_collector(rule: IndexRule, member: str, access: MemberAccess) -> Collector:
    """Collect the value of a member, if the object has it and `if_true` allows it."""
    name, case_folded, get = rule.name, rule.case_folded, access.getter(member)
    condition = access.getter(rule.if_true) if rule.if_true is not None else None

    def collect(record: Record, entries: list[IndexEntry]) -> None:
        value = get(record)
        if not value or (condition is not None and condition(record) is not True):
            return
        if type(value) is int:
            value = str(value)
        if type(value) is str:
            text = value if len(value) <= INDEX_VALUE_CHARACTERS_MAX else value[:INDEX_VALUE_CHARACTERS_MAX]
            entries.append((name, text.casefold() if case_folded else text))

    return collect


def _object_collector(member: str, inner: list[Collector], access: MemberAccess) -> Collector:
    """Collect from the object that a member holds."""
    get, object_type = access.getter(member), access.object_type

    def collect(record: Record, entries: list[IndexEntry]) -> None:
        value = get(record)
        if isinstance(value, object_type):
            for each in inner:
                each(value, entries)

    return collect


def _list_collector(member: str, inner: list[Collector], access: MemberAccess) -> Collector:
    """Collect from the objects in the list that a member holds."""
    get, object_type = access.getter(member), access.object_type

    def collect(record: Record, entries: list[IndexEntry]) -> None:
        values = get(record)
        if type(values) is list:
            for value in values:
                if isinstance(value, object_type):
                    for each in inner:
                        each(value, entries)

    return collect


class _CompiledMapping:
    """A mapping compiled for one representation of records."""

    def __init__(self, mapping: "RecordMapping", access: MemberAccess) -> None:
        self.key = [access.getter(member) for member in mapping.key]
        self.index = _collectors([(rule.steps, rule) for rule in mapping.index.values()], access)
        self.find_by = [_collectors([(rule.steps, rule) for rule in rules], access) for rules in mapping.find_by]
        self.requires = [
            (access.getter(member), kind, index, pointer("", member)) for member, kind, index in mapping.requires
        ]


class ListRule(msgspec.Struct, frozen=True):
    """A list whose entries are identified by a member."""

    id: tuple[str, ...]
    immutable: tuple[str, ...] = ()

    def id_of(self, entry: object) -> tuple[str, str] | None:
        """Return the first identifying member that the entry has, and its value; None if it has none."""
        if isinstance(entry, dict):
            for member in self.id:
                value = entry.get(member)
                if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                    return member, str(value)
        return None


class HistoryRule(msgspec.Struct, frozen=True, kw_only=True):
    """What an item keeps of its past values."""

    member: str
    fields: tuple[str, ...]
    entries_max: int


class RecordMapping:
    """The compiled ``x-record`` of a schema."""

    def __init__(self, node: Mapping[str, Any]) -> None:
        self.key: tuple[str, ...] = tuple(node["key"])
        self.numeric_key: bool = node.get("numeric_key", False)
        self.timestamps: bool = node.get("timestamps", False)
        self.history = msgspec.convert(node["history"], HistoryRule) if "history" in node else None
        self.all_matches: bool = node.get("all_matches", False)
        self.immutable: tuple[str, ...] = tuple(node.get("immutable", ()))
        self.reference_ids: Mapping[str, Mapping[str, str]] = node.get("reference_ids", {})
        self.references: Mapping[str, str] = node.get("references", {})
        self.merge: frozenset[str] = frozenset(node.get("merge", ()))
        self.delete_from: str | None = node.get("delete_from")
        self.index = {
            name: IndexRule(
                name=name, steps=tuple(rule["path"].split("/")), if_true=rule.get("if_true"),
                unique=tuple(rule["unique"]) if "unique" in rule else None,
                repeatable=rule.get("repeatable", False), case_folded=rule.get("case_folded", False),
            )
            for name, rule in node.get("index", {}).items()
        }
        self._unique = {name: rule.unique for name, rule in self.index.items() if rule.unique is not None}
        self.find_by = [[self.index[name] for name in names] for names in node.get("find_by", ())]
        self.lists = {
            member: ListRule(tuple(rule["id"]), tuple(rule.get("immutable", ())))
            for member, rule in node.get("lists", {}).items()
        }
        self.requires = [(name, Kind(item["kind"]), item["index"]) for name, item in node.get("requires", {}).items()]
        self._json, self._typed = _CompiledMapping(self, JSON_MEMBERS), _CompiledMapping(self, TYPED_MEMBERS)

    @property
    def path(self) -> str:
        """The path of an issue about the key as a whole."""
        return pointer("", self.key[0])

    def key_of(self, record: Record) -> str | None:
        """Return the item's key; None where a part of it is missing or cannot be part of a key."""
        parts = []
        for get in self._compiled_for(record).key:
            part = get(record)
            if self.numeric_key and is_number(part):
                part = str(part)  # as it was written
            if not isinstance(part, str) or not _is_part(part):
                return None
            parts.append(part)
        return item_key(*parts)

    def refs_of(self, record: Record, issues: Issues) -> RecordRefs:
        """Return what the record refers to; add an issue for each unique value that it has twice."""
        compiled = self._compiled_for(record)
        entries = _collect(record, compiled.index)
        unique = self.unique_among(entries)
        if len(unique) > 1 and len(set(unique)) < len(unique):
            self._report_repeated(record, issues)
        required = [
            (kind, (index, value), path) for get, kind, index, path in compiled.requires
            if isinstance(value := get(record), str)
        ]
        return RecordRefs(entries, unique, [_collect(record, collectors) for collectors in compiled.find_by], required)

    def index_entries_of(self, record: Record) -> list[IndexEntry]:
        """Return all index entries of a record."""
        return _collect(record, self._compiled_for(record).index)

    def path_of(self, record: Record, entry: IndexEntry) -> str:
        """Return where in the record an index entry is from; searched for only when an issue needs it."""
        rule = self.index.get(entry[0])
        if rule is None:
            return ""
        return next((path for other, path in rule.entries_with_paths(record) if other == entry), "")

    def unique_among(self, entries: Sequence[IndexEntry]) -> list[IndexEntry]:
        """Return those of some index entries that must be unique, among all items or some."""
        unique = self._unique
        return [entry for entry in entries if entry[0] in unique] if unique else []

    def unique_within(self, name: str) -> tuple[str, ...] | None:
        """Return the members within which an index is unique; None if it need not be."""
        return self._unique.get(name)

    def _report_repeated(self, record: Record, issues: Issues) -> None:
        known: set[IndexEntry] = set()
        for rule in (self.index[name] for name in self._unique if not self.index[name].repeatable):
            for entry, path in rule.entries_with_paths(record):
                if entry in known:
                    issues.append(issue("variant_repeated", path, value=entry[1]))
                known.add(entry)

    def _compiled_for(self, record: Record) -> _CompiledMapping:
        return self._typed if isinstance(record, TypedRecord) else self._json


def _is_part(text: str) -> bool:
    return 0 < len(text) <= KEY_CHARACTERS_MAX and not text.isspace() and not INVISIBLE.search(text)
