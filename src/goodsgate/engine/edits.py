"""Edits of items by a person: batches of one record, whose fields are locked or unlocked; see `engine.field_merge`."""

from collections.abc import Iterable, Mapping

import msgspec

from goodsgate.engine.api import Engine
from goodsgate.engine.field_mapping import RESERVED
from goodsgate.engine.refusal import Refusal
from goodsgate.model import fields
from goodsgate.model.batch import Batch, Kind, Policy, Verb
from goodsgate.model.catalogue import Item, display_key, split_key
from goodsgate.store.contract import Idempotency, Store

LABEL_CHARACTERS_MAX = 200
PROTOCOL = "edit"
"""Protocol of the batches, by which they are told from those of suppliers."""
PROFILE = "generic"
"""Members of an edit have the gate's own names: no profile of the merchant gives them another meaning."""
FIXED_FIELDS = frozenset({"id", "location", "version_number", "observed_at"})
"""Fields that say which item a record is about, and when it was observed."""


class ItemName(msgspec.Struct, frozen=True):
    """Where an item is stored."""

    merchant: str
    kind: Kind
    collection: str
    key: str


def edit_item(engine: Engine, name: ItemName, members: Mapping[str, msgspec.Raw], *, editor: str,
              idempotency: Idempotency[Batch] | None = None) -> Batch:
    """Submit an edit of an item, a JSON Merge Patch (RFC 7396) whose fields are then locked.

    `editor` is the name of who edits, for the label of the batch. Raises Refusal: item_unknown, item_not_editable,
    edit_invalid, and as `Engine.submit`.
    """
    find_editable(engine.store, name)
    if not members:
        raise Refusal("edit_invalid", "The edit has no fields.")
    _check_members(name.kind, members)
    label = f"Edit of {display_key(name.key)} by {editor}"
    return _submit(engine, name, members, Policy(verb=Verb.UPDATE, edit="lock", profile=PROFILE), label, idempotency)


def unlock_fields(engine: Engine, name: ItemName, members: Iterable[str], *, editor: str,
                  idempotency: Idempotency[Batch] | None = None) -> Batch:
    """Submit that fields of an item get the values of the supplier back, all locked ones if none is named.

    Raises Refusal as `edit_item`.
    """
    find_editable(engine.store, name)
    patch = dict.fromkeys(members, msgspec.Raw(b"null"))
    _check_members(name.kind, patch)
    label = f"Unlock {', '.join(patch) or 'all fields'} of {display_key(name.key)} by {editor}"
    return _submit(engine, name, patch, Policy(verb=Verb.UPDATE, edit="unlock", profile=PROFILE), label, idempotency)


def editor_name(store: Store, merchant: str, key: str) -> str:
    """Return how the owner of a key is shown: its label and its id."""
    label = next((each.label for each in store.keys(merchant) if each.id == key), "")
    return f"{label} (key {key})" if label else f"key {key}"


def find_editable(store: Store, name: ItemName) -> Item:
    """Return an item that can be edited. Raises Refusal: item_unknown, item_not_editable."""
    item = store.item(name.merchant, name.kind, name.collection, name.key)
    if item is None:
        raise Refusal("item_unknown")
    if not is_editable(store, name.merchant, item):
        raise Refusal("item_not_editable")
    return item


def is_editable(store: Store, merchant: str, item: Item) -> bool:
    """Return whether an item has the gate's own fields, and not those of a schema."""
    if item.index_entries:
        return False
    writer = store.batch(merchant, item.batch)
    return writer is None or not writer.policy.schema


def _check_members(kind: Kind, members: Iterable[str]) -> None:
    for name in members:
        if name in RESERVED or fields.resolve(name, kind) in FIXED_FIELDS:
            raise Refusal("edit_invalid", f"{name} cannot be edited.", field=name)


def _submit(engine: Engine, name: ItemName, members: Mapping[str, msgspec.Raw], policy: Policy, label: str,
            idempotency: Idempotency[Batch] | None) -> Batch:
    sku, location = split_key(name.key)
    record = {"id": sku, **({"location": location} if location is not None else {}), **members}
    submission = engine.submit(
        merchant=name.merchant, kind=name.kind, collection=name.collection, policy=policy, format="json",
        label=label[:LABEL_CHARACTERS_MAX], protocol=PROTOCOL,
    )
    try:
        submission.write(msgspec.json.encode([record]))
        batch = submission.finish(idempotency=idempotency).batch
    except BaseException:
        submission.abort()
        raise
    assert batch is not None
    return batch
