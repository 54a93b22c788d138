"""The progress of batches, which is part of their rows."""

from collections.abc import Sequence
from typing import Any

import msgspec

from goodsgate.store.postgres.statements import PostgresStatements
from goodsgate.store.shared.progress import Progress


def progress_from_row(row: Sequence[Any]) -> Progress | None:
    """Return the progress of a row; None if the batch has not begun."""
    return None if row[1] is None else Progress(**dict(zip(Progress.__struct_fields__, row, strict=True)))


def lock_batches(db: PostgresStatements, merchant: int, batches: list[str],
                 ) -> tuple[dict[str, int], dict[str, Progress], bool]:
    """Lock batches; return the numbers of those that exist, and the progress of those that have begun, by id.

    The last value says whether records of the merchant wait for references.
    """
    rows = db.rows("lock_batches", {"merchant": merchant, "batches": batches})
    progress = {id.hex(): found for id, *row, _ in rows if (found := progress_from_row(row)) is not None}
    return {row[0].hex(): row[1] for row in rows}, progress, any(row[-1] for row in rows)


def progress_row(progress: Progress) -> dict[str, object]:
    """Return the progress as one row of `put_progress`."""
    row = msgspec.structs.asdict(progress)
    for name in ("columns", "mapping", "withheld", "reading", "roles", "rule_counts", "hold"):
        row[name] = row[name].decode() if row[name] is not None else None
    return row
