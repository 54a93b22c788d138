"""Items as COPY takes them in its binary form: a quarter quicker for the server than text, and nothing to escape."""

import struct
from collections.abc import Iterable, Sequence

import msgspec

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
    """Column by column, which is far quicker than row by row."""
    count = len(items)
    names = [item.key.encode() for item in items]
    versions = [item.version for item in items]
    hashes, documents = _contents(items)
    parts = [b""] * (PARTS * count)
    parts[0::PARTS] = [head] * count
    parts[1::PARTS] = _lengths(names)
    parts[2::PARTS] = names
    parts[3::PARTS] = hashes
    parts[4::PARTS] = [NULL] * count if versions.count(None) == count else [
        NULL if version is None else EIGHT + version.to_bytes(8, "big", signed=True) for version in versions
    ]
    parts[5::PARTS] = stamps
    parts[6::PARTS] = _lengths(documents)
    parts[7::PARTS] = [document or b"" for document in documents]
    return b"".join(parts)


def _contents(items: Sequence[Write | Delete]) -> tuple[list[bytes], list[bytes | None]]:
    writes = [item for item in items if type(item) is Write]
    if len(writes) == len(items):
        return [SIXTEEN + write.hash for write in writes], [write.document for write in writes]
    return (
        [SIXTEEN + item.hash if type(item) is Write else NULL for item in items],
        [item.document if type(item) is Write else None for item in items],
    )


def _lengths(values: Sequence[bytes | None]) -> list[bytes]:
    try:
        return [LENGTHS[length] for length in map(len, values)]  # type: ignore[arg-type]  # None has no length
    except (IndexError, TypeError):
        return [NULL if value is None else len(value).to_bytes(4, "big") for value in values]
