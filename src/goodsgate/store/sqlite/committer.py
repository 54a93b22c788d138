"""Commits chunks: everything in one transaction of the catalogue file, then the ends of rounds in the intake file.

Between the two commits the catalogue file is right and the intake file behind; readers look there (batches), and the
next claim corrects it (queue). Rows of one kind are written for all chunks together, by few statements.
"""

from collections.abc import Callable, Sequence, Set
from contextlib import suppress

import msgspec
import orjson

from goodsgate.model import crash
from goodsgate.model.catalogue import Delete, Write
from goodsgate.model.journal import StoredItem
from goodsgate.store.contract import (
    ChunkCommit,
    Claim,
    ClaimedRound,
    EndedRound,
    ItemTerms,
    LeaseLostError,
    StockChangedError,
    StoreBusyError,
    StoreError,
    StoreFullError,
)
from goodsgate.store.shared.catalogue import find_collection
from goodsgate.store.shared.dry_run import add_to_diff
from goodsgate.store.shared.feed_days import feeds_by_day
from goodsgate.store.shared.journal import JournalWriter, read_stored_items
from goodsgate.store.shared.lookup_cache import Lookup
from goodsgate.store.shared.progress import Progress
from goodsgate.store.shared.results import amend_results, write_cancelled
from goodsgate.store.shared.round_ends import RoundEnd
from goodsgate.store.shared.timestamps import id_bytes
from goodsgate.store.shared.waiting import write_waiting
from goodsgate.store.sqlite.database import SqliteDatabase
from goodsgate.store.sqlite.findings import FindingWriter
from goodsgate.store.sqlite.intake import record_ends
from goodsgate.store.sqlite.item_index import write_entries
from goodsgate.store.sqlite.journal import write_segments
from goodsgate.store.sqlite.lookups import SqliteLookups
from goodsgate.store.sqlite.progress import read_all_progress
from goodsgate.store.sqlite.queue import SqliteQueue
from goodsgate.store.sqlite.search import prepare_terms
from goodsgate.store.sqlite.statements import SqliteStatements
from goodsgate.store.sqlite.stock import stock_has_changed


class CollectionWrites(msgspec.Struct):
    """What the chunks of one commit do to one collection; the last write of each key counts."""

    number: int
    items: int
    """Items before the commit."""
    indexed: bool
    has_variants: bool
    """Whether the store knows that a product of the collection has variants."""
    search_gap: str | None
    """See `Collection.search_gap`."""
    adds_variants: bool = False
    writes: dict[str, tuple[Write, bytes, int]] = {}
    """By key, with batch and time of the write."""
    deletes: dict[str, tuple[Delete, bytes, int]] = {}

    def add(self, commit: ChunkCommit, batch: bytes, written_at: int) -> None:
        """Add the items of a chunk behind those of the chunks before it."""
        self.adds_variants = self.adds_variants or commit.has_variants
        if self.deletes:
            for write in commit.writes:
                self.deletes.pop(write.key, None)
        self.writes.update((write.key, (write, batch, written_at)) for write in commit.writes)
        for delete in commit.deletes:
            self.writes.pop(delete.key, None)
            self.deletes[delete.key] = (delete, batch, written_at)


class CommittedChunk(msgspec.Struct, frozen=True):
    """What a committed chunk changes in the caches of this process."""

    commit: ChunkCommit
    batch: bytes
    collection: int
    rows: int
    """Number of the batch's report."""
    progress: Progress
    keys_changed: bool
    """A key of an earlier chunk was changed."""


