"""What became of the records, and what the catalogue holds: for reports, pages and metrics."""

from collections.abc import Sequence

import orjson

from goodsgate.model.batch import RESULT_BYTE, RESULTS, Finding, IssueGroup, Kind, Result
from goodsgate.model.catalogue import IndexEntry, Item
from goodsgate.store.contract import LaneStatus, Page, RecordResult
from goodsgate.store.grouping import decode_issues, padded, ranked
from goodsgate.store.moments import id_bytes, moment
from goodsgate.store.postgres.ask import Cursor, every, one, value
from goodsgate.store.postgres.documents import row_of
from goodsgate.store.postgres.lookups import marks_of, shelf_of
from goodsgate.store.postgres.settling import Settling
from goodsgate.store.queue import HELD, lane
from goodsgate.store.results import places

TOP_SHOWN = 10
"""Values of a group that are given."""
RAW_BYTES_MAX = 8 * 1024**2
"""A page of rejected records ends behind this many bytes, so that long lines cost no memory."""
PORTIONS_AT_ONCE = 20


class Asking(Settling):
    """The part of the contract that reads what was settled."""

    # -- records ------------------------------------------------------------------------------------------------------

    def issue_groups(self, merchant: str, batch: str, *, limit: int = 100) -> list[IssueGroup]:
        """Most frequent first."""
        number = self.number(merchant)
        if id_bytes(batch) is None:
            return []
        asked = {"merchant": number, "batch": batch, "limit": limit}
        return [
            IssueGroup(code=code, severity=severity, field=field, count=count, top=ranked(orjson.loads(top), TOP_SHOWN))
            for code, severity, field, count, top in self.server.at_once("groups", asked, merchant=number).rows
        ]

    def findings(self, merchant: str, batch: str, *, after: int = -1, limit: int = 100, code: str | None = None,
                 severity: str | None = None) -> list[Finding]:
        """By number; 0, the file as a whole, first."""
        asked = {
            "after": after, "limit": limit, "code": padded(code) if code is not None else None,
            "severity": padded(severity) if severity is not None else None,
        }
        statement = "findings_refused" if severity == "error" else "findings"
        number = self.number(merchant)
        with self.server.transaction(number) as db:
            rows = every(db, statement, {**asked, **_seq(db, number, batch)})
        return [_finding(*row) for row in rows]

    def rejected_records(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[Finding]:
        """By number; fewer than `limit`, but at least one, where the records are long."""
        asked = {
            "after": after, "limit": limit, "rejected": RESULT_BYTE[Result.REJECTED], "bytes_max": RAW_BYTES_MAX
        }
        number = self.number(merchant)
        with self.server.transaction(number) as db:
            rows = every(db, "rejected", {**asked, **_seq(db, number, batch)})
        return [_finding(*row) for row in rows]

    def rejected_by_number(self, merchant: str, batch: str, numbers: Sequence[int]) -> dict[int, Finding]:
        """Record number → finding with its raw."""
        asked = {"numbers": list(numbers), "rejected": RESULT_BYTE[Result.REJECTED]}
        number = self.number(merchant)
        with self.server.transaction(number) as db:
            rows = every(db, "rejected_among", {**asked, **_seq(db, number, batch)})
        return {row[0]: _finding(*row) for row in rows}

    def findings_by_key(self, merchant: str, key: str, *, limit: int = 100) -> list[tuple[str, Finding]]:
        """In the order of acceptance, backwards."""
        number = self.number(merchant)
        with self.server.transaction(number) as db:
            rows = every(db, "findings_of_key", {"merchant": number, "key": key, "limit": limit})
        return [(batch.hex(), _finding(*row)) for batch, *row in rows]

    def results(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000,
                result: Result | None = None) -> list[RecordResult]:
        """By record number."""
        wanted = None if result is None else RESULT_BYTE[result]
        found: list[RecordResult] = []
        number = self.number(merchant)
        with self.server.transaction(number) as db:
            named = _seq(db, number, batch)
            start = after + 1
            while len(found) < limit:
                portions = every(db, "portions_from", {**named, "number": start, "limit": PORTIONS_AT_ONCE})
                for first, results in portions:
                    where = places(results, max(start - first, 0), wanted, limit - len(found))
                    if where:
                        keys = orjson.loads(value(db, "portion_keys", {**named, "first": first}))
                        found.extend(
                            RecordResult(number=first + at, key=keys[at], result=RESULTS[results[at]]) for at in where
                        )
                    start = first + len(results)
                if len(portions) < PORTIONS_AT_ONCE:
                    break
        return found

    # -- items ------------------------------------------------------------------------------------------------------

    def items(self, merchant: str, kind: Kind, collection: str, *, after: str | None = None, limit: int = 100,
              prefix: str | None = None) -> Page[Item]:
        """In the order of keys without their case (ASCII), then as they are; `prefix` with its case."""
        number = self.number(merchant)
        if number is None:
            return Page([], None)
        with self.server.transaction(number) as db:
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
        if number is None or "\0" in key:
            return None
        with self.server.transaction(number) as db:
            shelf = shelf_of(db, number, kind, collection)
            if shelf is None:
                return None
            row = one(db, "item", {"merchant": number, "shelf": shelf[0], "key": key})
            marks = marks_of(db, number, shelf[0], [key]).get(key, ()) if row is not None and shelf[2] else ()
        return _item(kind, collection, *(*row, marks)) if row is not None else None

    def collections(self, merchant: str) -> list[tuple[Kind, str, int]]:
        """Those that hold at least one item."""
        number = self.number(merchant)
        with self.server.transaction(number) as db:
            rows = every(db, "collections", {"merchant": number})
        return [(Kind(kind), collection, items) for kind, collection, items in rows]

    # -- the store itself -------------------------------------------------------------------------------------------

    def lanes(self, *, merchant: str | None = None, limit: int = 100) -> list[LaneStatus]:
        """Those that have work, by when they were served."""
        with self.server.transaction(every=True) as db:
            rows = every(db, "lanes", {"id": merchant, "limit": limit, "held": HELD})
        return [lane(*row, now=self.now()) for row in rows]

    def statistics(self) -> dict[str, float]:
        """Lanes with work, rounds by state, age of the oldest that waits, bytes; totals of what became."""
        with self.server.transaction(every=True) as db:
            lanes, queued, working, oldest = every(db, "queue_figures", {"held": HELD})[0]
            untold, first = every(db, "message_figures", {"now": self.now()})[0]
            given_up = value(db, "given_up_messages")
            tallies = {name: float(count) for name, count in every(db, "tallies")}
            row = db.execute("SELECT pg_database_size(current_database())").fetchone()
        return {
            "lanes": lanes,
            "rounds.queued": queued,
            "rounds.working": working,
            "oldest_queued_seconds": max(self.now() - oldest, 0) / 1e6 if oldest is not None else 0.0,
            "messages.waiting": untold,
            "messages.given_up": given_up,
            "oldest_message_seconds": max(self.now() - first, 0) / 1e6 if first is not None else 0.0,
            "bytes.database": float(row[0]) if row is not None else 0.0,
            **tallies,
        }


def _seq(db: Cursor, number: int | None, batch: str) -> dict[str, object]:
    """The number by which the batch's records are kept; one that nothing has if it is unknown."""
    row = row_of(db, number, batch) if number is not None and id_bytes(batch) is not None else None
    return {"merchant": number, "batch": row.seq if row is not None else 0}


def _finding(number: int, place: int, key: str | None, result: int | None, issues: bytes,
             raw: bytes | None = None) -> Finding:
    return Finding(
        number=number, source_row=place, key=key, result=None if result is None else RESULTS[result],
        issues=decode_issues(issues), raw=raw,
    )


def _item(kind: Kind, collection: str, key: str, document: bytes, version: int | None, batch: bytes,
          written_at: int, marks: tuple[IndexEntry, ...] = ()) -> Item:
    return Item(
        kind=kind, collection=collection, key=key, document=document, version=version, batch=batch.hex(),
        written_at=moment(written_at), index_entries=marks,
    )
