"""Diffs of dry runs, packed as the journal is, and what the items would be to the next records of the same batch."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import apsw
import msgspec
import orjson

from goodsgate.model.catalogue import CurrentItem, item_digest
from goodsgate.model.diff import DiffChange, DiffSummary, DryRunItems
from goodsgate.model.field_state import locks_in
from goodsgate.model.journal import OPERATIONS, ItemContent
from goodsgate.store.contract import ChunkCommit, ClaimedRound
from goodsgate.store.shared.database import Database, Statements
from goodsgate.store.shared.journal import PackedChange, pack_segments, unpack_segment
from goodsgate.store.shared.lookup_cache import FOLDING
from goodsgate.store.shared.reports import number_of_diff

VERSION_ONLY = len(OPERATIONS)
"""Number of an operation that changes nothing but the version."""
OPERATION_NUMBERS = {operation: number for number, operation in enumerate(OPERATIONS)}
SEGMENTS_PER_QUERY = 16
PAGE_BYTES_MAX = 16 * 1024**2
"""A page of a diff ends after so many bytes of documents."""
FILES_MAX = 2
"""Batches whose keys are in files at once; the one used longest ago is removed."""
CACHE_BYTES = 8 * 1024**2

encode_summary = msgspec.json.Encoder().encode
decode_summary = msgspec.json.Decoder(DiffSummary).decode


def add_to_diff(db: Statements, merchant: int, batch: int, commit: ChunkCommit) -> list[tuple[int, int, bytes]]:
    """Move the diff of a batch on by a chunk, and return the segments to be added: first number, count and body."""
    last, summary = _head(db, merchant, batch)
    changes = [
        PackedChange(
            change.key, VERSION_ONLY if change.operation is None else OPERATION_NUMBERS[change.operation],
            change.record or 0, change.row or 0, _packed_version(change.tombstone_version), change.before, change.after,
        )
        for change in commit.diff
    ]
    rows = []
    for segment in pack_segments(changes, collection=0, written_at=0, batch=None, order=None):
        rows.append((last + 1, segment.size, segment.body))
        last += segment.size
    if commit.diff_summary is not None:
        summary.merge(commit.diff_summary)
    values = {"merchant": merchant, "batch": batch, "last": last, "summary": encode_summary(summary).decode()}
    db.change("put_diff", values)
    return rows


def _head(db: Statements, merchant: int | None, batch: object) -> tuple[int, DiffSummary]:
    """Return the number of the last change of a diff, and the diff in numbers."""
    row = db.first("diff", {"merchant": merchant, "batch": batch})
    return (row[0], decode_summary(row[1])) if row is not None else (0, DiffSummary())


class DryRunKeys:
    """Where a diff has which key, in a temporary file of this process, so that memory stays bounded."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.last = 0
        """Number of the last change whose key is in the file."""
        self.chunks = 0
        """Chunks of the round that had been committed when the file was read last, or were being committed."""
        self._texts = texts
        self._db = apsw.Connection("")  # a file without a name that is deleted with the connection
        self._db.execute(f"PRAGMA cache_size=-{CACHE_BYTES // 1024}; PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF")
        self._db.execute(texts["create_dry_run_keys"])

    def add(self, first: int, keys: Sequence[str], live: Sequence[bool]) -> None:
        """Add the keys of a segment whose first change has this number; the last change of a key counts."""
        with self._db:
            self._db.executemany(
                self._texts["add_dry_run_key"],
                zip(_folded(keys), keys, range(first, first + len(keys)), live, strict=True),
            )
        self.last = first + len(keys) - 1

    def find(self, keys: Sequence[str]) -> list[tuple[str, str, int, int]]:
        """Return, by folded key, the keys that differ from one of these by case at most: folded, key, number, live."""
        if not self.last:
            return []
        folded = orjson.dumps(sorted(set(_folded(keys)))).decode()
        rows: list[Any] = self._db.execute(self._texts["dry_run_keys"], {"keys": folded}).fetchall()
        return rows

    def close(self) -> None:
        """Delete the file."""
        self._db.close()


def _folded(keys: Sequence[str]) -> list[str]:
    """Return keys without their ASCII case, in the same order."""
    return "\0".join(keys).translate(FOLDING).split("\0") if keys else []


