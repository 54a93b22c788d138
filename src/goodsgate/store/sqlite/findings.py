"""Findings of the chunks of one commit: rows with raw records, segments, and the issues by group."""

from collections.abc import Sequence

import orjson

from goodsgate.model.batch import RESULT_BYTE
from goodsgate.model.finding import Finding
from goodsgate.store.contract import ChunkCommit
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
from goodsgate.store.sqlite.statements import SqliteStatements


class FindingWriter:
    """Writes the findings of chunks that have rows of their own, and collects the others."""

    def __init__(self, merchant: int) -> None:
        self._merchant = merchant
        self._segments = SegmentWriter()

    def add(self, db: SqliteStatements, batch: int, commit: ChunkCommit, *, total: int, is_new: bool) -> None:
        """Add the findings of a chunk; `total` records were numbered before it. A new batch has none yet."""
        counts, merchant = IssueCounts(), self._merchant
        replaced = set() if is_new else replaced_numbers(commit, total)
        file_row = None
        if commit.file_issues and not is_new:
            file_row = db.first("findings_by_number", {"merchant": merchant, "batch": batch, "numbers": "[0]"})
        findings = with_file_issues(commit, file_row[3] if file_row is not None else None)
        if replaced:
            _delete(db, merchant, batch, replaced, counts)
        if findings:
            rows, packed = split_findings(findings, total)
            _insert(db, merchant, batch, rows)
            self._segments.add(batch, total + 1, packed)
            for finding in findings:
                counts.add(finding.issues, 1)
        _merge_counts(db, merchant, batch, counts, is_new=is_new)

    def write(self, db: SqliteStatements) -> None:
        """Write the segments of all chunks."""
        if not self._segments.is_empty:
            segments, keys = self._segments.pack(db, self._merchant)
            db.insert_rows("add_finding_segments", (self._merchant,), segments)
            db.insert_rows("add_finding_places", (self._merchant,), keys)


def _merge_counts(db: SqliteStatements, merchant: int, batch: int, counts: IssueCounts, *, is_new: bool) -> None:
    for (code, severity, field), ((count,), values) in counts.groups.items():
        named = {"merchant": merchant, "batch": batch, "code": code, "severity": severity, "field": field}
        row = None if is_new else db.first("issue_group", named)
        before, stored = row if row is not None else (0, None)
        if before + count <= 0:
            db.change("delete_issue_group", named)
        else:
            values_now = merge_values(stored, values)
            column = counts.columns[code, severity, field]
            db.change("put_issue_group", {**named, "count": before + count, "top": values_now, "column": column})


def _delete(db: SqliteStatements, merchant: int, batch: int, numbers: set[int], counts: IssueCounts) -> None:
    named = {"merchant": merchant, "batch": batch, "numbers": orjson.dumps(sorted(numbers)).decode()}
    ids = []
    for finding, _, _, issues in db.each("findings_by_number", named):
        ids.append(finding)
        counts.add(decode_issues(issues), -1)
    if ids:
        deleted = {"merchant": merchant, "ids": orjson.dumps(ids).decode()}
        db.change("delete_raws", deleted)
        db.change("delete_findings", deleted)


def _insert(db: SqliteStatements, merchant: int, batch: int, findings: Sequence[Finding]) -> None:
    if not findings:
        return
    last = db.value("last_finding")
    numbered = list(enumerate(findings, last + 1))
    db.change_each("add_finding", [_row(id, merchant, batch, finding) for id, finding in numbered])
    db.change_each("add_raw", [
        (id, merchant, finding.raw) for id, finding in numbered if finding.raw is not None
    ])


def _row(id: int, merchant: int, batch: int, finding: Finding) -> tuple[object, ...]:
    return (
        id, merchant, batch, finding.number, finding.source_row, finding.fix_round, finding.fix_row, finding.key,
        None if finding.result is None else RESULT_BYTE[finding.result], *search_columns(finding),
        encode_issues(finding.issues), finding.role,
    )