class SqliteCommitter:
    """Implements CommitStore."""

    def __init__(self, database: SqliteDatabase, queue: SqliteQueue, lookups: SqliteLookups, *, journal: bool) -> None:
        self._database = database
        self._journal = journal
        self._queue = queue
        self._lookups = lookups

    def commit(self, claim: Claim, commits: Sequence[ChunkCommit], *,
               refresh: Callable[[], Sequence[ChunkCommit]] | None = None) -> list[EndedRound]:
        """Commit chunks; one that is committed already has no effect. Raises as the contract says."""
        number = self._database.require_number(claim.merchant)
        if not self._database.lock_worker():
            raise LeaseLostError("another process works in this folder")
        known = self._lookups.take()
        self._database.checkpoints.limit_log()
        with self._database.catalogue.writing() as db:
            self._queue.check_lease(db, number, claim)
            if stock_has_changed(db, number, self._lookups.stock_hashes):
                if refresh is None:
                    raise StockChangedError
                commits = refresh()
                known = self._lookups.take()
            writer = _CommitWriter(
                db, number, db.value("clock"), self._database.now(), known,
                JournalWriter() if self._journal else None, self._database.item_terms,
            )
            writer.read_progress(commits)
            for commit in commits:
                writer.add(commit)
            writer.write()
            writer.write_progress()
            crash.point("commit-written")
        self._lookups.forget_stock()
        crash.point("commit-synced")
        ended = self._after_commit(number, writer.committed)
        crash.point("commit-mirrored")
        return ended

    def _after_commit(self, number: int, committed: list[CommittedChunk]) -> list[EndedRound]:
        """Record ended rounds in the intake file, update the caches, and return the ended rounds.

        The commit stands: what a full or busy intake file, or a power cut, loses here, the next claim records again.
        """
        ended = [chunk for chunk in committed if chunk.progress.ended is not None]
        if ended:
            ends = [_round_end(chunk.commit.round, chunk.progress) for chunk in ended]
            has_messages = False
            with suppress(StoreFullError, StoreBusyError), self._database.intake.writing(lazy=True) as db:
                has_messages = record_ends(db, number, ends, now=self._database.now())
            if has_messages:
                self._database.message_signal.send()
        with self._database.catalogue.writer() as db:
            for chunk in committed:
                commit = chunk.commit
                only_deletes = commit.deletes and not commit.writes
                nothing = not commit.deletes and not commit.writes and not chunk.keys_changed
                deleted = len(commit.deletes) if only_deletes else 0 if nothing else None
                self._lookups.note_absent_items(chunk.collection, chunk.rows, deleted)
                if chunk.keys_changed or chunk.progress.ended is not None or commit.ends_trial:
                    self._lookups.forget_seen_keys(db, number, chunk.rows)
        return [EndedRound(chunk.commit.round, chunk.progress) for chunk in ended]


