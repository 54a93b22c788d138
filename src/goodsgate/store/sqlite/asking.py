"""What became of the records, and what the catalogue holds: for reports, pages and metrics."""

import os
from collections.abc import Sequence

import orjson

from goodsgate.model.batch import RESULT_BYTE, RESULTS, Finding, IssueGroup, Kind, Result
from goodsgate.model.catalogue import IndexEntry, Item
from goodsgate.store.contract import LaneStatus, Page, RecordResult
from goodsgate.store.grouping import decode_issues, padded, ranked
from goodsgate.store.moments import id_bytes, moment
from goodsgate.store.queue import HELD, lane
from goodsgate.store.results import places
from goodsgate.store.sqlite.ask import each, every, one, value
from goodsgate.store.sqlite.folder import MIGRATIONS
from goodsgate.store.sqlite.lookups import marks_of, shelf_of
from goodsgate.store.sqlite.progress import progress_of
from goodsgate.store.sqlite.settling import Settling

TOP_SHOWN = 10
"""Values of a group that are given."""
RAW_BYTES_MAX = 8 * 1024**2
"""A page of rejected records ends behind this many bytes, so that long lines cost no memory."""
ROOM_BYTES_WARNED = 64 * 1024**2
"""With less left on the disk the store is not well."""


class Asking(Settling):
    """The part of the contract that reads the catalogue file; API processes ask it too."""

    # -- records ------------------------------------------------------------------------------------------------------

    def issue_groups(self, merchant: str, batch: str, *, limit: int = 100) -> list[IssueGroup]:
        """Most frequent first."""
        with self.catalogue.reading() as db:
            rows = every(db, "groups", {**self._named(merchant, batch), "limit": limit})
        return [
            IssueGroup(code=code, severity=severity, field=field, count=count, top=ranked(orjson.loads(top), TOP_SHOWN))
            for code, severity, field, count, top in rows
        ]

    def findings(self, merchant: str, batch: str, *, after: int = -1, limit: int = 100, code: str | None = None,
                 severity: str | None = None) -> list[Finding]:
        """By number; 0, the file as a whole, first."""
        asked = {
            "after": after, "limit": limit, "code": padded(code) if code is not None else None,
            "severity": padded(severity) if severity is not None else None,
        }
        statement = "findings_refused" if severity == "error" else "findings"
        with self.catalogue.reading() as db:
            rows = every(db, statement, {**asked, **self._seq(merchant, batch)})
        return [_finding(*row) for row in rows]

    def rejected_records(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[Finding]:
        """By number; fewer than `limit`, but at least one, where the records are long."""
        asked = {"after": after, "limit": limit, "rejected": RESULT_BYTE[Result.REJECTED]}
        found: list[Finding] = []
        room = RAW_BYTES_MAX
        with self.catalogue.reading() as db:
            rows = each(db, "rejected", {**asked, **self._seq(merchant, batch)})
            for row in rows:
                found.append(_finding(*row))
                room -= len(row[5])
                if room < 0:
                    break
            rows.close()
        return found

    def rejected_by_number(self, merchant: str, batch: str, numbers: Sequence[int]) -> dict[int, Finding]:
        """Record number → finding with its raw."""
        asked = {"numbers": orjson.dumps(numbers).decode(), "rejected": RESULT_BYTE[Result.REJECTED]}
        with self.catalogue.reading() as db:
            rows = every(db, "rejected_among", {**asked, **self._seq(merchant, batch)})
        return {row[0]: _finding(*row) for row in rows}

    def findings_by_key(self, merchant: str, key: str, *, limit: int = 100) -> list[tuple[str, Finding]]:
        """In the order in which the batches began to be worked, backwards."""
        with self.catalogue.reading() as db:
            rows = every(db, "findings_of_key", {"merchant": self.number(merchant), "key": key, "limit": limit})
        return [(batch.hex(), _finding(*row)) for batch, *row in rows]

    def results(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000,
                result: Result | None = None) -> list[RecordResult]:
        """By record number."""
        named = self._seq(merchant, batch)
        wanted = None if result is None else RESULT_BYTE[result]
        found: list[RecordResult] = []
        with self.catalogue.reading() as db:
            portions = each(db, "portions_from", {**named, "number": after + 1})
            for first, results in portions:
                where = places(results, max(after + 1 - first, 0), wanted, limit - len(found))
                if not where:
                    continue
                packed = value(db, "portion_keys", {**named, "first": first})
                keys = orjson.loads(packed)
                found.extend(
                    RecordResult(number=first + at, key=keys[at], result=RESULTS[results[at]]) for at in where
                )
                if len(found) >= limit:
                    break
            portions.close()
        return found

    # -- items ------------------------------------------------------------------------------------------------------

    def items(self, merchant: str, kind: Kind, collection: str, *, after: str | None = None, limit: int = 100,
              prefix: str | None = None) -> Page[Item]:
        """In the order of keys without their case (ASCII), then as they are; `prefix` with its case."""
        number = self.number(merchant)
        with self.catalogue.reading() as db:
            shelf = shelf_of(db, number, kind, collection)
            if shelf is None:
                return Page([], None)
            place = after or ""
            asked = {"merchant": number, "shelf": shelf[0], "limit": limit + 1, "from": place, "after": place}
            if prefix:
                if after is None:
                    asked["from"] = prefix  # what comes before it in the index is not even looked at
                rows = every(db, "items_of_prefix", {**asked, "prefix": prefix})
            else:
                rows = every(db, "items", asked)
        found = [_item(kind, collection, *row) for row in rows[:limit]]
        return Page(found, found[-1].key if len(rows) > limit else None)

    def item(self, merchant: str, kind: Kind, collection: str, key: str) -> Item | None:
        """None for a tombstone, too."""
        number = self.number(merchant)
        with self.catalogue.reading() as db:
            shelf = shelf_of(db, number, kind, collection)
            if shelf is None:
                return None
            row = one(db, "item", {"merchant": number, "shelf": shelf[0], "key": key})
            marks = marks_of(db, number, shelf[0], [key]).get(key, ()) if row is not None and shelf[2] else ()
        return _item(kind, collection, *(*row, marks)) if row is not None else None

    def collections(self, merchant: str) -> list[tuple[Kind, str, int]]:
        """Those that hold at least one item."""
        with self.catalogue.reading() as db:
            rows = every(db, "collections", {"merchant": self.number(merchant)})
        return [(Kind(kind), collection, items) for kind, collection, items in rows]

    # -- the store itself -------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, float]:
        """Lanes with work, rounds by state, age of the oldest that waits, bytes by file; totals of what became."""
        with self.intake.reading() as db:
            lanes, queued, working, oldest = every(db, "queue_figures", {"held": HELD})[0]
            untold, first = every(db, "message_figures", {"now": self.now()})[0]
            given_up = value(db, "given_up_messages")
        with self.catalogue.reading() as db:
            tallies = dict(every(db, "tallies"))
        return {
            "lanes": lanes,
            "rounds.queued": queued,
            "rounds.working": working,
            "oldest_queued_seconds": max(self.now() - oldest, 0) / 1e6 if oldest is not None else 0.0,
            "messages.waiting": untold,
            "messages.given_up": given_up,
            "oldest_message_seconds": max(self.now() - first, 0) / 1e6 if first is not None else 0.0,
            "bytes.intake": self.intake.bytes_on_disk(),
            "bytes.catalogue": self.catalogue.bytes_on_disk(),
            "bytes.payloads": self.uploads.bytes_on_disk(),
            **tallies,
        }

    def lanes(self, *, merchant: str | None = None, limit: int = 100) -> list[LaneStatus]:
        """Those that have work, by when they were served."""
        with self.intake.reading() as db:
            rows = every(db, "lanes", {"id": merchant, "limit": limit, "held": HELD})
        return [lane(*row, now=self.now()) for row in rows]

    def quick_checks(self) -> list[tuple[str, bool, str]]:
        """Cheap enough to be asked every second: schema, room, rights."""
        known = MIGRATIONS[-1].number
        facts = []
        for file in (self.intake, self.catalogue):
            there = file.schema_number()
            facts.append((f"schema of {file.path.name}", there == known, f"{there} of {known}"))
        room = os.statvfs(self.folder)
        free = room.f_bavail * room.f_frsize
        facts.append(("room", free >= ROOM_BYTES_WARNED, f"{free // 1024**2:,} MB free"))
        writable = os.access(self.folder, os.W_OK)
        facts.append(("folder", writable, f"{self.folder} {'can' if writable else 'cannot'} be written"))
        return facts

    def _named(self, merchant: str, batch: str) -> dict[str, object]:
        return {"merchant": self.number(merchant), "batch": id_bytes(batch)}

    def _seq(self, merchant: str, batch: str) -> dict[str, object]:
        """The catalogue's own number of the batch, by which its records are kept; one that nothing has if unknown."""
        number, packed = self.number(merchant), id_bytes(batch)
        if number is None or packed is None:
            return {"merchant": 0, "batch": 0}
        with self.catalogue.reading() as db:
            progress = progress_of(db, number, packed)
        return {"merchant": number, "batch": progress.seq if progress is not None else 0}


def _finding(number: int, place: int, key: str | None, result: int | None, issues: bytes,
             raw: bytes | None = None) -> Finding:
    return Finding(
        number=number, source_row=place, key=key, result=None if result is None else RESULTS[result],
        issues=decode_issues(issues), raw=raw,
    )


def _item(kind: Kind, collection: str, key: str, document: bytes, version: int | None, batch: str,
          written_at: int, marks: tuple[IndexEntry, ...] = ()) -> Item:
    return Item(
        kind=kind, collection=collection, key=key, document=document, version=version, batch=batch,
        written_at=moment(written_at), index_entries=marks,
    )
