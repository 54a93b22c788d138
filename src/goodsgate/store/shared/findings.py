"""Findings of records that are neither rejected nor wait: those of a chunk, packed into segments.

A segment has keys and issues of its records itself, or it refers to a segment that has the same issues of the same
keys: then a record writes its number and where its issues are. The index of keys tells which segments have them. A
segment is deleted with the report of its batch, or later, when no segment refers to it any more.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import msgspec
import orjson

from goodsgate.model import zstd
from goodsgate.model.batch import RESULT_BYTE, Result
from goodsgate.model.finding import Finding
from goodsgate.store.shared.database import Row, Statements
from goodsgate.store.shared.issue_counts import encode_issues, padded

STEM_CHARACTERS = 64
"""Keys of records may be of any length; the index has their beginnings."""
SEGMENT_FINDINGS_MAX = 512
SEGMENT_BYTES_MAX = 1024**2
"""Bytes of issues in one segment, unless a single record has more."""
COMPRESSED_BYTES_MIN = 1_024
"""Smaller segments are not compressed."""
REFERRING_MIN = 16
"""So many records of a chunk refer to one segment; fewer are written again, with the others of the chunk."""
SMALL_SEGMENTS_MAX = 4
"""Segments of a chunk that may refer for fewer records, so that small chunks do not write issues again."""
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ROW_RESULTS = frozenset({None, Result.REJECTED, Result.WAITING})
"""Findings with these results have rows of their own: with the record as received, and later rounds change them."""

Base = tuple[int, int]
"""Batch and first number of a segment that others refer to."""
FindingPlace = tuple[int, int, int]
"""Batch and first number of a segment that has issues, and the position in it."""
KeyRow = tuple[str, int, int, int, int]
"""A row of the index of keys: stem, hash of key and issues, and the place."""


class FindingBody(msgspec.Struct, array_like=True):
    """The findings of a segment by number, member by member; numbers as differences, which compress well."""

    numbers: list[int]
    rows: list[int]
    results: bytes
    keys: list[str | None]
    """None if the segment refers to another one, as well as issues."""
    issues: list[bytes]
    """Each a JSON array."""
    places: list[int]
    """Positions in the segment that this one refers to."""


class FindingSegment(NamedTuple):
    """A row of the table of segments."""

    batch: int
    chunk: int
    """Number of the first record that the chunk added."""
    first: int
    """Number of the first record of the segment."""
    last: int
    base_batch: int | None
    """Batch and first number of the segment that this one refers to."""
    base_first: int | None
    severities: str
    codes: str
    body: bytes


class _Packable(NamedTuple):
    """A finding on its way into a segment."""

    finding: Finding
    issues: bytes
    hash: int

    @property
    def stem(self) -> str:
        return (self.finding.key or "")[:STEM_CHARACTERS]


Places = dict[tuple[str, int], FindingPlace]
"""Where the same issues of the same keys are, by stem and hash."""
Groups = list[tuple[Base, list[tuple[_Packable, int]]]]

_encode_body = msgspec.msgpack.Encoder().encode
_decode_body = msgspec.msgpack.Decoder(FindingBody).decode


def decode_body(body: bytes) -> FindingBody:
    """Return the findings of a segment, with numbers as they are."""
    body = bytes(body)
    found = _decode_body(zstd.decompress(body) if body.startswith(ZSTD_MAGIC) else body)
    found.numbers, found.rows = [*accumulate(found.numbers)], [*accumulate(found.rows)]
    found.places = [*accumulate(found.places)]
    return found


def split_findings(findings: Sequence[Finding], total: int) -> tuple[list[Finding], list[Finding]]:
    """Return the findings of a chunk that have rows of their own, and the others; `total` were numbered before it.

    What a later round has changed or added has a row: segments stay as they are, and know no files of fixes.
    """
    rows: list[Finding] = []
    packed: list[Finding] = []
    for finding in findings:
        has_row = finding.result in ROW_RESULTS or finding.number <= total or finding.fix_round
        (rows if has_row else packed).append(finding)
    return rows, packed


class SegmentWriter:
    """Collects the findings of the chunks of one commit, and packs them."""

    def __init__(self) -> None:
        self._chunks: list[tuple[int, int, list[_Packable]]] = []

    def add(self, batch: int, chunk: int, findings: Iterable[Finding]) -> None:
        """Add findings of records that a chunk has added; `chunk` is the number of its first record."""
        packed = []
        for finding in findings:
            issues = encode_issues(finding.issues)
            packed.append(_Packable(finding, issues, _hash_of(finding.key, issues)))
        if packed:
            packed.sort(key=lambda each: each.finding.number)
            self._chunks.append((batch, chunk, packed))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._chunks

    @property
    def may_refer(self) -> bool:
        """Whether one of the records may have had the same issues before."""
        return any(_may_refer(each) for _, _, findings in self._chunks for each in findings)

    def pack(self, db: Statements, merchant: int) -> tuple[list[FindingSegment], list[KeyRow]]:
        """Return the segments, and rows for the index of keys."""
        places = self._find_places(db, merchant)
        segments: list[FindingSegment] = []
        keys: list[KeyRow] = []
        for batch, chunk, findings in self._chunks:
            groups, written = _sort_out(findings, places)
            segments += (_referring(batch, chunk, base, group) for base, group in groups)
            for part in _parts(written):
                segments.append(_with_issues(batch, chunk, part))
                keys += (
                    (each.stem, each.hash, batch, part[0].finding.number, at)
                    for at, each in enumerate(part) if each.finding.key is not None
                )
        self._chunks.clear()
        return segments, keys

    def _find_places(self, db: Statements, merchant: int) -> Places:
        # Each once: many records may have the same key and issues, and each of them its own place.
        every = (each for _, _, findings in self._chunks for each in findings if _may_refer(each))
        asked = [*dict.fromkeys((each.stem, each.hash) for each in every)]
        if not asked:
            return {}
        rows = db.rows("known_findings", {"merchant": merchant, "findings": orjson.dumps(asked).decode()})
        return {asked[at]: (batch, first, place) for at, batch, first, place in rows}


def _sort_out(findings: Sequence[_Packable], places: Places) -> tuple[Groups, list[_Packable]]:
    """Return the findings of a chunk that refer to each segment, with their places in it, and those to be written."""
    if not places:
        return [], [*findings]
    written: list[_Packable] = []
    groups: dict[Base, list[tuple[_Packable, int]]] = {}
    for each in findings:
        place = places.get((each.stem, each.hash))
        if place is None or not _may_refer(each):
            written.append(each)
        else:
            groups.setdefault(place[:2], []).append((each, place[2]))
    largest = sorted(groups.items(), key=lambda entry: -len(entry[1]))
    kept = [entry for at, entry in enumerate(largest) if len(entry[1]) >= REFERRING_MIN or at < SMALL_SEGMENTS_MAX]
    for _, group in largest[len(kept) :]:
        written += (each for each, _ in group)
    written.sort(key=lambda each: each.finding.number)
    return kept, written


def _may_refer(packable: _Packable) -> bool:
    return packable.finding.result is not Result.CREATED and packable.finding.key is not None


def _hash_of(key: str | None, issues: bytes) -> int:
    digest = blake2b(issues, digest_size=8)
    digest.update((key or "").encode())
    return int.from_bytes(digest.digest(), "big", signed=True)


def _parts(findings: Sequence[_Packable]) -> Iterator[Sequence[_Packable]]:
    first = size = 0
    for at, each in enumerate(findings):
        if at > first and (at - first >= SEGMENT_FINDINGS_MAX or size + len(each.issues) > SEGMENT_BYTES_MAX):
            yield findings[first:at]
            first, size = at, 0
        size += len(each.issues)
    if findings:
        yield findings[first:]


def _with_issues(batch: int, chunk: int, findings: Sequence[_Packable]) -> FindingSegment:
    return _segment(
        batch, chunk, [each.finding for each in findings], None, keys=[each.finding.key for each in findings],
        issues=[each.issues for each in findings],
    )


def _referring(batch: int, chunk: int, base: Base, group: Sequence[tuple[_Packable, int]]) -> FindingSegment:
    places = [place for _, place in group]
    return _segment(batch, chunk, [each.finding for each, _ in group], base, places=places)


def _segment(batch: int, chunk: int, findings: Sequence[Finding], base: Base | None, *,
             keys: Sequence[str | None] = (), issues: Sequence[bytes] = (), places: Sequence[int] = (),
             ) -> FindingSegment:
    body = _encode_body((
        _differences([each.number for each in findings]), _differences([each.source_row for each in findings]),
        bytes(RESULT_BYTE[each.result] for each in findings if each.result is not None), keys, issues,
        _differences(places),
    ))
    every = [each for finding in findings for each in finding.issues]
    base_batch, base_first = base or (None, None)
    return FindingSegment(
        batch, chunk, findings[0].number, findings[-1].number, base_batch, base_first,
        padded(*sorted({each.severity for each in every})), padded(*sorted({each.code for each in every})),
        zstd.compress(body, level=1) if len(body) >= COMPRESSED_BYTES_MIN else body,
    )


def _differences(numbers: Sequence[int]) -> list[int]:
    return [*numbers[:1], *(after - before for before, after in pairwise(numbers))]


def sweep_finding_segments(db: Statements, merchant: int, batch: int, limit: int) -> bool:
    """Delete some of the segments of a batch whose report is deleted, and those that only they referred to.

    Returns False if there is none. One that others refer to stays, hidden, until they are deleted.
    """
    named = {"merchant": merchant, "batch": batch}
    rows = db.rows("batch_finding_segments", {**named, "limit": limit})
    if not rows:
        return False
    db.change("hide_finding_segments", {**named, "firsts": _json([first for first, *_ in rows])})
    due: set[tuple[int, int]] = set()
    for first, base_batch, base_first in rows:
        due.add((batch, first))
        if base_batch is not None:
            due.add((base_batch, base_first))
    # Those that refer first: what they referred to may then be deleted, too.
    _delete(db, merchant, [(batch, first) for first, base_batch, _ in rows if base_batch is not None])
    _delete(db, merchant, sorted(due))
    return True


def _delete(db: Statements, merchant: int, places: Sequence[tuple[int, int]]) -> None:
    if not places:
        return
    rows: list[Row] = db.rows("unused_finding_segments", {"merchant": merchant, "places": _json(places)})
    keys: list[tuple[Any, ...]] = []
    for batch, first, body in rows:
        found = decode_body(body)
        keys += (
            (key[:STEM_CHARACTERS], _hash_of(key, issues), batch, first, at)
            for at, (key, issues) in enumerate(zip(found.keys, found.issues, strict=True)) if key is not None
        )
    if keys:
        db.change("delete_finding_places", {"merchant": merchant, "keys": _json(keys)})
    if rows:
        deleted = _json([(batch, first) for batch, first, _ in rows])
        db.change("delete_finding_segments", {"merchant": merchant, "places": deleted})


def _json(rows: Sequence[Any]) -> str:
    return orjson.dumps(rows).decode()
