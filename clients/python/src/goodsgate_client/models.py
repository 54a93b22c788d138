"""What a gate answers. Members that a model does not name are ignored, so that a newer gate can add some."""

from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import msgspec

Document = dict[str, Any]
"""A JSON object as it was received."""
T = TypeVar("T")


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON object with typed members."""

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """Return the model of a document. Raises msgspec.ValidationError."""
        return msgspec.convert(document, cls)


class Counts(Model, frozen=True, kw_only=True):
    """How many records have which result; when the batch has ended, `total` is `accounted`."""

    total: int | None = None
    """None until the submission was read to its end."""
    accounted: int = 0
    warned: int = 0
    """Records that were not rejected and have issues."""
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    superseded: int = 0
    merged: int = 0
    rejected: int = 0
    cancelled: int = 0
    waiting: int = 0
    """Records that wait for what they refer to; the only result that another one follows by itself."""


class Progress(Model, frozen=True, kw_only=True):
    """How much of a batch was processed."""

    share: float
    """From 0 to 1."""
    records: int
    bytes_done: int
    bytes_total: int


class ReadingDecision(Model, frozen=True, kw_only=True):
    """What was inferred or given about how the content is read: encoding, delimiter and so on."""

    what: str
    value: str
    how: str
    """`given`, `saved`, `detected` or `default`."""
    confidence: float | None = None


class Withheld(Model, frozen=True, kw_only=True):
    """Deletions of a full feed that wait for `confirm`."""

    deletions: int
    items: int
    reason: str = ""


class QueueWait(Model, frozen=True, kw_only=True):
    """What a queued batch waits for in its lane."""

    batch: str
    """The first batch of the lane."""
    batches: int
    """Batches in front of it, with this one."""
    records: int | None = None
    """About how many records these have left; None if nothing is known yet."""
    estimated_start: datetime | None = None
    """When it starts at the latest, if the lane is processed as fast as it was; None if nothing is known yet."""


class WaitingReference(Model, frozen=True, kw_only=True):
    """Something that records of a batch wait for."""

    kind: str
    """`brand`, `category`, `product`, `parent` and so on."""
    code: str
    records: int
    expires_at: datetime


class ValueCount(Model, frozen=True, kw_only=True):
    """A value that was received, and how often."""

    value: str
    count: int


class IssueGroup(Model, frozen=True, kw_only=True):
    """Issues of one code and field."""

    code: str
    severity: str
    field: str
    count: int
    message: str
    title: str = ""
    """What is wrong and how often, to be read alone."""
    column: str | None = None
    """The submitter's own column or member, if it differs from the field."""
    remedy: str = ""
    """What to do about it."""
    top: list[ValueCount] = []
    """The most frequent values."""
    docs: str = ""


class HoldReason(Model, frozen=True, kw_only=True):
    """A condition of a guard that a batch meets."""

    condition: str
    limit: str
    guard: str | None = None
    """The merchant's guard; None if the submission has the condition."""
    count: float
    share: float
    text: str


class Hold(Model, frozen=True, kw_only=True):
    """What guards have found of a batch; without reasons it was not held."""

    reasons: list[HoldReason] = []
    mode: str = "wait"
    """Whether the batches behind it `wait`, or `pass` it."""
    held_at: datetime | None = None
    expires_at: datetime | None = None
    """When it is discarded if nobody decides."""
    decision: str | None = None
    """`approved`, `discarded` or `expired`."""
    changes_since: int | None = None
    """How often others had changed the collection when it was approved."""


class FieldChange(Model, frozen=True, kw_only=True):
    """What a change of a diff does to one field."""

    field: str
    before: Any = None
    after: Any = None


class DiffChange(Model, frozen=True, kw_only=True):
    """A change that a dry run or a held batch would make."""

    number: int
    operation: str
    """`created`, `updated` or `deleted`."""
    key: str
    record: int | None = None
    source_row: int | None = None
    fields: list[FieldChange] = []


