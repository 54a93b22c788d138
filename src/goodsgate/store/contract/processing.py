"""The protocols of the contract that a worker uses to process batches: claim, look up and commit."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from goodsgate.model.batch import Batch, Kind
from goodsgate.model.catalogue import CurrentItem
from goodsgate.model.finding import Finding
from goodsgate.model.references import Reference, WaitingReference
from goodsgate.store.contract.values import (
    ChunkCommit,
    Claim,
    ClaimedRound,
    EndedRound,
    Idempotency,
    InFront,
    LaneStatus,
    Renewal,
    WaitingMark,
)


class QueueStore(Protocol):
    """Lanes, claims and leases."""

    def claim(self, worker: str, *, lease_seconds: float, rounds_max: int, bytes_max: int) -> Claim | None:
        """Claim the head of the lane that was served longest ago; return None if there is nothing to do.

        A lane is that of a merchant, a kind and a collection. The lanes of a merchant and kind share its turns: they
        count as served when one of them is, and take turns among themselves.

        Several rounds (at most `rounds_max`) are claimed together only if each has at most `bytes_max / rounds_max`
        bytes, no committed chunk and no dead worker. Rounds to be cancelled come first. No two live claims hold the
        same lane.

        A round whose policy has `products_first_seconds` is not claimed, nor are those behind it, while a product round
        is open that its collection received before it (and that is not held), until so many seconds have passed since
        the round was queued.

        A round whose trial ended with the state HELD is claimed again only if it is approved or to be cancelled. Until
        then those behind it wait as well, unless its hold has the mode ``pass``. An approved round begins anew, as does
        one whose trial has ended with nothing that holds it.

        A claim whose lease ended before it was released counts as the death of its worker at each of its rounds. It is
        the first one if a chunk of the round was committed since the last death. After the second death in a row, and
        longer after each further one, the lane rests: only rounds to be cancelled are claimed.
        """

    def rounds_behind(self, claim: Claim, *, limit: int) -> list[ClaimedRound]:
        """Return the rounds behind the only one of a claim that could be claimed after it, in their order.

        At most `limit`, up to the first that would have to wait. They are not claimed: see `start_behind`.
        """

    def start_behind(self, claim: Claim, rounds: Sequence[ClaimedRound]) -> Claim:
        """Start rounds that `rounds_behind` has returned, and return the claim with them.

        If the claim was taken over, the next commit finds that out.
        """

    def wait_for_work(self, seconds: float) -> None:
        """Wait until there may be something to claim.

        That is about `seconds`, or longer if the store is notified of new work.
        """

    def renew_claim(self, claim: Claim, *, lease_seconds: float) -> Renewal:
        """Extend the lease of a claim. Raises LeaseLostError."""

    def release_claim(self, claim: Claim) -> None:
        """Release the lane of a claim; never raises LeaseLostError."""

    def defer(self, claim: Claim, round: ClaimedRound, *, seconds: float) -> None:
        """Keep a round from being claimed for some seconds after the claim is released; later rounds go on."""

    def release_rounds(self, merchant: str, kind: Kind, collection: str, *, before: datetime | None = None) -> int:
        """Let held rounds of a collection be claimed and return their number.

        With `before`, only rounds of batches received before that time.
        """

    def cancel(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch | None:
        """Request the cancellation of a batch; no effect if it has ended. Returns None if it is unknown.

        Raises KeyInUseError as `add_batch` does.
        """

    def approve(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None = None) -> Batch | None:
        """Let a held batch be applied, in its old place in the lane; no effect if it is not held, or is cancelled.

        Returns None if it is unknown. Raises KeyInUseError as `add_batch` does.
        """

    def blocking_batch(self, merchant: str, batch: str) -> str | None:
        """Return the held batch behind which the open round of this one waits, if any."""

    def in_front(self, merchant: str, batch: str) -> InFront | None:
        """Return what is in front of the open round of a batch in its lane; None if nothing is."""

    def expired_holds(self, *, limit: int = 100) -> list[tuple[str, str]]:
        """Return merchant and id of held batches whose time is over and whose cancellation was not requested."""

    def lanes(self, *, merchant: str | None = None, limit: int = 100) -> list[LaneStatus]:
        """Return lanes with work, the next to be served first; of one merchant, or of all for operators."""


class LookupStore(Protocol):
    """What a worker looks up to process a chunk."""

    def current_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *, documents: bool = False,
                      ) -> dict[str, CurrentItem]:
        """Return the items with these keys, including tombstones; `documents` loads documents and index entries."""

    def case_variants(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        """Return, by key, the key of an item that differs from it only by ASCII case."""

    def seen_keys(self, round: ClaimedRound, keys: Sequence[str]) -> set[str]:
        """Return those of the keys that committed chunks of the batch's round 0 contain."""

    def has_open_products(self, merchant: str, collection: str, *, before: datetime) -> bool:
        """Return whether a product round of the collection is open whose batch was received before that time.

        A round that is held does not count.
        """

    def unknown_skus(self, merchant: str, collection: str, skus: Sequence[str], *, if_empty: bool = False) -> set[str]:
        """Return those of the SKUs that are no key of a product of the collection.

        Returns none of them if the collection has or had a product with variants: a SKU may be that of a variant, which
        cannot be looked up. Of a collection without products it returns all of them with `if_empty`, else none.
        """

    def absent_items(self, round: ClaimedRound, *, after: str | None, limit: int) -> tuple[int, int, list[str]]:
        """Compare a full feed, whose round 0 was read to its end, with the catalogue.

        Returns the number of items when the feed was received, the number of them that the feed lacks, and the next
        keys of those after `after`. Items written by a later batch do not count.
        """


