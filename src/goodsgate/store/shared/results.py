"""Results of a chunk as they are stored: one byte per record, the index into RESULTS."""

from collections import Counter
from collections.abc import Mapping, Sequence

from goodsgate.model.batch import RESULT_BYTE, Result
from goodsgate.store.contract import ClaimedRound
from goodsgate.store.shared.database import Statements

WRITTEN = bytes([RESULT_BYTE[Result.CREATED], RESULT_BYTE[Result.UPDATED]])
REJECTED, CANCELLED = RESULT_BYTE[Result.REJECTED], RESULT_BYTE[Result.CANCELLED]
CANCELLED_RESULTS = bytes(REJECTED if byte == REJECTED else CANCELLED for byte in range(256))


def unwritten_keys(round: ClaimedRound, keys: Sequence[str | None], results: bytes) -> list[str]:
    """Return the keys of a chunk whose items may not say that the batch wrote them.

    Those are the keys of records that wrote nothing, and keys that several records have: what one of them changed,
    another may have changed back, and the item is as before. A dry run writes nothing.
    """
    written = b"" if round.is_dry_run else WRITTEN
    unwritten = [
        key for key, result in zip(keys, results, strict=True) if key is not None and result not in written
    ] if results.translate(None, written) else []
    if len({*keys}) < len(keys):
        unwritten += (key for key, count in Counter(keys).items() if count > 1 and key is not None)
    return unwritten


def cancel_results(results: bytes) -> bytes:
    """Return results with ``cancelled`` for every record that is not rejected."""
    return results.translate(CANCELLED_RESULTS)


def write_cancelled(db: Statements, merchant: int, batch: int) -> None:
    """Give every record of a batch that is not rejected the result ``cancelled``."""
    named = {"merchant": merchant, "batch": batch}
    for first, results in db.rows("chunks_after", {**named, "after": 0}):
        db.change("set_chunk_results", {**named, "first": first, "results": cancel_results(results)})
    db.change("cancel_findings", {**named, "cancelled": CANCELLED, "rejected": REJECTED})
    db.change("cancel_finding_segments", named)


def find_results(results: bytes, start: int, wanted: int | None, limit: int) -> list[int]:
    """Return the positions of at most `limit` results from `start` on; of one result only, if `wanted` is given."""
    if wanted is None:
        return list(range(start, min(len(results), start + limit)))
    positions: list[int] = []
    at = results.find(wanted, start)
    while at >= 0 and len(positions) < limit:
        positions.append(at)
        at = results.find(wanted, at + 1)
    return positions


def amend_results(first: int, results: bytes, keys: Sequence[str | None],
                  changes: Mapping[int, tuple[Result, str | None]]) -> tuple[bytes, list[str | None] | None]:
    """Apply changes by record number to a chunk; return its results, and its keys if any of them changes."""
    new_results, new_keys = bytearray(results), list(keys)
    for number, (result, key) in changes.items():
        new_results[number - first] = RESULT_BYTE[result]
        new_keys[number - first] = key
    return bytes(new_results), new_keys if new_keys != list(keys) else None
