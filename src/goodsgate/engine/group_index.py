"""Find the items of one product: those with the same ``item_group_id``, which the secondary index of the store has."""

from collections.abc import Sequence

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item, Write, Writes
from goodsgate.store.contract import ClaimedRound, IndexFilter, Page, Store

GROUP_ID = "item_group_id"
VALUE_CHARACTERS_MAX = 200


class _GroupMember(msgspec.Struct):
    item_group_id: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_GroupMember).decode


def with_group_entries(writes: Sequence[Write], round: ClaimedRound) -> Sequence[Write]:
    """Return the writes of a chunk with index entries; items of a schema have their own."""
    if round.kind is not Kind.PRODUCT or round.policy.schema:
        return writes
    if isinstance(writes, Writes) and not writes.has_groups:
        return writes
    groups = [_group_of(write.document) for write in writes]
    if not any(groups):
        return writes
    return [
        msgspec.structs.replace(write, index_entries=((GROUP_ID, group),)) if group else write
        for write, group in zip(writes, groups, strict=True)
    ]


def list_group(store: Store, merchant: str, collection: str, group: str, *, after: str | None,
               limit: int) -> Page[Item]:
    """Return a page of the products of a group, in the order of their keys."""
    offset = int(after) if after is not None and after.isascii() and after.isdigit() and len(after) < 10 else 0
    total, rows = store.list_index(
        merchant, Kind.PRODUCT, collection, GROUP_ID, offset=offset, limit=limit,
        filters=[[IndexFilter(name=GROUP_ID, minimum=group, maximum=group)]],
    )
    items = [store.item(merchant, Kind.PRODUCT, collection, key) for _, key in rows]
    following = str(offset + len(rows)) if offset + len(rows) < total else None
    return Page([item for item in items if item is not None], following)


def _group_of(document: bytes) -> str:
    """Return the group of an item; empty if it has none that the index can hold."""
    raw = bytes(_decode(document).item_group_id)
    group = msgspec.json.decode(raw, type=str) if raw[:1] == b'"' else ""
    return group if len(group) <= VALUE_CHARACTERS_MAX and "\0" not in group else ""
