"""What the contract's methods take and give; see contract.py, which speaks of them and gives them on."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from goodsgate.model.batch import Batch, Counts, Finding, Kind, Policy, Result, RoundKind, State, Withheld
from goodsgate.model.catalogue import Delete, Write
from goodsgate.model.issue import Issue


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


class NewRound(msgspec.Struct, frozen=True, kw_only=True):
    """One more pass over records of a batch that has ended; a fix carries a payload, the others none."""

    merchant: str
    batch: str
    kind: RoundKind
    format: str = "ndjson"
    content_encoding: str = "identity"


class IdempotentAnswer(msgspec.Struct, frozen=True):
    """What an idempotency key remembers of a submission that was answered."""

    fingerprint: bytes
    body: bytes
    """The first answer, to be given again as it was."""
    batch: str


class Idempotency(msgspec.Struct, frozen=True, kw_only=True):
    """A reserved idempotency key, to be answered in the transaction that seals its submission."""

    key: str
    fingerprint: bytes
    answer: Callable[[Batch], bytes]
    """Words the first answer; called inside the transaction with the batch as it now is."""


class ClaimedRound(msgspec.Struct, frozen=True, kw_only=True):
    """One claimed round of one batch, with where it stands."""

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
    cancelling: bool
    overtakes: bool = False
    """A round of the same collection that was accepted before it rests, or has rested, and has not ended."""
    chunks: int
    """Portions of this round already settled; the next one has this number (from 0)."""
    records: int
    """Records of this round already settled, so the next record of the round's source has this number + 1."""
    total: int
    """Records of the whole batch that have a number, over all rounds."""
    columns: list[str] | None
    """The submission's header; None before its first portion and for JSON."""
    mapping: dict[str, list[str]] | None
    """The shape of the submission as its first portion settled it (see ChunkCommit.mapping)."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's time-limited right to work the head of one lane."""

    merchant: str
    kind: Kind
    worker: str
    attempt: int
    """Fencing token: settle and renew with an older one raise LeaseLostError."""
    expires_at: datetime
    rounds: list[ClaimedRound]
    """In order of acceptance: one, or several small ones that are to be settled together."""


class ChunkCommit(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one portion of one round changes; committed at once or not at all."""

    round: ClaimedRound
    number: int
    """ChunkCommit number within the round; settling a number below the stored one is a no-op (a replay)."""
    records: int
    """Records of the round's source that this portion took."""
    first: int | None
    """Record number of the first of `keys`; None if the portion adds no records (fix, retry)."""
    keys: list[str | None]
    """Keys of the added records in order; None where it could not be read."""
    results: bytes
    """One byte an added record: index into RESULTS."""
    amended_results: dict[int, tuple[Result, str | None]] = {}
    """Record number → new result and key, of records that an earlier round rejected."""
    writes: Sequence[Write] = []
    deletes: list[Delete] = []
    findings: list[Finding] = []
    """Replaces what was found for the same record number; for an amended record without issues the finding goes."""
    file_issues: list[Issue] = []
    """Issues of the file as a whole, appended to those of record number 0."""
    counts: Counts
    """To be added to the batch's counts; negative where a record moved."""
    warned: int = 0
    bytes_done: int
    columns: list[str] | None = None
    mapping: dict[str, list[str]] | None = None
    """Kept with the batch when first given: how the submitter's names became ours."""
    end_state: State | None = None
    """FINISHED, CANCELLED or BROKEN if the round ends with this portion."""
    withheld: Withheld | None = None


class Renewal(msgspec.Struct, frozen=True):
    """What a worker learns when it renews."""

    others_waiting: bool
    """Some other lane has work: give way after the portion in hand."""
    cancelling: frozenset[str]
    """BatchFilter of the claim whose cancel was asked for."""


T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a keyset listing."""

    rows: list[T]
    next: str | None
    """Opaque text to hand in as `after`; None at the end."""


class BatchFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Filters of a listing of batches; None does not filter."""

    kind: Kind | None = None
    state: State | None = None
    outcome: str | None = None
    collection: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    """In the label or the start of the id."""
    protocol: str | None = None


class LaneStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a lane stands that has work."""

    merchant: str
    kind: Kind
    rounds: int
    """Queued or worked."""
    waiting_since: datetime | None
    """When the batch was received that is next; None if all are being worked."""
    worker: str | None
    """Whoever holds the lease."""
    expires_at: datetime | None
    """When the lease ends unless it is renewed."""


class RecordResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one record."""

    number: int
    key: str | None
    result: Result


INDEX_VALUE_MAX = "\U0010ffff"
"""No mark comes after it."""


class IndexFilter(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which an item may be among those of a listing: by a mark whose value is between two texts."""

    name: str
    minimum: str = ""
    maximum: str = INDEX_VALUE_MAX
    contains: str = ""
    """What the value holds, besides."""


class StockLevels(msgspec.Struct, frozen=True, kw_only=True):
    """What a movement of stock finds; nobody changes it until the movement is over."""

    documents: dict[str, bytes] = {}
    """Key → document, of the keys under which an item is held."""
    reserved: dict[str, int] = {}
    """Key → what all orders together have reserved, where any has; the item may be gone."""
    order_state: bytes | None = None
    """What the last movement of the order left to be kept."""


class StockChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a movement of stock changes."""

    documents: dict[str, tuple[bytes, bytes]] = {}
    """Key → document and its hash, of items that are held and change."""
    reserved: dict[str, int] = {}
    """Key → what all orders together have reserved from now on, where that changes."""
    order_state: bytes
    """JSON to be kept of the order."""
    order_closed: bool
    """Nothing of the order is reserved: what is kept of it may go after its time."""


class SweepCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a step of the sweep removed; all zero when nothing is past its time."""

    payloads: int = 0
    reports: int = 0
    batches: int = 0
    answers: int = 0
    tombstones: int = 0
    tokens: int = 0
    resources: int = 0
    messages: int = 0
    stock_orders: int = 0
    orphans: int = 0


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept after their batch ended, in seconds."""

    payload_seconds: int
    report_seconds: int
    """Results, issues, rejected records."""
    batch_seconds: int
    answer_seconds: int
    tombstone_seconds: int
    message_seconds: int = 30 * 86_400
    """After a message was sent, or given up."""
    stock_order_seconds: int = 400 * 86_400
    """After the last movement of an order that has nothing reserved."""