class WaitingStore(Protocol):
    """Records that wait for references, and what has arrived for them.

    A commit of products marks the waiting prices and stock of their SKUs in its own transaction, and those that it
    overtakes; a commit with parents of groups marks the variants that wait for them. Whether reference data has
    arrived, the engine decides: it asks for what records wait for since another version, and marks it. All marks remain
    until the records are worked.
    """

    def waiting_for(self, merchant: str, batch: str, *, limit: int = 100) -> list[WaitingReference]:
        """Return what records of a batch wait for, that of the most records first."""

    def waiting_records(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000,
                        only_ready: bool = False) -> list[Finding]:
        """Return waiting records with their raw bytes, by number; fewer than `limit` as `rejected_records` does.

        With `only_ready`, those that wait for nothing any more: everything has arrived, they were overtaken, or their
        time is over.
        """

    def waiting_marks(self, merchant: str, batch: str, numbers: Sequence[int]) -> dict[int, WaitingMark]:
        """Return what happened to those of the numbered records that wait."""

    def waiting_keys(self, round: ClaimedRound, *, after: str | None, limit: int) -> list[str]:
        """Return keys, in order, of waiting records of the round's collection in batches before that of the round."""

    def group_parents(self, merchant: str, collection: str, names: Sequence[str]) -> dict[str, bytes]:
        """Return the bodies of parents that commits have kept, by those of the names that have one."""

    def awaits_parents(self, merchant: str, collection: str) -> bool:
        """Return whether a record of the collection waits for the parent of its group."""

    def changed_references(self, *, limit: int = 100) -> list[tuple[str, int]]:
        """Return merchants with records that wait for reference data of an earlier version, and the current version."""

    def awaited_references(self, merchant: str, *, version: int, limit: int = 1000) -> list[Reference]:
        """Return reference data that records wait for since an earlier version than this one."""

    def mark_references(self, merchant: str, version: int, *, arrived: Sequence[Reference],
                        missing: Sequence[Reference]) -> None:
        """Record which of the awaited reference data exists in a version, and which does not."""

    def ready_batches(self, *, limit: int = 100) -> list[tuple[str, str]]:
        """Return merchant and id of batches with waiting records that are ready and no open round."""


class CommitStore(Protocol):
    """The commit of chunks."""

    def commit(self, claim: Claim, commits: Sequence[ChunkCommit], *,
               refresh: Callable[[], Sequence[ChunkCommit]] | None = None) -> Sequence[EndedRound]:
        """Commit chunks with everything they change, in one transaction, and return the rounds that end with it.

        Raises LeaseLostError, StoreFullError. A round whose end was committed before is not returned again.

        If stock items that were looked up since the last commit have changed, it locks them and commits what `refresh`
        returns: the same chunks, processed again. `refresh` may look up items and index entries, but no seen keys.
        Without `refresh` it raises StockChangedError.

        If the store supports prefetching, another thread may meanwhile call `current_items`, `case_variants` and
        `seen_keys` for the next chunk, unless it is of stock or shares a key (ignoring case) with these chunks.
        `seen_keys` is then given the round as it was before.
        """


@runtime_checkable
class SupportsPrefetch(Protocol):
    """A store that commits on another machine, so that this process can look up the next chunk meanwhile."""

    def prefetch(self, round: ClaimedRound, keys: Sequence[str], *, hashes: Sequence[bytes] | None = None) -> None:
        """Start to look up the items with these keys for the next chunk of a round, and return at once.

        It may be called several times per chunk, while another thread commits the chunk before. `hashes` (16 bytes
        each) are those of the chunk's documents, so that the store can compare where the items are. `current_items`
        returns the same with and without.
        """
