"""What a chunk needs to know before it is committed; another thread may look up the next chunk meanwhile."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any

import msgspec
import orjson

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import CurrentItem
from goodsgate.store.contract import ChunkCommit, Claim, ClaimedRound, StoreError
from goodsgate.store.postgres.database import PostgresDatabase
from goodsgate.store.postgres.progress import progress_from_row
from goodsgate.store.postgres.seen_keys import SeenKeysFile
from goodsgate.store.postgres.server import WORK_SECONDS_MAX
from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.shared.catalogue import find_collection
from goodsgate.store.shared.database import Row
from goodsgate.store.shared.item_index import read_entries, sorted_keys
from goodsgate.store.shared.lookup_cache import (
    FOLDING,
    CollectionName,
    Lookup,
    LookupCache,
    StockHashes,
    fold_keys,
    merge_lookups,
)
from goodsgate.store.shared.merchant_numbers import CACHED_SECONDS
from goodsgate.store.shared.progress import Progress
from goodsgate.store.shared.results import unwritten_keys
from goodsgate.store.shared.timestamps import id_bytes
from goodsgate.store.shared.unknown_skus import read_open_products, read_unknown_skus

SEEN_BATCHES_MAX = 8
"""Batches whose keys are in files at once; the one created longest ago is removed."""
COLLECTIONS_CACHED_MAX = 10_000
SPLIT_KEYS_MIN = 4_096
"""So many keys or more are looked up in two halves at once."""
CANDIDATES_PER_QUERY = 20_000
"""Items of a collection that are compared with the keys of a full feed together."""
NEVER = 2**63 - 1

RoundName = tuple[str, int]
"""Batch and number of a round."""


class Prefetched(msgspec.Struct, frozen=True):
    """Lookups for a chunk that has not been asked for yet."""

    chunk: tuple[str, str, str, str, int]
    """Merchant, kind, collection, batch and number."""
    lookups: list[Future[Lookup]]


class AbsentCount(msgspec.Struct, frozen=True):
    """The number of items that a full feed lacks after so many chunks of a round."""

    position: tuple[int, str, int, int]
    """Collection, batch, round (-1 for its trial), committed chunks."""
    count: int


class PostgresLookups:
    """Implements LookupStore and SupportsPrefetch."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._server = database.server
        self._threads = ThreadPoolExecutor(2, "lookups")
        self._collections: dict[CollectionName, tuple[int, float]] = {}
        """Numbers of collections, and until when they are cached."""
        self._prefetched: Prefetched | None = None
        self._changing_batch = ""
        """A batch most of whose items differ, so that comparing them in the server does not pay."""
        self._absent: AbsentCount | None = None
        self.cache = LookupCache()
        self.stock_hashes = StockHashes()
        """Compared once more by the next commit."""
        self._seen_lock = threading.RLock()
        self._seen: dict[RoundName, SeenKeysFile] = {}
        """By batch and round: what the fix of another worker has changed, the next round reads again."""

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()

    def current_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *, documents: bool = False,
                      ) -> dict[str, CurrentItem]:
        """Return items by key, including tombstones."""
        prefetched = self._take_prefetched((merchant, kind, collection), keys, documents=documents)
        if prefetched is not None:
            self.stock_hashes.note(kind, prefetched)
            return prefetched.current_items()
        items = self._read(merchant, kind, collection, keys, documents=documents).current_items()
        number = self._database.number(merchant)
        if documents and items and number is not None:
            with self._server.reading(number) as db:
                found = find_collection(db, number, kind, collection)
                if found is not None and found.indexed:
                    for key, entries in read_entries(db, number, found.number, [*items]).items():
                        items[key] = msgspec.structs.replace(items[key], index_entries=entries)
        return items

    def prefetch(self, round: ClaimedRound, keys: Sequence[str], *, hashes: Sequence[bytes] | None = None) -> None:
        """Look up items in threads; the result is valid if no commit meanwhile touches any of the keys."""
        chunk = (round.merchant, round.kind, round.collection, round.batch, round.chunks)
        earlier = self._prefetched.lookups if self._prefetched is not None and self._prefetched.chunk == chunk else []
        if not earlier:
            self.cache.begin()
        lookup = self._threads.submit(self._query, *chunk[:3], keys, documents=False, batch=round.batch, hashes=hashes)
        self._prefetched = Prefetched(chunk, [*earlier, lookup])

    def _take_prefetched(self, name: CollectionName, keys: Sequence[str], *, documents: bool) -> Lookup | None:
        """Return what was prefetched for these keys, once, if it is still valid."""
        prefetched, self._prefetched = self._prefetched, None
        if prefetched is None or prefetched.chunk[:3] != name or documents:
            return None
        try:
            lookup = merge_lookups([one.result() for one in prefetched.lookups])
        except StoreError:  # if the server is still away, the caller's own lookup raises it
            return None
        return lookup if lookup.keys == set(keys) and self.cache.add_if_unchanged(name, lookup) else None

    def case_variants(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the first live case variant of each key."""
        variants = self._lookup_of(merchant, kind, collection, keys).case_variants()
        return {key: variants[key] for key in keys if key in variants} if variants else variants

    def seen_keys(self, round: ClaimedRound, keys: Sequence[str]) -> set[str]:
        """Return the keys that committed chunks contain.

        Keys that the batch wrote are known from the items. The others, unchanged or rejected, are in a file of this
        process, so that memory stays bounded; those of a chunk that is just being committed may be there already.
        """
        number, batch = self._database.require_number(round.merchant), id_bytes(round.batch)
        assert batch is not None
        with self._seen_lock:
            seen = self._seen.get((round.batch, round.number))
            if seen is None or seen.records < round.total:
                progress = self._progress(number, round.batch)
                if progress is None:
                    return set()
                seen = self._read_seen_keys(number, round, progress.rows)
            found = seen.find(keys) if seen.filled else set()
        lookup = self._lookup_of(round.merchant, round.kind, round.collection, keys, batch=batch)
        return lookup.written_by(batch).intersection(keys) | found

    def has_open_products(self, merchant: str, collection: str, *, before: datetime) -> bool:
        """Return whether earlier products of the collection are still to be applied."""
        return read_open_products(self._database, merchant, collection, before)

    def unknown_skus(self, merchant: str, collection: str, skus: Sequence[str], *, if_empty: bool = False) -> set[str]:
        """Return the SKUs that no product has, if that is known."""
        return read_unknown_skus(self._database, merchant, collection, skus, if_empty=if_empty)

    def absent_items(self, round: ClaimedRound, *, after: str | None, limit: int) -> tuple[int, int, list[str]]:
        """Compare a full feed with the catalogue: keys are read in order and compared here; counted once."""
        number = self._database.require_number(round.merchant)
        with self._server.reading(number) as db:
            collection = find_collection(db, number, round.kind, round.collection)
        if collection is None:
            return 0, 0, []
        progress = self._progress(number, round.batch)
        with self._seen_lock:
            seen = self._read_seen_keys(number, round, progress.rows if progress is not None else 0)
        # Before its first chunk nothing was written since: a feed without a record lacks everything.
        first_at = progress.first_at if progress is not None else NEVER
        position = (collection.number, round.batch, _pass_number(round), round.chunks)
        if self._absent is None or self._absent.position != position:
            pages = self._absent_keys(number, collection.number, seen, first_at, after="")
            self._absent = AbsentCount(position, sum(map(len, pages)))
        found: list[str] = []
        if self._absent.count:
            for keys in self._absent_keys(number, collection.number, seen, first_at, after=after or ""):
                found += keys
                if len(found) >= limit:
                    break
        items = progress.items_before if progress is not None else collection.items
        return items, self._absent.count, found[:limit]

    def _absent_keys(self, number: int, collection: int, seen: SeenKeysFile, first_at: int, *, after: str,
                     ) -> Iterator[list[str]]:
        """Yield, page by page, the keys of items from before the feed that the feed does not contain."""
        while True:
            values = {
                "merchant": number, "collection": collection, "after": after, "first_at": first_at,
                "limit": CANDIDATES_PER_QUERY,
            }
            with self._server.transaction(number, seconds=WORK_SECONDS_MAX) as db:
                keys = [key for (key,) in db.rows("absent_items", values)]
            contained = seen.find(keys) if seen.filled else set()
            yield [key for key in keys if key not in contained]
            if len(keys) < CANDIDATES_PER_QUERY:
                return
            after = keys[-1]

    # -- used by the queue and the committer ------------------------------------------------------------------------

    def before_claim(self) -> None:
        """Forget what was looked up under another claim: it may have changed since."""
        self._prefetched = None
        self.cache.clear()
        self.forget_stock()

    def after_claim(self, claim: Claim) -> None:
        """Forget seen keys of chunks that the server lost in a crash."""
        with self._seen_lock:
            for round in claim.rounds:
                seen = self._seen.get((round.batch, round.number))
                if seen is not None and seen.records > round.total:
                    self._forget_seen_keys((round.batch, round.number))

    def forget_stock(self) -> None:
        """Forget the stock that was looked up: no chunk is made from it any more."""
        self.stock_hashes = StockHashes()

    def collection_number(self, db: PostgresStatements, number: int, name: CollectionName) -> int:
        """Return the number of a collection, which is cached for a moment; 0 if it does not exist."""
        known, expires_at = self._collections.get(name, (0, 0.0))
        if time.monotonic() < expires_at:
            return known
        found = find_collection(db, number, *name[1:])
        if found is None:
            self._collections.pop(name, None)
            return 0
        if len(self._collections) >= COLLECTIONS_CACHED_MAX:
            self._collections.clear()
        self._collections[name] = found.number, time.monotonic() + CACHED_SECONDS
        return found.number

    def forget_collections(self) -> None:
        """Forget the numbers of collections."""
        self._collections.clear()

    def note_absent_items(self, collection: int, commit: ChunkCommit, deleted: int | None) -> None:
        """Keep the count of absent items right: `deleted` by a chunk that did nothing else, None by any other."""
        position = (collection, commit.round.batch, _pass_number(commit.round), commit.number)
        if self._absent is not None and self._absent.position == position and deleted is not None:
            self._absent = AbsentCount((*position[:3], commit.number + 1), self._absent.count - deleted)

    def note_seen_keys(self, commit: ChunkCommit, *, forget: bool) -> None:
        """Add the keys of a committed chunk that are not known from items; or forget those of its round."""
        round = (commit.round.batch, commit.round.number)
        with self._seen_lock:
            if forget:
                self._forget_seen_keys(round)
            elif commit.first is not None:
                seen = self._seen.get(round) or (self._new_seen_keys(round) if commit.first == 1 else None)
                if seen is not None and seen.records == commit.first - 1:
                    unwritten = unwritten_keys(commit.round, commit.keys, commit.results)
                    seen.add(unwritten, seen.records + len(commit.results))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _lookup_of(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *,
                   batch: bytes | None = None) -> Lookup:
        """Return a cached lookup that has these keys, and covers the batch, or a new one."""
        lookup = self.cache.find((merchant, kind, collection), keys, batch=batch)
        return lookup if lookup is not None else self._read(merchant, kind, collection, keys, documents=False)

    def _read(self, merchant: str, kind: str, collection: str, keys: Sequence[str], *, documents: bool) -> Lookup:
        name = (merchant, kind, collection)
        if len(keys) < SPLIT_KEYS_MIN or name not in self._collections:
            lookup = self._query(*name, keys, documents=documents)
        else:
            # Nobody else writes items of a leased lane, so that two transactions see what one would see; stock is
            # checked by the commit.
            ordered, half = sorted(keys), len(keys) // 2
            other = self._threads.submit(self._query, *name, ordered[:half], documents=documents)
            try:
                second = self._query(*name, ordered[half:], documents=documents)
            finally:
                first = other.result()
            lookup = merge_lookups([first, second])
        known = self.cache.find(name, keys) if documents else None
        if known is None or not known.keys > lookup.keys:  # else these are documents of some items of that lookup
            self.cache.add(name, lookup)
        self.stock_hashes.note(kind, lookup)
        return lookup

    def _query(self, merchant: str, kind: str, collection: str, keys: Sequence[str], *, documents: bool,
               batch: str = "", hashes: Sequence[bytes] | None = None) -> Lookup:
        """Look up items; with the hashes of the batch's documents, the server leaves out items that are the same.

        Not for stock, of which every hash is compared again by the commit, nor once most items of the batch differed.
        """
        number = self._database.number(merchant)
        folded_keys = fold_keys(keys)
        if number is None:
            return Lookup(0, set(keys), [], folded_keys)
        with self._server.transaction(number, seconds=WORK_SECONDS_MAX) as db:
            found = self.collection_number(db, number, (merchant, kind, collection))
            rows: list[Row] = []
            same: dict[str, bytes] | None = None
            if found and keys:
                named = {"merchant": number, "collection": found, "batch": batch}
                hashes = None if kind == Kind.STOCK or batch == self._changing_batch else hashes
                rows, same = _find_items(
                    db, named, keys, folded_keys=folded_keys, documents=documents, hashes=hashes
                )
                if same is not None and len(rows) > len(keys) // 2:
                    self._changing_batch = batch
        return Lookup(found, set(keys), rows, folded_keys, same or {}, id_bytes(batch) or b"" if same else b"")

    def _progress(self, number: int, batch: str) -> Progress | None:
        rows = self._server.query("progress", {"merchant": number, "id": batch}, number)
        return progress_from_row(rows[0]) if rows else None

    def _read_seen_keys(self, number: int, round: ClaimedRound, seq: int) -> SeenKeysFile:
        """Return the seen keys of a round, with those of chunks that were committed since the last call."""
        name = (round.batch, round.number)
        seen = self._seen.get(name) or self._new_seen_keys(name)
        named = {"merchant": number, "batch": seq}
        rows = self._server.query("chunks_after", {**named, "after": seen.records}, number)
        for first, results in rows:
            with self._server.reading(number) as db:
                keys = orjson.loads(db.value("chunk_keys", {**named, "first": first}))
            seen.add(unwritten_keys(round, keys, results), first + len(results) - 1)
        return seen

    def _new_seen_keys(self, round: RoundName) -> SeenKeysFile:
        seen = self._seen[round] = SeenKeysFile()
        if len(self._seen) > SEEN_BATCHES_MAX:
            self._forget_seen_keys(next(iter(self._seen)))
        return seen

    def _forget_seen_keys(self, round: RoundName) -> None:
        seen = self._seen.pop(round, None)
        if seen is not None:
            seen.close()


def _pass_number(round: ClaimedRound) -> int:
    return -1 if round.is_trial else round.number


def _find_items(db: PostgresStatements, named: dict[str, Any], keys: Sequence[str], *, folded_keys: set[str],
                documents: bool, hashes: Sequence[bytes] | None) -> tuple[list[Row], dict[str, bytes] | None]:
    """Return rows of items that have one of the keys or a case variant, each behind the key that was asked for.

    Also returns the items that need no row (see `Lookup.same`), or None if items were not compared. Many a feed is in
    the order of its keys. If hardly any other item lies between its first and last key, the whole range is read at
    once. If most of the keys have an item and the hashes are known, the server compares them.
    """
    key_range = {**named, "least": min(folded_keys), "most": max(folded_keys)}
    distinct, limit = not documents and len(folded_keys) == len(keys), len(keys) + len(keys) // 4
    between = db.value("count_items_between", {**key_range, "limit": limit + 1}) if distinct else 0
    if not distinct or between > limit:
        statement = "current_documents" if documents else "current_items"
        return _match(db.rows(statement, {**named, "keys": sorted_keys(keys)}), keys), None
    if not between:
        return [], None
    if hashes is not None and between > len(keys) // 2:
        return _find_changed_items(db, key_range, keys, folded_keys=folded_keys, hashes=hashes)
    wanted = set(keys)
    rows = db.rows("current_items_between", key_range)
    return _match([row for row in rows if row[0] in wanted or row[0].translate(FOLDING) in folded_keys], keys), None


def _find_changed_items(db: PostgresStatements, key_range: dict[str, Any], keys: Sequence[str], *,
                        folded_keys: set[str], hashes: Sequence[bytes]) -> tuple[list[Row], dict[str, bytes]]:
    """Return rows of items that differ from the hashes, and the hashes of the others.

    The statement returns None as the key asked for with other items of the range, and as the key of the item if there
    is none.
    """
    values = {**key_range, "keys": orjson.dumps(keys).decode(), "hashes": b"".join(hashes)}
    rows = db.rows("changed_items_between", values)
    same = dict(zip(keys, hashes, strict=True))
    for row in rows:
        same.pop(row[0], None)
    others = [row[1:] for row in rows if row[0] is None and row[1].translate(FOLDING) in folded_keys]
    return [row for row in rows if row[0] == row[1]] + _match(others, keys), same


def _match(rows: list[Row], keys: Sequence[str]) -> list[Row]:
    """Return rows of items behind the key that was asked for: their own, or those that differ from it by case."""
    if not rows:
        return []
    wanted = set(keys)
    matched = [(row[0], *row) for row in rows if row[0] in wanted]
    others = [row for row in rows if row[0] not in wanted] if len(matched) < len(rows) else []
    if others or len(matched) > len(fold_keys(row[0] for row in matched)):
        by_folded_key: dict[str, list[str]] = {}
        for key in wanted:
            by_folded_key.setdefault(key.translate(FOLDING), []).append(key)
        for row in rows:
            matched += [(key, *row) for key in by_folded_key[row[0].translate(FOLDING)] if key != row[0]]
    return matched
