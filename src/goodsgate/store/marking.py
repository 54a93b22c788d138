"""What becomes of marks when items are written or go, as rows for either store."""

from collections.abc import Mapping
from typing import NamedTuple

from goodsgate.model.catalogue import IndexEntry

Marks = Mapping[str, tuple[IndexEntry, ...]]
"""By the key of the item."""
MarkRow = tuple[str, str, str]
"""Name, value, key."""


class Marking(NamedTuple):
    """How marks change, each list in the order of its index: neighbours share pages."""

    dropped: list[MarkRow]
    added: list[MarkRow]
    changed: list[tuple[str, tuple[IndexEntry, ...]]]
    """Items whose marks are others than before, with all of them."""
    unmarked: list[str]
    """Items that had marks and have none any more."""


def marking(before: Marks, now: Marks) -> Marking:
    """From the marks that the touched items had to those that they have now; items without marks are left out."""
    added: dict[str, list[MarkRow]] = {}
    changed = []
    for key, marks in now.items():
        had = before.get(key)
        if marks != had:
            changed.append((key, marks))
            for name, value in marks:
                if had is None or (name, value) not in had:
                    added.setdefault(name, []).append((name, value, key))
    dropped = [(*mark, key) for key, marks in before.items() for mark in marks if mark not in now.get(key, ())]
    # Name by name: values of one name come nearly in order, so that sorting them costs little.
    in_order = [row for name in sorted(added) for row in sorted(added[name])]
    return Marking(sorted(dropped), in_order, sorted(changed), sorted(key for key in before if key not in now))
