"""The current items that the records of a chunk may touch, kept up to date while the records are applied."""

from collections.abc import Iterable, Sequence, Set

from goodsgate.engine.dry_run_items import with_would_be_variants, would_be_items
from goodsgate.engine.unknown_skus import UnknownSkus, find_unknown_skus
from goodsgate.engine.validator import CheckedChunk, ChunkKeys
from goodsgate.engine.waiting_references import Marks, find_marks
from goodsgate.model.batch import Duplicates, RoundKind, duplicates_of
from goodsgate.model.catalogue import CurrentItem, Delete, Write, Writes
from goodsgate.model.versions import is_older
from goodsgate.store.contract import ClaimedRound, Store


class CatalogueView:
    """Items of one collection by key, with the changes that records made to them."""

    def __init__(self, items: dict[str, CurrentItem], case_variants: dict[str, str], seen_keys: Set[str], *,
                 newer_keys: Set[str] = frozenset(), unknown_skus: UnknownSkus | None = None,
                 waiting_marks: Marks | None = None) -> None:
        self.items: dict[str, CurrentItem | Write] = {**items}
        """Key → the item as it is now, tombstones included."""
        self.case_variants = case_variants
        """Key → another key that differs only by case."""
        self.seen_keys = seen_keys
        """Keys that earlier chunks of the batch contain."""
        self.newer_keys = newer_keys
        """Keys of items that a batch has written which was accepted after this one; not for a submission."""
        self.unknown_skus: UnknownSkus = unknown_skus or {}
        """SKUs of prices or stock that no product has, by what the policy says about them."""
        self.waiting_marks: Marks = waiting_marks or {}
        """What happened to the records of the chunk while they waited."""
        self.writes: dict[str, Write] = {}
        self.deletes: dict[str, Delete] = {}
        self._created: Writes | None = None
        """Items created last, which `items` does not contain yet; mostly nobody looks there again."""

    def create_all(self, writes: Writes) -> None:
        """Add items that are all new."""
        self._created = writes

    def add_created(self) -> None:
        """Bring `items` up to date; call it before anything is looked up there again."""
        if self._created is not None:
            self.items.update(zip(self._created.keys, self._created, strict=True))
            self._created = None

    def overtaken_at(self, numbers: Sequence[int | None] | None) -> Set[int]:
        """Return the places of records that waited until a later one was applied to their item, by their numbers."""
        if not self.waiting_marks or numbers is None:
            return frozenset()
        overtaken = {number for number, mark in self.waiting_marks.items() if mark.is_overtaken}
        return {at for at, number in enumerate(numbers) if number in overtaken}

    def take_changes(self) -> tuple[Sequence[Write], list[Delete]]:
        """Return the writes and deletes since the last call."""
        writes, deletes = list(self.writes.values()), list(self.deletes.values())
        self.writes, self.deletes = {}, {}
        return writes, deletes


def load_view(store: Store, round: ClaimedRound, chunks: Sequence[CheckedChunk], *,
              seen_keys: Set[str] | None = None) -> CatalogueView:
    """Look up what the records of some chunks of a collection may touch.

    `round` is the round as the store has it. `seen_keys` are given if they were looked up before.
    """
    keys = chunks[0].distinct_keys
    if len(chunks) > 1:
        keys = ChunkKeys([key for checked in chunks for key in checked.distinct_keys.distinct])
    distinct = keys.distinct
    with_documents = any(checked.needs_documents for checked in chunks)
    items = store.current_items(round.merchant, round.kind, round.collection, distinct, documents=with_documents)
    would_be = would_be_items(store, round, distinct)
    items.update(would_be.items)
    new = [key for key in distinct if key not in items] if items else distinct
    changed = [] if with_documents else [key for key in _find_changed(chunks, items) if key not in would_be.items]
    variants = store.case_variants(round.merchant, round.kind, round.collection, new) if new else {}
    if round.is_dry_run:
        variants = with_would_be_variants(store, round, new, variants=variants, would_be=would_be)
    if len(keys.folded) < len(distinct):  # some of them differ only by case
        variants = with_variants_among(distinct, variants)
    if seen_keys is None:
        seen_keys = find_seen_keys(store, round, distinct)
    if changed:
        items.update(store.current_items(round.merchant, round.kind, round.collection, changed, documents=True))
    return CatalogueView(
        items, variants, seen_keys, newer_keys=find_newer_keys(store, round, items),
        unknown_skus=find_unknown_skus(store, round, chunks),
        waiting_marks=find_marks(store, round, chunks[0].chunk.replaces or ()),
    )


def _find_changed(chunks: Sequence[CheckedChunk], items: dict[str, CurrentItem]) -> list[str]:
    """Return the keys of items that upserts may be merged into, or replace in part: their documents are needed.

    A record that has the hash of its item changes nothing, so that the item is not loaded.
    """
    if not items:
        return []
    changed: dict[str, None] = {}
    for checked in chunks:
        if checked.merges_upserts:
            changed.update(dict.fromkeys(
                key for key, digest in zip(checked.keys, checked.hashes, strict=True) if key is not None
                and (item := items.get(key)) is not None and item.hash is not None and item.hash != digest
            ))
        elif any(item.version is not None or item.field_state is not None for item in items.values()):
            changed.update(dict.fromkeys(
                key for key, digest, version in zip(checked.keys, checked.hashes, checked.versions, strict=True)
                if key is not None and (item := items.get(key)) is not None and item.hash not in (None, digest)
                and (item.locks or (item.version is not None and (version is None or is_older(version, item.version))))
            ))
    return [*changed]


def find_newer_keys(store: Store, round: ClaimedRound, keys: Iterable[str]) -> Set[str]:
    """Return the keys of items that a batch wrote last which was accepted after the batch of this later round.

    The submission of a batch that others have passed while it was held counts as a later round.
    """
    was_passed = round.is_tried and round.hold is not None and bool(round.hold.reasons) and round.hold.mode == "pass"
    if round.round_kind in (RoundKind.SUBMISSION, RoundKind.REMOVAL) and not was_passed:
        return frozenset()
    is_newer = {round.batch: False}
    newer = set()
    for key in keys:
        item = store.item(round.merchant, round.kind, round.collection, key)
        if item is None:
            continue
        if item.batch not in is_newer:
            writer = store.batch(round.merchant, item.batch)
            is_newer[item.batch] = writer is not None and writer.received_at > round.received_at
        if is_newer[item.batch]:
            newer.add(key)
    return newer


def find_seen_keys(store: Store, round: ClaimedRound, keys: Sequence[str]) -> Set[str]:
    """Return those of the keys that earlier chunks of the batch contain, if the policy cares."""
    if not round.chunks or round.round_kind is not RoundKind.SUBMISSION:
        return frozenset()
    is_needed = duplicates_of(round.policy, round.kind) is not Duplicates.OFF
    return store.seen_keys(round, keys) if is_needed else frozenset()


def with_variants_among(keys: Iterable[str], current: dict[str, str]) -> dict[str, str]:
    """Return key → a key that differs only by ASCII case, current or earlier among the keys."""
    variants = dict(current)
    first: dict[str, str] = {}
    for key in keys:
        other = first.setdefault(key.lower(), key)
        if other != key:
            variants.setdefault(key, other)
    return variants
