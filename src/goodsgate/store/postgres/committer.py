"""Commits chunks: everything in one transaction, statement by statement for all chunks together.

New items go in by COPY, changed ones by a temporary table and one statement, and unchanged ones are not sent. COPY does
not work with row-level security, so that the transaction drops the role during the copies.
"""

from collections.abc import Callable, Sequence, Set

import msgspec
import orjson
import psycopg

from goodsgate.model import crash
from goodsgate.model.batch import Kind, State, Strictness
from goodsgate.model.catalogue import Delete, Write, Writes
from goodsgate.model.journal import StoredItem
from goodsgate.model.webhook import WEBHOOK
from goodsgate.store.contract import (
    ChunkCommit,
    Claim,
    ClaimedRound,
    EndedRound,
    ItemTerms,
    StockChangedError,
    StoreBusyError,
    StoreError,
)
from goodsgate.store.postgres.collection_writes import CollectionWrites
from goodsgate.store.postgres.database import PostgresDatabase, random_number
from goodsgate.store.postgres.feed_days import add_feed_days
from goodsgate.store.postgres.findings import FindingWriter
from goodsgate.store.postgres.item_index import write_entries
from goodsgate.store.postgres.item_rows import ItemRows, copy_rows, row_head, rows_of
from goodsgate.store.postgres.journal import chunk_time, write_segments
from goodsgate.store.postgres.lookups import PostgresLookups
from goodsgate.store.postgres.progress import lock_batches, progress_row
from goodsgate.store.postgres.search import TermRows, copy_terms, sort_terms
from goodsgate.store.postgres.server import ROLE, WORK_SECONDS_MAX
from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.postgres.stock import stock_has_changed
from goodsgate.store.postgres.waiting import mark_existing_products
from goodsgate.store.shared.catalogue import find_collection
from goodsgate.store.shared.database import ConstraintError
from goodsgate.store.shared.dry_run import add_to_diff
from goodsgate.store.shared.item_index import sorted_keys
from goodsgate.store.shared.journal import JournalWriter, read_stored_items
from goodsgate.store.shared.progress import Progress
from goodsgate.store.shared.results import amend_results, write_cancelled
from goodsgate.store.shared.round_ends import RoundEnd, add_end_messages
from goodsgate.store.shared.rounds import GUARDED, hold_times, lane_values, lost_lease
from goodsgate.store.shared.timestamps import id_bytes
from goodsgate.store.shared.waiting import write_waiting

KEEPALIVES = (
    "SET LOCAL tcp_keepalives_idle = 5; SET LOCAL tcp_keepalives_interval = 5; SET LOCAL tcp_keepalives_count = 2"
)
"""A worker that was cut off during a COPY must not block the one that takes over: the server probes the connection and
drops it after 15 seconds. Between two statements it does so anyway."""
SYNCHRONOUS = "SET LOCAL synchronous_commit = on"
"""Processes cache the number of a collection for good; no crash may lose it."""


class CommittedChunk(msgspec.Struct, frozen=True):
    """What a committed chunk changes in the caches of this process."""

    commit: ChunkCommit
    collection: int
    progress: Progress
    keys_changed: bool
    """A key of an earlier chunk was changed."""


