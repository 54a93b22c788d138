"""Look up what the records of a chunk may touch, and apply them to it: those of a schema, or Goodsgate's own."""

import math
from collections.abc import Sequence, Set
from typing import NamedTuple

from goodsgate.engine.apply import ChunkChanges, apply
from goodsgate.engine.apply_schema import apply_schema
from goodsgate.engine.catalogue_view import CatalogueView, load_view
from goodsgate.engine.indexed_view import IndexedView, load_indexed_view
from goodsgate.engine.validator import CheckedChunk
from goodsgate.store.contract import ChunkCommit, ClaimedRound, Store


class AppliedChunk(NamedTuple):
    """What a chunk changes, and what is needed to apply it once more."""

    commit: ChunkCommit
    seen_keys: Set[str]
    checked: CheckedChunk
    """The records that were applied."""


def load(store: Store, round: ClaimedRound, chunks: Sequence[CheckedChunk], *, seen_keys: Set[str] | None = None,
         ) -> CatalogueView:
    """Look up what the records of some chunks may touch."""
    if round.policy.schema:
        return load_indexed_view(store, round, chunks, seen_keys=seen_keys)
    return load_view(store, round, chunks, seen_keys=seen_keys)


def apply_chunk(round: ClaimedRound, checked: CheckedChunk, view: CatalogueView, *,
                ends_at: float = math.inf) -> ChunkChanges:
    """Apply a chunk, or as much of it as is possible until `ends_at`, to a view that was loaded for it."""
    if isinstance(view, IndexedView):
        return apply_schema(checked, view, round, ends_at=ends_at)
    return apply(checked, view, round.policy, ends_at=ends_at)
