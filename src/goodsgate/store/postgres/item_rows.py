"""Items as COPY takes them in its binary form: a quarter quicker for the server than text, and nothing to escape."""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from goodsgate.model.catalogue import Delete, Write
from goodsgate.store.moments import id_bytes
from goodsgate.store.postgres.ask import SQL, Cursor

ROWS_AT_ONCE = 4_096
"""Sent together, so that the server is at work while the next ones are made."""

START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EIGHT = b"\0\0\0\x08"
SIXTEEN = b"\0\0\0\x10"
"""Each column stands behind its length in four bytes."""
COLUMNS = 8
PARTS = 8
"""What a row is joined of."""
LENGTHS = tuple(length.to_bytes(4, "big") for length in range(4_096))
"""The commonest, which are looked up sooner than made."""


class Rows(NamedTuple):
    """Rows of one shelf, column by column."""

    head: bytes
    """See `head`."""
    keys: Sequence[str]
    hashes: Sequence[bytes | None]
    """A tombstone is a row without hash and document."""
    versions: Sequence[int | None] | None
    """None if none has one."""
    documents: Sequence[bytes | None]
    stamps: Sequence[bytes]
    """See `stamp`."""

    def part(self, low: int, high: int) -> "Rows":
        """Rows `low` to `high` (not included) alone."""
        versions = self.versions[low:high] if self.versions is not None else None
        keys, hashes = self.keys[low:high], self.hashes[low:high]
        return Rows(self.head, keys, hashes, versions, self.documents[low:high], self.stamps[low:high])


def rows_of(head: bytes, items: Sequence[Write | Delete], stamps: Sequence[bytes]) -> Rows:
    """Rows of what is written, and of what leaves a tombstone."""
    writes = [item if type(item) is Write else None for item in items]
    return Rows(
        head, [item.key for item in items], [write.hash if write is not None else None for write in writes],
        [item.version for item in items], [write.document if write is not None else None for write in writes], stamps,
    )


def head(merchant: int, shelf: int) -> bytes:
    """What the rows of one shelf begin with."""
    return struct.pack(">hiqiq", COLUMNS, 8, merchant, 8, shelf)


def stamp(batch: str, written_at: int) -> bytes:
    """By what a row is written, and when, in microseconds."""
    return SIXTEEN + (id_bytes(batch) or b"") + EIGHT + written_at.to_bytes(8, "big")


def copy_rows(db: Cursor, name: str, shelves: Iterable[Rows]) -> None:
    """All rows by the statement of this name."""
    with db.copy(SQL[name]) as copy:
        copy.write(START)
        for rows in shelves:
            for first in range(0, len(rows.keys), ROWS_AT_ONCE):
                copy.write(_joined(rows.part(first, first + ROWS_AT_ONCE)))
        copy.write(END)


def _joined(rows: Rows) -> bytes:
    """Column by column, which is far quicker than row by row."""
    count = len(rows.keys)
    names = [*map(str.encode, rows.keys)]
    parts = [b""] * (PARTS * count)
    parts[0::PARTS] = [rows.head] * count
    parts[1::PARTS] = _lengths(names)
    parts[2::PARTS] = names
    parts[3::PARTS] = [NULL if hash is None else SIXTEEN + hash for hash in rows.hashes]
    parts[4::PARTS] = [NULL] * count if rows.versions is None else [
        NULL if version is None else EIGHT + version.to_bytes(8, "big", signed=True) for version in rows.versions
    ]
    parts[5::PARTS] = rows.stamps
    parts[6::PARTS] = _lengths(rows.documents)
    parts[7::PARTS] = [document or b"" for document in rows.documents]
    return b"".join(parts)


def _lengths(values: Sequence[bytes | None]) -> list[bytes]:
    try:
        return [LENGTHS[length] for length in map(len, values)]  # type: ignore[arg-type]  # None has no length
    except (IndexError, TypeError):
        return [NULL if value is None else len(value).to_bytes(4, "big") for value in values]
