"""The whole effect of a claim's portions, in one transaction, statement by statement for all of them together.

New items go in by COPY, changed ones by a temporary table and one UPDATE, and unchanged ones do not travel. COPY does
not go together with row-level security, so that for the time of the copies the transaction lays the role down.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter

import msgspec
import orjson
import psycopg
from psycopg import errors

from goodsgate.model import crash
from goodsgate.model.catalogue import Delete, Write, Writes
from goodsgate.model.message import NewMessage
from goodsgate.store.contract import ChunkCommit, Claim, ClaimedRound, LeaseLostError, StockChangedError, StoreError
from goodsgate.store.look import Looked, Looks
from goodsgate.store.moments import id_bytes
from goodsgate.store.postgres.ask import Cursor, do, every, one, value
from goodsgate.store.postgres.findings import Findings
from goodsgate.store.postgres.item_rows import Rows, copy_rows, rows_of, stamp
from goodsgate.store.postgres.item_rows import head as row_head
from goodsgate.store.postgres.lanes import progress_held
from goodsgate.store.postgres.lookups import others, packed_keys, shelf_of
from goodsgate.store.postgres.marks import put_marks
from goodsgate.store.postgres.messages import put_messages
from goodsgate.store.postgres.server import ROLE, WORK_SECONDS_MAX
from goodsgate.store.postgres.stock import Stock
from goodsgate.store.progress import Progress, ended
from goodsgate.store.results import amended

_by_key = attrgetter("key")

FEELS = "SET LOCAL tcp_keepalives_idle = 5; SET LOCAL tcp_keepalives_interval = 5; SET LOCAL tcp_keepalives_count = 2"
"""A worker that was cut off in the middle of a COPY must not stand in the way of the one that takes over: the server
feels for it, and gives it up after 15 seconds. Between two statements it does so anyhow."""
WAITS = "SET LOCAL synchronous_commit = on"
"""Processes remember the number of a shelf for good; no fall may take it along."""


class Shelved(msgspec.Struct):
    """What the portions of a settle do to one shelf; the last word on each key counts."""

    number: int
    made: Writes | None = None
    """All there is to write, as it came, as long as that is all."""
    writes: dict[str, Write] = {}
    deletes: dict[str, Delete] = {}
    stamp: bytes = b""
    """By which batch it is written and when; the first portion's."""
    stamps: dict[str, bytes] = {}
    """The same, by key, of what others wrote."""
    tombstone_at: int | None = None
    """When the first of those was written that may leave one."""

    def put(self, portion: ChunkCommit, written_at: int) -> None:
        """A portion's items, behind those of the portions before it."""
        stamped = stamp(portion.round.batch, written_at)
        if not self.stamp and isinstance(portion.writes, Writes) and not portion.deletes:
            self.stamp, self.made = stamped, portion.writes
            return
        self.stamp = self.stamp or stamped
        self.spread()
        writes = {write.key: write for write in portion.writes}
        if self.deletes:
            for key in self.deletes.keys() & writes.keys():
                del self.deletes[key]
        self.writes.update(writes)
        if stamped != self.stamp:
            self.stamps.update(dict.fromkeys([*writes, *(delete.key for delete in portion.deletes)], stamped))
        for delete in portion.deletes:
            self.writes.pop(delete.key, None)
            self.deletes[delete.key] = delete
            if delete.version is not None and self.tombstone_at is None:
                self.tombstone_at = written_at

    def spread(self) -> None:
        """From now on by key, so that there can be more."""
        made, self.made = self.made, None
        if made is not None:
            self.writes = {write.key: write for write in made}

    @property
    def keys(self) -> list[str]:
        """All that are written or deleted."""
        return [*(self.made.keys if self.made is not None else ()), *self.writes, *self.deletes]

    def stamps_of(self, keys: Sequence[str]) -> list[bytes]:
        """By which batch each is written and when."""
        if not self.stamps:
            return [self.stamp] * len(keys)
        return [self.stamps.get(key, self.stamp) for key in keys]


