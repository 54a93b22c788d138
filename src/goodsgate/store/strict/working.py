"""What a worker does, watched."""

# ruff: noqa: D102 – the contract says what each method does.
from collections.abc import Callable, Sequence
from datetime import datetime

from goodsgate.model.batch import Finding, Kind
from goodsgate.model.catalogue import CurrentItem, IndexEntry
from goodsgate.store.contract import ChunkCommit, Claim, ClaimedRound, IndexFilter, Renewal, StockChange, StockLevels
from goodsgate.store.demands import (
    check_aware,
    check_merchant,
    check_order,
    check_portion,
    check_rejected,
    key_order,
    must,
)
from goodsgate.store.strict.asking import Asking


class Working(Asking):
    """From claim to settle."""

    def claim(self, worker: str, *, lease_seconds: float, rounds_max: int, bytes_max: int) -> Claim | None:
        must(bool(worker) and lease_seconds > 0 and 0 < rounds_max <= bytes_max, "who, for how long, how much")
        claim = self.store.claim(worker, lease_seconds=lease_seconds, rounds_max=rounds_max, bytes_max=bytes_max)
        if claim is None:
            return None
        works, lane = claim.rounds, (claim.merchant, claim.kind)
        must(claim.worker == worker and 0 < len(works) <= rounds_max, "a claim with works, of this worker", claim)
        must(claim.attempt > self._attempts.get(lane, 0), "attempts of a lane grow", claim)
        self._attempts[lane] = claim.attempt
        check_aware(claim.expires_at)
        for work in works:
            must((work.merchant, work.kind) == lane, "works of one lane", work)
            must(work.chunks >= 0 <= work.records and work.total >= 0, "a work stands somewhere", work)
        order = [work.received_at for work in works]
        must(order == sorted(order), "in order of acceptance", claim)
        if len(works) > 1:
            small = all(work.bytes_total <= bytes_max // rounds_max and not work.chunks for work in works)
            must(small, "only small rounds with nothing settled are claimed together", claim)
        return claim

    def wait_for_work(self, seconds: float) -> None:
        must(seconds > 0, "how long at most", seconds)
        self.store.wait_for_work(seconds)

    def renew_claim(self, claim: Claim, *, lease_seconds: float) -> Renewal:
        must(lease_seconds > 0, "for how long", lease_seconds)
        renewal = self.store.renew_claim(claim, lease_seconds=lease_seconds)
        must(renewal.cancelling <= {work.batch for work in claim.rounds}, "batches of the claim", renewal)
        return renewal

    def release_rounds(self, merchant: str, kind: Kind, collection: str, *, before: datetime | None = None) -> int:
        check_merchant(merchant)
        check_aware(before)
        must(bool(collection), "of which collection")
        started = self.store.release_rounds(merchant, kind, collection, before=before)
        must(started >= 0, "how many", started)
        return started

    def defer(self, claim: Claim, work: ClaimedRound, *, seconds: float) -> None:
        must(seconds > 0, "for how long", seconds)
        mine = [(one.batch, one.number) for one in claim.rounds]
        must((work.batch, work.number) in mine, "a round of the claim", work)
        self.store.defer(claim, work, seconds=seconds)

    def release_claim(self, claim: Claim) -> None:
        self.store.release_claim(claim)

    def current_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *, documents: bool = False,
                      ) -> dict[str, CurrentItem]:
        found = self.store.current_items(merchant, kind, collection, keys, documents=documents)
        must(found.keys() <= set(keys), "held under these keys", found.keys() - set(keys))
        for key, held in found.items():
            must(held.hash is None or len(held.hash) == 16, "a hash of 16 bytes", key, held)
            must((held.document is not None) == (documents and held.hash is not None), "documents as asked", key)
        return found

    def prefetch(self, work: ClaimedRound, keys: Sequence[str], *, hashes: Sequence[bytes] | None = None) -> None:
        must(len(set(keys)) == len(keys), "each key once")
        must(hashes is None or [*map(len, hashes)] == [16] * len(keys), "a hash of 16 bytes for each key")
        self.store.prefetch(work, keys, hashes=hashes)

    def case_variants(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        found = self.store.case_variants(merchant, kind, collection, keys)
        must(found.keys() <= set(keys), "twins of these keys", found)
        for key, twin in found.items():
            must(key != twin and key_order(key)[0] == key_order(twin)[0], "twins differ by case alone", key, twin)
        return found

    def seen_keys(self, work: ClaimedRound, keys: Sequence[str]) -> set[str]:
        if self.commits_remotely:
            shades = {key_order(key)[0] for key in keys}
            must(shades.isdisjoint(self._settling.get(work.batch, ())), "none of what is being settled", work)
        found = self.store.seen_keys(work, keys)
        must(found <= set(keys), "some of these keys", found - set(keys))
        return found

    def find_by_index(self, merchant: str, kind: Kind, collection: str, marks: Sequence[IndexEntry]) -> dict[IndexEntry,
                      list[str]]:
        found = self.store.find_by_index(merchant, kind, collection, marks)
        must(found.keys() <= set(marks), "some of these marks", found)
        for keys in found.values():
            must(bool(keys), "keys that have the mark", found)
            check_order([key.encode() for key in keys], None)
        return found

    def list_index(self, merchant: str, kind: Kind, collection: str, name: str, *,
                   filters: Sequence[Sequence[IndexFilter]] = (), backwards: bool = False, offset: int = 0,
                   limit: int = 100,
                   ) -> tuple[int, list[tuple[str, str]]]:
        must(offset >= 0 and limit > 0, "a page", offset, limit)
        total, rows = self.store.list_index(
            merchant, kind, collection, name, filters=filters, backwards=backwards, offset=offset, limit=limit
        )
        must(len(rows) == max(0, min(limit, total - offset)), "a page of so many", total, offset, limit, len(rows))
        order = [(text.encode(), key.encode()) for text, key in rows]
        check_order(order[::-1] if backwards else order, None)
        return total, rows

    def absent_items(self, work: ClaimedRound, *, after: str | None, limit: int) -> tuple[int, int, list[str]]:
        held, missing, keys = self.store.absent_items(work, after=after, limit=limit)
        must(0 <= missing <= held, "what is missing was held", held, missing)
        must(len(keys) <= min(limit, missing) if after is None else len(keys) <= limit, "not more keys", keys)
        check_order([key_order(key) for key in keys], key_order(after) if after else None)
        return held, missing, keys

    def rejected_records(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[Finding]:
        found = self.store.rejected_records(merchant, batch, after=after, limit=limit)
        must(len(found) <= limit, "not more than asked for", len(found))
        check_order([finding.number for finding in found], after)
        for finding in found:
            check_rejected(finding)
        return found

    def rejected_by_number(self, merchant: str, batch: str, numbers: Sequence[int]) -> dict[int, Finding]:
        found = self.store.rejected_by_number(merchant, batch, numbers)
        must(found.keys() <= set(numbers), "some of these numbers", found)
        for number, finding in found.items():
            must(finding.number == number, "under its number", number, finding)
            check_rejected(finding)
        return found

    def commit(self, claim: Claim, commits: Sequence[ChunkCommit], *,
               refresh: Callable[[], Sequence[ChunkCommit]] | None = None) -> None:
        _check_portions(claim, commits)

        def checked() -> Sequence[ChunkCommit]:
            assert refresh is not None
            anew = refresh()
            _check_portions(claim, anew)
            same = [(portion.round, portion.number, portion.records, portion.first) for portion in commits]
            told = [(portion.round, portion.number, portion.records, portion.first) for portion in anew]
            must(told == same, "the same portions made anew", told, same)
            return anew

        for portion in commits:
            self._settling[portion.round.batch] = {key_order(key)[0] for key in portion.keys if key is not None}
        try:
            self.store.commit(claim, commits, refresh=None if refresh is None else checked)
        finally:
            for portion in commits:
                self._settling.pop(portion.round.batch, None)
        for batch in {portion.round.batch for portion in commits}:
            must(self.batch(claim.merchant, batch) is not None, "a settled batch is there", batch)

    def change_stock(self, merchant: str, collection: str, *, order: str, keys: Sequence[str],
                     change: Callable[[StockLevels], StockChange]) -> None:
        check_merchant(merchant)
        must(bool(order and keys) and len({*keys}) == len(keys), "an order, and each key once", order, keys)

        def checked(standing: StockLevels) -> StockChange:
            _check_standing(standing, keys)
            moving = change(standing)
            must(moving.documents.keys() <= standing.documents.keys(), "items that are held", moving)
            must(moving.reserved.keys() <= {*keys} and min(moving.reserved.values(), default=0) >= 0, "of these keys")
            must(all(document and len(hash) == 16 for document, hash in moving.documents.values()), "with their hashes")
            return moving

        self.store.change_stock(merchant, collection, order=order, keys=keys, change=checked)

    def stock_levels(self, merchant: str, collection: str, keys: Sequence[str]) -> StockLevels:
        standing = self.store.stock_levels(merchant, collection, keys)
        _check_standing(standing, keys)
        must(standing.order_state is None, "of no order", standing)
        return standing


def _check_portions(claim: Claim, commits: Sequence[ChunkCommit]) -> None:
    must(bool(commits), "something to settle")
    claimed = {(work.merchant, work.batch, work.number) for work in claim.rounds}
    for portion in commits:
        work = portion.round
        must((work.merchant, work.batch, work.number) in claimed, "a portion of the claim", work)
        check_portion(portion)


def _check_standing(standing: StockLevels, keys: Sequence[str]) -> None:
    must(standing.documents.keys() | standing.reserved.keys() <= {*keys}, "of these keys", standing)
    must(all(amount > 0 for amount in standing.reserved.values()), "what is reserved is something", standing)
