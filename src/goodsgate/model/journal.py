"""The journal: every change of the catalogue, in one order for each merchant."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import IndexEntry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ChangeOperation(StrEnum):
    """What a change does to an item."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


OPERATIONS = tuple(ChangeOperation)
"""In the order of the numbers by which the stores know them."""


class ItemContent(msgspec.Struct, frozen=True, array_like=True):
    """All that makes an item: what is needed to write it again."""

    document: bytes
    version: int | None = None
    """See `versions`."""
    field_state: str | None = None
    """See `model.field_state`."""
    index_entries: tuple[IndexEntry, ...] = ()


class StoredItem(msgspec.Struct, frozen=True):
    """An item, or what is left of it, with the time of its last change."""

    hash: bytes | None
    """16 bytes of the document's hash; None for a tombstone."""
    changed_at: int
    """When its last change was written, in microseconds since 1970."""
    content: ItemContent | None
    """None for a tombstone."""
    is_moved: bool = False
    """Whether the last change is that of an order."""


class JournalPosition(msgspec.Struct, frozen=True):
    """A place in the journal of a merchant: behind the change with this number."""

    number: int
    """0 is before the first change."""
    written_at: int
    """When that change was written, in microseconds since 1970; 0 for number 0.

    A store that is restored from a backup gives numbers out again, but not at the same time.
    """

    @property
    def at(self) -> datetime:
        """`written_at` as a time."""
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self.written_at)

    @property
    def cursor(self) -> str:
        """The position as a text that clients keep; `parse_cursor` reads it."""
        return f"{self.number:x}-{self.written_at:x}"


CURSOR = re.compile(r"([0-9a-f]{1,15})-([0-9a-f]{1,15})")


def parse_cursor(text: str) -> JournalPosition | None:
    """Return the position of a cursor; None if the text is not one."""
    match = CURSOR.fullmatch(text)
    return JournalPosition(int(match[1], 16), int(match[2], 16)) if match else None


JOURNAL_START = JournalPosition(0, 0)


class ItemChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one item."""

    number: int
    """Counted from 1 for each merchant; a reader that has seen a number has seen all before it."""
    written_at: int
    """When it was committed, in microseconds since 1970."""
    kind: Kind
    collection: str
    key: str
    operation: ChangeOperation
    before: ItemContent | None
    """None if the item did not exist."""
    after: ItemContent | None
    """None if it was deleted."""
    batch: str | None
    """The batch whose record changed the item."""
    order: str | None
    """The order that moved the stock; then there is no batch."""
    record: int | None
    """Number of the record within the batch; of several in one chunk the last."""
    row: int | None
    """Row or line of that record in its file."""
    previous: int
    """`written_at` of the change of this item before; 0 if none is known."""

    @property
    def at(self) -> datetime:
        """Return when it was committed."""
        return _EPOCH + timedelta(microseconds=self.written_at)

    @property
    def position(self) -> JournalPosition:
        """Return the position behind this change."""
        return JournalPosition(self.number, self.written_at)


class JournalPage(msgspec.Struct, frozen=True):
    """Some changes, and where to go on."""

    changes: list[ItemChange]
    position: JournalPosition
    """Behind the last change that was looked at, whether it passed the filters or not."""
    is_last: bool
    """There was no further change when the page was read."""


class ItemHistory(msgspec.Struct, frozen=True):
    """Changes of one item, the newest first."""

    changes: list[ItemChange]
    next: int
    """`written_at` of the next older change; 0 at the end."""


class BatchJournal(msgspec.Struct, frozen=True):
    """The part of the journal that is about one batch."""

    changes: int
    written_at: frozenset[int]
    """When its chunks were written; an item that was written last at one of these times was changed last by it."""
    swept_at: int
    """The journal of the merchant is complete after this time; 0: nothing was removed from it."""
