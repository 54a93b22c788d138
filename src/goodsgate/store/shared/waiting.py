"""Records that wait for references: what a commit says about them, and what is asked about them."""

from collections.abc import Sequence
from typing import Any

import orjson

from goodsgate.model.batch import RESULT_BYTE, Kind, Result
from goodsgate.model.finding import Finding
from goodsgate.model.references import PARENT, PRODUCT, Reference, WaitingReference
from goodsgate.store.contract import ChunkCommit, ClaimedRound, WaitingMark
from goodsgate.store.shared.database import Database, Row, Statements
from goodsgate.store.shared.reports import RAW_BYTES_MAX, finding_of_row, number_of_batch
from goodsgate.store.shared.timestamps import microseconds, timestamp

WAITING = RESULT_BYTE[Result.WAITING]
OVERTAKING = frozenset({Result.CREATED, Result.UPDATED, Result.UNCHANGED, Result.DELETED})
"""Results after which an older record with the key must not be applied any more."""
OVERTAKING_BYTES = frozenset(RESULT_BYTE[result] for result in OVERTAKING)


def write_waiting(db: Statements, merchant: int, batch: int, commit: ChunkCommit, *, has_waiting: bool) -> None:
    """Write which records of a chunk wait, which wait no longer, and what the chunk changes for others that wait.

    `has_waiting` says whether a record of the merchant waited before. A dry run changes nothing for others.
    """
    if commit.round.is_dry_run:
        return
    named: dict[str, Any] = {
        "merchant": merchant, "batch": batch, "lane": commit.round.kind, "collection": commit.round.collection
    }
    until: dict[int, int] = {}
    if has_waiting and commit.amended_results:
        amended = {**named, "numbers": _json(sorted(commit.amended_results))}
        until = dict(db.rows("waiting_until", amended))
        db.change("delete_waiting", amended)
    if commit.waiting:
        rows = [
            (record.number, kind, code, record.key, record.version,
             until.get(record.number, microseconds(record.expires_at)))
            for record in commit.waiting for kind, code in record.references
        ]
        db.change("add_waiting", {**named, "rows": _json(rows)})
    _write_parents(db, named, commit)
    if not has_waiting and not commit.waiting:
        return
    if keys := _overtaking_keys(commit):
        db.change("overtake_waiting", {**named, "keys": _json(keys)})
    if has_waiting and commit.round.kind is Kind.PRODUCT and commit.writes:
        db.change("mark_products_arrived", {**named, "keys": _json([write.key for write in commit.writes])})
        if commit.has_variants:
            db.change("mark_all_products_arrived", named)


def _write_parents(db: Statements, named: dict[str, Any], commit: ChunkCommit) -> None:
    """Write the parents of groups of a chunk, and mark the variants that wait for parents which are there now."""
    parents: dict[str, tuple[str, int]] = {}
    for parent in commit.parents:
        until = microseconds(parent.expires_at) if parent.expires_at is not None else 0
        for name in parent.names:
            parents.setdefault(name, (parent.body.decode(), until))
    if parents:
        rows = [(name, *parent) for name, parent in parents.items()]
        db.change("put_group_parents", {**named, "parents": _json(rows)})
    awaited = {code for record in commit.waiting for kind, code in record.references if kind == PARENT}
    if parents or awaited:
        db.change("mark_parents_arrived", {**named, "names": _json(sorted(awaited.union(parents)))})


def waits_for_products(commits: Sequence[ChunkCommit]) -> bool:
    """Return whether records of the chunks wait for products."""
    return any(kind == PRODUCT for commit in commits for record in commit.waiting for kind, _ in record.references)


def _overtaking_keys(commit: ChunkCommit) -> list[tuple[str, int]]:
    """Return keys with the number of the last record that was applied to their item; 0 if the batch has none."""
    keys = dict.fromkeys(commit.overtaken_keys, 0)
    first = commit.first or 0
    keys.update(
        (key, first + at) for at, (key, result) in enumerate(zip(commit.keys, commit.results, strict=True))
        if key is not None and result in OVERTAKING_BYTES
    )
    for number, (result, key) in sorted(commit.amended_results.items()):
        if key is not None and result in OVERTAKING:
            keys[key] = max(keys.get(key, 0), number)
    return [*keys.items()]


