"""How far a batch has come, as the catalogue file has it: the truth while a round is open."""

from collections.abc import Sequence

import apsw
import orjson

from goodsgate.store.progress import Progress
from goodsgate.store.sqlite.ask import every


def progress_of(db: apsw.Connection, merchant: int, batch: bytes) -> Progress | None:
    """From a catalogue connection; None before the first portion."""
    return progress_among(db, merchant, [batch]).get(batch)


def progress_among(db: apsw.Connection, merchant: int, batches: Sequence[bytes]) -> dict[bytes, Progress]:
    """Of those that have begun, from a catalogue connection."""
    asked = (merchant, orjson.dumps([batch.hex() for batch in batches]).decode())
    return {
        batch: Progress(**dict(zip(Progress.__struct_fields__, row, strict=True)))
        for batch, *row in every(db, "progress", asked)
    }
