"""What the contract demands of the values that pass through it; see `strict`."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from goodsgate.model.batch import FINAL_STATES, RESULTS, Batch, Counts, Finding, Result, State
from goodsgate.model.catalogue import Item, Label, Merchant, ReferenceEntry, Resource
from goodsgate.store.contract import ChunkCommit, Page

ID = re.compile(r"[0-9a-f]{32}")
MERCHANT = re.compile(r"[a-z0-9_-]{1,64}")
PIECE_BYTES_MAX = 2 * 1024 * 1024
FOLDING = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}


class ContractViolationError(AssertionError):
    """A caller or a store does not keep the contract; never caught by the code under test."""


def must(kept: bool, said: str, *told: object) -> None:
    """Raise ContractViolationError unless it is so."""
    if not kept:
        raise ContractViolationError(f"{said}: {', '.join(map(repr, told))}" if told else said)


def key_order(key: str) -> tuple[bytes, bytes]:
    """Items are in the order of their keys without ASCII case, then as they are, by UTF-8 bytes."""
    return key.translate(FOLDING).encode(), key.encode()


def check_batch(batch: Batch) -> None:
    """Promise 2: what is accounted for is never more than there is, and all of it at the end."""
    ended = batch.state in FINAL_STATES
    accounted = batch.counts.accounted
    must(min(getattr(batch.counts, name) for name in Counts.__struct_fields__) >= 0, "counts are not negative", batch)
    must(batch.total is None or accounted <= batch.total, "not more than there are", batch)
    must(not ended or accounted == batch.total, "all are accounted for at the end", batch)
    must(0 <= batch.warned <= accounted - batch.counts.rejected, "warned ones were not rejected", batch)
    must(0 <= batch.bytes_done <= batch.bytes_total, "bytes done are bytes received", batch)
    must(ended == (batch.position is None) == (batch.finished_at is not None), "ended or not", batch)
    must(not (ended and batch.cancelling), "a batch that has ended is not being cancelled", batch)
    must(batch.state is not State.WORKING or batch.position == 0, "nothing is before a round that is worked", batch)
    for moment in (batch.received_at, batch.started_at, batch.finished_at):
        check_aware(moment)


def check_portion(portion: ChunkCommit) -> None:
    """What a portion says of itself agrees with itself."""
    work, results = portion.round, portion.results
    must(portion.number >= 0 <= portion.records, "a portion has a number", portion.number)
    must(len(portion.keys) == len(results) and all(byte < len(RESULTS) for byte in results), "a key for each result")
    must((portion.first is None) == (not results), "numbers for the added records", portion.first)
    must(0 <= portion.bytes_done <= work.bytes_total, "bytes done are bytes received", portion.bytes_done)
    must(portion.end_state is None or portion.end_state in FINAL_STATES, "a round ends in an end", portion.end_state)
    total = (portion.first or work.total + 1) - 1
    must(all(0 < number <= total for number in portion.amended_results), "records that were there before are amended")
    moved = Counter(RESULTS[byte] for byte in results)
    moved.update(result for result, _ in portion.amended_results.values())
    moved[Result.REJECTED] -= len(portion.amended_results)
    for result in RESULTS:
        must(getattr(portion.counts, result) == moved[result], "counts say what the results say", portion.counts, moved)
    keys = [write.key for write in portion.writes] + [delete.key for delete in portion.deletes]
    must(len(set(keys)) == len(keys), "each key is written or deleted once")
    must(all(key and "\0" not in key for key in keys), "keys are texts", keys)
    must(all(len(write.hash) == 16 and write.document for write in portion.writes), "writes have hash and document")
    now = {(portion.first or 0) + at: RESULTS[byte] for at, byte in enumerate(results)}
    now.update({number: result for number, (result, _) in portion.amended_results.items()})
    found = {finding.number: finding for finding in portion.findings}
    must(len(found) == len(portion.findings), "one finding a record")
    for number, result in now.items():
        if result is Result.REJECTED:
            must(number in found, "every rejected record has an issue", number)
            check_rejected(found[number])
    for number, finding in found.items():
        must(number == 0 or finding.result is now.get(number), "a finding of a record of the portion", finding)
        must(bool(finding.issues), "a finding has issues", finding)
    held = portion.withheld
    must(held is None or 0 < held.deletions <= held.items, "withheld are held ones that are missing", held)


def check_rejected(finding: Finding) -> None:
    """A rejected record is kept as received, with at least one error."""
    must(finding.result is Result.REJECTED and finding.raw is not None, "a rejected record is kept", finding)
    must(any(told.severity == "error" for told in finding.issues), "a rejected record has an error", finding)


def checked_pieces(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces of a payload, not one too large."""
    for piece in pieces:
        must(0 < len(piece) <= PIECE_BYTES_MAX, "pieces of at most 2 MiB", len(piece))
        yield piece


def check_page(page: Page[object] | Page[Merchant] | Page[ReferenceEntry] | Page[Item], order: Sequence[object],
               limit: int,
               after: object) -> None:
    """In order, not longer than asked for, full if it goes on."""
    must(len(page.rows) <= limit, "not more than asked for", len(page.rows))
    must(page.next is None or len(page.rows) == limit, "a page that goes on is full", page.next)
    check_order(order, after or None)


def check_order(places: Sequence[object], after: object) -> None:
    """Strictly rising, behind `after` where that is given."""
    whole: list[Any] = [*places] if after is None else [after, *places]
    must(all(left < right for left, right in pairwise(whole)), "in order, behind the place asked for, each once", whole)


def check_merchant(merchant: str) -> None:
    """A merchant's id."""
    must(MERCHANT.fullmatch(merchant) is not None, "a merchant's id", merchant)


def check_id(text: str) -> None:
    """An id as `new_id` makes them."""
    must(ID.fullmatch(text) is not None, "an id of 32 hex digits", text)


def check_aware(moment: datetime | None) -> None:
    """A time, if there is one, in UTC."""
    must(moment is None or moment.utcoffset() == timedelta(0), "times are aware and in UTC", moment)


def check_labels(labels: Sequence[Label]) -> None:
    """Words, each once."""
    words = [word for word, _ in labels]
    must(all(words) and len(words) == len(set(words)), "labels: words, each once", labels)


def check_resources(resources: Sequence[Resource], *, after: int, limit: int) -> None:
    """By number, and without those that have an end."""
    numbers = [after, *(resource.number for resource in resources)]
    must(numbers == sorted(set(numbers)) and len(resources) <= limit, "by number, not more than asked for", numbers)
    must(all(resource.expires_at is None for resource in resources), "without an end", resources)