class PostgresCommitter:
    """Implements CommitStore."""

    def __init__(self, database: PostgresDatabase, lookups: PostgresLookups, *, journal: bool) -> None:
        self._database = database
        self._journal = journal
        self._lookups = lookups

    def commit(self, claim: Claim, commits: Sequence[ChunkCommit], *,
               refresh: Callable[[], Sequence[ChunkCommit]] | None = None) -> list[EndedRound]:
        """Commit chunks; one that is committed already has no effect. Raises as the contract says."""
        number = self._database.require_number(claim.merchant)
        for commit in commits:
            if id_bytes(commit.round.batch) is None:
                raise StoreError(f"not a batch's id: {commit.round.batch}")
        try:
            try:
                committed = self._commit(number, claim, commits, refresh)
            except ConstraintError:
                # Another worker wrote since the lookups: the lane was lost, which the second try finds out.
                self._lookups.cache.clear()
                committed = self._commit(number, claim, commits, refresh)
        except BaseException:
            self._lookups.cache.clear()
            raise
        self._lookups.forget_stock()
        crash.point("commit-synced")
        self._update_caches(committed)
        changes_items = any(chunk.commit.writes or chunk.commit.deletes for chunk in committed)
        self._database.notifications.notify(
            claim.merchant, batches={commit.round.batch for commit in commits}, journal=self._journal and changes_items
        )
        crash.point("commit-mirrored")
        return [
            EndedRound(chunk.commit.round, chunk.progress) for chunk in committed if chunk.progress.ended is not None
        ]

    def _commit(self, number: int, claim: Claim, commits: Sequence[ChunkCommit],
                refresh: Callable[[], Sequence[ChunkCommit]] | None) -> list[CommittedChunk]:
        named = lane_values(number, claim)
        # What a crash of the server loses of an open round, including its progress, is processed again.
        lazy = not any(commit.end_state for commit in commits)
        server = self._database.server
        with server.transaction(number, lazy=lazy, also=KEEPALIVES, seconds=WORK_SECONDS_MAX) as db:
            lease = db.first("lease", {**named, "webhook": WEBHOOK})
            if lease is None:
                raise lost_lease(claim)
            if any(commit.round.policy.references is Strictness.WAIT for commit in commits):
                db.first("lock_products", named)
            if stock_has_changed(db, number, self._lookups.stock_hashes):
                if refresh is None:
                    raise StockChangedError
                commits = refresh()
            journal = JournalWriter() if self._journal else None
            written_at, has_webhooks, _ = lease
            writer = _CommitWriter(
                db, claim.merchant, number, written_at, self._database.now(), self._lookups, journal,
                self._database.item_terms,
            )
            writer.has_webhooks = has_webhooks
            writer.lock_batches(commits)
            for commit in commits:
                writer.add(commit)
            if writer.committed:
                writer.write()
                writer.write_progress()
            crash.point("commit-written")
            # The last statement: a worker that took over the lane waits here for the commit, or came first.
            lane = {**named, "written_at": writer.written_at, "closed": len(writer.ended)}
            if not db.change("commit_lane", lane):
                raise lost_lease(claim)
        if writer.has_messages:
            self._database.message_signal.send()
        return writer.committed

    def _update_caches(self, committed: list[CommittedChunk]) -> None:
        for chunk in committed:
            commit = chunk.commit
            deleted = len(commit.deletes) if commit.deletes and not commit.writes else None
            self._lookups.cache.invalidate(_written_keys(commit.writes) | {delete.key for delete in commit.deletes})
            nothing = not commit.deletes and not commit.writes and not chunk.keys_changed
            self._lookups.note_absent_items(chunk.collection, commit, 0 if nothing else deleted)
            ended = chunk.keys_changed or chunk.progress.ended is not None or commit.ends_trial
            self._lookups.note_seen_keys(commit, forget=ended)


def _written_keys(writes: Sequence[Write]) -> set[str]:
    return {*writes.keys} if isinstance(writes, Writes) else {write.key for write in writes}


