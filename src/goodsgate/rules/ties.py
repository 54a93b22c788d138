"""What ties a record to items that are held: its key, the marks it brings, and by what an item is found.

Words of ``x-record``:

``key``      members that make the item's key
``numeric``  these may be numbers, which are kept as they are written in texts
``marks``    name → ``at`` (members with ``/`` between them, ``*`` for every entry), ``where`` (a member of the same
             entry that must be true), ``unique`` (no two items have it, of those that agree in these members),
             ``folded`` (kept without its case, to be searched)
``dated``    items are marked with when they were made and changed
``finds``    lists of marks by which an update or a delete finds its item where its key finds none, in this order
``every``    an update changes all items that these find, or none; without it there must be one
``trail``    ``member`` of the item in which it keeps what members (``of``) were and are, newest first, and how often
             (``kept``)
``fixed``    members that must be what the item found has
``numbers``  members that must be the number or code of the reference entry that a member of the item found names
``merged``   objects of which an update replaces only the members it names
``entries``  lists whose entries are ``known_by`` one of these members; ``keeps`` are marks of an entry that stay
``removes``  the list of which a delete may name entries
``needs``    member → ``kind`` and ``mark``: an item that must be held
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Mark, item_key
from goodsgate.model.issue import issue
from goodsgate.rules.identity import INVISIBLE
from goodsgate.rules.terms import Found, pointer

Record = Mapping[str, Any]
Placed = tuple[Mark, str]
"""A mark and the path of the value it was made from."""
Add = Callable[[Record, str, list[Placed]], None]

KEY_CHARACTERS_MAX = 255
"""Of each member of a key."""
MARK_CHARACTERS_MAX = 500
"""Longer values are cut; those that must be unique have bounds of their own."""


class Ties(msgspec.Struct, frozen=True):
    """What ties one record."""

    marks: list[Placed]
    unique: list[Placed]
    """Of the marks, those that no two items have, all of them or some."""
    finds: list[list[Placed]]
    """In order; each list may be empty."""
    needs: list[tuple[Kind, Mark, str]]


class MarkMaker:
    """How a mark is made from a record."""

    def __init__(self, name: str, told: Mapping[str, Any]) -> None:
        self.name = name
        *above, self.last = told["at"].split("/")
        self.unique: tuple[str, ...] | None = tuple(told["unique"]) if "unique" in told else None
        """None: any number of items may have it."""
        self.add = _leaf(name, self.last, where=told.get("where"), folded=told.get("folded", False))
        """Every mark of this name in a record, given with its path, joins a list."""
        while above:
            step = above.pop()
            self.add = _entries(above.pop(), self.add) if step == "*" else _member(step, self.add)

    def of(self, record: Record) -> list[Placed]:
        """Every mark of this name."""
        found: list[Placed] = []
        self.add(record, "", found)
        return found


def _leaf(name: str, last: str, *, where: str | None, folded: bool) -> Add:
    """The mark of an object's member, if it has it and `where` does not forbid."""
    tail = f"/{last}"

    def add(at: Record, path: str, found: list[Placed]) -> None:
        value = at.get(last)
        if value and (type(value) is str or type(value) is int) and (where is None or at.get(where) is True):
            text = str(value)[:MARK_CHARACTERS_MAX]
            found.append(((name, text.casefold() if folded else text), path + tail))

    return add


def _member(step: str, inner: Add) -> Add:
    """The marks of the object that a member is."""

    def add(at: Record, path: str, found: list[Placed]) -> None:
        below = at.get(step)
        if type(below) is dict:
            inner(below, f"{path}/{step}", found)

    return add


def _entries(step: str, inner: Add) -> Add:
    """The marks of the objects in the list that a member is."""

    def add(at: Record, path: str, found: list[Placed]) -> None:
        entries = at.get(step)
        if type(entries) is list:
            for place, entry in enumerate(entries):
                if type(entry) is dict:
                    inner(entry, f"{path}/{step}/{place}", found)

    return add


