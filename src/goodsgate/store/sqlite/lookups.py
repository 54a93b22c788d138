"""What a chunk needs to know before it is committed, through the connection with the large cache."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import orjson

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import CurrentItem
from goodsgate.store.contract import ClaimedRound
from goodsgate.store.shared.catalogue import find_collection
from goodsgate.store.shared.item_index import read_entries, sorted_keys
from goodsgate.store.shared.lookup_cache import Lookup, StockHashes
from goodsgate.store.shared.results import unwritten_keys
from goodsgate.store.shared.timestamps import id_bytes
from goodsgate.store.shared.unknown_skus import read_open_products, read_unknown_skus
from goodsgate.store.sqlite.database import SqliteDatabase
from goodsgate.store.sqlite.progress import read_progress
from goodsgate.store.sqlite.statements import SqliteStatements

SEEN_KEYS_CACHE_BYTES = 8 * 1024**2
SEEN_BATCHES_MAX = 8
"""Batches whose keys are in the temporary table at once; the one used longest ago is removed."""
NEVER = 2**63 - 1


class SeenKeys(msgspec.Struct):
    """How far the temporary table has the keys of a batch."""

    last: int = 0
    """First record number of the last chunk that was read."""
    filled: bool = False


class AbsentCount(msgspec.Struct, frozen=True):
    """The number of items that a full feed lacks, valid while nothing else changes the collection."""

    collection: int
    batch: int
    count: int


class SqliteLookups:
    """Implements LookupStore."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._catalogue = database.catalogue
        self._lookup: Lookup | None = None
        """Valid until the next commit."""
        self.stock_hashes = StockHashes()
        """Compared once more by the next commit."""
        self._seen: dict[tuple[int, int], SeenKeys] | None = None
        """By merchant and batch; None before the temporary table exists."""
        self._absent: AbsentCount | None = None

    def current_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *, documents: bool = False,
                      ) -> dict[str, CurrentItem]:
        """Return items by key, including tombstones."""
        with self._catalogue.writer() as db:
            return self._read(db, merchant, kind, collection, keys, documents=documents)

    def case_variants(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the first live case variant of each key."""
        with self._catalogue.writer() as db:
            lookup = self._lookup_of(db, merchant, kind, collection, keys)
        variants = lookup.case_variants()
        return {key: variants[key] for key in keys if key in variants} if variants else variants

    def seen_keys(self, round: ClaimedRound, keys: Sequence[str]) -> set[str]:
        """Return the keys that committed chunks contain.

        Keys that the batch wrote are known from the items. The others, unchanged or rejected, are in a temporary table
        on disk, so that memory stays bounded.
        """
        number, batch = self._database.require_number(round.merchant), id_bytes(round.batch)
        assert batch is not None
        with self._catalogue.writer() as db:
            progress = read_progress(db, number, batch)
            if progress is None:
                return set()
            lookup = self._lookup_of(db, round.merchant, round.kind, round.collection, keys)
            written = lookup.written_by(batch).intersection(keys)
            if not self._fill_seen_keys(db, number, progress.rows, round):
                return written
            values = {"keys": sorted_keys(keys), "batch": progress.rows}
            return written.union(key for (key,) in db.each("seen_keys", values))

    def has_open_products(self, merchant: str, collection: str, *, before: datetime) -> bool:
        """Return whether earlier products of the collection are still to be applied."""
        return read_open_products(self._database, merchant, collection, before)

    def unknown_skus(self, merchant: str, collection: str, skus: Sequence[str], *, if_empty: bool = False) -> set[str]:
        """Return the SKUs that no product has, if that is known."""
        return read_unknown_skus(self._database, merchant, collection, skus, if_empty=if_empty)

    def absent_items(self, round: ClaimedRound, *, after: str | None, limit: int) -> tuple[int, int, list[str]]:
        """Compare a full feed with the catalogue; items are counted once, keys are looked up at each call."""
        number, batch = self._database.require_number(round.merchant), id_bytes(round.batch)
        assert batch is not None
        with self._catalogue.writer() as db:
            collection = find_collection(db, number, round.kind, round.collection)
            if collection is None:
                return 0, 0, []
            progress = read_progress(db, number, batch)
            seq = progress.rows if progress is not None else 0
            values = {
                "merchant": number, "collection": collection.number, "batch": seq, "after": after or "",
                "limit": limit,
                # Before its first chunk nothing was written since: a feed without a record lacks everything.
                "first_at": progress.first_at if progress is not None else NEVER,
            }
            self._fill_seen_keys(db, number, seq, round)
            if self._absent is None or (self._absent.collection, self._absent.batch) != (collection.number, seq):
                self._absent = AbsentCount(collection.number, seq, db.value("count_absent_items", values))
            keys = [key for (key,) in db.each("absent_items", values)]
            items = progress.items_before if progress is not None else collection.items
            return items, self._absent.count, keys

    # -- used by the queue and the committer ------------------------------------------------------------------------

    def forget_stock(self) -> None:
        """Forget the stock that was looked up: no chunk is made from it any more."""
        self.stock_hashes = StockHashes()

    def take(self) -> Lookup | None:
        """Return the last lookup and forget it, before items change."""
        known, self._lookup = self._lookup, None
        return known

    def forget_seen_keys(self, db: SqliteStatements, merchant: int, batch: int) -> None:
        """Delete the keys of a batch that has ended, or of whose committed chunks a key was changed."""
        if self._seen is not None and self._seen.pop((merchant, batch), None) is not None:
            db.change("delete_seen_keys", {"batch": batch})

    def note_absent_items(self, collection: int, batch: int, deleted: int | None) -> None:
        """Keep the count of absent items right: `deleted` by a chunk that did nothing else, None by any other."""
        if self._absent is None or self._absent.collection != collection:
            return
        same = self._absent.batch == batch and deleted is not None
        self._absent = AbsentCount(collection, batch, self._absent.count - (deleted or 0)) if same else None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _lookup_of(self, db: SqliteStatements, merchant: str, kind: Kind, name: str, keys: Sequence[str]) -> Lookup:
        """Return the last lookup if it covers these keys, or a new one."""
        collection = find_collection(db, self._database.number(merchant), kind, name)
        lookup = self._lookup
        if (
            lookup is None or collection is None or lookup.collection != collection.number
            or not lookup.keys.issuperset(keys)
        ):
            self._read(db, merchant, kind, name, keys, documents=False)
        assert self._lookup is not None
        return self._lookup

    def _read(self, db: SqliteStatements, merchant: str, kind: Kind, name: str, keys: Sequence[str], *,
              documents: bool) -> dict[str, CurrentItem]:
        number = self._database.number(merchant)
        collection = find_collection(db, number, kind, name)
        if collection is None or not keys:
            self._lookup = Lookup(0, set(keys), [])
            return {}
        statement = "current_documents" if documents else "current_items"
        rows = db.rows(statement, (number, collection.number, sorted_keys(keys)))
        lookup = Lookup(collection.number, set(keys), rows)
        known = self._lookup
        if not documents or known is None or known.collection != collection.number or not known.keys > lookup.keys:
            self._lookup = lookup  # else these are documents of some items of the last lookup
        self.stock_hashes.note(kind, lookup)
        items = lookup.current_items()
        if documents and collection.indexed:
            for key, entries in read_entries(db, number, collection.number, [*items]).items():
                items[key] = msgspec.structs.replace(items[key], index_entries=entries)
        return items

    def _fill_seen_keys(self, db: SqliteStatements, merchant: int, batch: int, round: ClaimedRound) -> bool:
        """Add keys of chunks that were committed since the last call; return whether the batch has any."""
        if self._seen is None:
            db.connection.execute(f"PRAGMA temp.cache_size=-{SEEN_KEYS_CACHE_BYTES // 1024}")
            db.change("create_seen_keys")
            self._seen = {}
        named = {"merchant": merchant, "batch": batch}
        seen = self._seen.pop((merchant, batch), SeenKeys())
        for first, results in db.rows("chunks_after", {**named, "after": seen.last}):
            keys = orjson.loads(db.value("chunk_keys", {**named, "first": first}))
            unwritten = unwritten_keys(round, keys, results)
            if unwritten:
                db.change("add_seen_keys", {"batch": batch, "keys": sorted_keys(unwritten)})
                seen.filled = True
            seen.last = first
        self._seen[merchant, batch] = seen
        if len(self._seen) > SEEN_BATCHES_MAX:
            self.forget_seen_keys(db, *next(iter(self._seen)))
        return seen.filled
