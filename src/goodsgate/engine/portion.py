"""What a worked stretch changes, as the store takes it: results, findings, counts, writes."""

from collections import Counter

from goodsgate.engine.apply import REJECTED, Shelf
from goodsgate.engine.check import Judged
from goodsgate.engine.source import Stretch, raw_of
from goodsgate.model.batch import RESULTS, Counts, Finding, Result, State
from goodsgate.model.issue import issue
from goodsgate.store.contract import ChunkCommit, ClaimedRound


def claim_numbers(stretch: Stretch, judged: Judged, work: ClaimedRound) -> list[int]:
    """The record number of each; in a fix, those that replace nothing are added behind the batch's last."""
    if stretch.numbers is None:
        return list(range(work.total + 1, work.total + 1 + len(stretch)))
    numbers: list[int] = []
    fresh = work.total
    replaced: set[int] = set()
    for at, number in enumerate(stretch.numbers):
        if number is not None and number in stretch.before and number not in replaced:
            replaced.add(number)
            numbers.append(number)
            continue
        if number is not None:
            judged.issues.setdefault(at, []).append(issue("row_not_rejected", "/_row", value=number))
        fresh += 1
        numbers.append(fresh)
    return numbers


def build(work: ClaimedRound, stretch: Stretch, judged: Judged, results: bytearray, *, numbers: list[int], shelf: Shelf,
          ) -> ChunkCommit:
    """The portion of a stretch; `numbers` as `claim_numbers` gave them."""
    added = [at for at, number in enumerate(numbers) if number > work.total]
    whole = len(added) == len(numbers)
    amended = {} if whole else {
        number: (RESULTS[results[at]], judged.keys[at]) for at, number in enumerate(numbers) if number <= work.total
    }
    findings = [
        Finding(
            number=numbers[at], source_row=stretch.places[at], key=judged.keys[at], result=RESULTS[results[at]],
            issues=told,
            raw=raw_of(stretch, at) if results[at] == REJECTED else None,
        )
        for at, told in sorted(judged.issues.items()) if told
    ]
    writes, deletes = shelf.taken()
    return ChunkCommit(
        round=work, number=work.chunks, records=stretch.taken, first=work.total + 1 if added else None,
        keys=judged.keys if whole else [judged.keys[at] for at in added],
        results=bytes(results) if whole else bytes(results[at] for at in added),
        amended_results=amended, writes=writes, deletes=deletes, findings=findings,
        counts=counts_of(results).plus(Counts(rejected=-len(amended))),
        warned=sum(1 for finding in findings if finding.result is not Result.REJECTED),
        bytes_done=stretch.bytes_done,
    )


def counts_of(results: bytes | bytearray) -> Counts:
    """Records by result."""
    return Counts(**{RESULTS[byte].value: count for byte, count in Counter(results).items()})


def plain(work: ClaimedRound, *, results: bytes = b"", keys: list[str | None] | None = None, records: int = 0,
          bytes_done: int | None = None, ends: State | None = None) -> ChunkCommit:
    """A portion that writes no item: cancelled records, or the end of a round alone."""
    return ChunkCommit(
        round=work, number=work.chunks, records=records, first=work.total + 1 if results else None,
        keys=keys if keys is not None else [None] * len(results), results=results, counts=counts_of(results),
        bytes_done=work.bytes_total if bytes_done is None else bytes_done, end_state=ends,
    )