class Batch(Model, frozen=True, kw_only=True):
    """A submission: its state, its counts, and the groups of its issues."""

    id: str
    kind: str
    collection: str
    label: str
    state: str
    """`receiving`, `queued`, `working`, `held`, `finished`, `cancelled` or `broken`."""
    cancelling: bool = False
    outcome: str | None
    """`clean`, `partial` or `rejected`; None until the batch has ended."""
    counts: Counts
    progress: Progress
    position: int | None = None
    """Batches ahead of it in the queue."""
    rounds: int = 1
    format: str | None = None
    withheld: Withheld | None = None
    trial: bool = False
    """Whether the counts are those of the trial of a guarded batch: nothing of it has been applied."""
    hold: Hold | None = None
    queue: QueueWait | None = None
    """What it waits for while it is queued; None if nothing is in front of it, and in a list of batches."""
    waits_behind: str | None = None
    """The held batch that it waits behind; always None in a list of batches."""
    reading: list[ReadingDecision] = []
    received_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    records_per_second: float | None = None
    waiting_for: list[WaitingReference] = []
    """What its records wait for, that of the most records first; empty in a list of batches."""
    issues: list[IssueGroup] = []
    """Most frequent first; empty in a list of batches."""
    raw: Document = {}
    """The whole document, also with members that this version of the client does not know."""

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """Return a batch that has its document. Raises msgspec.ValidationError."""
        return msgspec.convert({**document, "raw": document}, cls)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it, unless it is fixed, retried or confirmed."""
        return self.state in ENDED_STATES

    @property
    def is_held(self) -> bool:
        """Whether guards hold it until somebody approves or discards it."""
        return self.state == "held" and not self.cancelling

    @property
    def is_clean(self) -> bool:
        """Whether every record was accepted and no deletion waits."""
        return self.state == "finished" and self.outcome == "clean" and self.withheld is None


ENDED_STATES = frozenset({"finished", "cancelled", "broken"})


class FixPlace(Model, frozen=True, kw_only=True):
    """A place in the file of a fix."""

    round: int
    """Round of the batch, of which the submission is 1."""
    row: int
    """Line or row, from 1."""


class Issue(Model, frozen=True, kw_only=True):
    """What is wrong with one field of one record, or with the file."""

    record: int
    """Number of the record; 0 is the file as a whole."""
    source_row: int = 0
    """Line or row in the file of the submission; 0 for none."""
    fix: FixPlace | None = None
    """Where the record is in the file of the last fix that has sent it; None if no file of a fix has."""
    key: str | None = None
    result: str | None = None
    code: str
    """An `IssueCode`, or one of a newer gate."""
    severity: str
    path: str
    column: str | None = None
    """The submitter's own column, if it differs from the path."""
    value: str | None = None
    expected: str | None = None
    suggestion: str | None = None
    message: str
    docs: str = ""

    @property
    def place(self) -> str:
        """Where the record is in your files, in words; empty if it is in none."""
        own = f"line {self.source_row:,}" if self.source_row else ""
        if self.fix is None:
            return own
        fixed = f"line {self.fix.row:,} of the file of round {self.fix.round}"
        return f"{own} of the first file, {fixed}" if own else fixed


class RecordResult(Model, frozen=True, kw_only=True):
    """What became of one record: `created`, `updated`, `unchanged`, `rejected` and so on."""

    record: int
    key: str | None
    result: str


class Item(Model, frozen=True, kw_only=True):
    """An item of the catalogue."""

    key: str
    sku: str
    location: str | None = None
    kind: str
    collection: str
    version: int | None = None
    locked: dict[str, Document] = {}
    """Fields that a person has edited → `supplied`, the value of the supplier, if any."""
    batch: str
    """The batch that last wrote it."""
    written_at: datetime
    record: Document


class Change(Model, frozen=True, kw_only=True):
    """A change of an item, price or stock."""

    cursor: str
    """Where to go on behind it: store it together with what you have done with the change."""
    number: int
    """Grows from change to change of a merchant."""
    written_at: datetime
    kind: str
    collection: str
    key: str
    sku: str
    location: str | None = None
    operation: str
    """`created`, `updated` or `deleted`."""
    batch: str | None = None
    order: str | None = None
    record: int | None = None
    row: int | None = None
    before: Document | None = None
    """The record before it, if it was asked for."""
    after: Document | None = None


class ChangePage(Model, frozen=True, kw_only=True):
    """Changes in their order, perhaps none."""

    changes: list[Change]
    cursor: str
    """Where to go on behind them."""
    more: bool
    """Whether there were further ones."""


class SavedExport(msgspec.Struct, frozen=True, kw_only=True):
    """A file with a collection."""

    file: Path
    cursor: str | None
    """Where `changes` go on from what is in the file; None without a journal."""


class FixMatch(Model, frozen=True, kw_only=True):
    """How the records of a fix match the rejected records of a batch."""

    records: int
    replacing: int
    unmatched: int
    without_row: int


class SuggestionExample(Model, frozen=True, kw_only=True):
    """A value and what is suggested instead."""

    value: str | None
    suggestion: str


class SuggestionGroup(Model, frozen=True, kw_only=True):
    """Suggestions of one issue code and field."""

    code: str
    field: str
    records: int
    """Rejected records that accepting would change."""
    examples: list[SuggestionExample]


class Suggestions(Model, frozen=True, kw_only=True):
    """All suggestions of a batch."""

    suggestions: list[SuggestionGroup]
    complete: bool
    """Whether all rejected records were read; if not, the numbers are lower bounds."""


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list."""

    rows: list[T]
    next: str | None
    """Path of the next page; None on the last one."""