class Entries(msgspec.Struct, frozen=True):
    """A list whose entries are known by a member."""

    known_by: tuple[str, ...]
    keeps: tuple[str, ...] = ()

    def name_of(self, entry: object) -> tuple[str, str] | None:
        """The first member that the entry is known by, and its value; None if it has none."""
        if isinstance(entry, dict):
            for member in self.known_by:
                value = entry.get(member)
                if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                    return member, str(value)
        return None


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """What an item keeps of its past."""

    member: str
    of: tuple[str, ...]
    kept: int


class Tied:
    """The words of ``x-record``, compiled."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.key: tuple[str, ...] = tuple(told["key"])
        self.numeric: bool = told.get("numeric", False)
        self.dated: bool = told.get("dated", False)
        self.trail = msgspec.convert(told["trail"], Trail) if "trail" in told else None
        self.every: bool = told.get("every", False)
        self.fixed: tuple[str, ...] = tuple(told.get("fixed", ()))
        self.numbers: Mapping[str, Mapping[str, str]] = told.get("numbers", {})
        self.merged: frozenset[str] = frozenset(told.get("merged", ()))
        self.removes: str | None = told.get("removes")
        self.makers = {name: MarkMaker(name, how) for name, how in told.get("marks", {}).items()}
        self._adds = [maker.add for maker in self.makers.values()]
        self._unique = {name: maker.unique for name, maker in self.makers.items() if maker.unique is not None}
        self.finds = [[self.makers[name] for name in names] for names in told.get("finds", ())]
        self.entries = {
            member: Entries(tuple(how["known_by"]), tuple(how.get("keeps", ())))
            for member, how in told.get("entries", {}).items()
        }
        self._needs = [(name, Kind(how["kind"]), how["mark"]) for name, how in told.get("needs", {}).items()]

    @property
    def path(self) -> str:
        """Where an issue about the key as a whole points."""
        return pointer("", self.key[0])

    def key_of(self, record: Record) -> str | None:
        """The item's key; None where a part of it is missing or could not be one."""
        parts = []
        for member in self.key:
            part = record.get(member)
            if self.numeric and type(part) in (int, float):
                part = str(part)
            if not isinstance(part, str) or not _is_part(part):
                return None
            parts.append(part)
        return item_key(*parts)

    def ties(self, record: Record, found: Found) -> Ties:
        """What ties the record; adds an issue for each unique mark that it brings twice."""
        marks = self.marks(record)
        unique = self.unique_of(marks)
        if len({mark for mark, _ in unique}) < len(unique):
            _tell_twice(unique, found)
        needs = [
            (kind, (mark, str(record[name])), pointer("", name))
            for name, kind, mark in self._needs if isinstance(record.get(name), str)
        ]
        finds = [[placed for maker in makers for placed in maker.of(record)] for makers in self.finds]
        return Ties(marks, unique, finds, needs)

    def marks(self, record: Record) -> list[Placed]:
        """All marks of a record."""
        found: list[Placed] = []
        for add in self._adds:
            add(record, "", found)
        return found

    def unique_of(self, marks: Sequence[Placed]) -> list[Placed]:
        """Of some marks those that must be unique, within all items or some."""
        unique = self._unique
        return [placed for placed in marks if placed[0][0] in unique] if unique else []

    def unique(self, name: str) -> tuple[str, ...] | None:
        """Within which members a mark is unique; None if it need not be."""
        return self._unique.get(name)


def _tell_twice(unique: Sequence[Placed], found: Found) -> None:
    seen: set[Mark] = set()
    for mark, path in unique:
        if mark in seen:
            found.append(issue("variant_repeated", path, value=mark[1]))
        seen.add(mark)


def _is_part(text: str) -> bool:
    return 0 < len(text) <= KEY_CHARACTERS_MAX and not text.isspace() and not INVISIBLE.search(text)
