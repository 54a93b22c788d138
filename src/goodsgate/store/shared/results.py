"""Results of a chunk as they are stored: one byte per record, the index into RESULTS."""

from collections.abc import Mapping, Sequence

from goodsgate.model.batch import RESULT_BYTE, Policy, Result

WRITTEN = bytes([RESULT_BYTE[Result.CREATED], RESULT_BYTE[Result.UPDATED]])


def written_results(policy: Policy) -> bytes:
    """Return the results of records whose batch is in the item itself; a dry run writes none."""
    return b"" if policy.dry_run else WRITTEN


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