class Settled(msgspec.Struct, frozen=True):
    """What a portion did, for what this process keeps in mind."""

    portion: ChunkCommit
    shelf: int
    progress: Progress
    rekeyed: bool
    """A key of a portion settled before was changed."""


class Settling(Stock):
    """The part of the contract that changes the catalogue."""

    def commit(self, claim: Claim, commits: Sequence[ChunkCommit], *,
               refresh: Callable[[], Sequence[ChunkCommit]] | None = None) -> None:
        """A portion that is settled already changes nothing. Raises LeaseLostError, StoreFullError, StoreBusyError,
        StockChangedError."""
        number = self.known(claim.merchant)
        for portion in commits:
            if id_bytes(portion.round.batch) is None:
                raise StoreError(f"not a batch's id: {portion.round.batch}")
        try:
            try:
                done = self._settle(number, claim, commits, refresh)
            except errors.UniqueViolation:
                # Somebody else wrote since they were looked up: a lane that was lost, which the second try finds out.
                self.looks.clear()
                done = self._settle(number, claim, commits, refresh)
        except BaseException:
            self.looks.clear()
            raise
        self.looked = Looked()
        crash.point("settle-committed")
        self._note(done)
        self.watch.tell()
        crash.point("settle-mirrored")

    def _settle(self, number: int, claim: Claim, commits: Sequence[ChunkCommit],
                refresh: Callable[[], Sequence[ChunkCommit]] | None) -> list[Settled]:
        named = {"merchant": number, "kind": claim.kind, "attempt": claim.attempt}
        # What a falling server takes along of a round that goes on, its progress included, is worked again.
        lazy = not any(portion.end_state for portion in commits)
        with self.server.transaction(number, lazy=lazy, also=FEELS, seconds=WORK_SECONDS_MAX) as db:
            lease = one(db, "lease", named)
            if lease is None:
                raise LeaseLostError(f"{claim.merchant} {claim.kind}")
            if self.was_moved(db, number):
                if refresh is None:
                    raise StockChangedError
                commits = refresh()
            told = _Told(db, claim.merchant, number, lease[0], self.now())
            told.stand(self, commits)
            for portion in commits:
                told.put(portion)
            if told.settled:
                told.write(self.looks)
                told.move()
            crash.point("settle-written")
            # The last word: whoever took the lane over waits here for the commit, or came first.
            if not do(db, "keep_lane", {**named, "written_at": told.written_at, "closed": len(told.ended)}):
                raise LeaseLostError(f"{claim.merchant} {claim.kind}")
        return told.settled

    def _note(self, settled: list[Settled]) -> None:
        """What this process keeps in mind of the batches it works."""
        for done in settled:
            portion = done.portion
            deleted = len(portion.deletes) if portion.deletes and not portion.writes else None
            self.looks.settled(_keys_of(portion.writes) | {one.key for one in portion.deletes})
            nothing = not portion.deletes and not portion.writes and not done.rekeyed
            self.note_missing(done.shelf, portion, 0 if nothing else deleted)
            with self.scratch_lock:
                self._note_shown(done)

    def _note_shown(self, done: Settled) -> None:
        """The keys of a portion that no item tells of."""
        portion = done.portion
        round = (portion.round.batch, portion.round.number)
        if done.rekeyed or done.progress.ended is not None:
            self.forget_scratch(round)
        elif portion.first is not None:
            scratch = self._scratches.get(round) or (self.new_scratch(round) if portion.first == 1 else None)
            if scratch is not None and scratch.records == portion.first - 1:
                scratch.fill(others(portion.keys, portion.results), scratch.records + len(portion.results))

    def shelf_made(self, db: Cursor, number: int, portion: ChunkCommit) -> int:
        """The portion's shelf; made if it is not there."""
        work = portion.round
        shelf = self._shelf(db, number, work.merchant, work.kind, work.collection)
        if shelf:
            return shelf
        db.execute(WAITS)
        return int(value(db, "add_shelf", {"merchant": number, "kind": work.kind, "collection": work.collection}))


def _keys_of(writes: Sequence[Write]) -> set[str]:
    return {*writes.keys} if isinstance(writes, Writes) else {write.key for write in writes}