class SqlWaiting:
    """Implements what WaitingStore asks of one merchant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._catalogue = database.catalogue

    def waiting_for(self, merchant: str, batch: str, *, limit: int = 100) -> list[WaitingReference]:
        """Return what records of a batch wait for, that of the most records first."""
        number = self._database.number(merchant)
        rows = self._catalogue.query("waiting_for", {"merchant": number, "id": batch, "limit": limit}, number)
        return [
            WaitingReference(kind=kind, code=code, records=records, expires_at=timestamp(until))
            for kind, code, records, until in rows
        ]

    def waiting_records(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000,
                        only_ready: bool = False) -> list[Finding]:
        """Return waiting records by number; fewer than `limit`, but at least one, if they are long."""
        number = self._database.number(merchant)
        statement = "ready_records" if only_ready else "waiting_records"
        findings: list[Finding] = []
        room = RAW_BYTES_MAX
        with self._catalogue.reading(number) as db:
            rows = db.each(statement, {
                **number_of_batch(db, number, batch), "after": after, "limit": limit, "waiting": WAITING,
                "bytes_max": RAW_BYTES_MAX, "now": self._database.now(),
            })
            for row in rows:
                findings.append(finding_of_row(*row))
                room -= len(row[-1])
                if room < 0:
                    break
            rows.close()
        return findings

    def waiting_marks(self, merchant: str, batch: str, numbers: Sequence[int]) -> dict[int, WaitingMark]:
        """Return what happened to those of the numbered records that wait."""
        number = self._database.number(merchant)
        with self._catalogue.reading(number) as db:
            rows = db.rows("waiting_marks", {
                **number_of_batch(db, number, batch), "numbers": _json([*numbers]), "now": self._database.now()
            })
        return {row: WaitingMark(bool(is_overtaken), bool(has_expired)) for row, is_overtaken, has_expired in rows}

    def waiting_keys(self, round: ClaimedRound, *, after: str | None, limit: int) -> list[str]:
        """Return keys of waiting records of the round's collection in batches before that of the round."""
        number = self._database.number(round.merchant)
        with self._catalogue.reading(number) as db:
            rows = db.rows("waiting_keys", {
                **number_of_batch(db, number, round.batch), "lane": round.kind, "collection": round.collection,
                "after": after or "", "limit": limit,
            })
        return [key for (key,) in rows]

    def group_parents(self, merchant: str, collection: str, names: Sequence[str]) -> dict[str, bytes]:
        """Return the bodies of parents that commits have kept, by those of the names that have one."""
        number = self._database.number(merchant)
        rows = self._catalogue.query(
            "group_parents", {"merchant": number, "collection": collection, "names": _json([*names])}, number
        )
        return {name: body.encode() for name, body in rows}

    def awaits_parents(self, merchant: str, collection: str) -> bool:
        """Return whether a record of the collection waits for the parent of its group."""
        number = self._database.number(merchant)
        rows = self._catalogue.query("awaits_parents", {"merchant": number, "collection": collection}, number)
        return bool(rows[0][0])

    def awaited_references(self, merchant: str, *, version: int, limit: int = 1000) -> list[Reference]:
        """Return reference data that records wait for since an earlier version than this one."""
        number = self._database.number(merchant)
        rows: list[Row] = self._catalogue.query(
            "awaited_references", {"merchant": number, "version": version, "limit": limit}, number
        )
        return [(kind, code) for kind, code in rows]

    def mark_references(self, merchant: str, version: int, *, arrived: Sequence[Reference],
                        missing: Sequence[Reference]) -> None:
        """Record which of the awaited reference data exists in a version, and which does not."""
        number = self._database.require_number(merchant)
        with self._catalogue.writing(number) as db:
            for references, has_arrived in ((arrived, True), (missing, False)):
                if references:
                    db.change("mark_references", {
                        "merchant": number, "version": version, "arrived": has_arrived,
                        "references": _json([*references]),
                    })


def _json(rows: Sequence[Any]) -> str:
    return orjson.dumps(rows).decode()
