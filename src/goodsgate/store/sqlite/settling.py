"""The whole effect of a claim's portions, in one transaction of the catalogue file; then the intake file is told.

Between the two commits the catalogue file is right and the intake file behind; whoever asks looks there (documents),
whoever claims sets it right (lanes). Rows of one kind are written for all portions together, by few statements.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import apsw
import msgspec
import orjson

from goodsgate.model import crash
from goodsgate.model.catalogue import Delete, Write
from goodsgate.store.contract import (
    ChunkCommit,
    Claim,
    LeaseLostError,
    StockChangedError,
    StoreBusyError,
    StoreError,
    StoreFullError,
)
from goodsgate.store.look import Looked
from goodsgate.store.moments import id_bytes
from goodsgate.store.progress import Progress
from goodsgate.store.results import amended
from goodsgate.store.sqlite.ask import do, do_each, do_rows, one, value
from goodsgate.store.sqlite.findings import put_findings
from goodsgate.store.sqlite.lookups import packed_keys, shelf_of
from goodsgate.store.sqlite.marks import put_marks
from goodsgate.store.sqlite.progress import progress_among
from goodsgate.store.sqlite.receiving import mirror_end
from goodsgate.store.sqlite.stock import Stock


class Shelved(msgspec.Struct):
    """What the portions of a settle do to one shelf; the last word on each key counts."""

    number: int
    items: int
    """Held before them."""
    marked: bool
    writes: dict[str, tuple[Write, bytes, int]] = {}
    """By key, with the batch and the time that it is written by."""
    deletes: dict[str, tuple[Delete, bytes, int]] = {}

    def put(self, portion: ChunkCommit, batch: bytes, written_at: int) -> None:
        """A portion's items, behind those of the portions before it."""
        for write in portion.writes:
            self.deletes.pop(write.key, None)
            self.writes[write.key] = (write, batch, written_at)
        for delete in portion.deletes:
            self.writes.pop(delete.key, None)
            self.deletes[delete.key] = (delete, batch, written_at)


class Settled(msgspec.Struct, frozen=True):
    """What a portion did, for what this process keeps in mind."""

    portion: ChunkCommit
    batch: bytes
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
        if not self.seated():
            raise LeaseLostError("another process works in this folder")
        self.look = None
        self.checkpoints.make_room()
        with self.catalogue.writing() as db:
            self.check_lease(db, number, claim)
            if self.was_moved(db, number):
                if refresh is None:
                    raise StockChangedError
                commits = refresh()
                self.look = None
            told = _Told(db, number, value(db, "clock"), self.now())
            told.stand(commits)
            for portion in commits:
                told.put(portion)
            told.write()
            told.move()
            crash.point("settle-written")
        self.looked = Looked()
        crash.point("settle-committed")
        self._note(number, told.settled)
        crash.point("settle-mirrored")

    def _note(self, number: int, settled: list[Settled]) -> None:
        """What is committed is committed: a full or busy intake file is set right by the next claim."""
        ended = [one for one in settled if one.progress.ended is not None]
        if ended:
            with suppress(StoreFullError, StoreBusyError), self.intake.writing() as db:
                for one in ended:
                    work = one.portion.round
                    mirror_end(
                        db, number, work.kind, one.batch, work.number, one.progress, policy=work.policy, now=self.now()
                    )
        with self.catalogue.at_desk() as db:
            for one in settled:
                only_deletes = one.portion.deletes and not one.portion.writes
                nothing = not one.portion.deletes and not one.portion.writes and not one.rekeyed
                removed = len(one.portion.deletes) if only_deletes else 0 if nothing else None
                self.note_missing(one.shelf, one.progress.seq, removed)
                if one.rekeyed or one.progress.ended is not None:
                    self.forget_scratch(db, number, one.progress.seq)


