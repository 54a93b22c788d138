"""Writes segments of the journal."""

from collections.abc import Sequence

from goodsgate.store.shared.journal import Segment, number_segments
from goodsgate.store.sqlite.statements import SqliteStatements


def write_segments(db: SqliteStatements, merchant: int, segments: Sequence[Segment]) -> None:
    """Write the segments of one commit behind those that the journal has."""
    if segments:
        db.insert_rows("add_segments", (merchant,), number_segments(db, merchant, segments))
