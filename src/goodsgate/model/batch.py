"""Batches and rounds, and the results of their records."""

import secrets
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from goodsgate.model.guard import HOLD_HOURS_MAX, Hold, HoldMode
from goodsgate.model.rule_counts import RuleCounts


class Kind(StrEnum):
    """What a record describes; each collection of a merchant has one lane for each kind."""

    PRODUCT = "product"
    PRICE = "price"
    STOCK = "stock"


class Verb(StrEnum):
    """What a record asks for.

    ``upsert`` creates an item or merges into it (RFC 7396, at all levels), ``create`` refuses an existing key,
    ``update`` refuses an unknown key and merges, ``delete`` needs only the key. An upsert has everything that an item
    needs, whatever is held; with `Policy.replace` it replaces the item instead of merging.
    """

    UPSERT = "upsert"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class State(StrEnum):
    """Where a batch is; ``held`` until somebody decides whether it is applied (see `model.guard`)."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    WORKING = "working"
    HELD = "held"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    BROKEN = "broken"


class Outcome(StrEnum):
    """How a finished batch went; computed from the counts."""

    CLEAN = "clean"
    PARTIAL = "partial"
    REJECTED = "rejected"


class BatchView(StrEnum):
    """What people look for in a list of batches; a batch that was cancelled is in none of them."""

    OPEN = "open"
    """Queued or worked."""
    HELD = "held"
    FAILED = "failed"
    """Ended with anything but the outcome ``clean``, or broken."""
    CLEAN = "clean"


class Result(StrEnum):
    """What became of one record."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    MERGED = "merged"
    """A row that gave its values to other rows of its group and is no item of its own."""
    WAITING = "waiting"
    """What it refers to is not there yet; see `Strictness.WAIT`. The only result that another one follows by itself."""


RESULTS: tuple[Result, ...] = tuple(Result)
"""A result is stored as one byte: its place in this tuple. The order never changes; new ones go at the end."""

RESULT_BYTE: dict[Result, int] = {result: byte for byte, result in enumerate(RESULTS)}

HEADER_ROW_MAX = 50
"""The last row that can be the header of a table."""

WAITING_HOURS_MAX = 8760
"""Hours for which a record may wait: a year."""

FINAL_STATES = frozenset({State.FINISHED, State.CANCELLED, State.BROKEN})


class RoundKind(StrEnum):
    """Why records of a batch are processed: submitted, corrected, retried, missing from a full feed, or waiting.

    A ``fix`` is a file of the submitter; a ``correction`` is of the same form, but the gate has written it: of edits,
    or of accepted suggestions. A round of kind ``references`` works the waiting records whose references have arrived,
    and rejects those that have waited too long.
    """

    SUBMISSION = "submission"
    FIX = "fix"
    CORRECTION = "correction"
    RETRY = "retry"
    REMOVAL = "removal"
    REFERENCES = "references"

    @property
    def is_fix(self) -> bool:
        """Whether the round has records that replace others, by their `_row`."""
        return self in (RoundKind.FIX, RoundKind.CORRECTION)


class Strictness(StrEnum):
    """How a policy treats references to what is not there: brands, categories, the SKUs of prices and stock.

    ``refuse`` rejects the record, ``warn`` reports it, ``off`` does not look, and with ``wait`` the record is applied
    when the reference arrives, or rejected after `Policy.waiting_hours`.
    """

    REFUSE = "refuse"
    WAIT = "wait"
    WARN = "warn"
    OFF = "off"


