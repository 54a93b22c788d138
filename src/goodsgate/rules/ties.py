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

from collections.abc import Iterable, Mapping
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

KEY_CHARACTERS_MAX = 255
"""Of each member of a key."""
MARK_CHARACTERS_MAX = 500
"""Longer values are cut; those that must be unique have bounds of their own."""


class Ties(msgspec.Struct, frozen=True):
    """What ties one record."""

    marks: list[Placed]
    finds: list[list[Placed]]
    """In order; each list may be empty."""
    needs: list[tuple[Kind, Mark, str]]


class MarkMaker(msgspec.Struct, frozen=True, kw_only=True):
    """How a mark is made from a record."""

    name: str
    steps: tuple[str, ...]
    where: str | None = None
    unique: tuple[str, ...] | None = None
    """None: any number of items may have it."""
    folded: bool = False

    def of(self, record: Record) -> list[Placed]:
        """Every mark of this name."""
        *above, last = self.steps
        level: list[tuple[Any, str]] = [(record, "")]
        for step in above:
            if step == "*":
                level = [
                    (entry, f"{path}/{place}") for at, path in level if type(at) is list
                    for place, entry in enumerate(at)
                ]
            else:
                level = [(at[step], f"{path}/{step}") for at, path in level if type(at) is dict and step in at]
        found = []
        for at, path in level:
            value = at.get(last) if type(at) is dict and (self.where is None or at.get(self.where) is True) else None
            if value and (type(value) is str or type(value) is int):
                text = str(value)[:MARK_CHARACTERS_MAX]
                found.append(((self.name, text.casefold() if self.folded else text), f"{path}/{last}"))
        return found


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
        self.makers = {
            name: MarkMaker(
                name=name, steps=tuple(how["at"].split("/")), where=how.get("where"),
                unique=tuple(how["unique"]) if "unique" in how else None, folded=how.get("folded", False),
            )
            for name, how in told.get("marks", {}).items()
        }
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
        parts = [record.get(member) for member in self.key]
        if self.numeric:
            parts = [str(part) if type(part) in (int, float) else part for part in parts]
        clean = [part for part in parts if isinstance(part, str) and _is_part(part)]
        return item_key(*clean) if len(clean) == len(parts) else None

    def ties(self, record: Record, found: Found) -> Ties:
        """What ties the record; adds an issue for each unique mark that it brings twice."""
        marks = self.marks(record)
        self._told_twice(marks, found)
        needs = [
            (kind, (mark, str(record[name])), pointer("", name))
            for name, kind, mark in self._needs if isinstance(record.get(name), str)
        ]
        finds = [[placed for maker in makers for placed in maker.of(record)] for makers in self.finds]
        return Ties(marks, finds, needs)

    def marks(self, record: Record) -> list[Placed]:
        """All marks of a record."""
        return [placed for maker in self.makers.values() for placed in maker.of(record)]

    def unique(self, name: str) -> tuple[str, ...] | None:
        """Within which members a mark is unique; None if it need not be."""
        maker = self.makers.get(name)
        return maker.unique if maker is not None else None

    def _told_twice(self, marks: Iterable[Placed], found: Found) -> None:
        unique = [placed for placed in marks if self.unique(placed[0][0]) is not None]
        if len({mark for mark, _ in unique}) == len(unique):
            return
        seen: set[Mark] = set()
        for mark, path in unique:
            if mark in seen:
                found.append(issue("variant_repeated", path, value=mark[1]))
            seen.add(mark)


def _is_part(text: str) -> bool:
    return 0 < len(text) <= KEY_CHARACTERS_MAX and not text.isspace() and not INVISIBLE.search(text)