class _CommitWriter:
    """Writes the chunks of one commit to the catalogue file, in as few statements as there are kinds of rows."""

    def __init__(self, db: SqliteStatements, number: int, written_at: int, now: int, known: Lookup | None,
                 journal: JournalWriter | None, item_terms: ItemTerms | None) -> None:
        """`known` is what was looked up of the items last."""
        self._item_terms = item_terms
        self._db = db
        self._number = number
        self._now = now
        self._known = known
        self._journal = journal
        self._written_at = written_at
        """Of the last chunk: strictly growing, so that it tells which of two chunks came first."""
        self.committed: list[CommittedChunk] = []
        self._findings = FindingWriter(number)
        self._progress: dict[bytes, Progress] = {}
        self._begun: set[bytes] = set()
        """Batches of which nothing is stored yet."""
        self._collections: dict[tuple[str, str], CollectionWrites] = {}
        self._results: list[tuple[int, int | None, bytes]] = []
        self._keys: list[tuple[int, int | None, bytes]] = []
        self._totals: dict[str, int] = {}
        self._has_waiting = bool(db.value("has_waiting", {"merchant": number}))

    def read_progress(self, commits: Sequence[ChunkCommit]) -> None:
        """Read the progress of the batches; those without progress begin."""
        batches = {_batch_id(commit.round): commit.round for commit in reversed(commits)}
        self._progress = read_all_progress(self._db, self._number, [*batches])
        begun, first_at = [], max(self._written_at + 1, self._now)
        for batch, round in batches.items():
            collection = self._collection(round)
            if batch not in self._progress:
                begun.append((batch, round.number, collection.items, first_at))
        if begun:
            # Numbered in the order of the chunks: it tells which of two batches of a collection comes first.
            self._db.insert_rows("add_progress", (self._number,), begun[::-1])
            self._begun = {batch for batch, *_ in begun}
            self._progress |= read_all_progress(self._db, self._number, [*self._begun])

    def _collection(self, round: ClaimedRound) -> CollectionWrites:
        name = (round.kind, round.collection)
        if name not in self._collections:
            found = find_collection(self._db, self._number, *name)
            if found is not None:
                self._collections[name] = CollectionWrites(
                    found.number, found.items, found.indexed, found.has_variants, found.search_gap
                )
            else:
                gap = "" if self._item_terms is None else None
                named = {"merchant": self._number, "kind": round.kind, "name": round.collection, "search_gap": gap}
                number = self._db.value("add_collection", named)
                self._collections[name] = CollectionWrites(number, 0, False, False, gap)
        return self._collections[name]

    def add(self, commit: ChunkCommit) -> None:
        """Add a chunk; no effect if it is a replay."""
        round, batch = commit.round, _batch_id(commit.round)
        collection, progress = self._collection(round), self._progress[batch]
        if progress.needs_to_begin_anew(round):
            progress.begin_anew(items_before=collection.items, first_at=max(self._written_at + 1, self._now))
        if (progress.round, progress.chunks) > (round.number, commit.number):
            return
        self._written_at = max(self._written_at + 1, self._now)
        progress.check_next(commit)
        collection.add(commit, batch, self._written_at)
        if self._journal is not None:
            self._journal.add(commit, collection.number, self._written_at)
        if commit.results:
            self._results.append((progress.rows, commit.first, commit.results))
            self._keys.append((progress.rows, commit.first, orjson.dumps(commit.keys)))
        keys_changed = _amend(self._db, self._number, progress.rows, commit)
        if commit.diff:
            segments = add_to_diff(self._db, self._number, progress.rows, commit)
            self._db.insert_rows("add_diff_segments", (self._number, progress.rows), segments)
        is_new = batch in self._begun
        self._begun.discard(batch)
        self._findings.add(self._db, progress.rows, commit, total=progress.total, is_new=is_new)
        if commit.cancels_results:
            write_cancelled(self._db, self._number, progress.rows)
        if self._has_waiting or commit.waiting or commit.parents:
            write_waiting(self._db, self._number, progress.seq, commit, has_waiting=self._has_waiting)
            self._has_waiting = True
        progress.advance(commit, self._written_at)
        for name, count in progress.totals(commit).items():
            self._totals[name] = self._totals.get(name, 0) + count
        self.committed.append(CommittedChunk(commit, batch, collection.number, progress.rows, progress, keys_changed))
        if commit.ends_trial:
            progress.begin_anew(items_before=collection.items, first_at=self._written_at)

    def write(self) -> None:
        """Write items, index entries, results and the journal."""
        stored: dict[int, dict[str, StoredItem]] = {}
        moved: dict[int, Set[str]] = {}
        for (kind, _), collection in self._collections.items():
            moved[collection.number] = self._move_versions(collection)
            stored[collection.number] = self._read_stored(collection)
            change = self._write_items(kind, collection, stored[collection.number])
            entries = {key: write.index_entries for key, (write, *_) in collection.writes.items()}
            write_entries(
                self._db, self._number, collection.number, entries, collection.deletes, indexed=collection.indexed
            )
            if collection.adds_variants and not collection.has_variants:
                named = {"merchant": self._number, "collection": collection.number}
                self._db.change("mark_collection_variants", named)
            if self._item_terms is None and collection.search_gap != "" and (collection.writes or collection.deletes):
                gap = {"merchant": self._number, "collection": collection.number, "gap": ""}
                self._db.change("set_search_gap", gap)
            if change:
                named = {"merchant": self._number, "collection": collection.number, "change": change}
                self._db.change("change_item_count", named)
        if self._journal is not None:
            write_segments(self._db, self._number, self._journal.segments(stored, moved=moved))
        self._db.insert_rows("add_chunks", (self._number,), self._results)
        self._db.insert_rows("add_chunk_keys", (self._number,), self._keys)
        self._findings.write(self._db)

    def _move_versions(self, collection: CollectionWrites) -> Set[str]:
        """Write the versions of items of which nothing else changes, which are then no writes any more.

        Items that several chunks write are left alone: what comes between would be lost.
        """
        known = self._known
        if known is None or known.collection != collection.number or len(self.committed) != 1 or not known.rows:
            return set()
        versions = known.newer_versions({key: write for key, (write, *_) in collection.writes.items()})
        if versions:
            named = {"merchant": self._number, "collection": collection.number}
            self._db.change("move_versions", {**named, "versions": orjson.dumps(sorted(versions.items())).decode()})
            for key in versions:
                del collection.writes[key]
        return versions.keys()

    def _read_stored(self, collection: CollectionWrites) -> dict[str, StoredItem]:
        """Return the items that the commit writes or deletes, as they are before; new ones are known without a look."""
        keys = collection.writes.keys() | collection.deletes.keys()
        if self._known is not None and self._known.collection == collection.number:
            keys -= self._known.keys - {row[1] for row in self._known.rows}
        return read_stored_items(self._db, self._number, collection.number, [*keys], indexed=collection.indexed)

    def _write_items(self, kind: str, collection: CollectionWrites, stored: dict[str, StoredItem]) -> int:
        """Write items and return by how many the collection has grown."""
        db, named = self._db, (self._number, collection.number)
        # In the order of the index: neighbours share pages, which decides the speed at a million items.
        writes = sorted(collection.writes.items())
        terms = prepare_terms(
            db, named, kind, [write for _, (write, *_) in writes], collection.deletes, item_terms=self._item_terms,
            stored=stored.keys(),
        )
        hashes = terms.hashes
        rows = [
            (key, write.hash, write.version, write.document, batch, written_at, hashes.get(key))
            for key, (write, batch, written_at) in writes if write.field_state is None
        ]
        rows_with_state = [
            (key, write.hash, write.version, write.document, batch, written_at, hashes.get(key), write.field_state)
            for key, (write, batch, written_at) in writes if write.field_state is not None
        ] if len(rows) < len(writes) else []
        db.insert_rows("write_items", named, rows)
        db.insert_rows("write_items_with_state", named, rows_with_state)
        terms.write(db, named, (str(row[0]) for row in (*rows, *rows_with_state)))
        live = {key for key, item in stored.items() if item.hash is not None}
        db.insert_rows("write_items", named, [
            (key, None, delete.version, None, batch, written_at, None if self._item_terms is None else 0)
            for key, (delete, batch, written_at) in sorted(collection.deletes.items())
        ])
        return len(collection.writes.keys() - live) - len(collection.deletes.keys() & live)

    def write_progress(self) -> None:
        """Write the progress of the batches, the totals, and the clock."""
        progress = {chunk.batch: chunk.progress for chunk in self.committed}
        self._db.insert_rows("put_progress", (self._number,), [
            (batch, *msgspec.structs.astuple(one)) for batch, one in progress.items()
        ])
        ended = [chunk for chunk in self.committed if chunk.progress.ended is not None]
        for feeds in feeds_by_day((chunk.commit.round, chunk.progress) for chunk in ended):
            self._db.change("add_feed_day", {
                **msgspec.structs.asdict(feeds), "merchant": self._number, "kind": ended[0].commit.round.kind,
                "batches": orjson.dumps(feeds.batches).decode(), "feeds": len(feeds.batches),
            })
        self._db.insert_rows("add_totals", (self._number,), [*self._totals.items()])
        self._db.change("set_clock", {"written_at": self._written_at})