class ReadingDecision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one thing about a file was read: what it was taken for, and who says so."""

    what: str
    """Name of the option that overrides it, where there is one: ``encoding``, ``delimiter``, ``records_at`` …"""
    value: str
    """As the submitter would write it in the option."""
    how: Literal["given", "saved", "detected", "default"]
    """Named in the submission or the file, taken from a saved profile, inferred from the content, or assumed."""
    confidence: float | None = None
    """How certain it is, 0 to 1; None where it is not a matter of degree."""


class Duplicates(StrEnum):
    """What becomes of a record whose key an earlier record of the batch has.

    With ``reject``, one that would change the item is rejected; with ``merge`` it is applied like any other, and with
    ``last`` it replaces what was there; all of them with an issue. With ``off`` nobody looks.
    """

    REJECT = "reject"
    MERGE = "merge"
    LAST = "last"
    OFF = "off"


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one submission wants to be treated; stored with the batch."""

    verb: Verb = Verb.UPSERT
    duplicates: Duplicates | None = None
    """None: see `duplicates_of`."""
    replace: bool = False
    """Whether an upsert replaces the whole item; those of records with a schema always do."""
    empty: Literal["keep", "clear"] = "keep"
    """Whether an empty cell of a table leaves the field of an item as it is, or clears it."""
    references: Strictness | None = None
    """None: as a saved profile says, else ``warn``."""
    waiting_hours: Annotated[float, msgspec.Meta(gt=0, le=WAITING_HOURS_MAX)] | None = None
    """How long records wait with ``references=wait``; None until the submission is accepted, which sets the default.
    """
    mode: Literal["delta", "full"] = "delta"
    delete_share_max: float = 0.1
    """Share (0 to 1) of the items that ``mode=full`` may delete without confirmation."""
    allow_empty: bool = False
    """Whether a submission without records is meant, so that it is no error; a full one then deletes every item."""
    currency: str | None = None
    """Default currency of prices, an ISO 4217 code."""
    decimal: Literal["point", "comma"] | None = None
    """Decimal mark of numbers in texts; None: that of the profile, else a point."""
    format: str | None = None
    """Format, if the submitter named it as an option; None: it is detected."""
    encoding: str | None = None
    """Charset of the text, as the submitter named it; None: it is detected."""
    sheet: str | None = None
    """Name or number (from 1) of the sheet of a workbook; None: the first one with a header."""
    header_row: Annotated[int, msgspec.Meta(ge=1, le=HEADER_ROW_MAX)] | None = None
    """Row of the header, from 1; None: the first with two or more known columns."""
    delimiter: str | None = None
    """Character between the cells of a text table; None: it is detected."""
    records_at: str | None = None
    """Element (XML) or path of the list (JSON) that holds the records; None: it is detected."""
    schema: str = ""
    """Name of the schema that checks the records; empty for records with Goodsgate's own fields.

    Records with a schema are those of a protocol: they are JSON, and so UTF-8 whatever they look like (RFC 8259).
    """
    dry_run: bool = False
    """Whether nothing is applied: the batch only gets its report, and the diff that applying it would make."""
    hold_if: dict[str, str] = {}
    """Conditions under which the batch is held, besides those of the merchant: name → limit (see `model.guard`)."""
    hold: HoldMode | None = None
    """Whether the lane waits behind the batch while it is held; None: the guards say so."""
    hold_hours: Annotated[float, msgspec.Meta(gt=0, le=HOLD_HOURS_MAX)] | None = None
    """How long it is held until it is discarded; None: the guards say so, or the setting."""
    edit: Literal["lock", "unlock"] | None = None
    """Whether the records are edits of a person: their fields are locked, or given back the values of the supplier."""
    update_creates: bool = False
    """Whether an update of a record with a schema creates a missing item."""
    start: Literal["now", "held"] = "now"
    """When processing starts: in turn, or only after the rounds of the collection are released."""
    products_first_seconds: float = 0.0
    """How long the records, which need products, wait for those that the collection received before them."""
    pace_seconds: float = 0.0
    """Pause between two records with a schema, which are then applied one by one. Other rounds of the lane continue
    meanwhile, and their changes are not overwritten."""
    location: str | None = None
    """The only location that records with a schema may name."""
    notify: str | None = None
    """Topic of a message (``protocol/word``) that is stored whenever the batch ends; its subject is the batch's id."""
    profile: str | None = None
    """Name of the profile that says what the columns mean; None: it is recognized by the header."""
    saved_profile: str | None = None
    """Name of the merchant's own profile that was applied; its options are those of this policy."""
    saved_options: tuple[str, ...] = ()
    """Options that it has added; with ``profile`` if it was recognized by the header, and not named."""
    empty_words: tuple[str, ...] = ()
    """Cells of a table that count as empty, besides those of the profile: as written, in lower case or in capitals."""
    group: str | None = None
    """Column by which rows belong together; None: the profile says so."""
    key: Literal["derived"] | None = None
    """Whether rows without a SKU get one, made of their group and their options."""
    reverts: str | None = None
    """Id of the batch that this one takes back; its records are the changes of that batch in the journal."""
    trouble: Literal["rejected", "partly_rejected", "broken"] | None = None
    """Failure that was ordered for the submission, to test its client."""
    mapping: dict[str, list[str]] = {}
    """Submitter's column or member → fields; an empty list excludes the column from checks (it is still stored)."""


def duplicates_of(policy: Policy, kind: Kind) -> Duplicates:
    """Return how a submission treats a key that it has twice.

    Products are rejected unless the policy says otherwise. Prices and stock are a sequence of states, and records with
    a schema are what their protocol says: they are applied in order.
    """
    if policy.duplicates is not None:
        return policy.duplicates
    return Duplicates.REJECT if kind is Kind.PRODUCT and not policy.schema else Duplicates.MERGE


