"""A merchant's reference data: whole kinds, cached while they do not change, and the category tree."""

import threading
from collections.abc import Iterable, Mapping, Sequence

from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.rules.reference_data import LEVEL
from goodsgate.store.contract import Store

PAGE_ENTRIES = 5_000
CACHED_ENTRIES_MAX = 200_000
"""Over all merchants; the kinds loaded longest ago are evicted first, and larger kinds are read each time."""
CATEGORY_LEVELS = 3


class ReferenceCache:
    """Every entry of a kind, by code."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cached: dict[tuple[str, str], tuple[int, list[ReferenceEntry]]] = {}
        self._lock = threading.Lock()

    def all(self, merchant: str, kind: str) -> Sequence[ReferenceEntry]:
        """Return the current entries; each call asks the store for their version."""
        version = self._store.reference_version(merchant)
        with self._lock:
            cached = self._cached.get((merchant, kind))
        if cached is not None and cached[0] == version:
            return cached[1]
        entries = self._read(merchant, kind)
        with self._lock:
            self._cached.pop((merchant, kind), None)
            self._cached[merchant, kind] = (version, entries)
            while self._cached and sum(len(rows) for _, rows in self._cached.values()) > CACHED_ENTRIES_MAX:
                del self._cached[next(iter(self._cached))]
        return entries

    def _read(self, merchant: str, kind: str) -> list[ReferenceEntry]:
        entries: list[ReferenceEntry] = []
        after = None
        while True:
            page = self._store.reference(merchant, kind, after=after, limit=PAGE_ENTRIES)
            entries.extend(page.rows)
            after = page.next
            if after is None:
                return entries


class CategoryTree:
    """Categories with their ancestors."""

    def __init__(self, categories: Iterable[ReferenceEntry], departments: Iterable[ReferenceEntry]) -> None:
        self._categories = {entry.code: entry for entry in categories}
        self._department_numbers = {entry.code: entry.number for entry in departments}

    def ancestry(self, entry: ReferenceEntry) -> list[ReferenceEntry]:
        """Return the path from the top category to the entry itself; a cycle of parents ends it."""
        path: list[ReferenceEntry] = []
        current: ReferenceEntry | None = entry
        while current is not None and current not in path:
            path.append(current)
            current = self._categories.get(current.parent) if current.parent else None
        return path[::-1]

    def level(self, entry: ReferenceEntry) -> int:
        """Return the level that the entry states, else its depth from 1."""
        level = entry.data.get("level")
        if isinstance(level, int) or (isinstance(level, str) and LEVEL.fullmatch(level)):
            return int(level)
        return len(self.ancestry(entry))

    def departments(self, entry: ReferenceEntry) -> list[int]:
        """Return the numbers of the departments that the category, or its nearest ancestor with any, names."""
        for category in reversed(self.ancestry(entry)):
            value = category.data.get("departments", category.data.get("department"))
            codes = value if isinstance(value, list) else str(value).split("|") if value not in (None, "") else []
            if codes:
                return [self._department_number(str(code).strip()) for code in codes]
        return []

    def _department_number(self, code: str) -> int:
        return self._department_numbers.get(code, ReferenceEntry(code=code).number)

    def attributes(self, name: str, attributes: Iterable[ReferenceEntry]) -> Mapping[str, ReferenceEntry]:
        """Return the attributes, by name, of the third-level category of a name; nearer ancestors take precedence."""
        matches = (row for row in self._categories.values() if row.name == name and self.level(row) == CATEGORY_LEVELS)
        category = next(matches, None)
        if category is None:
            return {}
        owners = ["", "*", *(ancestor.code for ancestor in self.ancestry(category))]
        nearest: dict[str, tuple[int, ReferenceEntry]] = {}
        for entry in attributes:
            prefix, _, attribute = entry.code.rpartition("/")
            owner = entry.parent or prefix
            if owner in owners and nearest.get(attribute, (-1, entry))[0] <= owners.index(owner):
                nearest[attribute] = (owners.index(owner), entry)
        return {attribute: entry for attribute, (_, entry) in nearest.items()}
