"""Items as COPY takes them in its binary form: a quarter quicker for the server than text, and nothing to escape."""

import struct
from collections.abc import Sequence

from goodsgate.store.postgres.ask import SQL, Cursor

ROWS_AT_ONCE = 256
"""Sent together, so that the server is at work while the next ones are made."""

START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
COLUMNS = 8

Row = tuple[bytes, str, bytes | None, int | None, bytes, int, bytes | None]
"""The row's `head`; key; hash; version; the batch's id; when it was written, in microseconds; document."""


def head(merchant: int, shelf: int) -> bytes:
    """What the rows of one shelf begin with."""
    return struct.pack(">hiqiq", COLUMNS, 8, merchant, 8, shelf)


def copy_rows(db: Cursor, name: str, rows: Sequence[Row]) -> None:
    """All rows by the statement of this name."""
    with db.copy(SQL[name]) as copy:
        copy.write(START)
        for first in range(0, len(rows), ROWS_AT_ONCE):
            copy.write(b"".join([_row(*row) for row in rows[first : first + ROWS_AT_ONCE]]))
        copy.write(END)


def _row(head: bytes, key: str, hash: bytes | None, version: int | None, batch: bytes, written_at: int,
         document: bytes | None) -> bytes:
    """Each column behind its length in four bytes."""
    named = key.encode()
    return b"%b%b%b%b%b\0\0\0\x10%b\0\0\0\x08%b%b%b" % (
        head, len(named).to_bytes(4, "big"), named,
        NULL if hash is None else b"\0\0\0\x10" + hash,
        NULL if version is None else b"\0\0\0\x08" + version.to_bytes(8, "big", signed=True),
        batch, written_at.to_bytes(8, "big"),
        NULL if document is None else len(document).to_bytes(4, "big"), document or b"",
    )