class _Told:
    """The portions of one settle, told to the catalogue file in as few statements as there are kinds of rows."""

    def __init__(self, db: apsw.Connection, number: int, written_at: int, now: int) -> None:
        self._db = db
        self._number = number
        self._now = now
        self._written_at = written_at
        """Of the last portion: never the same twice and never backwards, so that it says which of two came first."""
        self.settled: list[Settled] = []
        self._progress: dict[bytes, Progress] = {}
        self._shelves: dict[tuple[str, str], Shelved] = {}
        self._results: list[tuple[int, int | None, bytes]] = []
        self._keys: list[tuple[int, int | None, bytes]] = []
        self._tallied: dict[str, int] = {}

    def stand(self, commits: Sequence[ChunkCommit]) -> None:
        """Find out where the batches stand; those that have not begun begin."""
        batches = {_packed(portion): portion for portion in reversed(commits)}
        self._progress = progress_among(self._db, self._number, [*batches])
        begun, first_at = [], max(self._written_at + 1, self._now)
        for batch, portion in batches.items():
            shelved = self._shelved(portion)
            if batch not in self._progress:
                begun.append((batch, portion.round.number, shelved.items, first_at))
        if begun:
            do_rows(self._db, "add_progress", (self._number,), begun)
            self._progress |= progress_among(self._db, self._number, [batch for batch, *_ in begun])

    def _shelved(self, portion: ChunkCommit) -> Shelved:
        work = portion.round
        name = (work.kind, work.collection)
        if name not in self._shelves:
            row = shelf_of(self._db, self._number, *name)
            if row is None:
                named = {"merchant": self._number, "kind": work.kind, "collection": work.collection}
                row = (value(self._db, "add_shelf", named), 0, 0)
            self._shelves[name] = Shelved(row[0], row[1], bool(row[2]))
        return self._shelves[name]

    def put(self, portion: ChunkCommit) -> None:
        """Take a portion in; nothing if it is a replay."""
        work, batch = portion.round, _packed(portion)
        shelved, progress = self._shelved(portion), self._progress[batch]
        if (progress.round, progress.portions) > (work.number, portion.number):
            return
        self._written_at = max(self._written_at + 1, self._now)
        progress.check_due(portion)
        shelved.put(portion, batch, self._written_at)
        if portion.results:
            self._results.append((progress.seq, portion.first, portion.results))
            self._keys.append((progress.seq, portion.first, orjson.dumps(portion.keys)))
        rekeyed = _amend(self._db, self._number, progress.seq, portion)
        put_findings(self._db, self._number, progress.seq, portion, total=progress.total)
        progress.move(portion, self._written_at)
        for name, count in progress.tallied(portion).items():
            self._tallied[name] = self._tallied.get(name, 0) + count
        self.settled.append(Settled(portion, batch, shelved.number, progress, rekeyed))

    def write(self) -> None:
        """Items, marks and results."""
        for shelved in self._shelves.values():
            change = self._change(shelved)
            put_marks(
                self._db, self._number, shelved.number, {key: put[0].index_entries for key,
                    put in shelved.writes.items()},
                shelved.deletes, marked=shelved.marked,
            )
            if change:
                do(self._db, "count_items", {"merchant": self._number, "shelf": shelved.number, "change": change})
        do_rows(self._db, "add_portion", (self._number,), self._results)
        do_rows(self._db, "add_portion_keys", (self._number,), self._keys)

    def _change(self, shelved: Shelved) -> int:
        """By how many the items of the shelf have grown."""
        db, named = self._db, (self._number, shelved.number)
        # In the order of the index: neighbours share pages, which is what speed at a million items hangs on.
        rows = [
            (key, write.hash, write.version, write.document, batch, written_at)
            for key, (write, batch, written_at) in sorted(shelved.writes.items())
        ]
        revived = 0
        if rows and value(db, "has_tombstones", named):
            revived = value(db, "count_tombstones_among", (*named, packed_keys([*shelved.writes])))
        gone = value(db, "count_live_among", (*named, packed_keys([*shelved.deletes]))) if shelved.deletes else 0
        before = value(db, "last_item") if rows else 0
        do_rows(db, "write_items", named, rows)
        # A made row gets the number behind the last, so the numbers have grown by as many as were made.
        made = value(db, "last_item") - before if rows else 0
        do_rows(db, "write_items", named, [
            (key, None, delete.version, None, batch, written_at)
            for key, (delete, batch, written_at) in shelved.deletes.items() if delete.version is not None
        ])
        do_each(db, "delete_item", (
            (*named, key) for key, (delete, *_) in shelved.deletes.items() if delete.version is None
        ))
        return int(made + revived - gone)

    def move(self) -> None:
        """The batches to where they stand now, the totals, and the clock."""
        moved = {one.batch: one.progress for one in self.settled}
        do_rows(self._db, "move_progress", (self._number,), [
            (batch, *msgspec.structs.astuple(progress)) for batch, progress in moved.items()
        ])
        do_rows(self._db, "tally", (self._number,), [*self._tallied.items()])
        do(self._db, "set_clock", {"written_at": self._written_at})


def _packed(portion: ChunkCommit) -> bytes:
    batch = id_bytes(portion.round.batch)
    if batch is None:
        raise StoreError(f"not a batch's id: {portion.round.batch}")
    return batch


# -- results --------------------------------------------------------------------------------------------------------


def _amend(db: apsw.Connection, number: int, batch: int, portion: ChunkCommit) -> bool:
    """New results and keys for records of portions settled before; whether a key was changed."""
    rekeyed = False
    left = sorted(portion.amended_results)
    while left:
        row = one(db, "portion_of_record", {"merchant": number, "batch": batch, "number": left[0]})
        first, results = row if row is not None else (0, b"")
        mine = [record for record in left if record < first + len(results)]
        if not mine:
            raise StoreError(f"record {left[0]} is not one of the batch")
        left = left[len(mine) :]
        named = {"merchant": number, "batch": batch, "first": first}
        before = orjson.loads(value(db, "portion_keys", named))
        changes = {record: portion.amended_results[record] for record in mine}
        changed, keys = amended(first, results, before, changes)
        do(db, "set_results", {**named, "results": changed})
        if keys is not None:
            rekeyed = True
            do(db, "set_portion_keys", {**named, "keys": orjson.dumps(keys)})
    return rekeyed