class _CommitWriter:
    """Writes the chunks of one commit to the database, in as few statements as there are kinds of rows."""

    def __init__(self, db: PostgresStatements, merchant: str, number: int, written_at: int, now: int,
                 lookups: PostgresLookups, journal: JournalWriter | None, item_terms: ItemTerms | None) -> None:
        self._db = db
        self._journal = journal
        self._item_terms = item_terms
        self._merchant = merchant
        self._number = number
        self._now = now
        self._lookups = lookups
        self.written_at = written_at
        """Of the last chunk: strictly growing, so that it tells which of two chunks came first."""
        self.committed: list[CommittedChunk] = []
        self.ended: list[CommittedChunk] = []
        self.held: list[CommittedChunk] = []
        """Batches whose trial has ended, and that guards hold."""
        self.has_webhooks = False
        """Whether the merchant has webhooks, so that ends of rounds may have to be reported to them."""
        self.has_messages = False
        self._progress: dict[str, Progress] = {}
        self._seqs: dict[str, int] = {}
        self._collections: dict[tuple[str, str], CollectionWrites] = {}
        self._items_before: dict[tuple[str, str], int] = {}
        self._findings = FindingWriter(number)
        self._results: list[tuple[int, int, bytes, bytes]] = []
        self._totals: dict[str, int] = {}
        self._has_waiting = False
        """Whether records of the merchant wait for references."""

    def lock_batches(self, commits: Sequence[ChunkCommit]) -> None:
        """Lock the batches and read their progress."""
        batches = sorted({commit.round.batch for commit in commits})
        self._seqs, self._progress, self._has_waiting = lock_batches(self._db, self._number, batches)
        for commit in commits:
            name = (commit.round.kind, commit.round.collection)
            if name not in self._collections:
                self._collections[name] = CollectionWrites(self._collection(commit.round))

    def _collection(self, round: ClaimedRound) -> int:
        """Return the number of the round's collection, which is created if needed."""
        name = (round.merchant, round.kind, round.collection)
        number = self._lookups.collection_number(self._db, self._number, name)
        if number:
            return number
        self._db.cursor.execute(SYNCHRONOUS)
        named = {
            "merchant": self._number, "id": random_number(), "kind": round.kind, "name": round.collection,
            "search_gap": "" if self._item_terms is None else None,
        }
        return int(self._db.value("add_collection", named))

    def add(self, commit: ChunkCommit) -> None:
        """Add a chunk; no effect if it is a replay."""
        round = commit.round
        collection = self._collections[round.kind, round.collection]
        progress = self._progress.get(round.batch)
        if progress is not None and progress.needs_to_begin_anew(round):
            self._begin_anew(round, progress)
        if progress is not None and (progress.round, progress.chunks) > (round.number, commit.number):
            return
        self.written_at = chunk_time(self.written_at + 1, self._now)
        is_new = progress is None
        if progress is None:
            progress = self._progress[round.batch] = self._begin(round)
        progress.check_next(commit)
        collection.add(commit, self.written_at)
        if self._journal is not None:
            self._journal.add(commit, collection.number, self.written_at)
        keys_changed = self._amend(progress.rows, commit)
        if commit.first is not None:
            self._results.append((progress.rows, commit.first, commit.results, orjson.dumps(commit.keys)))
        if commit.diff:
            firsts, counts, bodies = zip(*add_to_diff(self._db, self._number, progress.rows, commit), strict=True)
            self._db.change("add_diff_segments", {
                "merchant": self._number, "batch": progress.rows, "firsts": [*firsts], "counts": [*counts],
                "bodies": [psycopg.Binary(body) for body in bodies],
            })
        self._findings.add(self._db, progress.rows, commit, total=progress.total, is_new=is_new)
        if commit.cancels_results:
            write_cancelled(self._db, self._number, progress.rows)
        if self._has_waiting or commit.waiting or commit.parents:
            write_waiting(self._db, self._number, progress.seq, commit, has_waiting=self._has_waiting)
            mark_existing_products(self._db, self._number, commit)
            self._has_waiting = True
        progress.advance(commit, self.written_at)
        for name, count in progress.totals(commit).items():
            self._totals[name] = self._totals.get(name, 0) + count
        self.committed.append(CommittedChunk(commit, collection.number, progress, keys_changed))
        if commit.end_state is State.HELD:
            self.held.append(self.committed[-1])
        elif commit.end_state is not None:
            self.ended.append(self.committed[-1])
        if commit.ends_trial:
            self._begin_anew(round, progress)

    def _begin_anew(self, round: ClaimedRound, progress: Progress) -> None:
        progress.begin_anew(items_before=self._items(round), first_at=self.written_at + 1)

    def _items(self, round: ClaimedRound) -> int:
        """Return the number of items in the round's collection before this commit, which counts them at its end."""
        name = (round.kind, round.collection)
        if name not in self._items_before:
            collection = find_collection(self._db, self._number, *name)
            self._items_before[name] = collection.items if collection else 0
        return self._items_before[name]

    def _begin(self, round: ClaimedRound) -> Progress:
        """Return the progress of a batch before its first chunk."""
        if round.batch not in self._seqs:
            raise StoreError(f"no such batch: {round.batch}")
        return Progress(
            seq=self._seqs[round.batch], round=round.number, items_before=self._items(round),
            first_at=self.written_at,
        )

    def write(self) -> None:
        """Write items, results and findings; a cached lookup has all items of its keys."""
        db = self._db
        new: list[ItemRows] = []
        changed, with_state, terms = list[ItemRows](), list[ItemRows](), list[TermRows]()
        stored: dict[int, dict[str, StoredItem]] = {}
        moved: dict[int, Set[str]] = {}
        for name, collection in self._collections.items():
            keys = collection.keys
            if not keys:
                continue
            if collection.has_variants:
                mark = {"merchant": self._number, "collection": collection.number}
                db.change("mark_collection_variants", mark)
            lookup = self._lookups.cache.find((self._merchant, *name), keys)
            if lookup is not None:
                if len(self.committed) == 1:  # what comes between the writes of several chunks would be lost
                    moved[collection.number] = collection.move_versions(db, self._number, lookup)
                    keys = collection.keys
                if not keys:
                    continue
                live = lookup.live_keys()
            else:
                named = {"merchant": self._number, "collection": collection.number, "keys": sorted_keys(keys)}
                live = dict(db.rows("live_keys", named))
            if self._journal is not None:
                indexed = bool(live) and db.value(
                    "is_collection_indexed", {"merchant": self._number, "collection": collection.number}
                )
                stored[collection.number] = read_stored_items(
                    db, self._number, collection.number, [key for key in keys if key in live], indexed=indexed
                )
            self._sort_items(name[0], collection, live, new=new, changed=changed, with_state=with_state, terms=terms)
        if new or changed or self._findings.rows:
            db.cursor.execute("SET LOCAL ROLE NONE")
            if new:
                copy_rows(db, "copy_items", new)
            copy_terms(db, terms)
            self._findings.copy(db)
            db.cursor.execute(f"SET LOCAL ROLE {ROLE}")
        if changed or with_state:
            db.change("create_staged_items")
            for statement, rows in (("copy_staged_items", changed), ("copy_staged_items_with_state", with_state)):
                if rows:
                    copy_rows(db, statement, rows)
            db.change("write_items", {"merchant": self._number})
            db.change("clear_staged_items")
        if self._results:
            batches, firsts, results, keys_of = zip(*self._results, strict=True)
            db.change("add_chunks", {
                "merchant": self._number, "batches": list(batches), "firsts": list(firsts),
                "results": [psycopg.Binary(one) for one in results], "keys": [psycopg.Binary(one) for one in keys_of],
            })
        self._findings.write_segments(db)
        self._findings.merge_counts(db)
        if self._journal is not None:
            write_segments(db, self._number, self._journal.segments(stored, moved=moved))

    def _sort_items(self, kind: str, collection: CollectionWrites, live: dict[str, bool], *, new: list[ItemRows],
                    changed: list[ItemRows], with_state: list[ItemRows], terms: list[TermRows]) -> None:
        """Sort the writes of a collection into new, changed and other rows, delete items, and count them.

        `live` are the existing rows by key, and whether each is live or a tombstone.
        """
        searched = self._item_terms is not None
        head = row_head(self._number, collection.number, searched=searched)
        named = {"merchant": self._number, "collection": collection.number}
        if collection.new_writes is not None and not live:
            writes = collection.new_writes.in_order()
            stamps = [collection.stamp] * len(writes)
            new.append(ItemRows(head, writes.keys, writes.hashes, None, writes.documents, stamps))
            terms.append(sort_terms(self._db, named, self._terms_of(kind, writes.keys, writes.documents), {}))
            self._count_items({**named, "change": len(writes), "tombstone_at": None})
            return
        collection.split_columns()
        written: dict[str, Write | Delete] = {**collection.writes}
        written.update(collection.deletes)
        lost = sum(live.get(key, False) for key in collection.deletes)
        replaced = sum(map(live.__getitem__, live.keys() & collection.writes.keys()))
        change = len(collection.writes) - replaced - lost
        stateful = {key for key, write in collection.writes.items() if write.field_state is not None}
        # In the order of the index: neighbours share pages.
        keys = sorted(written.keys() - stateful) if stateful else sorted(written)
        for rows, own in (
            (new, [key for key in keys if key not in live] if live else keys),
            (changed, [key for key in keys if key in live] if live else []),
            (with_state, sorted(stateful)),
        ):
            if own:
                items, stamps = [written[key] for key in own], collection.stamps_of(own)
                rows.append(rows_of(head, items, stamps, with_state=rows is with_state))
        tombstone_at = collection.tombstone_at if collection.deletes else None
        documents = [write.document for write in collection.writes.values()]
        terms.append(sort_terms(self._db, named, self._terms_of(kind, [*collection.writes], documents), live))
        if collection.deletes:
            self._db.change("delete_terms", {**named, "keys": [*collection.deletes]})
        write_entries(self._db, self._number, collection.number, collection.writes, collection.deletes)
        if change or tombstone_at is not None or not searched:
            self._count_items({**named, "change": change, "tombstone_at": tombstone_at})

    def _terms_of(self, kind: str, keys: Sequence[str], documents: Sequence[bytes]) -> dict[str, str]:
        terms = self._item_terms
        return {} if terms is None else dict(zip(keys, terms(Kind(kind), keys, documents), strict=True))

    def _count_items(self, change: dict[str, int | None]) -> None:
        """Change the number of items of a collection. Raises StoreBusyError if it is gone: a backup was restored."""
        if not self._db.change("change_item_count", {**change, "searched": self._item_terms is not None}):
            self._lookups.forget_collections()
            raise StoreBusyError("the collection is gone: the database was restored while the worker was running")

    def write_progress(self) -> None:
        """Write the progress of the batches, the ends of rounds with their messages, and the totals."""
        db, number = self._db, self._number
        progress = {chunk.progress.seq: chunk.progress for chunk in self.committed}
        rows = [progress_row(one) for one in progress.values()]
        db.change("put_progress", {"merchant": number, "rows": orjson.dumps(rows).decode()})
        if self.ended:
            ended = [chunk.progress for chunk in self.ended]
            rounds = {
                "merchant": number, "batches": [each.seq for each in ended], "numbers": [each.round for each in ended],
                "ended_ats": [each.ended_at for each in ended], "records": [each.records for each in ended],
                "counts": [each.encode_counts().decode() for each in ended],
            }
            db.change("end_round", rounds)
            db.change("end_batch", rounds)
        for chunk in self.held:
            round = chunk.commit.round
            db.change("hold_round", {
                "merchant": number, "id": round.batch, "round": round.number, **hold_times(chunk.progress)
            })
        tried = (chunk.commit.round for chunk in (*self.held, *self.ended) if chunk.progress.trial)
        for kind, collection in {(round.kind, round.collection) for round in tried}:
            lane = {"merchant": number, "kind": kind, "collection": collection}
            db.change("block_lane", {**lane, "guarded": GUARDED})
            db.change("requeue_rounds", lane)
        if self.ended or self.held:
            add_feed_days(db, number, [(chunk.commit.round, chunk.progress) for chunk in self.ended])
            ends = [_round_end(chunk) for chunk in (*self.ended, *self.held)]
            self.has_messages = add_end_messages(db, number, ends, now=self._now, has_webhooks=self.has_webhooks)
        if self._totals:
            counts = orjson.dumps(sorted(self._totals.items())).decode()
            db.change("add_totals", {"merchant": number, "counts": counts})

    def _amend(self, batch: int, commit: ChunkCommit) -> bool:
        """Write new results and keys of records of earlier chunks; return whether a key was changed."""
        keys_changed = False
        left = sorted(commit.amended_results)
        while left:
            row = self._db.first("chunk_of_record", {"merchant": self._number, "batch": batch, "number": left[0]})
            first, results, keys = row if row is not None else (0, b"", b"[]")
            numbers = [record for record in left if record < first + len(results)]
            if not numbers:
                raise StoreError(f"record {left[0]} is not one of the batch")
            left = left[len(numbers) :]
            changes = {record: commit.amended_results[record] for record in numbers}
            new_results, new_keys = amend_results(first, results, orjson.loads(keys), changes)
            named = {"merchant": self._number, "batch": batch, "first": first}
            self._db.change("set_chunk_results", {**named, "results": psycopg.Binary(new_results)})
            if new_keys is not None:
                keys_changed = True
                self._db.change("set_chunk_keys", {**named, "keys": psycopg.Binary(orjson.dumps(new_keys))})
        return keys_changed


def _round_end(chunk: CommittedChunk) -> RoundEnd:
    round = chunk.commit.round
    return RoundEnd(
        batch=round.batch, round=round.number, kind=round.kind, collection=round.collection, policy=round.policy,
        progress=chunk.progress, traceparent=round.origin.traceparent,
    )
