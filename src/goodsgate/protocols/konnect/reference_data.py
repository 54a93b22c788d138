"""A merchant's reference data as these reads need it: whole kinds, kept while they do not change, and the tree."""

import threading
from collections.abc import Iterable, Mapping, Sequence

from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.store.contract import Store

PAGE = 5_000
KEPT_ENTRIES_MAX = 200_000
"""Over all merchants; kinds that were asked for longest ago go first, and larger ones are read each time."""
CATEGORY_LEVELS = 3


class ReferenceCache:
    """Every entry of a kind, by code."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[tuple[str, str], tuple[int, list[ReferenceEntry]]] = {}
        self._lock = threading.Lock()

    def all(self, merchant: str, kind: str) -> Sequence[ReferenceEntry]:
        """As they now are; asks the store."""
        version = self._store.reference_version(merchant)
        with self._lock:
            kept = self._kept.get((merchant, kind))
        if kept is not None and kept[0] == version:
            return kept[1]
        found = self._read(merchant, kind)
        with self._lock:
            self._kept.pop((merchant, kind), None)
            self._kept[merchant, kind] = (version, found)
            while self._kept and sum(len(rows) for _, rows in self._kept.values()) > KEPT_ENTRIES_MAX:
                del self._kept[next(iter(self._kept))]
        return found

    def _read(self, merchant: str, kind: str) -> list[ReferenceEntry]:
        found: list[ReferenceEntry] = []
        after = None
        while True:
            page = self._store.reference(merchant, kind, after=after, limit=PAGE)
            found.extend(page.rows)
            after = page.next
            if after is None:
                return found


class CategoryTree:
    """Categories with what is above them."""

    def __init__(self, categories: Iterable[ReferenceEntry], departments: Iterable[ReferenceEntry]) -> None:
        self._rows = {entry.code: entry for entry in categories}
        self._numbers = {entry.code: entry.number for entry in departments}

    def ancestry(self, entry: ReferenceEntry) -> list[ReferenceEntry]:
        """From the top down to the entry itself; a parent that is its own ancestor ends it."""
        found: list[ReferenceEntry] = []
        at: ReferenceEntry | None = entry
        while at is not None and at not in found:
            found.append(at)
            at = self._rows.get(at.parent) if at.parent else None
        return found[::-1]

    def level(self, entry: ReferenceEntry) -> int:
        """What it says itself, or how deep it lies, from 1."""
        told = entry.data.get("level")
        if isinstance(told, int) or (isinstance(told, str) and told.isdecimal()):
            return int(told)
        return len(self.ancestry(entry))

    def departments(self, entry: ReferenceEntry) -> list[int]:
        """Numbers of the departments that it, or the nearest above it, names."""
        for at in reversed(self.ancestry(entry)):
            told = at.data.get("departments", at.data.get("department"))
            codes = told if isinstance(told, list) else str(told).split("|") if told not in (None, "") else []
            if codes:
                return [self._number(str(code).strip()) for code in codes]
        return []

    def _number(self, code: str) -> int:
        return self._numbers.get(code, ReferenceEntry(code=code).number)

    def attributes(self, name: str, attributes: Iterable[ReferenceEntry]) -> Mapping[str, ReferenceEntry]:
        """Attribute → entry, of the third-level category of this name and of those above it; the nearest counts."""
        named = (row for row in self._rows.values() if row.name == name and self.level(row) == CATEGORY_LEVELS)
        category = next(named, None)
        if category is None:
            return {}
        owners = ["", "*", *(at.code for at in self.ancestry(category))]
        found: dict[str, tuple[int, ReferenceEntry]] = {}
        for entry in attributes:
            below, _, attribute = entry.code.rpartition("/")
            owner = entry.parent or below
            if owner in owners and found.get(attribute, (-1, entry))[0] <= owners.index(owner):
                found[attribute] = (owners.index(owner), entry)
        return {attribute: entry for attribute, (_, entry) in found.items()}
