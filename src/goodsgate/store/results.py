"""Results of a portion as they are kept: one byte a record, the index into RESULTS; the same in every store."""

from collections.abc import Iterator, Mapping, Sequence

from goodsgate.model.batch import RESULT_BYTE, Result


def places(results: bytes, start: int, wanted: int | None, most: int) -> list[int]:
    """Where in a portion the records are that are asked for."""
    if wanted is None:
        return list(range(start, min(len(results), start + most)))
    return list(_found(results, start, wanted, most))


def _found(results: bytes, start: int, wanted: int, most: int) -> Iterator[int]:
    at = results.find(wanted, start)
    while at >= 0 and most > 0:
        yield at
        most -= 1
        at = results.find(wanted, at + 1)


def amended(first: int, results: bytes, keys: Sequence[str | None], changes: Mapping[int, tuple[Result, str | None]],
            ) -> tuple[bytes, list[str | None] | None]:
    """Results of a portion with the changes by record number, and its keys; None if no key is another one."""
    changed, rekeyed = bytearray(results), list(keys)
    for number, (result, key) in changes.items():
        changed[number - first] = RESULT_BYTE[result]
        rekeyed[number - first] = key
    return bytes(changed), rekeyed if rekeyed != list(keys) else None