class Counts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Records by result."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    superseded: int = 0
    rejected: int = 0
    cancelled: int = 0
    merged: int = 0
    waiting: int = 0

    @property
    def accounted(self) -> int:
        """Records that have a result."""
        return (
            self.created + self.updated + self.unchanged + self.deleted + self.superseded + self.rejected
            + self.cancelled + self.merged + self.waiting
        )

    def plus(self, other: "Counts", /) -> "Counts":
        """Add field by field; ``other`` may have negative numbers, because a fix moves records."""
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


def outcome_of(counts: Counts, file_errors: int = 0, *, is_withheld: bool = False) -> Outcome:
    """Return the outcome of a finished batch with these counts and so many errors of the file as a whole.

    `is_withheld` says whether deletions await confirmation: what was asked for is then not done. Nor is it while
    records wait.
    """
    if not counts.rejected and not counts.waiting and not file_errors and not is_withheld:
        return Outcome.CLEAN
    return Outcome.REJECTED if counts.rejected == counts.accounted else Outcome.PARTIAL


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """Deletions of a full feed that await confirmation."""

    items: int
    """Items of the collection when the feed was received."""
    deletions: int
    """Items that the feed does not contain."""
    reason: Literal["share", "evidence"] = "share"
    """They exceed the share of the policy, or something of the feed was not read soundly and may be one of them."""

    @property
    def share(self) -> float:
        """Return the share of the items that would be deleted, 0 to 1."""
        return self.deletions / self.items if self.items else 0.0


Revision = tuple[int | str | None, ...]
"""Values that tell two moments of a batch apart; only to be compared."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What a submission becomes: durable, with an id, a state and counts."""

    merchant: str
    id: str
    kind: Kind
    collection: str
    policy: Policy
    format: str
    """ndjson, json, csv, tsv, xlsx or xml."""
    content_encoding: str
    """identity, gzip, zstd or zip."""
    label: str
    """The submitter's name for the batch, usually a file name; may be empty."""
    protocol: str
    state: State
    cancelling: bool = False
    """Whether a cancel was requested and has not taken effect yet."""
    counts: Counts
    warned: int = 0
    """Records that were not rejected and have at least one issue."""
    file_errors: int = 0
    """Issues of severity error that concern the file as a whole."""
    total: int | None
    """Records in all; None until the payload has been read to its end."""
    bytes_total: int
    """Payload bytes as received (compressed)."""
    bytes_done: int
    position: int | None
    """Rounds of its lane before it; 0 while working, None once ended."""
    rounds: int
    """Rounds so far, 1 after the submission."""
    columns: list[str] | None = None
    """The submitter's header, in its order; None for JSON."""
    withheld: Withheld | None = None
    reading: list[ReadingDecision] = []
    """How the submission was read, as far as it is not obvious; empty before the first chunk."""
    roles: dict[str, int] = {}
    """Products and rows by role (see `model.roles`); empty if each row stands alone."""
    rule_counts: dict[str, RuleCounts] = {}
    """What the merchant's rules that only count, or that failed, did to it, by name."""
    is_trial: bool = False
    """Whether counts and report are those of the trial of a guarded batch: nothing of it is applied so far."""
    hold: Hold | None = None
    """What the trial of a guarded batch has found; None before its end."""
    received_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    protocol_data: dict[str, str] = {}
    """Data that a protocol stores with the batch; the engine does not read it."""
    revision: Revision = ()
    """Differs whenever anything but the position differs; empty for a batch that was not read from a store."""

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of a finished batch; None before that."""
        if self.state is not State.FINISHED:
            return None
        return outcome_of(self.counts, self.file_errors, is_withheld=self.withheld is not None)

    @property
    def view(self) -> BatchView | None:
        """Where a list has it; None if it was cancelled."""
        if self.state is State.HELD:
            return BatchView.HELD
        if self.state not in FINAL_STATES:
            return BatchView.OPEN
        if self.outcome is Outcome.CLEAN:
            return BatchView.CLEAN
        return BatchView.FAILED if self.state is not State.CANCELLED else None


class BatchRound(msgspec.Struct, frozen=True, kw_only=True):
    """A round of a batch that has ended."""

    number: int
    """From 0, the submission."""
    kind: RoundKind
    started_at: datetime | None
    """When a worker first claimed it."""
    ended_at: datetime
    records: int
    """Records that it worked."""
    counts: Counts
    """Those of the batch when the round ended."""


def new_id() -> str:
    """Return 32 hex digits that sort by time of creation (48 bits of milliseconds, then 80 random bits)."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def now() -> datetime:
    """Return the time, aware and in UTC."""
    return datetime.now(UTC)
