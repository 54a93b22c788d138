"""What a portion must know before it is settled; asked by the worker, through the connection with the large cache."""

from collections.abc import Sequence

import apsw
import orjson

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Held
from goodsgate.store.contract import Work
from goodsgate.store.sqlite.ask import do, each, every, one, value
from goodsgate.store.sqlite.folder import SCRATCH_CACHE_BYTES, id_bytes
from goodsgate.store.sqlite.lanes import Lanes
from goodsgate.store.sqlite.progress import progress_of

SCRATCHES_MAX = 8
"""Batches whose keys are kept in the scratch table at once; the one asked for longest ago goes."""


class Lookups(Lanes):
    """Held items, case twins, and the keys that a batch has shown so far."""

    _scratches: dict[tuple[int, int], int] | None = None
    """(merchant, batch) → first record number of the last portion whose keys are in the scratch table."""
    _counted: tuple[int, int, int] | None = None
    """Shelf, batch and number of its missing keys, kept while nothing else changes that shelf."""

    def held(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *, documents: bool = False,
             ) -> dict[str, Held]:
        """Tombstones included."""
        with self.catalogue.at_desk() as db:
            found = shelf_of(db, self.number(merchant), kind, collection)
            if found is None or not keys:
                return {}
            asked = (self.number(merchant), found[0], packed_keys(keys))
            rows = each(db, "held_documents" if documents else "held", asked)
            return {key: Held(hash, version, document) for key, hash, version, document in rows}

    def twins(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        """Tombstones left out."""
        with self.catalogue.at_desk() as db:
            found = shelf_of(db, self.number(merchant), kind, collection)
            if found is None or not keys:
                return {}
            return dict(every(db, "twins", (self.number(merchant), found[0], packed_keys(keys))))

    def seen(self, work: Work, keys: Sequence[str]) -> set[str]:
        """Memory stays bounded: the keys are in a temporary table on disk, filled as far as they are new to it."""
        number, packed = self.known(work.merchant), id_bytes(work.batch)
        assert packed is not None
        with self.catalogue.at_desk() as db:
            progress = progress_of(db, number, packed)
            if progress is None:
                return set()
            self._fill_scratch(db, number, progress.seq)
            asked = {"keys": orjson.dumps(keys).decode(), "batch": progress.seq}
            return {key for (key,) in each(db, "seen", asked)}

    def missing(self, work: Work, *, after: str | None, limit: int) -> tuple[int, int, list[str]]:
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

    def _fill_scratch(self, db: apsw.Connection, merchant: int, batch: int) -> None:
        """Bring the keys of the batch's settled portions in, from where the table stands."""
        if self._scratches is None:
            db.execute(f"PRAGMA temp.cache_size=-{SCRATCH_CACHE_BYTES // 1024}")
            db.execute("PRAGMA temp.journal_mode=MEMORY")
            do(db, "make_scratch")
            self._scratches = {}
        named = {"merchant": merchant, "batch": batch}
        filled = self._scratches.pop((merchant, batch), 0)
        last = value(db, "last_portion", named)
        if last is not None and last > filled:
            do(db, "fill_scratch", {**named, "after": filled})
        self._scratches[merchant, batch] = last or 0
        if len(self._scratches) > SCRATCHES_MAX:
            self.forget_scratch(db, *next(iter(self._scratches)))

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


def shelf_of(db: apsw.Connection, merchant: int | None, kind: str, collection: str) -> tuple[int, int] | None:
    """Number of the shelf, and how many items it holds; from a catalogue connection."""
    row = one(db, "shelf", {"merchant": merchant, "kind": kind, "collection": collection})
    return (int(row[0]), int(row[1])) if row is not None else None


def packed_keys(keys: Sequence[str]) -> str:
    """As json_each takes them; in order, so that neighbours in the index are read together."""
    return orjson.dumps(sorted(keys)).decode()
