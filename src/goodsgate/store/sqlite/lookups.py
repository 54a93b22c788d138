"""What a portion must know before it is settled; asked by the worker, through the connection with the large cache."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import apsw
import msgspec
import orjson

from goodsgate.model.batch import RESULT_BYTE, Kind, Result
from goodsgate.model.batch import now as now_utc
from goodsgate.model.catalogue import CurrentItem, IndexEntry
from goodsgate.store.contract import Claim, ClaimedRound
from goodsgate.store.look import Look, Looked
from goodsgate.store.moments import id_bytes
from goodsgate.store.sqlite.ask import do, each, every, one, value
from goodsgate.store.sqlite.folder import SCRATCH_CACHE_BYTES
from goodsgate.store.sqlite.lanes import Lanes
from goodsgate.store.sqlite.progress import progress_of

decode_marks = msgspec.json.Decoder(tuple[IndexEntry, ...]).decode

SCRATCHES_MAX = 8
"""Batches whose keys are kept in the scratch table at once; the one asked for longest ago goes."""
WRITTEN = bytes([RESULT_BYTE[Result.CREATED], RESULT_BYTE[Result.UPDATED]])
"""Results of records whose batch the item itself names."""


class Lookups(Lanes):
    """Held items, case twins, and the keys that a batch has shown so far."""

    look: Look | None = None
    """Good until the next settle."""
    _scratches: dict[tuple[int, int], "Scratch"] | None = None
    """By merchant and batch."""
    _counted: tuple[int, int, int] | None = None
    """Shelf, batch and number of its missing keys, kept while nothing else changes that shelf."""

    def __init__(self, folder: Path, *, cache_bytes: int, small_payload_bytes: int,
                 now: Callable[[], datetime] = now_utc) -> None:
        """See Folder."""
        super().__init__(folder, cache_bytes=cache_bytes, small_payload_bytes=small_payload_bytes, now=now)
        self.looked = Looked()
        """Compared once more by the next settle."""

    def claim(self, worker: str, *, lease_seconds: float, rounds_max: int, bytes_max: int) -> Claim | None:
        """What was looked up before, nothing is made from any more."""
        self.looked = Looked()
        return super().claim(worker, lease_seconds=lease_seconds, rounds_max=rounds_max, bytes_max=bytes_max)

    def current_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *, documents: bool = False,
                      ) -> dict[str, CurrentItem]:
        """Tombstones included."""
        with self.catalogue.at_desk() as db:
            return self._look_up(db, merchant, kind, collection, keys, documents=documents)

    def prefetch(self, work: ClaimedRound, keys: Sequence[str], *, hashes: Sequence[bytes] | None = None) -> None:
        """Nothing to be gained: the look-up would wait for the settle."""

    def case_variants(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        """Tombstones left out; of several twins the first."""
        with self.catalogue.at_desk() as db:
            look = self._looked(db, merchant, kind, collection, keys)
        twins = look.twins()
        return {key: twins[key] for key in keys if key in twins} if twins else twins

    def seen_keys(self, work: ClaimedRound, keys: Sequence[str]) -> set[str]:
        """Keys that the batch wrote are told from the items. The others, unchanged or rejected, are in a temporary
        table on disk, so that memory stays bounded."""
        number, packed = self.known(work.merchant), id_bytes(work.batch)
        assert packed is not None
        with self.catalogue.at_desk() as db:
            progress = progress_of(db, number, packed)
            if progress is None:
                return set()
            look = self._looked(db, work.merchant, work.kind, work.collection, keys)
            written = look.written_by(packed).intersection(keys)
            if not self._fill_scratch(db, number, progress.seq):
                return written
            asked = {"keys": packed_keys(keys), "batch": progress.seq}
            return written.union(key for (key,) in each(db, "seen", asked))

    def _looked(self, db: apsw.Connection, merchant: str, kind: str, collection: str, keys: Sequence[str]) -> Look:
        """The last look-up if it was for these keys, or another one."""
        shelf = shelf_of(db, self.number(merchant), kind, collection)
        look = self.look
        if look is None or shelf is None or look.shelf != shelf[0] or not look.keys.issuperset(keys):
            self._look_up(db, merchant, kind, collection, keys, documents=False)
        assert self.look is not None
        return self.look

    def _look_up(self, db: apsw.Connection, merchant: str, kind: str, collection: str, keys: Sequence[str], *,
                 documents: bool) -> dict[str, CurrentItem]:
        number = self.number(merchant)
        shelf = shelf_of(db, number, kind, collection)
        if shelf is None or not keys:
            self.look = Look(0, set(keys), [])
            return {}
        rows = every(db, "held_documents" if documents else "held", (number, shelf[0], packed_keys(keys)))
        self.look = Look(shelf[0], set(keys), rows)
        self.looked.note(kind, self.look)
        held = self.look.held()
        if documents and shelf[2]:
            for key, marks in marks_of(db, number, shelf[0], [*held]).items():
                held[key] = msgspec.structs.replace(held[key], index_entries=marks)
        return held

    def absent_items(self, work: ClaimedRound, *, after: str | None, limit: int) -> tuple[int, int, list[str]]:
        """The count is taken once and kept up to date; only the keys are looked for at each call."""
        number, packed = self.known(work.merchant), id_bytes(work.batch)
        assert packed is not None
        with self.catalogue.at_desk() as db:
            shelf = shelf_of(db, number, work.kind, work.collection)
            if shelf is None:
                return 0, 0, []
            progress = progress_of(db, number, packed)
            seq = progress.seq if progress is not None else 0
            asked = {
                "merchant": number, "shelf": shelf[0], "batch": seq, "after": after or "", "limit": limit,
                # Before its first portion nothing was written since: a feed without a record lacks everything.
                "first_at": progress.first_at if progress is not None else 2**63 - 1,
            }
            self._fill_scratch(db, number, seq)
            if self._counted is None or self._counted[:2] != (shelf[0], seq):
                count = value(db, "count_missing", asked)
                self._counted = (shelf[0], seq, count)
            keys = [key for (key,) in each(db, "missing", asked)]
            return progress.held if progress is not None else shelf[1], self._counted[2], keys

    # -- the scratch table --------------------------------------------------------------------------------------------

    def _fill_scratch(self, db: apsw.Connection, merchant: int, batch: int) -> bool:
        """Bring in keys of the batch's settled portions, from where the table stands; whether any are there."""
        if self._scratches is None:
            db.execute(f"PRAGMA temp.cache_size=-{SCRATCH_CACHE_BYTES // 1024}")
            do(db, "make_scratch")
            self._scratches = {}
        named = {"merchant": merchant, "batch": batch}
        scratch = self._scratches.pop((merchant, batch), Scratch())
        for first, results in every(db, "portions_after", {**named, "after": scratch.last}):
            if results.translate(None, WRITTEN):
                keys = orjson.loads(value(db, "portion_keys", {**named, "first": first}))
                _fill(db, batch, keys, results)
                scratch.filled = True
            scratch.last = first
        self._scratches[merchant, batch] = scratch
        if len(self._scratches) > SCRATCHES_MAX:
            self.forget_scratch(db, *next(iter(self._scratches)))
        return scratch.filled

    def forget_scratch(self, db: apsw.Connection, merchant: int, batch: int) -> None:
        """The batch has ended, or a key of its settled portions was changed."""
        if self._scratches is not None and self._scratches.pop((merchant, batch), None) is not None:
            do(db, "drop_scratch", {"batch": batch})

    def note_missing(self, shelf: int, batch: int, removed: int | None) -> None:
        """Keep the count of missing keys right: `removed` by a portion that did nothing else, None by any other."""
        if self._counted is None or self._counted[0] != shelf:
            return
        same = self._counted[1] == batch and removed is not None
        self._counted = (shelf, batch, self._counted[2] - (removed or 0)) if same else None


