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

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import IndexEntry, item_key
from goodsgate.model.issue import issue
from goodsgate.rules.identity import INVISIBLE
from goodsgate.rules.members import PLAIN, TYPED, Form, Typed
from goodsgate.rules.terms import Found, pointer

Record = Mapping[str, Any] | Typed
Placed = tuple[IndexEntry, str]
"""A mark and the path of the value it was made from."""
Add = Callable[[Record, list[IndexEntry]], None]

KEY_CHARACTERS_MAX = 255
"""Of each member of a key."""
MARK_CHARACTERS_MAX = 500
"""Longer values are cut; those that must be unique have bounds of their own."""


class Ties(msgspec.Struct, frozen=True):
    """What ties one record."""

    marks: list[IndexEntry]
    unique: list[IndexEntry]
    """Of the marks, those that no two items have, all of them or some."""
    finds: list[list[IndexEntry]]
    """In order; each list may be empty."""
    needs: list[tuple[Kind, IndexEntry, str]]


class MarkMaker(msgspec.Struct, frozen=True, kw_only=True):
    """How a mark is made from a record."""

    name: str
    steps: tuple[str, ...]
    where: str | None = None
    unique: tuple[str, ...] | None = None
    """None: any number of items may have it."""
    folded: bool = False

    def of(self, record: Record) -> list[Placed]:
        """Every mark of this name, with its path."""
        form = _form_of(record)
        level: list[tuple[Any, str]] = [(record, "")]
        for step in self.steps[:-1]:
            if step == "*":
                level = [
                    (entry, f"{path}/{place}") for at, path in level if type(at) is list
                    for place, entry in enumerate(at)
                ]
            else:
                level = [(form.read(step)(at), f"{path}/{step}") for at, path in level if isinstance(at, form.made)]
        last = self.steps[-1]
        add = _leaf(self, last, form)
        return [
            (mark, f"{path}/{last}") for at, path in level if isinstance(at, form.made) for mark in _marks(at, [add])
        ]


def _form_of(record: Record) -> Form:
    return TYPED if isinstance(record, Typed) else PLAIN


def _marks(record: Record, adds: Sequence[Add]) -> list[IndexEntry]:
    found: list[IndexEntry] = []
    for add in adds:
        add(record, found)
    return found


def _adds(parts: Iterable[tuple[tuple[str, ...], MarkMaker]], form: Form) -> list[Add]:
    """What adds the marks of some makers, each at its steps; objects on the way are entered once for all of them."""
    adds: list[Add] = []
    inner: dict[tuple[str, ...], list[Add]] = {}
    below: dict[tuple[str, ...], list[tuple[tuple[str, ...], MarkMaker]]] = {}
    for steps, maker in parts:
        if len(steps) == 1:
            adds.append(_leaf(maker, steps[0], form))
            continue
        step = steps[: 2 if steps[1] == "*" else 1]
        if step not in below:
            inner[step] = []
            adds.append((_entries if len(step) > 1 else _member)(step[0], inner[step], form))
        below.setdefault(step, []).append((steps[len(step) :], maker))
    for step, rest in below.items():
        inner[step] += _adds(rest, form)
    return adds


def _leaf(maker: MarkMaker, last: str, form: Form) -> Add:
    """The mark of an object's member, if it has it and `where` does not forbid."""
    name, folded, read = maker.name, maker.folded, form.read(last)
    allowed = form.read(maker.where) if maker.where is not None else None

    def add(at: Record, found: list[IndexEntry]) -> None:
        value = read(at)
        if not value or (allowed is not None and allowed(at) is not True):
            return
        if type(value) is int:
            value = str(value)
        if type(value) is str:
            text = value if len(value) <= MARK_CHARACTERS_MAX else value[:MARK_CHARACTERS_MAX]
            found.append((name, text.casefold() if folded else text))

    return add


def _member(step: str, inner: list[Add], form: Form) -> Add:
    """The marks of the object that a member is."""
    read, made = form.read(step), form.made

    def add(at: Record, found: list[IndexEntry]) -> None:
        below = read(at)
        if isinstance(below, made):
            for each in inner:
                each(below, found)

    return add


