"""How far a batch has come, as the catalogue file has it: the truth while a round is open."""

import apsw
import msgspec

from goodsgate.model.batch import Counts
from goodsgate.store.sqlite.ask import one

COUNTED = Counts.__struct_fields__


class Progress(msgspec.Struct, kw_only=True):
    """One row of progress; settle moves it on and writes it back. Times in microseconds."""

    seq: int
    """Number of the batch within the catalogue file."""
    round: int
    portions: int
    records: int
    total: int
    bytes_before: int
    bytes_done: int
    created: int
    updated: int
    unchanged: int
    deleted: int
    superseded: int
    rejected: int
    cancelled: int
    warned: int
    columns: bytes | None
    mapping: bytes | None
    withheld: bytes | None
    held: int
    first_at: int
    ended: str | None
    ended_at: int | None

    @property
    def read(self) -> bool:
        """The submission was worked to its end, so that the number of its records is known."""
        return self.round > 0 or self.ended is not None

    def has_ended(self, round: int) -> bool:
        """Whether this round is over."""
        return self.round > round or (self.round == round and self.ended is not None)


def progress_of(db: apsw.Connection, merchant: int, batch: bytes) -> Progress | None:
    """From a catalogue connection; None before the first portion."""
    row = one(db, "progress", {"merchant": merchant, "batch": batch})
    return Progress(**dict(zip(Progress.__struct_fields__, row, strict=True))) if row is not None else None
