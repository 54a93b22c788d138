"""Reads findings from segments: by number, and by key."""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, NamedTuple

from goodsgate.model.batch import RESULTS, Result
from goodsgate.model.finding import Finding
from goodsgate.store.shared.database import Statements
from goodsgate.store.shared.findings import STEM_CHARACTERS, FindingBody, decode_body
from goodsgate.store.shared.issue_counts import decode_issues, padded

SEGMENTS_PER_QUERY = 16
BASES_MAX = 32
"""Segments that others refer to, kept while a page is read."""


class _Segment(NamedTuple):
    """A segment as it is read."""

    batch: int
    first: int
    base_batch: int | None
    base_first: int | None
    is_cancelled: bool
    body: bytes


class SegmentReader:
    """Reads the segments of a merchant in one transaction."""

    def __init__(self, db: Statements, merchant: int | None) -> None:
        self._db = db
        self._merchant = merchant
        self._bases: dict[tuple[int, int], FindingBody] = {}

    def page(self, batch: int, *, after: int, limit: int, code: str | None, severity: str | None) -> list[Finding]:
        """Return findings of a batch by number; see `ReportStore.findings`.

        Segments of one chunk overlap, so that each is opened when the numbers have come to its first one.
        """
        segments = self._segments(batch, after, code, severity)
        upcoming = next(segments, None)
        opened: list[tuple[int, Finding, Iterator[Finding]]] = []
        page: list[Finding] = []
        while len(page) < limit:
            while upcoming is not None and (not opened or upcoming.first <= opened[0][0]):
                _push(opened, self._findings(upcoming, after))
                upcoming = next(segments, None)
            if not opened:
                break
            _, finding, rest = heappop(opened)
            _push(opened, rest)
            if _passes(finding, code, severity):
                page.append(finding)
        return page

    def by_key(self, key: str, *, limit: int) -> list[tuple[bytes, int, Finding]]:
        """Return findings of a key with id and number of their batch, the newest batch first."""
        found: list[tuple[bytes, int, Finding]] = []
        heads = self._db.rows("finding_segments_by_key", {"merchant": self._merchant, "stem": key[:STEM_CHARACTERS]})
        last = None
        for id, batch, first, base_batch, base_first, place in heads:
            if len(found) >= limit and batch != last:
                break
            last = batch
            if self._base(base_batch, base_first).keys[place] != key:
                continue
            (row,) = self._db.rows("finding_segment", {"merchant": self._merchant, "batch": batch, "first": first})
            segment = _Segment(batch, first, *row)
            found += ((id, batch, finding) for finding in self._findings(segment, 0, only=place))
        return found

    def _segments(self, batch: int, after: int, code: str | None, severity: str | None) -> Iterator[_Segment]:
        named: dict[str, Any] = {"merchant": self._merchant, "batch": batch, "after": after}
        start = self._db.first("finding_chunk", named)
        named |= {
            "first": start[0] if start is not None else 0, "limit": SEGMENTS_PER_QUERY,
            "code": padded(code) if code is not None else None,
            "severity": padded(severity) if severity is not None else None,
        }
        while rows := self._db.rows("finding_segments", named):
            for first, *row in rows:
                yield _Segment(batch, first, *row)
            if len(rows) < SEGMENTS_PER_QUERY:
                break
            named["first"] = rows[-1][0] + 1

    def _findings(self, segment: _Segment, after: int, *, only: int | None = None) -> Iterator[Finding]:
        """Yield the findings behind a number, or those whose issues are at one place."""
        body = decode_body(segment.body)
        if segment.base_batch is None or segment.base_first is None:
            base, places = body, [*range(len(body.numbers))]
        else:
            base, places = self._base(segment.base_batch, segment.base_first), body.places
        for number, row, result, place in zip(body.numbers, body.rows, body.results, places, strict=True):
            if number > after and only in (None, place):
                yield Finding(
                    number=number, source_row=row, key=base.keys[place], issues=decode_issues(base.issues[place]),
                    result=Result.CANCELLED if segment.is_cancelled else RESULTS[result],
                )

    def _base(self, batch: int, first: int) -> FindingBody:
        """Return a segment that has issues."""
        base = self._bases.get((batch, first))
        if base is None:
            if len(self._bases) >= BASES_MAX:
                self._bases.clear()
            named = {"merchant": self._merchant, "batch": batch, "first": first}
            ((*_, body),) = self._db.rows("finding_segment", named)
            base = self._bases[batch, first] = decode_body(body)
        return base


def _push(opened: list[tuple[int, Finding, Iterator[Finding]]], findings: Iterator[Finding]) -> None:
    finding = next(findings, None)
    if finding is not None:
        heappush(opened, (finding.number, finding, findings))


def _passes(finding: Finding, code: str | None, severity: str | None) -> bool:
    return (code is None or any(each.code == code for each in finding.issues)) and (
        severity is None or any(each.severity == severity for each in finding.issues)
    )
