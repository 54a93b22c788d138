"""What is wrong with the records of the portions of one settle: findings, raw records, and the issues grouped."""

from collections import defaultdict
from typing import Any

from goodsgate.model.batch import RESULT_BYTE, Finding
from goodsgate.model.issue import Issue
from goodsgate.store.contract import ChunkCommit
from goodsgate.store.grouping import Tally, decode_issues, encode_issues, filed, merged
from goodsgate.store.postgres.ask import SQL, Cursor, do, every


class Findings:
    """Gathers what the portions found, in their order; `rows` are to be copied in, the groups merged."""

    def __init__(self, merchant: int) -> None:
        self.merchant = merchant
        self.rows: list[tuple[object, ...]] = []
        self._tallies: dict[int, Tally] = defaultdict(Tally)

    def put(self, db: Cursor, batch: int, portion: ChunkCommit, *, total: int) -> None:
        """`total` is the number of records that had a number before this portion."""
        replaced = set(portion.amended_results)
        replaced.update(finding.number for finding in portion.findings if finding.number <= total)
        findings = list(portion.findings)
        if portion.file_issues:
            replaced.add(0)
            findings = [self._whole_file(db, batch, portion), *(one for one in findings if one.number)]
        if replaced:
            self._take_away(db, batch, replaced)
        for finding in findings:
            self.rows.append(_row(self.merchant, batch, finding))
            self._tallies[batch].add(finding.issues, 1)

    def copy(self, db: Cursor) -> None:
        """All rows at once."""
        if not self.rows:
            return
        with db.copy(SQL["copy_findings"]) as copy:
            for row in self.rows:
                copy.write_row(row)
        self.rows.clear()

    def merge(self, db: Cursor) -> None:
        """The groups into what is stored."""
        names = [(batch, *name) for batch, tally in self._tallies.items() for name in tally.groups]
        if not names:
            return
        stored = {(batch, *name): (count, top) for batch, *name, count, top in every(db, "group", self._named(names))}
        kept, gone = [], []
        for batch, *group in names:
            (count,), values = self._tallies[batch].groups[group[0], group[1], group[2]]
            before, top = stored.get((batch, *group), (0, None))
            if before + count <= 0:
                gone.append((batch, *group))
            else:
                kept.append((batch, *group, before + count, merged(top, values).decode()))
        if gone:
            do(db, "drop_group", self._named(gone))
        if kept:
            do(db, "put_group", self._named(kept))

    def _named(self, rows: list[tuple[Any, ...]]) -> dict[str, Any]:
        """Rows of groups as columns, as many as they have."""
        names = ("batches", "codes", "severities", "fields", "counts", "tops")
        return {"merchant": self.merchant, **dict(zip(names, map(list, zip(*rows, strict=True)), strict=False))}

    def _whole_file(self, db: Cursor, batch: int, portion: ChunkCommit) -> Finding:
        """Record number 0: what was said before, and the notices behind it."""
        before: list[Issue] = []
        for finding in portion.findings:
            if finding.number == 0:
                before = finding.issues
                break
        else:
            named = {"merchant": self.merchant, "batch": batch, "numbers": [0]}
            for _, issues in every(db, "findings_among", named):
                before = decode_issues(issues)
        return Finding(number=0, source_row=0, key=None, result=None, issues=[*before, *portion.file_issues])

    def _take_away(self, db: Cursor, batch: int, numbers: set[int]) -> None:
        named = {"merchant": self.merchant, "batch": batch, "numbers": sorted(numbers)}
        for (issues,) in every(db, "drop_findings", named):
            self._tallies[batch].add(decode_issues(issues), -1)


def _row(merchant: int, batch: int, finding: Finding) -> tuple[object, ...]:
    return (
        merchant, batch, finding.number, finding.source_row, finding.key,
        None if finding.result is None else RESULT_BYTE[finding.result], *filed(finding),
        encode_issues(finding.issues).decode(), finding.raw,
    )
