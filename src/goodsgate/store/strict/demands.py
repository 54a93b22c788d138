"""What the contract demands of single values."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from goodsgate.model.batch import FINAL_STATES, RESULTS, Batch, Counts, Result, State
from goodsgate.model.catalogue import Label, Resource
from goodsgate.model.finding import Finding
from goodsgate.store.contract import ChunkCommit, Page

ID = re.compile(r"[0-9a-f]{32}")
MERCHANT = re.compile(r"[a-z0-9_-]{1,64}")
PIECE_BYTES_MAX = 2 * 1024 * 1024
FOLDING = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}


class ContractViolationError(AssertionError):
    """A caller or a store violates the contract; never caught by the code under test."""


def require(holds: bool, demand: str, *values: object) -> None:
    """Raise ContractViolationError unless the demand holds."""
    if not holds:
        raise ContractViolationError(f"{demand}: {', '.join(map(repr, values))}" if values else demand)


def key_order(key: str) -> tuple[bytes, bytes]:
    """Return the sort key of an item: its key without ASCII case, then as it is, by UTF-8 bytes."""
    return key.translate(FOLDING).encode(), key.encode()


def check_batch(batch: Batch) -> None:
    """Check that a batch never accounts for more records than it has, and for all of them at the end (promise 2)."""
    ended = batch.state in FINAL_STATES
    accounted = batch.counts.accounted
    lowest = min(getattr(batch.counts, name) for name in Counts.__struct_fields__)
    require(lowest >= 0, "counts are not negative", batch)
    require(batch.total is None or accounted <= batch.total, "no more results than records", batch)
    require(not ended or accounted == batch.total, "every record has a result at the end", batch)
    require(0 <= batch.warned <= accounted - batch.counts.rejected, "rejected records do not count as warned", batch)
    require(0 <= batch.bytes_done <= batch.bytes_total, "no more bytes are done than received", batch)
    require(ended == (batch.position is None) == (batch.finished_at is not None), "ended or not", batch)
    require(not (ended and batch.cancelling), "a batch that has ended is not being cancelled", batch)
    require(batch.state is not State.WORKING or batch.position == 0, "no round is before the current one", batch)
    for moment in (batch.received_at, batch.started_at, batch.finished_at):
        check_utc(moment)


def check_commit(commit: ChunkCommit) -> None:
    """Check that the members of a chunk commit agree with each other."""
    round, results = commit.round, commit.results
    require(commit.number >= 0 <= commit.records, "a chunk has a number", commit.number)
    require(len(commit.keys) == len(results) and all(byte < len(RESULTS) for byte in results), "a key for each result")
    require((commit.first is None) == (not results), "added records have numbers", commit.first)
    require(0 <= commit.bytes_done <= round.bytes_total, "no more bytes are done than received", commit.bytes_done)
    require(commit.end_state in (None, State.HELD, *FINAL_STATES), "a round ends in a final state, or is held", commit)
    total = (commit.first or round.total + 1) - 1
    require(all(0 < number <= total for number in commit.amended_results), "only earlier records are amended")
    added = Counter(RESULTS[byte] for byte in results)
    added.update(result for result, _ in commit.amended_results.values())
    waited = added[Result.WAITING] - commit.counts.waiting
    require(0 <= waited <= len(commit.amended_results), "amended records were rejected or waited", commit.counts)
    added[Result.WAITING] -= waited
    added[Result.REJECTED] -= len(commit.amended_results) - waited
    for result in RESULTS:
        require(getattr(commit.counts, result) == added[result], "counts match the results", commit.counts, added)
    is_dry, written = round.is_dry_run, bool(commit.writes or commit.deletes or commit.has_variants)
    require(not (is_dry and written), "a dry run writes nothing", commit)
    require(is_dry or not (commit.diff or commit.diff_summary), "only a dry run has a diff", commit)
    check_order([change.key for change in commit.diff], None)
    keys = [write.key for write in commit.writes] + [delete.key for delete in commit.deletes]
    require(len(set(keys)) == len(keys), "each key is written or deleted once")
    require(all(key and "\0" not in key for key in keys), "keys are not empty and have no NUL", keys)
    places = [commit.origins.get(key, (0, 0)) for key in keys]
    require(all(number >= 0 <= row for number, row in places), "numbers and rows are not negative", commit.origins)
    require(all(len(write.hash) == 16 and write.document for write in commit.writes), "writes have hash and document")
    groups_are_versioned = all(
        write.version is not None for write in commit.writes
        if write.field_state is not None and write.group_versions is not None
    )
    require(groups_are_versioned, "the newest of the group versions is that of the item")
    by_number = {(commit.first or 0) + at: RESULTS[byte] for at, byte in enumerate(results)}
    by_number.update({number: result for number, (result, _) in commit.amended_results.items()})
    findings = {finding.number: finding for finding in commit.findings}
    require(len(findings) == len(commit.findings), "one finding per record")
    for number, result in by_number.items():
        if result in (Result.REJECTED, Result.WAITING):
            require(number in findings, "every rejected or waiting record has an issue", number)
            check_kept(findings[number])
    waiting = {number for number, result in by_number.items() if result is Result.WAITING}
    named = {record.number for record in commit.waiting}
    require(named == (set() if is_dry else waiting), "waiting records name what they wait for", waiting)
    require((commit.end_state is State.HELD) <= (round.is_trial and commit.hold is not None), "a trial is held", commit)
    require(not commit.ends_trial or (round.is_trial and commit.end_state is None), "a trial ends", commit)
    require(all(record.references for record in commit.waiting), "they wait for something", commit.waiting)
    names = [name for parent in commit.parents for name in parent.names]
    require(all(name and "\0" not in name for name in names), "parents have names without NUL", names)
    for number, finding in findings.items():
        require(number == 0 or finding.result is by_number.get(number), "findings belong to the chunk", finding)
        require(bool(finding.issues), "a finding has issues", finding)
    withheld = commit.withheld
    require(withheld is None or 0 < withheld.deletions <= withheld.items, "withheld deletions exist", withheld)


def check_kept(finding: Finding, *results: Result) -> None:
    """Check that a rejected or waiting record has its raw bytes and an error; `results` are those that it may have."""
    allowed = results or (Result.REJECTED, Result.WAITING)
    require(finding.result in allowed and finding.raw is not None, "a kept record has raw bytes", finding)
    require(any(issue.severity == "error" for issue in finding.issues), "a kept record has an error", finding)


def check_pieces(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Check the size of each piece of a payload."""
    for piece in pieces:
        require(0 < len(piece) <= PIECE_BYTES_MAX, "pieces have at most 2 MiB", len(piece))
        yield piece


