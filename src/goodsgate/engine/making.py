"""Makes portions: judges stretches, looks up what they could touch, applies them."""

from collections.abc import Mapping

import msgspec

from goodsgate.config import Config
from goodsgate.engine import portion as portions
from goodsgate.engine.ahead import Made, is_apart, own_issues
from goodsgate.engine.apply import Shelf, apply, find_twins
from goodsgate.engine.apply_schema import Moments, apply_schema
from goodsgate.engine.check import Judged, Rules, Shown, judge
from goodsgate.engine.opened import Opened
from goodsgate.engine.origin import origin_of
from goodsgate.engine.shelf import IndexedView, load_shelf
from goodsgate.engine.source import Stretch
from goodsgate.model.batch import Policy, RoundKind, Strictness, Verb
from goodsgate.rules import Schema
from goodsgate.store.contract import ChunkCommit, ClaimedRound, Store

HALF_RECORDS = 1_024
"""Stretches twice as long are judged in two halves where the store can look up beside."""


class Making:
    """One worker's rules, and what it makes by them."""

    def __init__(self, store: Store, config: Config, schemas: Mapping[str, Schema]) -> None:
        self._store = store
        self._rules = Rules(store, config, schemas)
        self._moments = Moments()

    def portion(self, opened: Opened, stretch: Stretch, *, earlier: set[str] | None = None) -> Made:
        """What a stretch changes; with what is known of `earlier`, the same once more, by what is held now."""
        made, judged = opened.made, opened.judged
        opened.made = opened.judged = None
        work = opened.work
        return made or self._made(work, stretch, judged or self.judge(opened, stretch), stands=work, earlier=earlier)

    def anew(self) -> None:
        """From now on by the reference data as it is now; to be said for every claim and portion."""
        self._rules.anew()

    def ahead(self, opened: Opened, settling: Made, work: ClaimedRound, stretch: Stretch,
              judged: Judged) -> Made | None:
        """What the stretch behind the one being settled changes, if that is the same already now."""
        apart = is_apart(settling, judged)
        return self._made(work, stretch, own_issues(judged), stands=opened.work) if apart else None

    def _made(self, work: ClaimedRound, stretch: Stretch, judged: Judged, *, stands: ClaimedRound,
              earlier: set[str] | None = None) -> Made:
        """`stands` is the work as it is in the store, whatever is being settled."""
        numbers = portions.claim_numbers(stretch, judged, work)
        keys = judged.shown.keys
        shelf = self.shelf(work, judged.shown, [judged], documents=updates(work.policy, judged))
        if earlier is None:
            asks = work.round_kind is RoundKind.SUBMISSION and work.policy.duplicates is not Strictness.OFF
            earlier = self._store.seen_keys(stands, keys) if stands.chunks and asks else set()
        portion = self.applied(work, stretch, judged, numbers=numbers, shelf=shelf, earlier=earlier)
        return Made(portion, judged.shown, earlier)

    def judge(self, opened: Opened, stretch: Stretch) -> Judged:
        """Every record of a stretch with what is known of it before the catalogue is asked."""
        work = opened.work
        rules = self._rules.checker(work.merchant, work.kind, work.policy)
        return judge(stretch, opened.shape(stretch), rules)

    def applied(self, work: ClaimedRound, stretch: Stretch, judged: Judged, *, numbers: list[int], shelf: Shelf,
                earlier: set[str]) -> ChunkCommit:
        """What the records change, with `earlier` among their keys."""
        policy = msgspec.structs.replace(work.policy, verb=Verb.UPSERT)
        if isinstance(shelf, IndexedView):
            schema = self._rules.schema(work.policy)
            if schema.merged_schema:
                policy = msgspec.structs.replace(policy, schema=schema.merged_schema)
            whole = self._rules.checker(work.merchant, work.kind, policy)
            results = apply_schema(
                judged, shelf, work.policy, mapping=schema.mapping, whole=whole, moments=self._moments, earlier=earlier,
                origin=origin_of(work),
            )
        else:
            whole = self._rules.checker(work.merchant, work.kind, policy)
            results = apply(judged, shelf, work.policy, whole=whole, earlier=earlier)
        return portions.build(work, stretch, judged, results, numbers=numbers, shelf=shelf)

    def shelf(self, work: ClaimedRound, shown: Shown, judged: list[Judged], *, documents: bool) -> Shelf:
        """What is held that the records could touch."""
        keys = shown.keys
        if work.policy.schema:
            return load_shelf(self._store, work, keys, judged)
        held = self._store.current_items(work.merchant, work.kind, work.collection, keys, documents=documents)
        fresh = [key for key in keys if key not in held] if held else keys
        twins = self._store.case_variants(work.merchant, work.kind, work.collection, fresh) if fresh else {}
        return Shelf(held, twins if shown.differ else find_twins(keys, twins))

    def foreseen(self, opened: Opened, stretch: Stretch) -> Judged:
        """Judge a stretch before its turn, and let the store look up what is held under its keys."""
        half = len(stretch) // 2
        if opened.work.policy.schema or half < HALF_RECORDS:
            return self._hinted(opened, stretch)
        first = self._hinted(opened, stretch.part(0, half))  # looked up while the others are judged
        return first.joined(self._hinted(opened, stretch.part(half, len(stretch))))

    def _hinted(self, opened: Opened, stretch: Stretch) -> Judged:
        judged, work = self.judge(opened, stretch), opened.work
        if not work.policy.schema and not updates(work.policy, judged):
            # Where each record has a key of its own, the store may compare.
            apart = len(judged.shown.keys) == len(judged.keys)
            self._store.prefetch(work, judged.shown.keys, hashes=judged.hashes if apart else None)
        return judged


def updates(policy: Policy, judged: Judged) -> bool:
    """Whether records are merged into what is held, so that its documents are needed."""
    return policy.verb is Verb.UPDATE or (judged.verbs is not None and Verb.UPDATE in judged.verbs)
