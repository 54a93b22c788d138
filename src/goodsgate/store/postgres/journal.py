"""Writes segments of the journal.

The journal knows a change of an item by its time. Orders and the lane of the stock have clocks of their own, so that
the times of chunks are even and those of orders odd.
"""

from collections.abc import Sequence

import psycopg

from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.shared.journal import Segment, number_segments

COLUMNS = ("firsts", "collections", "times", "batches", "orders", "counts", "last_keys", "bodies")


def chunk_time(*least: int) -> int:
    """Return the first time for a chunk that is not before any of these."""
    return (max(least) + 1) & ~1


def order_time(*least: int) -> int:
    """Return the first time for the change of an order that is not before any of these."""
    return max(least) | 1


def write_segments(db: PostgresStatements, merchant: int, segments: Sequence[Segment]) -> None:
    """Write the segments of one commit behind those that the journal has."""
    if not segments:
        return
    rows = [
        (first, collection, written_at, batch.hex() if batch is not None else None, order, count, last_key,
         psycopg.Binary(body))
        for first, collection, written_at, batch, order, count, last_key, body
        in number_segments(db, merchant, segments)
    ]
    columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    db.change("add_segments", {"merchant": merchant, **columns})
