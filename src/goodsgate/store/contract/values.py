"""Values that the methods of the contract take and return."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from goodsgate.model.batch import BatchView, Counts, Kind, Policy, ReadingDecision, Result, RoundKind, State, Withheld
from goodsgate.model.catalogue import Delete, Item, Write
from goodsgate.model.diff import DiffChange, DiffSummary
from goodsgate.model.finding import Finding
from goodsgate.model.guard import Hold
from goodsgate.model.issue import Issue
from goodsgate.model.journal import JournalPosition
from goodsgate.model.references import Reference
from goodsgate.model.rule_counts import RuleCounts
from goodsgate.model.tracing import NO_ORIGIN, Origin, current_origin

Subject = TypeVar("Subject")


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch about to be received."""

    merchant: str
    id: str
    kind: Kind
    collection: str
    policy: Policy
    format: str
    content_encoding: str
    label: str = ""
    protocol: str = ""
    protocol_data: dict[str, str] = {}
    origin: Origin = msgspec.field(default_factory=current_origin)


class NewRound(msgspec.Struct, frozen=True, kw_only=True):
    """One more pass over records of a batch that has ended; only a fix has a payload."""

    merchant: str
    batch: str
    kind: RoundKind
    format: str = "ndjson"
    content_encoding: str = "identity"
    rounds: int = 0
    """Rounds that the batch must still have, because its records were read then; 0: any number."""
    origin: Origin = msgspec.field(default_factory=current_origin)


class IdempotentAnswer(msgspec.Struct, frozen=True):
    """The answer that an idempotency key has stored."""

    fingerprint: bytes
    body: bytes
    """The first answer, to be sent again unchanged."""
    batch: str | None
    """The batch that the request created or changed; None if it was about something else."""


class Idempotency(msgspec.Struct, Generic[Subject], frozen=True, kw_only=True):
    """A reserved idempotency key, to be answered in the transaction that stores what its request asks for."""

    merchant: str
    """The merchant that uses the key."""
    key: str
    fingerprint: bytes
    answer: Callable[[Subject], bytes]
    """Serializes the first answer; called inside the transaction with the batch, merchant or key as it now is."""


