"""The journal of changes, in segments: the changes of one chunk in the order of their keys, packed and compressed.

The segment of an item's last change is found by the time at which the item was written, and each change names the time
of the one before it. So a history needs no index of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec
import orjson

from goodsgate.model import zstd
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Delete, Write, Writes
from goodsgate.model.journal import (
    JOURNAL_START,
    OPERATIONS,
    BatchJournal,
    ItemChange,
    ItemContent,
    ItemHistory,
    JournalPage,
    JournalPosition,
    StoredItem,
)
from goodsgate.store.contract import ChunkCommit, JournalPositionError
from goodsgate.store.shared.catalogue import find_collection
from goodsgate.store.shared.database import ALL_MERCHANTS, Database, Row, Statements
from goodsgate.store.shared.item_index import read_entries, sorted_keys
from goodsgate.store.shared.timestamps import id_bytes

SEGMENT_CHANGES_MAX = 512
SEGMENT_BYTES_MAX = 4 * 1024**2
"""Bytes of documents in one segment, unless a single change has more."""
COMPRESSED_BYTES_MIN = 2_048
"""Smaller segments are not compressed."""
SEGMENTS_PER_QUERY = 16
SEGMENTS_SKIPPED_MAX = 2_000
"""Segments of other collections that are passed over at once."""
PAGE_BYTES_MAX = 4 * 1024**2
"""A page of changes ends after so many bytes of documents."""
UNFLUSHED_SECONDS_MAX = 60
"""What was written longer ago is on disk."""
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
CREATED, UPDATED, DELETED = range(3)


class SegmentBody(msgspec.Struct, array_like=True):
    """The changes of a segment, member by member. One that is 0 is not known."""

    keys: list[str]
    operations: bytes
    """Index into OPERATIONS."""
    records: list[int]
    rows: list[int]
    previous: list[int]
    before: list[ItemContent | None]
    after: list[ItemContent | None]


class Segment(NamedTuple):
    """A segment before it has its place in the journal."""

    collection: int
    written_at: int
    batch: bytes | None
    order: str | None
    size: int
    """Number of changes."""
    last_key: str
    body: bytes


encode_body = msgspec.msgpack.Encoder().encode
decode_body = msgspec.msgpack.Decoder(SegmentBody).decode


def read_stored_items(db: Statements, merchant: int, collection: int, keys: Sequence[str], *, indexed: bool,
                      ) -> dict[str, StoredItem]:
    """Return the items with these keys as they are, tombstones included."""
    if not keys:
        return {}
    values = {"merchant": merchant, "collection": collection, "keys": sorted_keys(keys)}
    entries = read_entries(db, merchant, collection, keys) if indexed else {}
    return {
        key: StoredItem(
            hash, moved_at or written_at,
            ItemContent(document, version, field_state, entries.get(key, ())) if hash is not None else None,
            is_moved=moved_at is not None,
        )
        for key, hash, version, field_state, written_at, moved_at, document in db.each("stored_items", values)
    }


class JournalWriter:
    """Collects the changes of the chunks of one commit, and writes them to the journal."""

    def __init__(self) -> None:
        self._chunks: list[tuple[ChunkCommit, int, int]] = []

    def add(self, commit: ChunkCommit, collection: int, written_at: int) -> None:
        """Add a chunk that writes to a collection."""
        if commit.writes or commit.deletes:
            self._chunks.append((commit, collection, written_at))

    def segments(self, stored: Mapping[int, dict[str, StoredItem]], *, moved: Mapping[int, Set[str]]) -> list[Segment]:
        """Return the segments of all chunks; `stored` are items by collection and key as they were before.

        Of the keys in `moved`, by collection, only the version changes.
        """
        segments: list[Segment] = []
        for commit, collection, written_at in self._chunks:
            is_new = isinstance(commit.writes, Writes) and not commit.deletes and not stored.get(collection)
            if is_new and len(self._chunks) == 1:
                new = _pack_new_items(commit, commit.writes, collection, written_at)
                if new is not None:
                    return new
            changes = list(_changes(commit, stored.get(collection, {}), written_at, moved.get(collection, set())))
            segments += pack_segments(
                changes, collection=collection, written_at=written_at, batch=id_bytes(commit.round.batch), order=None
            )
        return segments


class PackedChange(NamedTuple):
    """A change on its way into a segment."""

    key: str
    operation: int
    record: int
    row: int
    previous: int
    before: ItemContent | None
    after: ItemContent | None


def _changes(commit: ChunkCommit, stored: dict[str, StoredItem], written_at: int, moved: Set[str],
             ) -> Iterator[PackedChange]:
    """Yield the changes of a chunk in the order of the keys, and bring `stored` up to date."""
    origins, nowhere = commit.origins, (0, 0)
    changed: dict[str, Write | Delete] = {write.key: write for write in commit.writes if write.key not in moved}
    changed.update((delete.key, delete) for delete in commit.deletes)
    for key in sorted(changed):
        change, item = changed[key], stored.get(key)
        hash = change.hash if isinstance(change, Write) else None
        if (item.hash if item is not None else None) == hash:
            continue  # only its version has changed
        before = item.content if item is not None else None
        after = _content(change) if isinstance(change, Write) else None
        operation = DELETED if after is None else UPDATED if before is not None else CREATED
        previous = item.changed_at if item is not None else 0
        stored[key] = StoredItem(hash, written_at, after)
        yield PackedChange(key, operation, *origins.get(key, nowhere), previous, before, after)


def _pack_new_items(commit: ChunkCommit, writes: Sequence[Write], collection: int, written_at: int,
                    ) -> list[Segment] | None:
    """Return the segments of a chunk whose items are all new, column by column: a bulk load is nothing else.

    Returns None if the documents of a segment would be too long.
    """
    assert isinstance(writes, Writes)
    ordered = writes.in_order()
    places = [commit.origins.get(key, (0, 0)) for key in ordered.keys]
    batch, segments = id_bytes(commit.round.batch), []
    for first in range(0, len(ordered), SEGMENT_CHANGES_MAX):
        part = slice(first, first + SEGMENT_CHANGES_MAX)
        keys, documents = [*ordered.keys[part]], ordered.documents[part]
        if sum(map(len, documents)) > SEGMENT_BYTES_MAX:
            return None
        records, rows = zip(*places[part], strict=True)
        count = len(keys)
        body = (keys, bytes([CREATED]) * count, records, rows, (0,) * count, (None,) * count, [*zip(documents)])
        segments.append(Segment(
            collection, written_at, batch, None, count, keys[-1], _compress(encode_body(body))
        ))
    return segments


def _content(write: Write) -> ItemContent:
    return ItemContent(write.document, write.version, write.field_state, write.index_entries)


def stock_segments(documents: Mapping[str, tuple[bytes, bytes]], stored: Mapping[str, StoredItem], *, collection: int,
                   written_at: int, order: str) -> list[Segment]:
    """Return the segments of an order that moves stock: the new documents, with their hashes, and the items before."""
    changes = []
    for key in sorted(documents):
        document, hash = documents[key]
        item = stored[key]
        if item.content is not None and item.hash != hash:
            after = msgspec.structs.replace(item.content, document=document)
            changes.append(PackedChange(key, UPDATED, 0, 0, item.changed_at, item.content, after))
    return list(pack_segments(changes, collection=collection, written_at=written_at, batch=None, order=order))


def pack_segments(changes: Sequence[PackedChange], *, collection: int, written_at: int, batch: bytes | None,
                  order: str | None) -> Iterator[Segment]:
    """Pack changes, in the order of their keys, into segments of bounded size."""
    first = size = 0
    for at, change in enumerate(changes):
        own = sum(len(content.document) for content in (change.before, change.after) if content is not None)
        if at > first and (at - first >= SEGMENT_CHANGES_MAX or size + own > SEGMENT_BYTES_MAX):
            yield _pack(changes[first:at], collection, written_at, batch, order)
            first, size = at, 0
        size += own
    if changes:
        yield _pack(changes[first:], collection, written_at, batch, order)


def _pack(changes: Sequence[PackedChange], collection: int, written_at: int, batch: bytes | None, order: str | None,
          ) -> Segment:
    keys, operations, records, rows, previous, before, after = zip(*changes, strict=True)
    body = encode_body(SegmentBody(
        [*keys], bytes(operations), [*records], [*rows], [*previous], [*before], [*after]
    ))
    return Segment(collection, written_at, batch, order, len(keys), keys[-1], _compress(body))


def _compress(body: bytes) -> bytes:
    return zstd.compress(body, level=1) if len(body) >= COMPRESSED_BYTES_MIN else body


def unpack_segment(body: bytes) -> SegmentBody:
    """Return the changes of a segment, member by member."""
    body = bytes(body)
    if body.startswith(ZSTD_MAGIC):
        body = zstd.decompress(body)
    return decode_body(body)


def number_segments(db: Statements, merchant: int, segments: Sequence[Segment]) -> list[tuple[Any, ...]]:
    """Return segments as rows, each behind the number of its first change.

    From here to the end of the transaction no other one of the merchant writes changes, so that a reader that has seen
    a number has seen all before it.
    """
    count = sum(segment.size for segment in segments)
    head = {"merchant": merchant, "count": count, "written_at": segments[0].written_at}
    first = db.value("raise_journal_head", head) - count + 1
    rows: list[tuple[Any, ...]] = []
    for segment in segments:
        rows.append((first, *segment))
        first += segment.size
    return rows


class SqlJournal:
    """Implements JournalStore."""

    def __init__(self, database: Database, *, flush: Callable[[int], None] | None = None) -> None:
        """`flush` makes durable what a transaction of the merchant may have read; None: everything is."""
        self._database = database
        self._catalogue = database.catalogue
        self._flush = flush

    def journal_position(self, merchant: str) -> JournalPosition:
        """Return the position behind the last change."""
        number = self._database.number(merchant)
        if number is None:
            return JOURNAL_START
        with self._catalogue.reading(number) as db:
            position = self.last_position(db, number)
        self.make_durable(number, position)
        return position

    @staticmethod
    def last_position(db: Statements, merchant: int) -> JournalPosition:
        """Return the position behind the last change that a transaction sees."""
        last, swept, swept_at = _head(db, merchant)
        return _position(db, merchant, last) if last > swept else JournalPosition(swept, swept_at)

    def journal_numbers(self, merchants: Sequence[str]) -> dict[str, int]:
        """Return, by merchant, the number of the last change."""
        pairs = [(self._database.number(merchant), merchant) for merchant in merchants]
        numbers = {number: merchant for number, merchant in pairs if number is not None}
        rows = self._catalogue.query("journal_numbers", {"merchants": orjson.dumps([*numbers]).decode()}, ALL_MERCHANTS)
        return {numbers[number]: last for number, last in rows}

    def count_changes(self, merchant: str, *, after: int, until: int) -> list[tuple[Kind, str, int]]:
        """Return kind, collection and number of changes between two numbers."""
        number = self._database.number(merchant)
        values = {"merchant": number, "after": after, "until": until}
        rows = self._catalogue.query("count_changes", values, number)
        return [(Kind(kind), collection, int(count)) for kind, collection, count in rows]

    def changes(self, merchant: str, *, after: JournalPosition | None, kind: Kind | None = None,
                collection: str | None = None, limit: int = 1000) -> JournalPage:
        """Return changes behind a position. Raises JournalPositionError."""
        number = self._database.number(merchant)
        if number is None:
            return JournalPage([], after or JOURNAL_START, is_last=True)
        with self._catalogue.reading(number) as db:
            page = _read_page(db, number, after, kind, collection, limit)
        if page.position != after:
            self.make_durable(number, page.position)
        return page

    def batch_changes(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[ItemChange]:
        """Return changes of a batch behind a number."""
        number = self._database.number(merchant)
        if number is None or id_bytes(batch) is None:
            return []
        changes: list[ItemChange] = []
        size, segments = 0, min(SEGMENTS_PER_QUERY, limit // SEGMENT_CHANGES_MAX + 1)
        with self._catalogue.reading(number) as db:
            values = {"merchant": number, "batch": batch, "after": after, "limit": segments}
            while len(changes) < limit and size < PAGE_BYTES_MAX and (rows := db.rows("batch_segments", values)):
                for row in rows:
                    changes += [change for change in _changes_of(row) if change.number > after]
                    size += len(row[-1])
                    if len(changes) >= limit:
                        break
                values["after"] = after = changes[-1].number if changes else after
        return changes[:limit]

    def batch_journal(self, merchant: str, batch: str) -> BatchJournal:
        """Return which part of the journal is about a batch."""
        number = self._database.number(merchant)
        if number is None or id_bytes(batch) is None:
            return BatchJournal(0, frozenset(), 0)
        with self._catalogue.reading(number) as db:
            _, _, swept_at = _head(db, number)
            rows = db.rows("batch_journal", {"merchant": number, "batch": batch})
        return BatchJournal(sum(count for count, _ in rows), frozenset(at for _, at in rows), swept_at)

    def stored_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, StoredItem]:
        """Return items by key, tombstones included."""
        number = self._database.number(merchant)
        if number is None:
            return {}
        with self._catalogue.reading(number) as db:
            found = find_collection(db, number, kind, collection)
            if found is None:
                return {}
            return read_stored_items(db, number, found.number, keys, indexed=found.indexed)

    def item_history(self, merchant: str, kind: Kind, collection: str, key: str, *, at: int | None = None,
                     limit: int = 50) -> ItemHistory:
        """Return the last changes of an item, or those from the one that was written `at` a time."""
        number = self._database.number(merchant)
        changes: list[ItemChange] = []
        with self._catalogue.reading(number) as db:
            found = find_collection(db, number, kind, collection)
            if found is None:
                return ItemHistory([], 0)
            named = {"merchant": number, "collection": found.number}
            if at is None:
                rows = db.rows("stored_items", {**named, "keys": sorted_keys([key])})
                at = rows[0][5] or rows[0][4] if rows else 0
            while at and len(changes) < limit:
                change = _change_at(db, {**named, "written_at": at, "key": key})
                if change is None:
                    at = 0
                    break
                changes.append(change)
                at = change.previous
        return ItemHistory(changes, at)

    def make_durable(self, merchant: int, position: JournalPosition) -> None:
        """Return when everything up to a position is on disk."""
        if self._flush is not None and self._database.now() - position.written_at < UNFLUSHED_SECONDS_MAX * 1e6:
            self._flush(merchant)


def _head(db: Statements, merchant: int) -> tuple[int, int, int]:
    """Return the number of the last change, the last number that was swept, and the latest time of those."""
    return db.first("journal_head", {"merchant": merchant}) or (0, 0, 0)


def _position(db: Statements, merchant: int, number: int) -> JournalPosition:
    row = db.first("segment_of", {"merchant": merchant, "number": number})
    return JournalPosition(number, row[1] if row is not None and number < row[0] + row[2] else 0)


def _read_page(db: Statements, merchant: int, after: JournalPosition | None, kind: Kind | None, collection: str | None,
               limit: int) -> JournalPage:
    last, swept, swept_at = _head(db, merchant)
    if after is None:
        after = JournalPosition(swept, swept_at)
    if after.number > last:
        raise JournalPositionError("unknown")
    if after.number < swept:
        raise JournalPositionError("expired")
    if after.number > swept and _position(db, merchant, after.number) != after:
        raise JournalPositionError("unknown")
    changes: list[ItemChange] = []
    position, size, skipped = after, 0, 0
    filters = {"kind": kind, "collection": collection}
    while position.number < last and skipped < SEGMENTS_SKIPPED_MAX:
        values = {"merchant": merchant, "after": position.number, "limit": SEGMENTS_PER_QUERY, **filters}
        for row in db.rows("journal_segments", values):
            first, count, written_at, body = row[0], row[1], row[2], row[-1]
            if body is None:
                position, skipped = JournalPosition(first + count - 1, written_at), skipped + 1
                continue
            for change in _changes_of(row):
                if change.number <= position.number:
                    continue
                changes.append(change)
                position = change.position
                size += sum(len(each.document) for each in (change.before, change.after) if each is not None)
                if len(changes) >= limit or size > PAGE_BYTES_MAX:
                    return JournalPage(changes, position, is_last=position.number == last)
    return JournalPage(changes, position, is_last=position.number == last)


def _changes_of(row: Row) -> list[ItemChange]:
    """Return the changes of a segment."""
    first, _, written_at, kind, collection, batch, order, body = row
    of = unpack_segment(body)
    kind, batch_id = Kind(kind), batch.hex() if batch is not None else None
    return [
        ItemChange(
            number=number, written_at=written_at, kind=kind, collection=collection, key=key,
            operation=OPERATIONS[operation], before=before, after=after, batch=batch_id, order=order,
            record=record or None, row=source_row or None, previous=previous,
        )
        for number, key, operation, record, source_row, previous, before, after in zip(
            range(first, first + len(of.keys)), of.keys, of.operations, of.records, of.rows, of.previous, of.before,
            of.after, strict=True,
        )
    ]


def _change_at(db: Statements, values: dict[str, Any]) -> ItemChange | None:
    """Return the change of a key that was written at a time."""
    for row in db.rows("segments_at", values):
        for change in _changes_of(row):
            if change.key == values["key"]:
                return change
    return None


def sweep_segments(db: Statements, merchant: int, before: int, limit: int) -> int:
    """Delete the oldest segments that were written before a time, and return how many."""
    rows = db.rows("oldest_segments", {"merchant": merchant, "limit": limit})
    due = list(takewhile(lambda row: row[2] < before, rows))
    if due:
        first, count, _ = due[-1]
        values = {"merchant": merchant, "last": first + count - 1, "swept_at": max(row[2] for row in due)}
        db.change("delete_segments", values)
        db.change("set_journal_swept", values)
    return len(due)
