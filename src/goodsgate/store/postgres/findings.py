"""Findings of the chunks of one commit: rows with raw records, segments, and the issues by group."""

from collections import defaultdict
from typing import Any

import psycopg

from goodsgate.model.batch import RESULT_BYTE
from goodsgate.model.finding import Finding
from goodsgate.store.contract import ChunkCommit
from goodsgate.store.postgres.statements import SQL, PostgresStatements
from goodsgate.store.shared.findings import SegmentWriter, split_findings
from goodsgate.store.shared.issue_counts import (
    IssueCounts,
    decode_issues,
    encode_issues,
    merge_values,
    replaced_numbers,
    search_columns,
    with_file_issues,
)

FINDINGS_LOCK = 0x600D5_F1ED
"""Mixed into a merchant's number, the key of the advisory lock of its segments."""
SEGMENT_COLUMNS = ("batches", "chunks", "firsts", "lasts", "base_batches", "base_firsts", "severities", "codes")
KEY_COLUMNS = ("stems", "hashes", "batches", "firsts", "places")


class FindingWriter:
    """Collects the findings of chunks in their order; `rows` are copied in, others packed, the counts merged."""

    def __init__(self, merchant: int) -> None:
        self._merchant = merchant
        self.rows: list[tuple[object, ...]] = []
        self._segments = SegmentWriter()
        self._counts: dict[int, IssueCounts] = defaultdict(IssueCounts)

    def add(self, db: PostgresStatements, batch: int, commit: ChunkCommit, *, total: int, is_new: bool) -> None:
        """Add the findings of a chunk; `total` records were numbered before it. A new batch has none yet."""
        replaced = set() if is_new else replaced_numbers(commit, total)
        file_row = None
        if commit.file_issues and not is_new:
            file_row = db.first("findings_by_number", {"merchant": self._merchant, "batch": batch, "numbers": [0]})
        findings = with_file_issues(commit, file_row[1] if file_row is not None else None)
        if replaced:
            named = {"merchant": self._merchant, "batch": batch, "numbers": sorted(replaced)}
            for (issues,) in db.rows("delete_findings", named):
                self._counts[batch].add(decode_issues(issues), -1)
        if findings:
            rows, packed = split_findings(findings, total)
            self.rows += (_row(self._merchant, batch, finding) for finding in rows)
            self._segments.add(batch, total + 1, packed)
            for finding in findings:
                self._counts[batch].add(finding.issues, 1)

    def copy(self, db: PostgresStatements) -> None:
        """Copy all rows at once."""
        if not self.rows:
            return
        with db.cursor.copy(SQL["copy_findings"]) as copy:
            for row in self.rows:
                copy.write_row(row)
        self.rows.clear()

    def write_segments(self, db: PostgresStatements) -> None:
        """Write the findings that have no rows, in segments."""
        if self._segments.is_empty:
            return
        if self._segments.may_refer:
            db.first("lock_findings", {"merchant": self._merchant, "key": FINDINGS_LOCK})
        segments, keys = self._segments.pack(db, self._merchant)
        *columns, bodies = zip(*segments, strict=True)
        db.change("add_finding_segments", {
            "merchant": self._merchant, **dict(zip(SEGMENT_COLUMNS, map(list, columns), strict=True)),
            "bodies": [psycopg.Binary(body) for body in bodies],
        })
        if keys:
            named = dict(zip(KEY_COLUMNS, map(list, zip(*keys, strict=True)), strict=True))
            db.change("add_finding_places", {"merchant": self._merchant, **named})

    def merge_counts(self, db: PostgresStatements) -> None:
        """Merge the counts of issues into the stored groups."""
        names = [(batch, *name) for batch, counts in self._counts.items() for name in counts.groups]
        if not names:
            return
        stored = {
            (batch, *name): (count, top) for batch, *name, count, top in db.rows("issue_group", self._columns(names))
        }
        changed, emptied = [], []
        for batch, *group in names:
            name = group[0], group[1], group[2]
            (count,), values = self._counts[batch].groups[name]
            before, top = stored.get((batch, *group), (0, None))
            if before + count <= 0:
                emptied.append((batch, *group))
            else:
                changed.append((batch, *group, before + count, merge_values(top, values).decode(),
                                self._counts[batch].columns[name]))
        if emptied:
            db.change("delete_issue_group", self._columns(emptied))
        if changed:
            db.change("put_issue_group", self._columns(changed))

    def _columns(self, rows: list[tuple[Any, ...]]) -> dict[str, Any]:
        """Return rows of groups as columns, as many as they have."""
        names = ("batches", "codes", "severities", "fields", "counts", "tops", "columns")
        return {"merchant": self._merchant, **dict(zip(names, map(list, zip(*rows, strict=True)), strict=False))}


def _row(merchant: int, batch: int, finding: Finding) -> tuple[object, ...]:
    return (
        merchant, batch, finding.number, finding.source_row, finding.fix_round, finding.fix_row, finding.key,
        None if finding.result is None else RESULT_BYTE[finding.result], *search_columns(finding),
        encode_issues(finding.issues).decode(), finding.role, finding.raw,
    )
