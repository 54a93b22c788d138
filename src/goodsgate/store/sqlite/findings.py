"""What is wrong with the records of a portion: findings, raw records, and the issues grouped."""

from collections.abc import Iterable, Sequence

import apsw
import msgspec
import orjson

from goodsgate.model.batch import RESULT_BYTE, Finding, Result
from goodsgate.model.issue import Issue
from goodsgate.store.contract import Portion
from goodsgate.store.sqlite.ask import do, do_each, each, every, one, value

CANDIDATES_MAX = 64
"""Values of a group that are counted; beyond them the rarest are forgotten, so that counts become lower bounds."""

encode_issues = msgspec.json.Encoder().encode
decode_issues = msgspec.json.Decoder(list[Issue]).decode

GroupName = tuple[str, str, str]
"""Code, severity, field."""


class Tally:
    """Issues that come and go in one portion, by group and value."""

    def __init__(self) -> None:
        self._groups: dict[GroupName, tuple[list[int], dict[str, int]]] = {}

    def add(self, issues: Iterable[Issue], sign: int) -> None:
        """`sign` is 1 for issues that come, -1 for those that go."""
        for told in issues:
            name = (told.code, told.severity, told.field)
            group = self._groups.get(name)
            if group is None:
                group = self._groups[name] = ([0], {})
            group[0][0] += sign
            if told.value is not None:
                group[1][told.value] = group[1].get(told.value, 0) + sign

    def merge(self, db: apsw.Connection, merchant: int, batch: int) -> None:
        """Into what is stored."""
        for (code, severity, field), ((count,), values) in self._groups.items():
            named = {"merchant": merchant, "batch": batch, "code": code, "severity": severity, "field": field}
            row = one(db, "group", named)
            before, top = (row[0], orjson.loads(row[1])) if row is not None else (0, {})
            if before + count <= 0:
                do(db, "drop_group", named)
                continue
            for seen, times in values.items():
                # A value that was forgotten cannot be taken from; what comes later of it counts from nothing.
                top[seen] = top.get(seen, 0) + times
            kept = ranked({seen: times for seen, times in top.items() if times > 0}, CANDIDATES_MAX)
            do(db, "put_group", {**named, "count": before + count, "top": orjson.dumps(dict(kept))})


def ranked(top: dict[str, int], most: int) -> list[tuple[str, int]]:
    """Values with their counts, most frequent first."""
    return sorted(top.items(), key=lambda entry: (-entry[1], entry[0]))[:most]


def put_findings(db: apsw.Connection, merchant: int, batch: int, portion: Portion, *, total: int) -> None:
    """`total` is the number of records that had a number before this portion."""
    tally = Tally()
    replaced = set(portion.amended)
    replaced.update(finding.number for finding in portion.findings if finding.number <= total)
    findings = list(portion.findings)
    if portion.notices:
        replaced.add(0)
        findings = [_whole_file(db, merchant, batch, portion), *(one for one in findings if one.number)]
    if replaced:
        _take_away(db, merchant, batch, replaced, tally)
    if findings:
        _insert(db, merchant, batch, findings, tally)
    tally.merge(db, merchant, batch)


def _whole_file(db: apsw.Connection, merchant: int, batch: int, portion: Portion) -> Finding:
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
    return Finding(number=0, place=0, key=None, result=None, issues=[*before, *portion.notices])


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
    severities = {told.severity for told in finding.issues}
    refused = finding.result is Result.REJECTED or "error" in severities
    return (
        at, merchant, batch, finding.number, finding.place, finding.key,
        None if finding.result is None else RESULT_BYTE[finding.result], refused, padded(*sorted(severities)),
        padded(*(told.code for told in finding.issues)), encode_issues(finding.issues),
    )


def padded(*words: str) -> str:
    """Words as they can be looked for whole."""
    return f" {' '.join(words)} "
