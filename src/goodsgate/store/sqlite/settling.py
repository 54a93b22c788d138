"""A portion's whole effect, in one transaction of the catalogue file; then the intake file is told.

Between the two commits the catalogue file is right and the intake file behind; whoever asks looks there (documents),
whoever claims sets it right (lanes).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter

import apsw
import msgspec
import orjson

from goodsgate.model import crash
from goodsgate.model.catalogue import Delete, Write
from goodsgate.store.contract import Claim, ItemsMoved, LeaseLost, Portion, StoreBusy, StoreError, StoreFull
from goodsgate.store.look import Looked
from goodsgate.store.moments import id_bytes
from goodsgate.store.progress import Progress
from goodsgate.store.results import amended
from goodsgate.store.sqlite.ask import do, do_each, do_rows, one, value
from goodsgate.store.sqlite.findings import put_findings
from goodsgate.store.sqlite.lookups import packed_keys, shelf_of
from goodsgate.store.sqlite.marks import put_marks
from goodsgate.store.sqlite.progress import progress_of
from goodsgate.store.sqlite.receiving import mirror_end
from goodsgate.store.sqlite.stock import Stock

_by_key = attrgetter("key")


class Settled(msgspec.Struct, frozen=True):
    """What a portion did, for what this process keeps in mind."""

    portion: Portion
    batch: bytes
    shelf: int
    progress: Progress
    removed: int
    rekeyed: bool
    """A key of a portion settled before was changed."""


class Settling(Stock):
    """The part of the contract that changes the catalogue."""

    def settle(self, claim: Claim, portions: Sequence[Portion], *,
               again: Callable[[], Sequence[Portion]] | None = None) -> None:
        """A portion that is settled already changes nothing. Raises LeaseLost, StoreFull, StoreBusy, ItemsMoved."""
        number = self.known(claim.merchant)
        if not self.seated():
            raise LeaseLost("another process works in this folder")
        self.look = None
        self.checkpoints.make_room()
        with self.catalogue.writing() as db:
            self.check_lease(db, number, claim)
            if self.was_moved(db, number):
                if again is None:
                    raise ItemsMoved
                portions = again()
                self.look = None
            written_at = value(db, "clock")
            settled = []
            for portion in portions:
                # Never the same twice and never backwards: it also says which of two portions came first.
                written_at = max(written_at + 1, self.now())
                one = _settle(db, number, portion, written_at)
                if one is not None:
                    settled.append(one)
            do(db, "set_clock", {"written_at": written_at})
            crash.point("settle-written")
        self.looked = Looked()
        crash.point("settle-committed")
        self._note(number, settled)
        crash.point("settle-mirrored")

    def _note(self, number: int, settled: list[Settled]) -> None:
        """What is committed is committed: a full or busy intake file is set right by the next claim."""
        ended = [one for one in settled if one.progress.ended is not None]
        if ended:
            with suppress(StoreFull, StoreBusy), self.intake.writing() as db:
                for one in ended:
                    work = one.portion.work
                    mirror_end(
                        db, number, work.kind, one.batch, work.round, one.progress, policy=work.policy, now=self.now()
                    )
        with self.catalogue.at_desk() as db:
            for one in settled:
                only_deletes = one.portion.deletes and not one.portion.writes
                nothing = not one.portion.deletes and not one.portion.writes and not one.rekeyed
                removed = one.removed if only_deletes else 0 if nothing else None
                self.note_missing(one.shelf, one.progress.seq, removed)
                if one.rekeyed or one.progress.ended is not None:
                    self.forget_scratch(db, number, one.progress.seq)


def _settle(db: apsw.Connection, number: int, portion: Portion, written_at: int) -> Settled | None:
    """None if it is a replay."""
    work = portion.work
    batch = id_bytes(work.batch)
    if batch is None:
        raise StoreError(f"not a batch's id: {work.batch}")
    progress = progress_of(db, number, batch)
    if progress is not None and (progress.round, progress.portions) > (work.round, portion.number):
        return None
    named = {"merchant": number, "kind": work.kind, "collection": work.collection}
    shelf = shelf_of(db, number, work.kind, work.collection)
    if shelf is None:
        shelf = (value(db, "add_shelf", named), 0, 0)
    if progress is None:
        begun = {"merchant": number, "batch": batch, "round": work.round, "held": shelf[1], "first_at": written_at}
        do(db, "add_progress", begun)
        progress = progress_of(db, number, batch)
        assert progress is not None
    progress.check_due(portion)
    change = _write_items(db, number, shelf[0], batch, portion, written_at)
    put_marks(db, number, shelf[0], portion, marked=bool(shelf[2]))
    if change:
        do(db, "count_items", {"merchant": number, "shelf": shelf[0], "change": change})
    _add_results(db, number, progress, portion)
    rekeyed = _amend(db, number, progress.seq, portion)
    put_findings(db, number, progress.seq, portion, total=progress.total)
    progress.move(portion, written_at)
    do(db, "move_progress", {**msgspec.structs.asdict(progress), "merchant": number})
    for name, count in progress.tallied(portion).items():
        do(db, "tally", {"merchant": number, "name": name, "count": count})
    return Settled(portion, batch, shelf[0], progress, -change, rekeyed)


# -- items --------------------------------------------------------------------------------------------------------


def _write_items(db: apsw.Connection, number: int, shelf: int, batch: bytes, portion: Portion, written_at: int) -> int:
    """By how many the items of the shelf have grown."""
    grown = 0
    if portion.writes:
        grown += _write(db, number, shelf, batch, portion.writes, written_at)
    if portion.deletes:
        grown -= _delete(db, number, shelf, batch, portion.deletes, written_at)
    return grown


def _write(db: apsw.Connection, number: int, shelf: int, batch: bytes, writes: Sequence[Write], written_at: int) -> int:
    # In the order of the index: neighbours share pages, which is what speed at a million items hangs on.
    ordered = sorted(writes, key=_by_key)
    revived = 0
    if value(db, "has_tombstones", {"merchant": number, "shelf": shelf}):
        keys = packed_keys([write.key for write in ordered])
        revived = value(db, "count_tombstones_among", (number, shelf, keys))
    before = value(db, "last_item")
    rows = [(write.key, write.hash, write.version, write.document) for write in ordered]
    do_rows(db, "write_items", (number, shelf, batch, written_at), rows)
    behind = value(db, "last_item")
    # A made row gets the number behind the last, so the numbers have grown by as many as were made.
    return int(behind - before + revived)


def _delete(db: apsw.Connection, number: int, shelf: int, batch: bytes, deletes: Sequence[Delete],
            written_at: int) -> int:
    keys = packed_keys([delete.key for delete in deletes])
    live = value(db, "count_live_among", (number, shelf, keys))
    tombstones = [(delete.key, None, delete.version, None) for delete in deletes if delete.version is not None]
    do_rows(db, "write_items", (number, shelf, batch, written_at), tombstones)
    do_each(db, "delete_item", (
        (number, shelf, delete.key) for delete in deletes if delete.version is None
    ))
    return int(live)


# -- results --------------------------------------------------------------------------------------------------------


def _add_results(db: apsw.Connection, number: int, progress: Progress, portion: Portion) -> None:
    if not portion.results:
        return
    named = {"merchant": number, "batch": progress.seq, "first": portion.first}
    do(db, "add_portion", {**named, "results": portion.results})
    do(db, "add_portion_keys", {**named, "keys": orjson.dumps(portion.keys)})


def _amend(db: apsw.Connection, number: int, batch: int, portion: Portion) -> bool:
    """New results and keys for records of portions settled before; whether a key was changed."""
    rekeyed = False
    left = sorted(portion.amended)
    while left:
        row = one(db, "portion_of_record", {"merchant": number, "batch": batch, "number": left[0]})
        first, results = row if row is not None else (0, b"")
        mine = [record for record in left if record < first + len(results)]
        if not mine:
            raise StoreError(f"record {left[0]} is not one of the batch")
        left = left[len(mine) :]
        named = {"merchant": number, "batch": batch, "first": first}
        before = orjson.loads(value(db, "portion_keys", named))
        changes = {record: portion.amended[record] for record in mine}
        changed, keys = amended(first, results, before, changes)
        do(db, "set_results", {**named, "results": changed})
        if keys is not None:
            rekeyed = True
            do(db, "set_portion_keys", {**named, "keys": orjson.dumps(keys)})
    return rekeyed