def check_page(page: Page[Any], order: Sequence[object], limit: int, after: object) -> None:
    """Check that a page is in order, within its limit, and full if another one follows."""
    require(len(page.rows) <= limit, "the limit is kept", len(page.rows))
    require(page.next is None or len(page.rows) == limit, "a page with a next one is full", page.next)
    check_order(order, after or None)


def check_order(positions: Sequence[object], after: object) -> None:
    """Check that positions strictly grow, from `after` on if it is given."""
    whole: list[Any] = [*positions] if after is None else [after, *positions]
    require(all(left < right for left, right in pairwise(whole)), "in order, each once", whole)


def check_merchant(merchant: str) -> None:
    """Check a merchant's id."""
    require(MERCHANT.fullmatch(merchant) is not None, "a merchant's id", merchant)


def check_id(text: str) -> None:
    """Check an id as `new_id` creates it."""
    require(ID.fullmatch(text) is not None, "an id of 32 hex digits", text)


def check_utc(moment: datetime | None) -> None:
    """Check that a time, if there is one, is aware and in UTC."""
    require(moment is None or moment.utcoffset() == timedelta(0), "times are aware and in UTC", moment)


def check_labels(labels: Sequence[Label]) -> None:
    """Check that labels are not empty, and each appears once."""
    names = [name for name, _ in labels]
    require(all(names) and len(names) == len(set(names)), "each label appears once", labels)


def check_resources(resources: Sequence[Resource], *, after: int, limit: int) -> None:
    """Check that resources are in order and never expire."""
    numbers = [after, *(resource.number for resource in resources)]
    require(numbers == sorted(set(numbers)) and len(resources) <= limit, "in order, within the limit", numbers)
    require(all(resource.expires_at is None for resource in resources), "resources never expire", resources)