class Scratch(msgspec.Struct):
    """How far the scratch table knows a batch."""

    last: int = 0
    """First record number of the last portion that was looked at."""
    filled: bool = False


def _fill(db: apsw.Connection, batch: int, keys: list[str | None], results: bytes) -> None:
    others = [key for key, result in zip(keys, results, strict=True) if key is not None and result not in WRITTEN]
    do(db, "fill_scratch", {"batch": batch, "keys": packed_keys(others)})


def shelf_of(db: apsw.Connection, merchant: int | None, kind: str, collection: str) -> tuple[int, int, int] | None:
    """Number of the shelf, how many items it holds, and whether it ever had marks; from a catalogue connection."""
    row = one(db, "shelf", {"merchant": merchant, "kind": kind, "collection": collection})
    return (int(row[0]), int(row[1]), int(row[2])) if row is not None else None


def marks_of(db: apsw.Connection, number: int | None, shelf: int, keys: Sequence[str]) -> dict[str, tuple[IndexEntry,
             ...]]:
    """Marks of those of the items that have any."""
    return {key: decode_marks(marks) for key, marks in each(db, "marks_of", (number, shelf, packed_keys(keys)))}


def packed_keys(keys: Sequence[str]) -> str:
    """As json_each takes them; in order, so that neighbours in the index are read together."""
    return orjson.dumps(sorted(keys)).decode()
