"""What is wrong with the records of a portion: findings, raw records, and the issues grouped."""

from collections.abc import Sequence

import apsw
import orjson

from goodsgate.model.batch import RESULT_BYTE, Finding
from goodsgate.model.issue import Issue
from goodsgate.store.contract import ChunkCommit
from goodsgate.store.grouping import Tally, decode_issues, encode_issues, filed, merged
from goodsgate.store.sqlite.ask import do, do_each, each, every, one, value


def put_findings(db: apsw.Connection, merchant: int, batch: int, portion: ChunkCommit, *, total: int) -> None:
    """`total` is the number of records that had a number before this portion."""
    tally = Tally()
    replaced = set(portion.amended_results)
    replaced.update(finding.number for finding in portion.findings if finding.number <= total)
    findings = list(portion.findings)
    if portion.file_issues:
        replaced.add(0)
        findings = [_whole_file(db, merchant, batch, portion), *(one for one in findings if one.number)]
    if replaced:
        _take_away(db, merchant, batch, replaced, tally)
    if findings:
        _insert(db, merchant, batch, findings, tally)
    _merge(db, merchant, batch, tally)


def _merge(db: apsw.Connection, merchant: int, batch: int, tally: Tally) -> None:
    """Into what is stored."""
    for (code, severity, field), ((count,), values) in tally.groups.items():
        named = {"merchant": merchant, "batch": batch, "code": code, "severity": severity, "field": field}
        row = one(db, "group", named)
        before, top = row if row is not None else (0, None)
        if before + count <= 0:
            do(db, "drop_group", named)
        else:
            do(db, "put_group", {**named, "count": before + count, "top": merged(top, values)})


def _whole_file(db: apsw.Connection, merchant: int, batch: int, portion: ChunkCommit) -> Finding:
    """Record number 0: what was said before, and the notices behind it."""
    before: list[Issue] = []
    for finding in portion.findings:
        if finding.number == 0:
            before = finding.issues
            break
    else:
        named = {"merchant": merchant, "batch": batch, "numbers": "[0]"}
        for *_, issues in every(db, "findings_among", named):
            before = decode_issues(issues)
    return Finding(number=0, source_row=0, key=None, result=None, issues=[*before, *portion.file_issues])


def _take_away(db: apsw.Connection, merchant: int, batch: int, numbers: set[int], tally: Tally) -> None:
    named = {"merchant": merchant, "batch": batch, "numbers": orjson.dumps(sorted(numbers)).decode()}
    ids = []
    for finding, _, _, issues in each(db, "findings_among", named):
        ids.append(finding)
        tally.add(decode_issues(issues), -1)
    if ids:
        gone = {"merchant": merchant, "ids": orjson.dumps(ids).decode()}
        do(db, "drop_raws", gone)
        do(db, "drop_findings", gone)


def _insert(db: apsw.Connection, merchant: int, batch: int, findings: Sequence[Finding], tally: Tally) -> None:
    last = value(db, "last_finding")
    numbered = list(enumerate(findings, last + 1))
    do_each(db, "add_finding", [_row(at, merchant, batch, finding) for at, finding in numbered])
    do_each(db, "add_raw", [
        (at, merchant, finding.raw) for at, finding in numbered if finding.raw is not None
    ])
    for finding in findings:
        tally.add(finding.issues, 1)


def _row(at: int, merchant: int, batch: int, finding: Finding) -> tuple[object, ...]:
    return (
        at, merchant, batch, finding.number, finding.source_row, finding.key,
        None if finding.result is None else RESULT_BYTE[finding.result], *filed(finding),
        encode_issues(finding.issues),
    )
