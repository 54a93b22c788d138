"""What the chunks of one commit do to one collection."""

from collections.abc import Sequence, Set

import msgspec

from goodsgate.model.catalogue import Delete, Write, Writes
from goodsgate.store.contract import ChunkCommit
from goodsgate.store.postgres.item_rows import stamp
from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.shared.lookup_cache import Lookup


class CollectionWrites(msgspec.Struct):
    """What the chunks of one commit do to one collection; the last write of each key counts."""

    number: int
    new_writes: Writes | None = None
    """All writes, column by column, as long as nothing else is to be written."""
    writes: dict[str, Write] = {}
    deletes: dict[str, Delete] = {}
    stamp: bytes = b""
    """Batch and time of the first chunk's writes."""
    stamps: dict[str, bytes] = {}
    """The same by key, of the other chunks' writes."""
    has_variants: bool = False
    """Whether a product among the writes has variants."""
    tombstone_at: int | None = None
    """When the first delete was written."""

    def add(self, commit: ChunkCommit, written_at: int) -> None:
        """Add the items of a chunk behind those of the chunks before it."""
        self.has_variants = self.has_variants or commit.has_variants
        stamped = stamp(commit.round.batch, written_at)
        if not self.stamp and isinstance(commit.writes, Writes) and not commit.deletes:
            self.stamp, self.new_writes = stamped, commit.writes
            return
        self.stamp = self.stamp or stamped
        self.split_columns()
        writes = {write.key: write for write in commit.writes}
        if self.deletes:
            for key in self.deletes.keys() & writes.keys():
                del self.deletes[key]
        self.writes.update(writes)
        if stamped != self.stamp:
            self.stamps.update(dict.fromkeys([*writes, *(delete.key for delete in commit.deletes)], stamped))
        for delete in commit.deletes:
            self.writes.pop(delete.key, None)
            self.deletes[delete.key] = delete
            if self.tombstone_at is None:
                self.tombstone_at = written_at

    def move_versions(self, db: PostgresStatements, merchant: int, lookup: Lookup) -> Set[str]:
        """Write versions of items of which nothing else changes, and return their keys: they are no writes any more."""
        versions = lookup.newer_versions(self.writes) if self.writes and lookup.rows else {}
        if versions:
            keys, numbers = zip(*sorted(versions.items()), strict=True)
            named = {"merchant": merchant, "collection": self.number}
            db.change("move_versions", {**named, "keys": [*keys], "versions": [*numbers]})
            for key in keys:
                del self.writes[key]
        return versions.keys()

    def split_columns(self) -> None:
        """Store the writes by key from now on, so that others can be added."""
        columns, self.new_writes = self.new_writes, None
        if columns is not None:
            self.writes = {write.key: write for write in columns}

    @property
    def keys(self) -> list[str]:
        """The keys of all writes and deletes."""
        return [*(self.new_writes.keys if self.new_writes is not None else ()), *self.writes, *self.deletes]

    def stamps_of(self, keys: Sequence[str]) -> list[bytes]:
        """Return batch and time of the writes of these keys."""
        if not self.stamps:
            return [self.stamp] * len(keys)
        return [self.stamps.get(key, self.stamp) for key in keys]