class _Told:
    """The portions of one settle, told to the database in as few statements as there are kinds of rows."""

    def __init__(self, db: Cursor, merchant: str, number: int, written_at: int, now: int) -> None:
        self._db = db
        self._merchant = merchant
        self._number = number
        self._now = now
        self.written_at = written_at
        """Of the last portion: never the same twice and never backwards, so that it says which of two came first."""
        self.settled: list[Settled] = []
        self.ended: list[Settled] = []
        self._progress: dict[str, Progress] = {}
        self._seqs: dict[str, int] = {}
        self._shelves: dict[tuple[str, str], Shelved] = {}
        self._findings = Findings(number)
        self._results: list[tuple[int, int, bytes, bytes]] = []
        self._tallied: dict[str, int] = {}

    def stand(self, store: Settling, commits: Sequence[ChunkCommit]) -> None:
        """Find out where the batches stand, and hold them."""
        batches = sorted({portion.round.batch for portion in commits})
        self._seqs, self._progress = progress_held(self._db, self._number, batches)
        for portion in commits:
            name = (portion.round.kind, portion.round.collection)
            if name not in self._shelves:
                self._shelves[name] = Shelved(store.shelf_made(self._db, self._number, portion))

    def put(self, portion: ChunkCommit) -> None:
        """Take a portion in; nothing if it is a replay."""
        work = portion.round
        shelved = self._shelves[work.kind, work.collection]
        progress = self._progress.get(work.batch)
        if progress is not None and (progress.round, progress.portions) > (work.number, portion.number):
            return
        self.written_at = max(self.written_at + 1, self._now)
        if progress is None:
            progress = self._progress[work.batch] = self._begun(work)
        progress.check_due(portion)
        shelved.put(portion, self.written_at)
        rekeyed = self._amend(progress.seq, portion)
        if portion.first is not None:
            self._results.append((progress.seq, portion.first, portion.results, orjson.dumps(portion.keys)))
        self._findings.put(self._db, progress.seq, portion, total=progress.total)
        progress.move(portion, self.written_at)
        for name, count in progress.tallied(portion).items():
            self._tallied[name] = self._tallied.get(name, 0) + count
        self.settled.append(Settled(portion, shelved.number, progress, rekeyed))
        if portion.end_state is not None:
            self.ended.append(self.settled[-1])

    def _begun(self, work: ClaimedRound) -> Progress:
        """A batch before its first portion."""
        if work.batch not in self._seqs:
            raise StoreError(f"no such batch: {work.batch}")
        shelf = shelf_of(self._db, self._number, work.kind, work.collection)
        return Progress(
            seq=self._seqs[work.batch], round=work.number, held=shelf[1] if shelf else 0, first_at=self.written_at
        )

    def write(self, looks: Looks) -> None:
        """Items, results and findings. What was looked up is all there is of those keys of that shelf."""
        db = self._db
        fresh: list[Rows] = []
        changed: list[Rows] = []
        for name, shelved in self._shelves.items():
            keys = shelved.keys
            if not keys:
                continue
            look = looks.over((self._merchant, *name), keys)
            if look is not None:
                there = look.live()
            else:
                named = {"merchant": self._number, "shelf": shelved.number, "keys": packed_keys(keys)}
                there = dict(every(db, "live_among", named))
            self._change(shelved, there, fresh, changed)
        copies = bool(fresh or changed or self._findings.rows)
        if copies:
            db.execute("SET LOCAL ROLE NONE")
            if fresh:
                copy_rows(db, "copy_items", fresh)
            self._findings.copy(db)
            db.execute(f"SET LOCAL ROLE {ROLE}")
        if changed:
            do(db, "make_staged")
            copy_rows(db, "copy_staged", changed)
            do(db, "write_items", {"merchant": self._number})
            do(db, "clear_staged")
        if self._results:
            batches, firsts, results, keys_of = zip(*self._results, strict=True)
            do(db, "add_portion", {
                "merchant": self._number, "batches": list(batches), "firsts": list(firsts),
                "results": [psycopg.Binary(one) for one in results], "keys": [psycopg.Binary(one) for one in keys_of],
            })
        self._findings.merge(db)

    def _change(self, shelved: Shelved, there: dict[str, bool], fresh: list[Rows], changed: list[Rows]) -> None:
        """Sort what is done to a shelf into made and changed rows, and note by how many items it grows."""
        head = row_head(self._number, shelved.number)
        named = {"merchant": self._number, "shelf": shelved.number}
        if shelved.made is not None and not there:
            made = shelved.made.in_order()
            fresh.append(Rows(head, made.keys, made.hashes, None, made.documents, [shelved.stamp] * len(made)))
            do(self._db, "count_items", {**named, "change": len(made), "tombstone_at": None})
            return
        shelved.spread()
        written: dict[str, Write | Delete] = {**shelved.writes}
        written.update((key, delete) for key, delete in shelved.deletes.items() if delete.version is not None)
        gone = [key for key, delete in shelved.deletes.items() if delete.version is None]
        lost = sum(there.get(key, False) for key in shelved.deletes)
        grown = len(shelved.writes) - sum(map(there.__getitem__, there.keys() & shelved.writes.keys())) - lost
        # In the order of the index: neighbours share pages.
        keys = sorted(written)
        for rows, mine in (
            (fresh, [key for key in keys if key not in there] if there else keys),
            (changed, [key for key in keys if key in there] if there else []),
        ):
            if mine:
                rows.append(rows_of(head, [written[key] for key in mine], shelved.stamps_of(mine)))
        tombstone_at = shelved.tombstone_at if len(written) > len(shelved.writes) else None
        if gone:
            do(self._db, "delete_items", {**named, "keys": packed_keys(gone)})
        put_marks(
            self._db, self._number, shelved.number, shelved.writes, shelved.deletes,
        )
        if grown or tombstone_at is not None:
            do(self._db, "count_items", {**named, "change": grown, "tombstone_at": tombstone_at})

    def move(self) -> None:
        """The batches to where they stand now, and what follows from that."""
        db, number = self._db, self._number
        moved = {one.progress.seq: one.progress for one in self.settled}
        rows = [_progress_row(progress) for progress in moved.values()]
        do(db, "move_progress", {"merchant": number, "rows": orjson.dumps(rows).decode()})
        if self.ended:
            batches = [one.progress.seq for one in self.ended]
            rounds = {"merchant": number, "batches": batches,
                "numbers": [one.portion.round.number for one in self.ended]}
            do(db, "end_round", rounds)
            do(db, "end_batch", rounds)
            put_messages(db, number, self._now, [told for one in self.ended for told in _ending(one)])
        if self._tallied:
            do(db, "tally", {"merchant": number, "counts": orjson.dumps(sorted(self._tallied.items())).decode()})

    def _amend(self, batch: int, portion: ChunkCommit) -> bool:
        """New results and keys for records of portions settled before; whether a key was changed."""
        rekeyed = False
        left = sorted(portion.amended_results)
        while left:
            row = one(self._db, "portion_of_record", {"merchant": self._number, "batch": batch, "number": left[0]})
            first, results, packed = row if row is not None else (0, b"", b"[]")
            mine = [record for record in left if record < first + len(results)]
            if not mine:
                raise StoreError(f"record {left[0]} is not one of the batch")
            left = left[len(mine) :]
            changes = {record: portion.amended_results[record] for record in mine}
            changed, keys = amended(first, results, orjson.loads(packed), changes)
            named = {"merchant": self._number, "batch": batch, "first": first, "results": psycopg.Binary(changed)}
            do(self._db, "set_results", named)
            if keys is not None:
                rekeyed = True
                do(self._db, "set_portion_keys", {**named, "keys": psycopg.Binary(orjson.dumps(keys))})
        return rekeyed


def _ending(done: Settled) -> list[NewMessage]:
    work = done.portion.round
    return ended(work.policy, work.batch, work.number, done.progress.ended)


def _progress_row(progress: Progress) -> dict[str, object]:
    row = msgspec.structs.asdict(progress)
    for name in ("columns", "mapping", "withheld"):
        row[name] = row[name].decode() if row[name] is not None else None
    return row
