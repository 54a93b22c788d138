"""What a portion must know before it is settled; for the next one another thread may ask while it is."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any

import msgspec
import orjson

from goodsgate.model.batch import RESULT_BYTE, Kind, Result
from goodsgate.model.catalogue import CurrentItem, IndexEntry
from goodsgate.store.contract import ChunkCommit, Claim, ClaimedRound, StoreError
from goodsgate.store.look import FOLDING, Look, Looked, Looks, Name, folded, joined
from goodsgate.store.moments import id_bytes
from goodsgate.store.postgres.ask import Cursor, every, one, value
from goodsgate.store.postgres.lanes import Lanes, progress_of
from goodsgate.store.postgres.scratch import Scratch
from goodsgate.store.postgres.server import WORK_SECONDS_MAX
from goodsgate.store.progress import Progress

decode_marks = msgspec.json.Decoder(tuple[IndexEntry, ...]).decode

SCRATCHES_MAX = 8
"""Batches whose keys are kept beside at once; the one asked for longest ago goes."""
WRITTEN = bytes([RESULT_BYTE[Result.CREATED], RESULT_BYTE[Result.UPDATED]])
"""Results of records whose batch the item itself names."""
KEYS_IN_TWO = 4_096
"""From so many on, keys are looked up in two halves at once."""
CANDIDATES_AT_ONCE = 20_000
"""Items of a shelf that are compared with the keys of a full feed together."""
NEVER = 2**63 - 1


class Lookups(Lanes):
    """Held items, case twins, and the keys that a batch has shown so far."""

    _foreseen: tuple[tuple[str, str, str, str, int], list[Future[Look]]] | None = None
    """For a portion, its merchant, kind, collection, batch and number, what is being looked up."""
    _unlike: str = ""
    """A batch most of whose items were compared in vain."""
    _counted: tuple[tuple[int, str, int, int], int] | None = None
    """Shelf, batch, round, portions settled, and the number of missing keys then."""

    def __init__(self, address: str, *, connections_max: int, small_payload_bytes: int,
                 now: Callable[[], datetime] | None = None) -> None:
        """See Database."""
        super().__init__(address, connections_max=connections_max, small_payload_bytes=small_payload_bytes, now=now)
        self._beside = ThreadPoolExecutor(2, "looking up")
        self._shelves: dict[tuple[str, str, str], int] = {}
        self.looks = Looks()
        self.looked = Looked()
        """Compared once more by the next settle."""
        self.scratch_lock = threading.RLock()
        """Around the next."""
        self._scratches: dict[tuple[str, int], Scratch] = {}
        """By batch and round: what another worker's fix has changed, the next round finds."""

    def close(self) -> None:
        """Let go of everything."""
        self._beside.shutdown()
        super().close()

    def current_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *, documents: bool = False,
                      ) -> dict[str, CurrentItem]:
        """Tombstones included."""
        foreseen = self._taken_foreseen((merchant, kind, collection), keys, documents=documents)
        if foreseen is not None:
            self.looked.note(kind, foreseen)
            return foreseen.held()
        held = self._look_up(merchant, kind, collection, keys, documents=documents).held()
        number = self.number(merchant)
        if documents and held and number is not None:
            with self.server.transaction(number) as db:
                shelf = shelf_of(db, number, kind, collection)
                for key, marks in (marks_of(db, number, shelf[0], [*held]) if shelf and shelf[2] else {}).items():
                    held[key] = msgspec.structs.replace(held[key], index_entries=marks)
        return held

    def prefetch(self, work: ClaimedRound, keys: Sequence[str], *, hashes: Sequence[bytes] | None = None) -> None:
        """Asked on connections of their own, and good if what is settled meanwhile touches none of the keys."""
        portion = (work.merchant, work.kind, work.collection, work.batch, work.chunks)
        before = self._foreseen[1] if self._foreseen is not None and self._foreseen[0] == portion else []
        if not before:
            self.looks.begin()
        asked = self._beside.submit(self._ask, *portion[:3], keys, documents=False, batch=work.batch, hashes=hashes)
        self._foreseen = (portion, [*before, asked])

    def _taken_foreseen(self, name: Name, keys: Sequence[str], *, documents: bool) -> Look | None:
        """What was foreseen for these keys, if it is still so; once."""
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is None or foreseen[0][:3] != name or documents:
            return None
        try:
            look = joined([asked.result() for asked in foreseen[1]])
        except StoreError:  # if it still is away, whoever asks now is told
            return None
        return look if look.keys == set(keys) and self.looks.keep_begun(name, look) else None

    def claim(self, worker: str, *, lease_seconds: float, rounds_max: int, bytes_max: int) -> Claim | None:
        """What was foreseen or looked up under another claim may have changed since."""
        self._foreseen = None
        self.looks.clear()
        self.looked = Looked()
        claim = super().claim(worker, lease_seconds=lease_seconds, rounds_max=rounds_max, bytes_max=bytes_max)
        with self.scratch_lock:
            for work in claim.rounds if claim is not None else ():
                scratch = self._scratches.get((work.batch, work.number))
                if scratch is not None and scratch.records > work.total:
                    # The server fell, and took along what was settled last.
                    self.forget_scratch((work.batch, work.number))
        return claim

    def case_variants(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        """Tombstones left out; of several twins the first."""
        twins = self._looked(merchant, kind, collection, keys).twins()
        return {key: twins[key] for key in keys if key in twins} if twins else twins

    def seen_keys(self, work: ClaimedRound, keys: Sequence[str]) -> set[str]:
        """Keys that the batch wrote are told from the items. The others, unchanged or rejected, are in a file of this
        process, so that memory stays bounded; those of a portion that is settled meanwhile may be there already."""
        number, packed = self.known(work.merchant), id_bytes(work.batch)
        assert packed is not None
        with self.scratch_lock:
            scratch = self._scratches.get((work.batch, work.number))
            if scratch is None or scratch.records < work.total:
                progress = self._progress(number, work.batch)
                if progress is None:
                    return set()
                scratch = self._filled(number, work, progress.seq)
            shown = scratch.among(keys) if scratch.filled else set()
        look = self._looked(work.merchant, work.kind, work.collection, keys, batch=packed)
        return look.written_by(packed).intersection(keys) | shown

    def absent_items(self, work: ClaimedRound, *, after: str | None, limit: int) -> tuple[int, int, list[str]]:
        """Keys of the shelf come here in their order, to be compared with those of the feed; counted once."""
        number = self.known(work.merchant)
        with self.server.transaction(number) as db:
            shelf = shelf_of(db, number, work.kind, work.collection)
        if shelf is None:
            return 0, 0, []
        progress = self._progress(number, work.batch)
        with self.scratch_lock:
            scratch = self._filled(number, work, progress.seq if progress is not None else 0)
        # Before its first portion nothing was written since: a feed without a record lacks everything.
        first_at = progress.first_at if progress is not None else NEVER
        stand = (shelf[0], work.batch, work.number, work.chunks)
        if self._counted is None or self._counted[0] != stand:
            count = sum(len(keys) for keys in self._lacking(number, shelf[0], scratch, first_at, after=""))
            self._counted = (stand, count)
        found: list[str] = []
        if self._counted[1]:
            for keys in self._lacking(number, shelf[0], scratch, first_at, after=after or ""):
                found += keys
                if len(found) >= limit:
                    break
        return progress.held if progress is not None else shelf[1], self._counted[1], found[:limit]

    def _lacking(self, number: int, shelf: int, scratch: Scratch, first_at: int, *, after: str,
                 ) -> Iterator[list[str]]:
        """Stretch by stretch, keys of items from before the feed that the feed has not shown."""
        while True:
            asked = {
                "merchant": number, "shelf": shelf, "after": after, "first_at": first_at, "limit": CANDIDATES_AT_ONCE
            }
            with self.server.transaction(number, seconds=WORK_SECONDS_MAX) as db:
                keys = [key for (key,) in every(db, "missing", asked)]
            shown = scratch.among(keys) if scratch.filled else set()
            yield [key for key in keys if key not in shown]
            if len(keys) < CANDIDATES_AT_ONCE:
                return
            after = keys[-1]

    def note_missing(self, shelf: int, portion: ChunkCommit, removed: int | None) -> None:
        """Keep the count of missing keys right: `removed` by a portion that did nothing else, None by any other."""
        stand = (shelf, portion.round.batch, portion.round.number, portion.number)
        if self._counted is not None and self._counted[0] == stand and removed is not None:
            self._counted = ((*stand[:3], portion.number + 1), self._counted[1] - removed)

    def forget_scratch(self, round: tuple[str, int]) -> None:
        """The round has ended, or a key of its batch's settled portions was changed."""
        scratch = self._scratches.pop(round, None)
        if scratch is not None:
            scratch.close()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _looked(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *,
                batch: bytes | None = None) -> Look:
        """The last look-up if it was for these keys, and with a batch tells what that wrote; or another one."""
        look = self.looks.over((merchant, kind, collection), keys, batch=batch)
        return look if look is not None else self._look_up(merchant, kind, collection, keys, documents=False)

    def _look_up(self, merchant: str, kind: str, collection: str, keys: Sequence[str], *, documents: bool) -> Look:
        name = (merchant, kind, collection)
        if len(keys) < KEYS_IN_TWO or name not in self._shelves:
            look = self._ask(*name, keys, documents=documents)
        else:
            # Nobody else writes items of a lane that is held, so that two transactions see what one would; of stock
            # settle looks.
            ordered, half = sorted(keys), len(keys) // 2
            beside = self._beside.submit(self._ask, *name, ordered[:half], documents=documents)
            try:
                rest = self._ask(*name, ordered[half:], documents=documents)
            finally:
                first = beside.result()
            look = joined([first, rest])
        self.looks.keep(name, look)
        self.looked.note(kind, look)
        return look

    def _ask(self, merchant: str, kind: str, collection: str, keys: Sequence[str], *, documents: bool,
             batch: str = "", hashes: Sequence[bytes] | None = None) -> Look:
        """With the hashes of what this batch brings under the keys, items that are held so are told as alike. Not of
        stock, of which every hash is compared again when it is settled, nor once most of the batch was not alike."""
        number = self.number(merchant)
        if number is None:
            return Look(0, set(keys), [], folded(keys))
        with self.server.transaction(number, seconds=WORK_SECONDS_MAX) as db:
            shelf = self._shelf(db, number, merchant, kind, collection)
            shades = folded(keys)
            rows: list[tuple[Any, ...]] = []
            alike: dict[str, bytes] | None = None
            if shelf and keys:
                named = {"merchant": number, "shelf": shelf, "batch": batch}
                hashes = None if kind == Kind.STOCK or batch == self._unlike else hashes
                rows, alike = _found(db, named, keys, shades=shades, documents=documents, hashes=hashes)
                if alike is not None and len(rows) > len(keys) // 2:
                    self._unlike = batch
        return Look(shelf, set(keys), rows, shades, alike or {}, id_bytes(batch) or b"" if alike else b"")

    def _shelf(self, db: Cursor, number: int, merchant: str, kind: str, collection: str) -> int:
        """Its number, kept for good; 0 if there is none."""
        name = (merchant, kind, collection)
        known = self._shelves.get(name)
        if known is None:
            shelf = shelf_of(db, number, kind, collection)
            if shelf is None:
                return 0
            known = self._shelves[name] = shelf[0]
        return known

    def _progress(self, number: int, batch: str) -> Progress | None:
        rows = self.server.at_once("progress", {"merchant": number, "id": batch}, merchant=number).rows
        return progress_of(rows[0]) if rows else None

    def _filled(self, number: int, work: ClaimedRound, seq: int) -> Scratch:
        """The round's scratch, with the portions that other workers settled, or this one while it did not look."""
        scratch = self._scratches.get((work.batch, work.number)) or self.new_scratch((work.batch, work.number))
        named = {"merchant": number, "batch": seq}
        with self.server.transaction(number) as db:
            rows = every(db, "portions_after", {**named, "after": scratch.records})
        for first, results in rows:
            keys: list[str] = []
            if results.translate(None, WRITTEN):
                with self.server.transaction(number) as db:
                    keys = others(orjson.loads(value(db, "portion_keys", {**named, "first": first})), results)
            scratch.fill(keys, first + len(results) - 1)
        return scratch

    def new_scratch(self, round: tuple[str, int]) -> Scratch:
        """An empty one; that which was made longest ago goes if there are too many."""
        scratch = self._scratches[round] = Scratch()
        if len(self._scratches) > SCRATCHES_MAX:
            self.forget_scratch(next(iter(self._scratches)))
        return scratch


def others(keys: Sequence[str | None], results: bytes) -> list[str]:
    """Keys of the records of a portion that no item tells of."""
    if not results.translate(None, WRITTEN):
        return []
    return [key for key, result in zip(keys, results, strict=True) if key is not None and result not in WRITTEN]


def _found(db: Cursor, named: dict[str, Any], keys: Sequence[str], *, shades: set[str], documents: bool,
           hashes: Sequence[bytes] | None) -> tuple[list[tuple[Any, ...]], dict[str, bytes] | None]:
    """Rows of items that have one of the keys, be it in another case, behind the key asked for; and those that need no
    row, see `Look`, or None if they were not compared.

    Many a feed is in the order of its keys; where hardly anything else lies between its first and its last, these are
    read in one go. Where most of them are held, and their hashes are known, they are compared by the server.
    """
    stretch = {**named, "least": min(shades), "most": max(shades)}
    alone, most = not documents and len(shades) == len(keys), len(keys) + len(keys) // 4
    between = value(db, "count_between", {**stretch, "limit": most + 1}) if alone else 0
    if not alone or between > most:
        rows = every(db, "held_documents" if documents else "held", {**named, "keys": packed_keys(keys)})
        return _matched(rows, keys), None
    if not between:
        return [], None
    if hashes is not None and between > len(keys) // 2:
        return _otherwise(db, stretch, keys, shades=shades, hashes=hashes)
    asked = set(keys)
    rows = every(db, "held_between", stretch)
    return _matched([row for row in rows if row[0] in asked or row[0].translate(FOLDING) in shades], keys), None


def _otherwise(db: Cursor, stretch: dict[str, Any], keys: Sequence[str], *, shades: set[str],
               hashes: Sequence[bytes]) -> tuple[list[tuple[Any, ...]], dict[str, bytes]]:
    """The same of a stretch that is compared by the server, which gives None as the key that was asked for with those
    that lie between, and as the key held with those under which nothing is."""
    rows = every(db, "held_otherwise", {**stretch, "keys": orjson.dumps(keys).decode(), "hashes": b"".join(hashes)})
    alike = dict(zip(keys, hashes, strict=True))
    for row in rows:
        alike.pop(row[0], None)
    others = [row[1:] for row in rows if row[0] is None and row[1].translate(FOLDING) in shades]
    return [row for row in rows if row[0] == row[1]] + _matched(others, keys), alike


def _matched(rows: list[tuple[Any, ...]], keys: Sequence[str]) -> list[tuple[Any, ...]]:
    """Rows of items with the key that was asked for before each: its own, or those that differ from it by case."""
    if not rows:
        return []
    asked = set(keys)
    matched = [(row[0], *row) for row in rows if row[0] in asked]
    others = [row for row in rows if row[0] not in asked] if len(matched) < len(rows) else []
    if others or len(matched) > len(folded(row[0] for row in matched)):
        shaded: dict[str, list[str]] = {}
        for key in asked:
            shaded.setdefault(key.translate(FOLDING), []).append(key)
        for row in rows:
            matched += [(key, *row) for key in shaded[row[0].translate(FOLDING)] if key != row[0]]
    return matched


def shelf_of(db: Cursor, merchant: int, kind: str, collection: str) -> tuple[int, int, bool] | None:
    """Number of the shelf, how many items it holds, and whether any has had a mark."""
    row = one(db, "shelf", {"merchant": merchant, "kind": kind, "collection": collection})
    return (int(row[0]), int(row[1]), bool(row[2])) if row is not None else None


def marks_of(db: Cursor, number: int, shelf: int, keys: Sequence[str]) -> dict[str, tuple[IndexEntry, ...]]:
    """Marks of those of the items that have any."""
    asked = {"merchant": number, "shelf": shelf, "keys": packed_keys(keys)}
    return {key: decode_marks(marks) for key, marks in every(db, "marks_of", asked)}


def packed_keys(keys: Sequence[str]) -> str:
    """A JSON array, in order, so that neighbours in the index are read together."""
    return orjson.dumps(sorted(keys)).decode()