class ClaimedRound(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed round of a batch, with its progress."""

    merchant: str
    batch: str
    number: int
    """0 for the submission, then 1, 2, …"""
    round_kind: RoundKind
    kind: Kind
    collection: str
    policy: Policy
    format: str
    content_encoding: str
    bytes_total: int
    received_at: datetime
    """When the batch was received."""
    started_at: datetime
    """When a worker first claimed the round."""
    cancelling: bool
    overtakes: bool = False
    """A round of the same collection that was accepted earlier is or was deferred, and has not ended."""
    worker_deaths: int = 0
    """Workers that claimed the round and died, one after the other, since its last committed chunk."""
    chunks: int
    """Committed chunks of this round; the next chunk has this number (from 0)."""
    records: int
    """Committed records of this round; the next record of the round's source has this number + 1."""
    total: int
    """Numbered records of the whole batch, over all rounds."""
    columns: list[str] | None
    """The submission's header; None before its first chunk and for JSON."""
    mapping: dict[str, list[str]] | None
    """The field mapping that the first chunk of the submission used (see ChunkCommit.mapping)."""
    reading: list[ReadingDecision] = []
    """How the submission was read so far."""
    origin: Origin = NO_ORIGIN
    """The request that has caused the round."""
    is_trial: bool = False
    """Whether the round is worked without effect, to see whether guards hold the batch."""
    is_tried: bool = False
    """Whether its trial is over, so that it is applied now; its progress begins anew with that."""
    hold: Hold | None = None
    """What its trial has found."""

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing of the round is applied."""
        return self.policy.dry_run or self.is_trial


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's time-limited right to work on the head of one lane."""

    merchant: str
    kind: Kind
    collection: str
    worker: str
    attempt: int
    """Fencing token: `commit` and `renew_claim` with an older one raise LeaseLostError."""
    expires_at: datetime
    rounds: list[ClaimedRound]
    """In order of acceptance: one, or several small ones that are committed together."""


class WaitingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that waits for references."""

    number: int
    key: str | None
    references: list[Reference]
    """What it waits for, each once."""
    version: int
    """Version of the merchant's reference data that lacks them (see `ReferenceStore.reference_version`)."""
    expires_at: datetime
    """When it is rejected; a record that waited before keeps its time."""


class WaitingMark(msgspec.Struct, frozen=True):
    """What happened to a record while it waited."""

    is_overtaken: bool
    """A record that comes after it, in its batch or a later one, has been applied to the item of its key."""
    has_expired: bool


class GroupParent(msgspec.Struct, frozen=True, kw_only=True):
    """What variants that stand in other batches can take from the parent of their group."""

    names: Sequence[str]
    """By which they name it."""
    body: bytes
    """JSON, which the engine reads."""
    expires_at: datetime | None
    """Until when it is kept; None: under the names for which records wait, and as long as those may wait."""


class ChunkCommit(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one chunk of one round changes; committed at once or not at all."""

    round: ClaimedRound
    number: int
    """Chunk number within the round; committing a number below the stored one has no effect (a replay)."""
    records: int
    """Records of the round's source in this chunk."""
    first: int | None
    """Record number of the first of `keys`; None if the chunk adds no records (fix, retry)."""
    keys: list[str | None]
    """Keys of the added records in order; None where the key is unreadable."""
    results: bytes
    """One byte per added record: index into RESULTS."""
    amended_results: dict[int, tuple[Result, str | None]] = {}
    """Record number → new result and key, of records that an earlier round rejected, or that waited."""
    waiting: list[WaitingRecord] = []
    """The records of the chunk with the result ``waiting``; a dry run has none."""
    parents: Sequence[GroupParent] = ()
    """Replace those of the same names, unless a later batch has written them; a dry run writes none."""
    overtaken_keys: Sequence[str] = ()
    """Keys that a full feed lacks: records of earlier batches that wait with them are overtaken."""
    writes: Sequence[Write] = []
    deletes: list[Delete] = []
    origins: Mapping[str, tuple[int, int]] = {}
    """Key → number and source row of the record that writes or deletes the item, for the journal; 0 if unknown."""
    diff: Sequence[DiffChange] = []
    """What a dry run or a trial would write and delete, by key in order; it has no `writes` and `deletes`."""
    diff_summary: DiffSummary | None = None
    """The same in numbers; added to those of the batch."""
    has_variants: bool = False
    """Whether a product among `writes` has variants; the store remembers it of the collection."""
    findings: list[Finding] = []
    """Replaces the finding of the same record number; that of an amended record without issues is deleted."""
    file_issues: list[Issue] = []
    """Issues of the file as a whole, appended to those of record number 0."""
    counts: Counts
    """Added to the batch's counts; negative where a record changed its result."""
    warned: int = 0
    bytes_done: int
    columns: list[str] | None = None
    mapping: dict[str, list[str]] | None = None
    """Stored with the batch when first given: the submitter's names and our fields."""
    reading: list[ReadingDecision] | None = None
    """Replaces those of the batch, if given."""
    roles: dict[str, int] = {}
    """Added to the counts of products and rows of the batch; negative where a record changed its role."""
    rule_counts: dict[str, RuleCounts] = {}
    """Added to the counts of the merchant's rules, by name."""
    end_state: State | None = None
    """FINISHED, CANCELLED or BROKEN if the round ends with this chunk; HELD if its trial does, and guards hold it."""
    ends_trial: bool = False
    """Whether the trial ends with this chunk and nothing holds the batch: its progress begins anew."""
    hold: Hold | None = None
    """Stored with the batch, if given."""
    cancels_results: bool = False
    """Whether every record of the batch that is not rejected gets the result ``cancelled``: its trial was given up."""
    withheld: Withheld | None = None


class BatchEnd(Protocol):
    """How a batch stands when a round of it has ended."""

    total: int
    """Its records."""
    file_errors: int

    @property
    def outcome(self) -> str:
        """That of a finished batch, else ``cancelled`` or ``broken``."""

    @property
    def results(self) -> dict[str, int]:
        """Number of records by each result that there is."""

    @property
    def end_time(self) -> datetime:
        """When the round ended."""


class EndedRound(NamedTuple):
    """A round that has ended with a commit."""

    round: ClaimedRound
    """As it was before its last chunk."""
    end: BatchEnd


class Renewal(msgspec.Struct, frozen=True):
    """What a worker learns when it renews a claim."""

    others_waiting: bool
    """Another lane has work: release the claim after the current chunk."""
    cancelling: frozenset[str]
    """Batches of the claim whose cancellation was requested."""


T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a keyset listing."""

    rows: list[T]
    next: str | None
    """Opaque text to pass as `after`; None at the end."""


class ItemSnapshot(msgspec.Struct, frozen=True):
    """All items of a collection at one moment."""

    position: JournalPosition
    """Behind the last change that they contain."""
    pages: Iterator[list[Item]]
    """Items by key, in the order of `items`."""


class BatchFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Filters of a listing of batches; None does not filter."""

    kind: Kind | None = None
    state: State | None = None
    outcome: str | None = None
    collection: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    """Words of which each occurs in label, kind, collection, protocol or id of the submitter's key, or begins the id.

    Of a listing of all merchants also the id of the merchant.
    """
    view: BatchView | None = None
    protocol: str | None = None


class InFront(msgspec.Struct, frozen=True, kw_only=True):
    """The open rounds of a lane that are in front of one."""

    batch: str
    """That of the first of them."""
    batches: int
    bytes: int
    """Their payloads."""


class LaneStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A lane with work."""

    merchant: str
    kind: Kind
    collection: str
    rounds: int
    """Rounds queued or being worked on."""
    waiting_since: datetime | None
    """When the next queued batch was received; None if all are being worked on."""
    worker: str | None
    """The worker that holds the lease."""
    expires_at: datetime | None
    """When the lease ends unless it is renewed."""


class RecordResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one record."""

    number: int
    key: str | None
    result: Result


INDEX_VALUE_MAX = "\U0010ffff"
"""No index value sorts after it."""


class IndexFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Accepts items that have an index entry with a value in a range."""

    name: str
    minimum: str = ""
    maximum: str = INDEX_VALUE_MAX
    contains: str = ""
    """Substring of the value."""


class StockLevels(msgspec.Struct, frozen=True, kw_only=True):
    """Stock as a change finds it; nobody else changes it until the change is committed."""

    documents: dict[str, bytes] = {}
    """Key → document, of the keys that have an item."""
    field_states: dict[str, str] = {}
    """Key → field state, of the items that have one; see `model.field_state`."""
    reserved: dict[str, int] = {}
    """Key → amount that all orders together have reserved, if any; the item may be deleted."""
    order_state: bytes | None = None
    """What the last change of the order stored."""


class StockChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an order changes in the stock."""

    documents: dict[str, tuple[bytes, bytes]] = {}
    """Key → document and its hash, of existing items that change."""
    reserved: dict[str, int] = {}
    """Key → amount that all orders together now have reserved, where it changes."""
    order_state: bytes
    """JSON to store for the order."""
    order_closed: bool
    """Nothing of the order is reserved: its state may be deleted after its retention."""


class SweepCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a step of the sweep removed; all zero when nothing is past its retention."""

    payloads: int = 0
    reports: int = 0
    batches: int = 0
    answers: int = 0
    tombstones: int = 0
    tokens: int = 0
    resources: int = 0
    messages: int = 0
    stock_orders: int = 0
    changes: int = 0
    """Segments of the journal."""
    audit_entries: int = 0
    parents: int = 0
    """Of groups, for variants that stand in other batches."""
    feed_days: int = 0
    """Figures by day, as old as batches."""
    orphans: int = 0


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long data is kept after its batch has ended, in seconds."""

    payload_seconds: int
    report_seconds: int
    """Results, issues, rejected records."""
    batch_seconds: int
    answer_seconds: int
    tombstone_seconds: int
    """At least as long as `journal_seconds`: the history of an item begins at its tombstone."""
    journal_seconds: int = 30 * 86_400
    message_seconds: int = 30 * 86_400
    """After a message was sent or given up."""
    stock_order_seconds: int = 400 * 86_400
    """After the last change of an order that has nothing reserved."""
    audit_seconds: int = 400 * 86_400
    """Entries of the audit log, after they were added."""
