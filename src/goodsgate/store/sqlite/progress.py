"""How far a batch has come, as the catalogue file has it: the truth while a round is open."""

import apsw

from goodsgate.store.progress import Progress
from goodsgate.store.sqlite.ask import one


def progress_of(db: apsw.Connection, merchant: int, batch: bytes) -> Progress | None:
    """From a catalogue connection; None before the first portion."""
    row = one(db, "progress", {"merchant": merchant, "batch": batch})
    return Progress(**dict(zip(Progress.__struct_fields__, row, strict=True))) if row is not None else None
