"""Items in the binary format of COPY: a quarter faster for the server than text, and without escaping."""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from goodsgate.model.catalogue import Delete, Write
from goodsgate.store.postgres.statements import SQL, PostgresStatements
from goodsgate.store.shared.timestamps import id_bytes

ROWS_PER_WRITE = 4_096
"""Sent together, so that the server works while the next rows are built."""

START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EIGHT = b"\0\0\0\x08"
SIXTEEN = b"\0\0\0\x10"
"""Each column follows its length in four bytes."""
COLUMNS = 9
"""One more with a field state."""
PARTS = 8
"""The number of byte strings that a row is joined from; two more with a field state."""
LENGTHS = tuple(length.to_bytes(4, "big") for length in range(4_096))
"""The most frequent ones; a lookup is faster than a conversion."""


class ItemRows(NamedTuple):
    """Rows of one collection, column by column."""

    head: bytes
    """See `row_head`."""
    keys: Sequence[str]
    hashes: Sequence[bytes | None]
    """A tombstone is a row without hash and document."""
    versions: Sequence[int | None] | None
    """None if no row has one."""
    documents: Sequence[bytes | None]
    stamps: Sequence[bytes]
    """See `stamp`."""
    field_states: Sequence[bytes] | None = None
    """None for rows without that column."""

    def part(self, low: int, high: int) -> "ItemRows":
        """Return only the rows `low` to `high` (not included)."""
        versions = self.versions[low:high] if self.versions is not None else None
        field_states = self.field_states[low:high] if self.field_states is not None else None
        keys, hashes, documents = self.keys[low:high], self.hashes[low:high], self.documents[low:high]
        return ItemRows(self.head, keys, hashes, versions, documents, self.stamps[low:high], field_states)


def rows_of(head: bytes, items: Sequence[Write | Delete], stamps: Sequence[bytes], *, with_state: bool = False,
            ) -> ItemRows:
    """Return the rows of writes, and of deletes that leave a tombstone; `with_state` adds the field states."""
    writes = [item if type(item) is Write else None for item in items]
    return ItemRows(
        head, [item.key for item in items], [write.hash if write is not None else None for write in writes],
        [item.version for item in items], [write.document if write is not None else None for write in writes], stamps,
        [(write.field_state or "").encode() for write in writes if write is not None] if with_state else None,
    )


def row_head(merchant: int, collection: int, *, searched: bool) -> bytes:
    """Return the first columns of all rows of a collection."""
    return struct.pack(">iqiq", 8, merchant, 8, collection) + (b"\0\0\0\x01\x01" if searched else NULL)


def stamp(batch: str, written_at: int) -> bytes:
    """Return batch and time (microseconds) of a write as columns."""
    return SIXTEEN + (id_bytes(batch) or b"") + EIGHT + written_at.to_bytes(8, "big")


def copy_rows(db: PostgresStatements, name: str, collections: Iterable[ItemRows]) -> None:
    """Copy all rows with the statement of this name."""
    with db.cursor.copy(SQL[name]) as copy:
        copy.write(START)
        for rows in collections:
            for first in range(0, len(rows.keys), ROWS_PER_WRITE):
                copy.write(_joined(rows.part(first, first + ROWS_PER_WRITE)))
        copy.write(END)


def _joined(rows: ItemRows) -> bytes:
    """Join rows column by column, which is far faster than row by row."""
    count = len(rows.keys)
    names = [*map(str.encode, rows.keys)]
    columns, step = (COLUMNS, PARTS) if rows.field_states is None else (COLUMNS + 1, PARTS + 2)
    parts = [b""] * (step * count)
    parts[0::step] = [columns.to_bytes(2, "big") + rows.head] * count
    parts[1::step] = _lengths(names)
    parts[2::step] = names
    parts[3::step] = [NULL if hash is None else SIXTEEN + hash for hash in rows.hashes]
    parts[4::step] = [NULL] * count if rows.versions is None else [
        NULL if version is None else EIGHT + version.to_bytes(8, "big", signed=True) for version in rows.versions
    ]
    parts[5::step] = rows.stamps
    parts[6::step] = _lengths(rows.documents)
    parts[7::step] = [document or b"" for document in rows.documents]
    if rows.field_states is not None:
        parts[8::step] = _lengths(rows.field_states)
        parts[9::step] = rows.field_states
    return b"".join(parts)


def _lengths(values: Sequence[bytes | None]) -> list[bytes]:
    try:
        return [LENGTHS[length] for length in map(len, values)]  # type: ignore[arg-type]  # None has no length
    except (IndexError, TypeError):
        return [NULL if value is None else len(value).to_bytes(4, "big") for value in values]
