"""The current items that records of a schema may touch, by key and by index entry."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set

from goodsgate.engine.catalogue_view import CatalogueView, find_seen_keys
from goodsgate.engine.document_merge import decode
from goodsgate.engine.validator import CheckedChunk
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import CurrentItem, Delete, IndexEntry, Write
from goodsgate.rules import CompiledRules
from goodsgate.store.contract import ClaimedRound, Store

Owners = dict[IndexEntry, set[str]]
"""Index entry → keys of the items that have it."""


class IndexedView(CatalogueView):
    """Items of a schema, with the changes that records made to them."""

    def __init__(self, items: dict[str, CurrentItem], seen_keys: Set[str], owners: Owners,
                 required: set[tuple[Kind, IndexEntry]], rules: dict[str, CompiledRules]) -> None:
        super().__init__(items, {}, seen_keys)
        self._owners = owners
        self.required = required
        """Those index entries of other kinds that records require and that some item has."""
        self.rules = rules
        """The merchant's own rules, by the type of the resource that configures them."""

    def owners(self, entry: IndexEntry) -> Set[str]:
        """Return the keys of the items that have the index entry now."""
        return self._owners.get(entry, frozenset())

    def has_owners(self, entries: Iterable[IndexEntry]) -> bool:
        """Return whether an item has, or had, one of these index entries."""
        return not self._owners.keys().isdisjoint(entries)

    def item(self, key: str) -> CurrentItem | Write | None:
        """Return the item under the key, or None if there is none or only a tombstone."""
        item = self.items.get(key)
        return item if item is not None and item.hash is not None else None

    def members(self, key: str) -> dict[str, object]:
        """Return the decoded document of an item."""
        return decode(self.items[key].document or b"{}")

    def document(self, key: str) -> dict[str, object] | None:
        """Return the decoded document under the key, or None if there is none."""
        item = self.item(key)
        return decode(item.document or b"{}") if item is not None else None

    def put(self, key: str, document: bytes, digest: bytes, entries: Iterable[IndexEntry],
            timestamps: tuple[IndexEntry, ...] = (), *, version: int | None = None) -> None:
        """Store a document; without a version of its own it keeps the item's.

        `timestamps` are index entries by which no item is looked up.
        """
        item = self.items.get(key)
        group_versions = None
        if version is None and item is not None:
            version, group_versions = item.version, item.group_versions
        distinct = tuple(dict.fromkeys(entries))
        self._index(key, item, distinct)
        self.items[key] = self.writes[key] = Write(
            key, digest, document, version, distinct + timestamps, group_versions
        )
        if self.deletes:
            self.deletes.pop(key, None)

    def delete(self, key: str, *, version: int | None = None) -> None:
        """Delete the item under the key; with a version, older records do not bring it back."""
        self._index(key, self.items.get(key), ())
        self.items[key] = CurrentItem(None, version)
        self.writes.pop(key, None)
        self.deletes[key] = Delete(key, version)

    def _index(self, key: str, item: CurrentItem | Write | None, entries: tuple[IndexEntry, ...]) -> None:
        for entry in item.index_entries if item is not None else ():
            if owners := self._owners.get(entry):
                owners.discard(key)
        for entry in entries:
            self._owners.setdefault(entry, set()).add(key)


def load_indexed_view(store: Store, round: ClaimedRound, chunks: Sequence[CheckedChunk], *,
                      seen_keys: Set[str] | None = None) -> IndexedView:
    """Look up what the records of some chunks of a schema may touch."""
    merchant, kind, collection = round.merchant, round.kind, round.collection
    keys = [key for checked in chunks for key in checked.distinct_keys.distinct]
    refs = [each for checked in chunks for each in checked.refs or () if each is not None]
    # In the order of the records, which is often nearly that of the index.
    entries = dict.fromkeys(entry for each in refs for entry in each.unique_entries)
    entries.update(dict.fromkeys(entry for each in refs for found in each.find_by for entry in found))
    owners = store.find_by_index(merchant, kind, collection, [*entries]) if entries else {}
    wanted = dict.fromkeys([*keys, *(key for found in owners.values() for key in found)])
    items = store.current_items(merchant, kind, collection, [*wanted], documents=True)
    required: dict[Kind, set[IndexEntry]] = {}
    for each in refs:
        for other_kind, entry, _ in each.required:
            required.setdefault(other_kind, set()).add(entry)
    existing = {
        (other_kind, entry) for other_kind, each_required in required.items()
        for entry in store.find_by_index(merchant, other_kind, collection, [*each_required])
    }
    rules = _load_rule_inputs(store, round, chunks, items=items, owners=owners)
    if seen_keys is None:
        seen_keys = find_seen_keys(store, round, [*dict.fromkeys(keys)])
    return IndexedView(items, seen_keys, {entry: set(found) for entry, found in owners.items()}, existing, rules)


def _load_rule_inputs(store: Store, round: ClaimedRound, chunks: Sequence[CheckedChunk], *,
                      items: dict[str, CurrentItem], owners: dict[IndexEntry, list[str]]) -> dict[str, CompiledRules]:
    """Compile the merchant's own rules, and add what they need to items and owners."""
    rules: dict[str, CompiledRules] = {}
    if not any(checked.schema is not None and checked.schema.merchant_rules is not None for checked in chunks):
        return rules
    times = Counter(key for checked in chunks for key in checked.keys)
    expected: dict[str, dict[str, object]] = {}
    """What may be stored under keys that occur several times, when their next record is applied."""
    keys: dict[str, None] = {}
    entries: set[IndexEntry] = set()
    for checked in chunks:
        source = checked.schema.merchant_rules if checked.schema is not None else None
        if source is None:
            continue
        if source.resource_type not in rules:
            configured = store.resources(round.merchant, source.resource_type, limit=1)
            rules[source.resource_type] = source.compile(round.merchant, configured[0] if configured else None)
        for key, document, refs in zip(checked.keys, checked.documents, checked.refs or (), strict=True):
            if key is not None and refs is not None:
                item = items.get(key)
                current = expected.get(key) or (decode(item.document) if item and item.document else None)
                record = decode(document)
                inputs = rules[source.resource_type].inputs_for(key, record, current)
                keys.update(dict.fromkeys(inputs.keys))
                entries.update(inputs.index_entries)
                if times[key] > 1:
                    expected[key] = {**(current or {}), **record}
    missing_keys = [key for key in keys if key not in items]
    if missing_keys:
        items.update(store.current_items(round.merchant, round.kind, round.collection, missing_keys, documents=True))
    missing_entries = [entry for entry in entries if entry not in owners]
    if missing_entries:
        owners.update(store.find_by_index(round.merchant, round.kind, round.collection, missing_entries))
    return rules
