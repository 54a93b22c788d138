"""Changes as consumers read them, in the API and in files."""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import display_key, split_key
from goodsgate.model.journal import ChangeOperation, ItemChange

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ChangeDocument(msgspec.Struct, frozen=True):
    """A change."""

    number: int
    cursor: str
    written_at: datetime
    kind: Kind
    collection: str
    key: str | None
    sku: str | None
    location: str | None
    operation: ChangeOperation
    batch: str | None
    order: str | None
    record: int | None
    row: int | None
    before: msgspec.Raw | msgspec.UnsetType | None = msgspec.UNSET
    after: msgspec.Raw | msgspec.UnsetType | None = msgspec.UNSET


_encoder = msgspec.json.Encoder()
encode_change, encode_change_lines = _encoder.encode, _encoder.encode_lines


def change_documents(changes: Iterable[ItemChange], fields: Collection[str]) -> Iterator[ChangeDocument]:
    """Yield changes with the records that `fields` names: `before`, `after`. Their stored bytes are inserted."""
    with_before, with_after = "before" in fields, "after" in fields
    written_at, time = 0, EPOCH
    for change in changes:
        if change.written_at != written_at:
            written_at = change.written_at
            time = EPOCH + timedelta(microseconds=written_at)
        sku, location = split_key(change.key)
        before, after = change.before, change.after
        yield ChangeDocument(
            change.number, change.position.cursor, time, change.kind, change.collection, display_key(change.key), sku,
            location, change.operation, change.batch, change.order, change.record, change.row,
            (msgspec.Raw(before.document) if before is not None else None) if with_before else msgspec.UNSET,
            (msgspec.Raw(after.document) if after is not None else None) if with_after else msgspec.UNSET,
        )
