"""Results and issues of the records of batches."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import orjson

from goodsgate.model.batch import RESULT_BYTE, RESULTS, BatchRound, Counts, Kind, Result, RoundKind
from goodsgate.model.finding import Finding
from goodsgate.model.issue_group import IssueGroup
from goodsgate.model.scorecard import FeedDay, FeedIssues
from goodsgate.store.contract import RecordResult
from goodsgate.store.shared.database import Database, Statements
from goodsgate.store.shared.feed_days import day_number, day_of
from goodsgate.store.shared.finding_pages import SegmentReader
from goodsgate.store.shared.issue_counts import decode_issues, padded, ranked
from goodsgate.store.shared.results import find_results
from goodsgate.store.shared.timestamps import id_bytes, timestamp, timestamp_or_none

TOP_VALUES = 10
"""Values of an issue group that are returned."""
RAW_BYTES_MAX = 8 * 1024**2
"""A page of rejected records ends after this many bytes, so that long lines do not cost memory."""
CHUNKS_PER_QUERY = 20

decode_counts = msgspec.json.Decoder(Counts).decode
REJECTED, WAITING = RESULT_BYTE[Result.REJECTED], RESULT_BYTE[Result.WAITING]


class SqlReports:
    """Implements ReportStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._catalogue = database.catalogue

    def batch_rounds(self, merchant: str, batch: str) -> list[BatchRound]:
        """Return the rounds of the batch that have ended, in their order."""
        number = self._database.number(merchant)
        if id_bytes(batch) is None:
            return []
        rows = self._database.intake.query("batch_rounds", {"merchant": number, "batch": batch}, number)
        return [
            BatchRound(
                number=position, kind=RoundKind(kind), started_at=timestamp_or_none(started_at),
                ended_at=timestamp(ended_at), records=records, counts=decode_counts(counts),
            )
            for position, kind, started_at, ended_at, records, counts in rows
        ]

    def feed_days(self, merchant: str, *, since: date) -> list[FeedDay]:
        """Return what each submitter has sent on each day since then, by day."""
        number = self._database.number(merchant)
        rows = self._catalogue.query("feed_days", {"merchant": number, "since": day_number(since)}, number)
        return [
            FeedDay(
                day=day_of(day), submitter=submitter, kind=Kind(kind), feeds=feeds, records=records, rejected=rejected,
                last_at=timestamp(last_at),
            )
            for day, submitter, kind, feeds, records, rejected, last_at in rows
        ]

    def feed_issues(self, merchant: str, *, since: date, limit: int = 1000) -> list[FeedIssues]:
        """Return the issues of the feeds since then, the most frequent first."""
        number = self._database.number(merchant)
        values = {"merchant": number, "since": day_number(since), "limit": limit}
        return [
            FeedIssues(submitter=submitter, code=code, count=count)
            for submitter, code, count in self._catalogue.query("feed_issues", values, number)
        ]

    def issue_groups(self, merchant: str, batch: str, *, limit: int = 100) -> list[IssueGroup]:
        """Return issues that are alike, the most frequent group first."""
        number = self._database.number(merchant)
        if id_bytes(batch) is None:
            return []
        rows = self._catalogue.query("issue_groups", {"merchant": number, "batch": batch, "limit": limit}, number)
        return [
            IssueGroup(
                code=code, severity=severity, field=field, count=count, top=ranked(orjson.loads(top), TOP_VALUES),
                column=column,
            )
            for code, severity, field, count, top, column in rows
        ]

    def findings(self, merchant: str, batch: str, *, after: int = -1, limit: int = 100, code: str | None = None,
                 severity: str | None = None) -> list[Finding]:
        """Return records with issues by number; 0, the file, comes first."""
        number = self._database.number(merchant)
        statement = "findings_with_error" if severity == "error" else "findings"
        with self._catalogue.reading(number) as db:
            named = number_of_batch(db, number, batch)
            rows = db.rows(statement, {
                **named, "after": after, "limit": limit, "code": padded(code) if code is not None else None,
                "severity": padded(severity) if severity is not None else None,
            })
            packed = SegmentReader(db, number).page(
                named["batch"], after=after, limit=limit, code=code, severity=severity
            )
        found = [finding_of_row(*row) for row in rows]
        return sorted([*found, *packed], key=lambda each: each.number)[:limit] if packed else found

    def rejected_records(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[Finding]:
        """Return rejected records by number; fewer than `limit`, but at least one, if they are long."""
        number = self._database.number(merchant)
        findings: list[Finding] = []
        room = RAW_BYTES_MAX
        with self._catalogue.reading(number) as db:
            rows = db.each("rejected_records", {
                **number_of_batch(db, number, batch), "after": after, "limit": limit, "rejected": REJECTED,
                "bytes_max": RAW_BYTES_MAX,
            })
            for row in rows:
                findings.append(finding_of_row(*row))
                room -= len(row[-1])
                if room < 0:
                    break
            rows.close()
        return findings

    def rejected_by_number(self, merchant: str, batch: str, numbers: Sequence[int]) -> dict[int, Finding]:
        """Return those of the numbered records that are rejected or wait."""
        number = self._database.number(merchant)
        with self._catalogue.reading(number) as db:
            rows = db.rows("rejected_by_number", {
                **number_of_batch(db, number, batch), "numbers": orjson.dumps([*numbers]).decode(),
                "rejected": REJECTED, "waiting": WAITING,
            })
        return {row[0]: finding_of_row(*row) for row in rows}

    def findings_by_key(self, merchant: str, key: str, *, limit: int = 100) -> list[tuple[str, Finding]]:
        """Return records with this key that have issues, the newest batch first."""
        number = self._database.number(merchant)
        with self._catalogue.reading(number) as db:
            rows = db.rows("findings_by_key", {"merchant": number, "key": key, "limit": limit})
            found = [(id, batch, finding_of_row(*row)) for id, batch, *row in rows]
            found += SegmentReader(db, number).by_key(key, limit=limit)
        found.sort(key=lambda each: (-each[1], each[2].number))
        return [(id.hex(), finding) for id, _, finding in found[:limit]]

    def results(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000,
                result: Result | None = None) -> list[RecordResult]:
        """Return results of records by number."""
        number = self._database.number(merchant)
        wanted = None if result is None else RESULT_BYTE[result]
        found: list[RecordResult] = []
        with self._catalogue.reading(number) as db:
            named = number_of_batch(db, number, batch)
            start = after + 1
            while len(found) < limit:
                chunks = db.rows("chunks_from", {**named, "number": start, "limit": CHUNKS_PER_QUERY})
                for first, results in chunks:
                    positions = find_results(results, max(start - first, 0), wanted, limit - len(found))
                    if positions:
                        keys = orjson.loads(db.value("chunk_keys", {**named, "first": first}))
                        found.extend(
                            RecordResult(number=first + at, key=keys[at], result=RESULTS[results[at]])
                            for at in positions
                        )
                    start = first + len(results)
                if len(chunks) < CHUNKS_PER_QUERY:
                    break
        return found


def number_of_batch(db: Statements, merchant: int | None, batch: str) -> dict[str, Any]:
    """Return the values that name the report of a batch in the catalogue; batch 0 has no rows."""
    return _named(db, merchant, batch, 0)


def number_of_diff(db: Statements, merchant: int | None, batch: str) -> dict[str, Any]:
    """Return the values that name the diff of a batch; that of a trial stays when the batch is applied."""
    return _named(db, merchant, batch, 1)


def _named(db: Statements, merchant: int | None, batch: str, column: int) -> dict[str, Any]:
    if merchant is None or id_bytes(batch) is None:
        return {"merchant": merchant, "batch": 0}
    row = db.first("batch_number", {"merchant": merchant, "id": batch})
    return {"merchant": merchant, "batch": row[column] if row is not None else 0}


def finding_of_row(number: int, source_row: int, fix_round: int, fix_row: int, key: str | None, result: int | None,
                   issues: bytes, role: int = 0, raw: bytes | None = None) -> Finding:
    """Return the finding of a row, in the order of its columns."""
    return Finding(
        number=number, source_row=source_row, fix_round=fix_round, fix_row=fix_row, key=key,
        result=None if result is None else RESULTS[result], issues=decode_issues(issues), role=role, raw=raw,
    )
