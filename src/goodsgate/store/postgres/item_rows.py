"""Items as COPY takes them in its binary form: a quarter quicker for the server than text, and nothing to escape."""

import struct
from collections.abc import Iterable, Sequence

import msgspec

from goodsgate.model.catalogue import Delete, Write
from goodsgate.store.moments import id_bytes
from goodsgate.store.postgres.ask import SQL, Cursor

ROWS_AT_ONCE = 1_024
"""Sent together, so that the server is at work while the next ones are made."""

START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EIGHT = b"\0\0\0\x08"
SIXTEEN = b"\0\0\0\x10"
"""Each column stands behind its length in four bytes."""
COLUMNS = 8
PARTS = 6
"""What a row is joined of."""


class Rows(msgspec.Struct):
    """Rows of one shelf."""

    head: bytes
    """See `head`."""
    items: list[Write | Delete]
    """A tombstone is a row without hash and document."""
    stamps: list[bytes]
    """Of each; see `stamp`."""


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
            for first in range(0, len(rows.items), ROWS_AT_ONCE):
                last = first + ROWS_AT_ONCE
                copy.write(_joined(rows.head, rows.items[first:last], rows.stamps[first:last]))
        copy.write(END)


def _joined(head: bytes, items: Sequence[Write | Delete], stamps: Sequence[bytes]) -> bytes:
    """Column by column, which is twice as quick as row by row."""
    names = [item.key.encode() for item in items]
    hashes = [item.hash if type(item) is Write else None for item in items]
    documents = [item.document if type(item) is Write else None for item in items]
    parts = [b""] * (PARTS * len(items))
    parts[0::PARTS] = [head + len(name).to_bytes(4, "big") + name for name in names]
    parts[1::PARTS] = [NULL if hash is None else SIXTEEN + hash for hash in hashes]
    parts[2::PARTS] = [
        NULL if item.version is None else EIGHT + item.version.to_bytes(8, "big", signed=True) for item in items
    ]
    parts[3::PARTS] = stamps
    parts[4::PARTS] = [NULL if document is None else len(document).to_bytes(4, "big") for document in documents]
    parts[5::PARTS] = [document or b"" for document in documents]
    return b"".join(parts)