class SqlDryRuns:
    """Implements DryRunStore."""

    def __init__(self, database: Database, texts: Mapping[str, str]) -> None:
        """`texts` are the statements of the store's `queries.sql`."""
        self._database = database
        self._catalogue = database.catalogue
        self._texts = texts
        self._lock = threading.Lock()
        self._files: dict[tuple[str, str], DryRunKeys] = {}
        """By merchant and batch."""

    def dry_run_items(self, round: ClaimedRound, keys: Sequence[str]) -> DryRunItems:
        """Return what the committed chunks of a dry run would have left of the items with these keys."""
        number = self._database.require_number(round.merchant)
        with self._lock, self._catalogue.reading(number) as db:
            named = number_of_diff(db, number, round.batch)
            file = self._file_of(round)
            _read_keys(db, named, file)
            found = file.find(keys)
            if not found:
                return DryRunItems({}, {})
            wanted = set(keys)
            numbers = {change: key for _, key, change, _ in found if key in wanted}
            items = {numbers[change]: item for change, item in _read_items(db, named, numbers)}
        variants: dict[str, str] = {}
        live = [(folded, key) for folded, key, _, is_live in found if is_live]
        if live:
            by_folded: dict[str, list[str]] = {}
            for folded, key in live:
                by_folded.setdefault(folded, []).append(key)
            for key, folded in zip(keys, _folded(keys), strict=True):
                other = next((each for each in by_folded.get(folded, ()) if each != key), None)
                if other is not None:
                    variants[key] = other
        return DryRunItems(items, variants)

    def _file_of(self, round: ClaimedRound) -> DryRunKeys:
        """Return the keys of a round, without those of chunks that the server lost in a crash."""
        name = round.merchant, round.batch
        file = self._files.pop(name, None)
        if file is not None and file.chunks > round.chunks:
            file.close()
            file = None
        file = self._files[name] = file if file is not None else DryRunKeys(self._texts)
        file.chunks = round.chunks
        if len(self._files) > FILES_MAX:
            self._files.pop(next(iter(self._files))).close()
        return file

    def diff(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[DiffChange]:
        """Return changes of a diff by number; fewer than `limit`, but at least one, if their documents are long."""
        number = self._database.number(merchant)
        changes: list[DiffChange] = []
        size = 0
        with self._catalogue.reading(number) as db:
            named = number_of_diff(db, number, batch)
            while rows := db.rows("diff_segments", {**named, "after": after, "limit": SEGMENTS_PER_QUERY}):
                for first, count, body in rows:
                    for change in _changes_of(first, body):
                        if change.number <= after or change.operation is None:
                            continue
                        changes.append(change)
                        size += sum(len(each.document) for each in (change.before, change.after) if each is not None)
                        if len(changes) >= limit or size > PAGE_BYTES_MAX:
                            return changes
                    after = first + count - 1
        return changes

    def diff_summary(self, merchant: str, batch: str) -> DiffSummary:
        """Return a diff in numbers."""
        number = self._database.number(merchant)
        with self._catalogue.reading(number) as db:
            named = number_of_diff(db, number, batch)
            return _head(db, number, named["batch"])[1]


def _read_keys(db: Statements, named: dict[str, object], file: DryRunKeys) -> None:
    """Add the keys of changes that were committed since the file was read last."""
    while rows := db.rows("diff_segments", {**named, "after": file.last, "limit": SEGMENTS_PER_QUERY}):
        for first, _, body in rows:
            segment = unpack_segment(body)
            file.add(first, segment.keys, [content is not None for content in segment.after])


def _read_items(db: Statements, named: dict[str, object], numbers: Mapping[int, str]) -> list[tuple[int, CurrentItem]]:
    """Return the items that changes with these numbers would leave, each segment read once."""
    items: list[tuple[int, CurrentItem]] = []
    first, segment = 0, None
    for number in sorted(numbers):
        if segment is None or number >= first + len(segment.keys):
            rows = db.rows("diff_segments", {**named, "after": number - 1, "limit": 1})
            first, segment = rows[0][0], unpack_segment(rows[0][2])
        items.append((number, _item_of(segment.after[number - first], segment.previous[number - first])))
    return items


def _item_of(content: ItemContent | None, packed_version: int) -> CurrentItem:
    """Return an item as `current_items` would; its hash is that of its document and its locks."""
    if content is None:
        return CurrentItem(None, _unpacked_version(packed_version))
    digest = item_digest(content.document, locks_in(content.field_state))
    return CurrentItem(digest, content.version, content.document, content.field_state, content.index_entries)


def _packed_version(version: int | None) -> int:
    """Return the version of a deletion as a segment has it, in place of the time of the change before: 0 for None."""
    return 0 if version is None else version if version < 0 else version + 1


def _unpacked_version(packed: int) -> int | None:
    return None if not packed else packed if packed < 0 else packed - 1


def _changes_of(first: int, body: bytes) -> list[DiffChange]:
    """Return the changes of a segment."""
    of = unpack_segment(body)
    return [
        DiffChange(
            key=key, operation=OPERATIONS[operation] if operation < VERSION_ONLY else None, before=before,
            after=after, tombstone_version=_unpacked_version(packed) if after is None else None,
            record=record or None, row=row or None, number=number,
        )
        for number, (key, operation, record, row, packed, before, after) in enumerate(
            zip(of.keys, of.operations, of.records, of.rows, of.previous, of.before, of.after, strict=True), first
        )
    ]