def _entries(step: str, inner: list[Add], form: Form) -> Add:
    """The marks of the objects in the list that a member is."""
    read, made = form.read(step), form.made

    def add(at: Record, found: list[IndexEntry]) -> None:
        entries = read(at)
        if type(entries) is list:
            for entry in entries:
                if isinstance(entry, made):
                    for each in inner:
                        each(entry, found)

    return add


class Reading:
    """What ties records of one form."""

    def __init__(self, tied: "Tied", form: Form) -> None:
        self.key = [form.read(member) for member in tied.key]
        self.marks = _adds([(maker.steps, maker) for maker in tied.makers.values()], form)
        self.finds = [_adds([(maker.steps, maker) for maker in makers], form) for makers in tied.finds]
        self.needs = [(form.read(name), kind, mark, pointer("", name)) for name, kind, mark in tied.needs]


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
        self._unique = {name: maker.unique for name, maker in self.makers.items() if maker.unique is not None}
        self.finds = [[self.makers[name] for name in names] for names in told.get("finds", ())]
        self.entries = {
            member: Entries(tuple(how["known_by"]), tuple(how.get("keeps", ())))
            for member, how in told.get("entries", {}).items()
        }
        self.needs = [(name, Kind(how["kind"]), how["mark"]) for name, how in told.get("needs", {}).items()]
        self._plain, self._typed = Reading(self, PLAIN), Reading(self, TYPED)

    @property
    def path(self) -> str:
        """Where an issue about the key as a whole points."""
        return pointer("", self.key[0])

    def key_of(self, record: Record) -> str | None:
        """The item's key; None where a part of it is missing or could not be one."""
        parts = []
        for read in self._reading(record).key:
            part = read(record)
            if self.numeric and type(part) in (int, float):
                part = str(part)
            if not isinstance(part, str) or not _is_part(part):
                return None
            parts.append(part)
        return item_key(*parts)

    def ties(self, record: Record, found: Found) -> Ties:
        """What ties the record; adds an issue for each unique mark that it brings twice."""
        reading = self._reading(record)
        marks = _marks(record, reading.marks)
        unique = self.unique_of(marks)
        if len(unique) > 1 and len(set(unique)) < len(unique):
            self._tell_twice(record, found)
        needs = [
            (kind, (mark, value), path) for read, kind, mark, path in reading.needs
            if isinstance(value := read(record), str)
        ]
        return Ties(marks, unique, [_marks(record, adds) for adds in reading.finds], needs)

    def marks(self, record: Record) -> list[IndexEntry]:
        """All marks of a record."""
        return _marks(record, self._reading(record).marks)

    def path_of(self, record: Record, mark: IndexEntry) -> str:
        """Where in the record a mark is from; looked for only where it has to be told."""
        maker = self.makers.get(mark[0])
        return next((path for one, path in maker.of(record) if one == mark), "") if maker is not None else ""

    def unique_of(self, marks: Sequence[IndexEntry]) -> list[IndexEntry]:
        """Of some marks those that must be unique, within all items or some."""
        unique = self._unique
        return [mark for mark in marks if mark[0] in unique] if unique else []

    def unique(self, name: str) -> tuple[str, ...] | None:
        """Within which members a mark is unique; None if it need not be."""
        return self._unique.get(name)

    def _tell_twice(self, record: Record, found: Found) -> None:
        seen: set[IndexEntry] = set()
        for name in self._unique:
            for mark, path in self.makers[name].of(record):
                if mark in seen:
                    found.append(issue("variant_repeated", path, value=mark[1]))
                seen.add(mark)

    def _reading(self, record: Record) -> Reading:
        return self._typed if isinstance(record, Typed) else self._plain


def _is_part(text: str) -> bool:
    return 0 < len(text) <= KEY_CHARACTERS_MAX and not text.isspace() and not INVISIBLE.search(text)