def _round_end(round: ClaimedRound, progress: Progress) -> RoundEnd:
    return RoundEnd(
        batch=round.batch, round=round.number, kind=round.kind, collection=round.collection, policy=round.policy,
        progress=progress, traceparent=round.origin.traceparent,
    )


def _batch_id(round: ClaimedRound) -> bytes:
    batch = id_bytes(round.batch)
    if batch is None:
        raise StoreError(f"not a batch's id: {round.batch}")
    return batch


def _amend(db: SqliteStatements, number: int, batch: int, commit: ChunkCommit) -> bool:
    """Write new results and keys of records of earlier chunks; return whether a key was changed."""
    keys_changed = False
    left = sorted(commit.amended_results)
    while left:
        row = db.first("chunk_of_record", {"merchant": number, "batch": batch, "number": left[0]})
        first, results = row if row is not None else (0, b"")
        numbers = [record for record in left if record < first + len(results)]
        if not numbers:
            raise StoreError(f"record {left[0]} is not one of the batch")
        left = left[len(numbers) :]
        named = {"merchant": number, "batch": batch, "first": first}
        before = orjson.loads(db.value("chunk_keys", named))
        changes = {record: commit.amended_results[record] for record in numbers}
        new_results, new_keys = amend_results(first, results, before, changes)
        db.change("set_chunk_results", {**named, "results": new_results})
        if new_keys is not None:
            keys_changed = True
            db.change("set_chunk_keys", {**named, "keys": orjson.dumps(new_keys)})
    return keys_changed
