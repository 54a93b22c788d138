"""The progress of batches in the catalogue file: the truth while a round is open."""

from collections.abc import Sequence

import orjson

from goodsgate.store.shared.progress import Progress
from goodsgate.store.sqlite.statements import SqliteStatements


def read_progress(db: SqliteStatements, merchant: int, batch: bytes) -> Progress | None:
    """Return the progress of a batch from the catalogue file; None before its first chunk."""
    return read_all_progress(db, merchant, [batch]).get(batch)


def read_all_progress(db: SqliteStatements, merchant: int, batches: Sequence[bytes]) -> dict[bytes, Progress]:
    """Return the progress of those batches that have begun."""
    values = (merchant, orjson.dumps([batch.hex() for batch in batches]).decode())
    return {
        batch: Progress(**dict(zip(Progress.__struct_fields__, row, strict=True)))
        for batch, *row in db.rows("progress", values)
    }
