"""What was looked up of items, kept for the questions about the same keys that follow."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import CurrentItem, Write
from goodsgate.store.shared.database import Row

FOLDING = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}
"""Maps keys to keys without ASCII case."""
LOOKUPS_MAX = 2
"""That of the chunk being committed, and that of the next one."""

CollectionName = tuple[str, str, str]
"""Merchant, kind and name of a collection."""


class Lookup(msgspec.Struct, frozen=True):
    """The result of one lookup of items; valid until something of it is committed.

    Of the items in `same` only this is known: each has a key that was asked for, is live, has no version, has the hash
    that was given with the key, and was last written by another batch than the one that asked. So `case_variants` and
    `written_by` need nothing of them. A key that differs from such a key by case has its row.
    """

    collection: int
    keys: set[str]
    rows: list[Row]
    """As the statement returns them: key asked for, key of the item, hash, version, field state, batch, document."""
    folded_keys: set[str] = set()
    """The keys without their case; used by `LookupCache`."""
    same: dict[str, bytes] = {}
    """Key → hash of items that have no row."""
    batch: bytes = b""
    """The batch for which they were compared; see `covers`."""

    def case_variants(self) -> dict[str, str]:
        """Return, by key, the first live item that differs from it by case."""
        variants: dict[str, str] = {}
        for wanted, key, hash, *_ in self.rows:
            if key != wanted and hash is not None:
                variants[wanted] = min(key, variants.get(wanted, key))
        return variants

    def written_by(self, batch: bytes) -> set[str]:
        """Return the keys of items that the batch wrote last, if the lookup `covers` the batch."""
        return {key for wanted, key, _, _, _, by, _ in self.rows if by == batch and key == wanted}

    def covers(self, batch: bytes) -> bool:
        """Return whether all items that this batch wrote have a row."""
        return not self.same or self.batch == batch

    def current_items(self) -> dict[str, CurrentItem]:
        """Return items by key, including tombstones, without case variants."""
        items = dict(zip(self.same, map(CurrentItem, self.same.values(), repeat(None)), strict=False))
        rows = [row for row in self.rows if row[0] == row[1]]
        if rows:
            keys, _, hashes, versions, field_states, _, documents = zip(*rows, strict=True)
            items.update(zip(keys, map(CurrentItem, hashes, versions, documents, field_states), strict=True))
        return items

    def newer_versions(self, writes: Mapping[str, Write]) -> dict[str, int]:
        """Return, by key, the version of each write that changes nothing else of its item."""
        versions: dict[str, int] = {}
        for wanted, key, hash, version, field_state, *_ in self.rows:
            if version is not None and field_state is None and key == wanted and hash is not None:
                write = writes.get(key)
                if write is not None and write.hash == hash and write.field_state is None and write.version is not None:
                    versions[key] = write.version
        return versions

    def live_keys(self) -> dict[str, bool]:
        """Return the keys of items, including case variants, and whether each is live or a tombstone."""
        live = {row[1]: row[2] is not None for row in self.rows}
        live.update(dict.fromkeys(self.same, True))
        return live


def merge_lookups(lookups: Sequence[Lookup]) -> Lookup:
    """Merge lookups of one collection, all for the same batch if any item is the same.

    Lookups of different collections, as before and after one was created, give an empty result.
    """
    if len({lookup.collection for lookup in lookups}) != 1:
        return Lookup(0, set(), [])
    return Lookup(
        lookups[0].collection, set().union(*(lookup.keys for lookup in lookups)),
        [row for lookup in lookups for row in lookup.rows], set().union(*(lookup.folded_keys for lookup in lookups)),
        dict(chain.from_iterable(lookup.same.items() for lookup in lookups)), max(lookup.batch for lookup in lookups),
    )


class StockHashes(dict[int, dict[str, bytes | None]]):
    """Hashes of stock items as they were first looked up since the last commit, by collection and key."""

    def note(self, kind: str, lookup: Lookup) -> None:
        """Remember a lookup of stock; items of other kinds are changed only by the worker of their lane.

        Stock items are never compared by the server, so that each has its row.
        """
        if kind == Kind.STOCK and lookup.rows:
            hashes = self.setdefault(lookup.collection, {})
            for row in lookup.rows:
                hashes.setdefault(row[1], row[2])


class LookupCache:
    """Valid lookups; one thread may look up the next chunk while another commits the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lookups: list[tuple[CollectionName, Lookup]] = []
        """The newest last."""
        self._changed: set[str] = set()
        """Keys without their case that were committed since a lookup began; replaced, never modified."""

    def begin(self) -> None:
        """Start to record changes, for a lookup that is added later."""
        with self._lock:
            self._changed = set()

    def add(self, name: CollectionName, lookup: Lookup) -> None:
        """Add a lookup that was made after all commits."""
        with self._lock:
            self._lookups = [*self._lookups[1 - LOOKUPS_MAX :], (name, lookup)]

    def add_if_unchanged(self, name: CollectionName, lookup: Lookup) -> bool:
        """Add a lookup that began at `begin`; return False if something of it was committed since."""
        with self._lock:
            if self._changed and not self._changed.isdisjoint(lookup.folded_keys):
                return False
            self._lookups = [*self._lookups[1 - LOOKUPS_MAX :], (name, lookup)]
            return True

    def find(self, name: CollectionName, keys: Iterable[str], *, batch: bytes | None = None) -> Lookup | None:
        """Return the newest lookup that has all these keys of the collection, and covers the batch."""
        for other, lookup in reversed(self._lookups):
            if other == name and lookup.keys.issuperset(keys) and (batch is None or lookup.covers(batch)):
                return lookup
        return None

    def invalidate(self, keys: set[str]) -> None:
        """Remove lookups of items that were written or deleted under these keys."""
        if not keys:
            return
        known = next((lookup.folded_keys for _, lookup in self._lookups if lookup.keys == keys), None)
        changed = known or fold_keys(keys)
        with self._lock:
            self._changed = self._changed | changed
            # Most are of these very keys, which is found out soonest.
            kept = [(name, lookup) for name, lookup in self._lookups if lookup.keys.isdisjoint(keys)]
            self._lookups = [(name, lookup) for name, lookup in kept if changed.isdisjoint(lookup.folded_keys)]

    def clear(self) -> None:
        """Remove all lookups: another worker may have changed anything."""
        with self._lock:
            self._lookups = []


def fold_keys(keys: Iterable[str]) -> set[str]:
    """Return keys without their ASCII case."""
    known = [*keys]
    if "".join(known).isascii():
        return set(map(str.lower, known))
    return {key.translate(FOLDING) for key in known}
