"""How the index changes when items are written or deleted, as rows for either store."""

from collections.abc import Mapping
from typing import NamedTuple

from goodsgate.model.catalogue import IndexEntry

EntriesByKey = Mapping[str, tuple[IndexEntry, ...]]
"""Index entries by the key of their item."""
IndexRow = tuple[str, str, str]
"""Name, value, key."""


class IndexChanges(NamedTuple):
    """Changes of the index, each list in the order of the table's key: neighbours share pages."""

    removed: list[IndexRow]
    added: list[IndexRow]
    changed: list[tuple[str, tuple[IndexEntry, ...]]]
    """Items whose entries differ from before, with all of them."""
    emptied: list[str]
    """Items that had entries and now have none."""


def index_changes(before: EntriesByKey, after: EntriesByKey) -> IndexChanges:
    """Compare the entries of written and deleted items before and after; items without entries are left out."""
    added: dict[str, list[IndexRow]] = {}
    changed = []
    for key, entries in after.items():
        old = before.get(key)
        if entries != old:
            changed.append((key, entries))
            for name, value in entries:
                if old is None or (name, value) not in old:
                    added.setdefault(name, []).append((name, value, key))
    removed = [(*entry, key) for key, entries in before.items() for entry in entries if entry not in after.get(key, ())]
    # Name by name: values of one name come nearly in order, so that sorting them is cheap.
    in_order = [row for name in sorted(added) for row in sorted(added[name])]
    return IndexChanges(sorted(removed), in_order, sorted(changed), sorted(key for key in before if key not in after))
