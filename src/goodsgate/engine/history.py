"""The history of an item: each change with who made it, and the fields before and after."""

from datetime import datetime

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.journal import ChangeOperation, ItemChange, ItemContent
from goodsgate.store.contract import Page, Store

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class FieldChange(msgspec.Struct, frozen=True):
    """One member of an item's document that a change has added, changed or removed."""

    field: str
    before: msgspec.Raw | None
    """JSON; None if the item did not have the field."""
    after: msgspec.Raw | None


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an item."""

    number: int
    """Of the change, in the journal of the merchant."""
    at: datetime
    operation: ChangeOperation
    batch: str | None
    label: str | None
    """Label of the batch, while the batch is kept."""
    order: str | None
    record: int | None
    row: int | None
    fields: list[FieldChange]


def item_history(store: Store, merchant: str, kind: Kind, collection: str, key: str, *, after: str | None = None,
                 limit: int = 50) -> Page[HistoryEntry]:
    """Return changes of an item, the newest first; `after` is the `next` of the page before."""
    at = int(after) if after is not None and after.isascii() and after.isdigit() and len(after) < 20 else None
    history = store.item_history(merchant, kind, collection, key, at=at, limit=limit)
    labels: dict[str, str | None] = {}
    for change in history.changes:
        if change.batch is not None and change.batch not in labels:
            batch = store.batch(merchant, change.batch)
            labels[change.batch] = batch.label if batch is not None else None
    rows = [_entry(change, labels.get(change.batch or "")) for change in history.changes]
    return Page(rows, str(history.next) if history.next else None)


def field_changes(before: ItemContent | None, after: ItemContent | None) -> list[FieldChange]:
    """Return the members that differ, those of the item as it was first."""
    old, new = (_decode_members(each.document) if each is not None else {} for each in (before, after))
    return [
        FieldChange(name, old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)
    ]


def _entry(change: ItemChange, label: str | None) -> HistoryEntry:
    return HistoryEntry(
        number=change.number, at=change.at, operation=change.operation, batch=change.batch,
        label=label, order=change.order, record=change.record, row=change.row,
        fields=field_changes(change.before, change.after),
    )
