"""Dry runs of batches: their chunks have a diff and no changes, and see what the chunks before them would have done.

A dry run waits in its lane and is worked as any batch. Only two things differ. What a chunk looks up is what the store
has, with the changes of the chunks before it; and its commit has these changes as a diff, so that nothing else is
written but the report.
"""

from collections.abc import Sequence

import msgspec

from goodsgate.model.batch import RESULT_BYTE, Result
from goodsgate.model.catalogue import CurrentItem, Delete, Write
from goodsgate.model.diff import DiffChange, DiffSummary, DryRunItems
from goodsgate.model.journal import ChangeOperation, ItemContent
from goodsgate.store.contract import ChunkCommit, ClaimedRound, Store

CREATED = RESULT_BYTE[Result.CREATED]
NOTHING = DryRunItems({}, {})


def would_be_items(store: Store, round: ClaimedRound, keys: Sequence[str]) -> DryRunItems:
    """Return what earlier chunks of the batch would have left of these items; nothing if it is no dry run."""
    return store.dry_run_items(round, keys) if round.is_dry_run and round.chunks else NOTHING


def with_would_be_variants(store: Store, round: ClaimedRound, keys: Sequence[str], *, variants: dict[str, str],
                           would_be: DryRunItems) -> dict[str, str]:
    """Return the first case variants of keys, given those of the store's items and of would-be items."""
    gone = would_be_items(store, round, [*{*variants.values()}]).items if variants else {}
    merged = {key: other for key, other in variants.items() if other not in gone or gone[other].hash is not None}
    for key in keys:
        if key in would_be.case_variants:
            other = would_be.case_variants[key]
            merged[key] = min(other, merged.get(key, other))
    return merged


def as_dry_run(store: Store, commit: ChunkCommit) -> ChunkCommit:
    """Return a commit that has a diff in place of its writes and deletes."""
    changed: dict[str, Write | Delete] = {write.key: write for write in commit.writes}
    changed.update((delete.key, delete) for delete in commit.deletes)
    if not changed:
        return msgspec.structs.replace(commit, has_variants=False)
    before = _items_before(store, commit, changed)
    diff = [_change(changed[key], before.get(key), commit.origins.get(key, (0, 0))) for key in sorted(changed)]
    summary = DiffSummary()
    summary.add(diff, commit.round.kind)
    return msgspec.structs.replace(
        commit, writes=[], deletes=[], origins={}, has_variants=False, diff=diff, diff_summary=summary
    )


def _items_before(store: Store, commit: ChunkCommit, changed: dict[str, Write | Delete]) -> dict[str, CurrentItem]:
    """Return the items as the chunk finds them; one that all its records call new does not exist."""
    round = commit.round
    known = {key for key, result in zip(commit.keys, commit.results, strict=True) if result != CREATED}
    keys = [key for key in changed if key in known]
    if not keys:
        return {}
    items = store.current_items(round.merchant, round.kind, round.collection, keys, documents=True)
    items.update(would_be_items(store, round, keys).items)
    return items


def _change(change: Write | Delete, item: CurrentItem | None, origin: tuple[int, int]) -> DiffChange:
    """Return what a write or delete does to an item, as the journal would have it."""
    before = after = hash = tombstone_version = None
    if item is not None and item.document is not None:
        before = ItemContent(item.document, item.version, item.field_state, item.index_entries)
    if isinstance(change, Write):
        hash = change.hash
        after = ItemContent(change.document, change.version, change.field_state, change.index_entries)
    else:
        tombstone_version = change.version
    operation: ChangeOperation | None = None
    if hash != (item.hash if item is not None else None):
        operation = (
            ChangeOperation.DELETED if after is None else
            ChangeOperation.UPDATED if before is not None else ChangeOperation.CREATED
        )
    record, row = origin
    return DiffChange(
        key=change.key, operation=operation, before=before, after=after, tombstone_version=tombstone_version,
        record=record or None, row=row or None,
    )
