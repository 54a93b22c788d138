"""The store's contract, in the engine's words; each method is one transaction.

Every implementation keeps what is said here, `strict` checks it on every call in the tests, and one conformance
suite over all implementations (`tests/store/`) is the definition of done. Nothing here knows SQL, HTTP or a protocol.

Threads: a store may be used from several threads at once; an implementation keeps one connection a thread.
Processes: any number may read and submit; see each implementation for how many may work.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from goodsgate.model.batch import Batch, Finding, IssueGroup, Kind, Result
from goodsgate.model.catalogue import (
    CurrentItem,
    IndexEntry,
    Item,
    Key,
    Label,
    Merchant,
    ReferenceEntry,
    Resource,
    Token,
)
from goodsgate.model.message import DeliveryState, Message, NewMessage
from goodsgate.store.errors import KeyInUseError as KeyInUseError
from goodsgate.store.errors import LeaseLostError as LeaseLostError
from goodsgate.store.errors import NameTakenError as NameTakenError
from goodsgate.store.errors import QueueFullError as QueueFullError
from goodsgate.store.errors import ResourcesFullError as ResourcesFullError
from goodsgate.store.errors import RoundOpenError as RoundOpenError
from goodsgate.store.errors import StockChangedError as StockChangedError
from goodsgate.store.errors import StoreBusyError as StoreBusyError
from goodsgate.store.errors import StoreError as StoreError
from goodsgate.store.errors import StoreFullError as StoreFullError
from goodsgate.store.terms import BatchFilter as BatchFilter
from goodsgate.store.terms import ChunkCommit as ChunkCommit
from goodsgate.store.terms import Claim as Claim
from goodsgate.store.terms import ClaimedRound as ClaimedRound
from goodsgate.store.terms import Idempotency as Idempotency
from goodsgate.store.terms import IdempotentAnswer as IdempotentAnswer
from goodsgate.store.terms import IndexFilter as IndexFilter
from goodsgate.store.terms import LaneStatus as LaneStatus
from goodsgate.store.terms import NewBatch as NewBatch
from goodsgate.store.terms import NewRound as NewRound
from goodsgate.store.terms import Page as Page
from goodsgate.store.terms import RecordResult as RecordResult
from goodsgate.store.terms import Renewal as Renewal
from goodsgate.store.terms import Retention as Retention
from goodsgate.store.terms import StockChange as StockChange
from goodsgate.store.terms import StockLevels as StockLevels
from goodsgate.store.terms import SweepCounts as SweepCounts


class Store(Protocol):
    """The contract."""

    commits_remotely: bool
    """Settling is another process's work, so that this one may go on with its own meanwhile."""

    # -- life -----------------------------------------------------------------------------------------------------
    def migrate(self) -> list[str]:
        """Bring the schema up to date; the titles of the migrations applied. Forward only."""

    def quick_checks(self) -> list[tuple[str, bool, str]]:
        """Facts for a doctor: name, well or not, detail."""

    def health_checks(self) -> list[tuple[str, bool, str]]:
        """More of them, which may take a second to find out and say nothing of whether the store can be used now."""

    def change_token(self) -> object:
        """A value that changes whenever anything a batch document shows may have changed; cheap (microseconds).

        At once for what this process committed, and for others' commits as soon as the store learns of them.
        """

    def close(self) -> None:
        """Let go of every connection of this process."""

    # -- merchants, keys, reference data, mappings ------------------------------------------------------------------
    def add_merchant(self, merchant: Merchant) -> bool:
        """False if the id is taken."""

    def merchants(self, *, after: str | None = None, limit: int = 100) -> Page[Merchant]:
        """By id."""

    def add_key(self, key: Key) -> None:
        """Raises StoreError if the merchant is unknown."""

    def key(self, digest: bytes) -> Key | None:
        """The key of this SHA-256, revoked or not."""

    def keys(self, merchant: str) -> list[Key]:
        """Of the merchant, revoked ones too, oldest first."""

    def revoke_key(self, merchant: str, key_id: str) -> bool:
        """False if there is no such key, or it was revoked before."""

    def put_reference(self, merchant: str, kind: str, entries: Sequence[ReferenceEntry], *,
                      replace: bool = False) -> int:
        """Upsert by code; with `replace`, entries of the kind that are not given go. Returns entries now held."""

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[ReferenceEntry]:
        """By code; `search` matches code and name anywhere, whatever the case."""

    def reference_version(self, merchant: str) -> int:
        """Grows whenever any reference entry of the merchant changes; 0 as long as there never was one."""

    def put_mapping(self, merchant: str, name: str, mapping: dict[str, list[str]]) -> None:
        """Save, or replace what was saved under the name."""

    def delete_mapping(self, merchant: str, name: str) -> bool:
        """False if there is none. BatchFilter already submitted keep theirs."""

    def mapping(self, merchant: str, name: str) -> dict[str, list[str]] | None:
        """What was saved under the name."""

    def mappings(self, merchant: str) -> dict[str, dict[str, list[str]]]:
        """All of the merchant, by name."""

    def add_token(self, token: Token) -> None:
        """Raises StoreError if the merchant has no such key."""

    def token(self, digest: bytes) -> tuple[Token, Key] | None:
        """The token of this SHA-256 and its key, whatever has ended or was revoked; ended ones are swept."""

    def delete_token(self, digest: bytes) -> None:
        """It is good for nothing from now on; no effect if there is none."""

    def secret(self, name: str, default: bytes | None) -> bytes | None:
        """What the gate keeps for itself under the name; `made`, from now on, if there is nothing yet."""

    # -- resources: what only one protocol has -------------------------------------------------------------------------
    def add_resource(self, merchant: str, type: str, *, name: str, body: bytes, resources_max: int,
                     labels: Sequence[Label] = (), expires_at: datetime | None = None,
                     messages: Sequence[NewMessage] = ()) -> Resource:
        """One more, with the next number. Raises NameTakenError, ResourcesFullError (of those without an end)."""

    def put_resource(self, resource: Resource, *, labels: Sequence[Label] | None = None,
                     messages: Sequence[NewMessage] = ()) -> Resource | None:
        """Its name, body and end from now on, with the next version; None where another version is held.

        Its labels are these from now on; None leaves them as they are. Raises NameTakenError.
        """

    def resource(self, merchant: str, type: str, number: int) -> Resource | None:
        """None once it is past its end."""

    def resources(self, merchant: str, type: str, *, after: int = 0, limit: int = 100) -> list[Resource]:
        """By number, without those that have an end."""

    def list_by_label(self, merchant: str, type: str, label: str, *, since: int | None = None, until: int | None = None,
                      offset: int = 0, limit: int = 100) -> list[Resource]:
        """Those that are listed under a word, by place (from `since` to `until`, both included) and number.

        Also those that have an end, until then.
        """

    # -- messages ---------------------------------------------------------------------------------------------------
    def claim_messages(self, *, lease_seconds: float, limit: int, without: Iterable[str] = ()) -> list[Message]:
        """Messages that are due, at most one a merchant, for nobody else until the lease ends.

        Merchants come in turn, but for those `without`. An attempt is counted with each.
        """

    def mark_sent(self, message: Message) -> None:
        """It has arrived, whoever carried it; no effect if that is known."""

    def postpone_message(self, message: Message, *, seconds: float, last_error: str) -> bool:
        """It has not arrived, and is due again after so long. False if it has, or somebody else is at it."""

    def give_up_message(self, message: Message, *, last_error: str) -> bool:
        """It is not carried again by itself. False if it has arrived, or somebody else is at it."""

    def messages(self, merchant: str, *, topic: str | None = None, delivery_state: DeliveryState | None = None,
                 after: int = 0, limit: int = 100) -> list[Message]:
        """By number; those of the topic, and those that have come so far, where that is asked for."""

    def replay(self, merchant: str, numbers: Sequence[int]) -> int:
        """Have these messages carried, sent or not, as if they had just been made; how many there are of them."""

    # -- receiving --------------------------------------------------------------------------------------------------
    def reserve_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> IdempotentAnswer | None:
        """Take an idempotency key before the body is read. None: it is ours now. An Answer: it was answered before.

        Raises KeyInUseError while another submission with it is being received (until that one's lease ends).
        """

    def renew_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> None:
        """Show that a reserved key's submission is alive; no effect on an answered key."""

    def release_idempotency_key(self, merchant: str, key: str) -> None:
        """Give back a reserved key whose submission came to nothing; an answered key stays."""

    def append_upload(self, merchant: str, upload: str, piece: bytes) -> None:
        """Append a piece to an upload (a fresh id); not durable until sealed. Raises StoreFullError."""

    def discard_upload(self, merchant: str, upload: str) -> None:
        """Forget an upload that is not sealed."""

    def add_batch(self, batch: NewBatch, *, upload: str, idempotency: Idempotency | None = None,
                  open_rounds_max: int) -> Batch:
        """Make the upload durable and queue it as round 0 of a new batch. On return it survives a power cut.

        Raises QueueFullError, StoreFullError, StoreBusyError, and KeyInUseError if the key's lease ended and another
        submission was answered under it; then nothing of the batch remains, the upload is to be discarded.
        """

    def add_round(self, round: NewRound, *, upload: str | None, idempotency: Idempotency | None = None,
                  open_rounds_max: int) -> Batch | None:
        """Queue one more round. None if the merchant has no such batch.

        Raises RoundOpenError, QueueFullError, StoreFullError, StoreBusyError, and KeyInUseError as seal does.
        """

    def payload(self, merchant: str, batch: str, round: int) -> Iterator[bytes] | None:
        """The bytes of a round as received, in pieces of at most 2 MiB; None if there is none or it was swept."""

    # -- working ----------------------------------------------------------------------------------------------------
    def claim(self, worker: str, *, lease_seconds: float, rounds_max: int, bytes_max: int) -> Claim | None:
        """The head of the lane that was served longest ago, or None.

        Several rounds are claimed together only if each is at most `bytes_max / works_max` bytes and has nothing
        settled; at most `works_max` of them. Rounds whose cancel was asked for come first. No two live claims hold
        one lane.
        """

    def wait_for_work(self, seconds: float) -> None:
        """Until there may be something to claim; about so long, or longer where the store is told of new work."""

    def renew_claim(self, claim: Claim, *, lease_seconds: float) -> Renewal:
        """Raises LeaseLostError."""

    def release_rounds(self, merchant: str, kind: Kind, collection: str, *, before: datetime | None = None) -> int:
        """Let the held rounds of a collection be claimed, or those that were received before a time; how many."""

    def defer(self, claim: Claim, work: ClaimedRound, *, seconds: float) -> None:
        """Once the lane is given back, the round is not claimed again before so long, and those behind it go on."""

    def release_claim(self, claim: Claim) -> None:
        """Give the lane back; never raises LeaseLostError."""

    def current_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *, documents: bool = False,
                      ) -> dict[str, CurrentItem]:
        """What is held under these keys, tombstones included."""

    def prefetch(self, work: ClaimedRound, keys: Sequence[str], *, hashes: Sequence[bytes] | None = None) -> None:
        """The next portion of this work will ask what is held under these keys, and those of hints before this one: a
        hint, which may come while another thread settles the portion before it. Waits for nothing.

        `hashes`, 16 bytes for each key, are of what will come under them: so the store may compare where the items are.
        What is told of them later is the same with and without.
        """

    def case_variants(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        """Key → a held key that differs from it only by ASCII case."""

    def seen_keys(self, work: ClaimedRound, keys: Sequence[str]) -> set[str]:
        """Which of these keys earlier settled portions of this batch's round 0 hold."""

    def absent_items(self, work: ClaimedRound, *, after: str | None, limit: int) -> tuple[int, int, list[str]]:
        """For a full feed whose round 0 was read to its end: items held when it was received, how many of them the
        feed lacks, and the next keys of those after `after`. Items written by a later batch are not among them."""

    def find_by_index(self, merchant: str, kind: Kind, collection: str, marks: Sequence[IndexEntry],
                      ) -> dict[IndexEntry, list[str]]:
        """Mark → keys of the items that have it, in order; marks that none has are left out."""

    def list_index(self, merchant: str, kind: Kind, collection: str, name: str, *,
                   filters: Sequence[Sequence[IndexFilter]] = (), backwards: bool = False, offset: int = 0,
                   limit: int = 100,
                   ) -> tuple[int, list[tuple[str, str]]]:
        """How many marks of the name there are, and some of them, (value, key) by value and key: only of items that
        for each list in `among` have a mark of one of its kinds."""

    def rejected_records(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[Finding]:
        """Rejected records with their raw, by number; where they are long, fewer than `limit` but at least one."""

    def rejected_by_number(self, merchant: str, batch: str, numbers: Sequence[int]) -> dict[int, Finding]:
        """Those of the numbers that are rejected records."""

    def commit(self, claim: Claim, commits: Sequence[ChunkCommit], *,
               refresh: Callable[[], Sequence[ChunkCommit]] | None = None) -> None:
        """Commit what the portions change, with their progress, in one transaction. Raises LeaseLostError,
        StoreFullError.

        Where stock items that were looked up since the last settle have been moved meanwhile, it raises
        StockChangedError; or, with `again`, holds them and commits what that answers instead: the same portions made
        anew. That may look up items and marks, not `seen`.

        Where this is `elsewhere`, another thread may meanwhile ask `held`, `twins` and `seen` for the portion behind,
        if it is not of stock and none of its keys is, but for its case, one of those that are being settled: nothing
        changes under them, so that the answers are good before and after. `seen` is given the work as it was before.
        """

    # -- stock: moved by orders, beside the feeds -------------------------------------------------------------------
    def change_stock(self, merchant: str, collection: str, *, order: str, keys: Sequence[str],
                     change: Callable[[StockLevels], StockChange]) -> None:
        """Show `change` the stock items of these keys, what is reserved of them, and what is kept of the order; commit
        what it answers, in one transaction in which nobody else changes any of that.

        Raises what `change` raises, which it does where nothing is held in the collection; then nothing changes.
        Raises StoreBusyError after some seconds, StoreFullError.
        """

    def stock_levels(self, merchant: str, collection: str, keys: Sequence[str]) -> StockLevels:
        """The stock items of these keys and what is reserved of them, at one moment."""

    # -- asking -----------------------------------------------------------------------------------------------------
    def cancel(self, merchant: str, batch: str) -> Batch | None:
        """Ask for a cancel; no effect on a batch that has ended. None if unknown."""

    def batch(self, merchant: str, batch: str) -> Batch | None:
        """Right at every instant. None if unknown, or another merchant's."""

    def batches(self, merchant: str, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """Newest first."""

    def all_batches(self, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """The same over all merchants: for those who run the gate, and for nobody else."""

    def lanes(self, *, merchant: str | None = None, limit: int = 100) -> list[LaneStatus]:
        """Those that have work, the one first that is served next: of one merchant, or of all for those who run the
        gate."""

    def issue_groups(self, merchant: str, batch: str, *, limit: int = 100) -> list[IssueGroup]:
        """Most frequent first."""

    def findings(self, merchant: str, batch: str, *, after: int = -1, limit: int = 100, code: str | None = None,
                 severity: str | None = None) -> list[Finding]:
        """Records with issues by number (0, the file, first); without `raw`. `limit` is of records."""

    def findings_by_key(self, merchant: str, key: str, *, limit: int = 100) -> list[tuple[str, Finding]]:
        """Records with this key that have issues, with their batch, newest batch first; without `raw`. BatchFilter of
        every kind and collection are among them."""

    def results(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000,
                result: Result | None = None) -> list[RecordResult]:
        """By record number."""

    def items(self, merchant: str, kind: Kind, collection: str, *, after: str | None = None, limit: int = 100,
              prefix: str | None = None) -> Page[Item]:
        """By key without ASCII case, then as it is; no tombstones. `prefix` is of the key as it is."""

    def item(self, merchant: str, kind: Kind, collection: str, key: str) -> Item | None:
        """None for a tombstone, too."""

    def collections(self, merchant: str) -> list[tuple[Kind, str, int]]:
        """Kind, name and number of items of each collection that holds any."""

    def statistics(self) -> dict[str, float]:
        """For metrics, over all merchants: lanes, rounds queued and working, oldest queued seconds, bytes on disk; and,
        since the store was made, ``records.<result>`` and ``rounds_ended.<outcome, cancelled or broken>``."""

    # -- sweeping ---------------------------------------------------------------------------------------------------
    def sweep(self, retention: Retention, *, steps_max: int) -> SweepCounts:
        """Remove at most `steps_max` batches' worth of what is past its time; never what an open round needs."""
