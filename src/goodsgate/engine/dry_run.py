"""Work a submission without effect: the real engine over the current items, whose changes go to a scratch store."""

import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from goodsgate.engine.api import Engine
from goodsgate.engine.saved_guards import RESOURCE_TYPE as GUARDS
from goodsgate.engine.saved_rules import RESOURCE_TYPE, rule_resources
from goodsgate.engine.worker import Worker
from goodsgate.model.batch import FINAL_STATES, Batch, Kind, Policy, now
from goodsgate.model.catalogue import CurrentItem, Item, Key, Merchant, ReferenceEntry, Resource
from goodsgate.model.finding import Finding
from goodsgate.model.issue_group import IssueGroup
from goodsgate.model.record_rule import RecordRule
from goodsgate.store.contract import Page, Store

GROUPS_MAX = 50
ITEMS_MAX = 3

SCRATCH_METHODS = (
    "add_batch", "append_upload", "batch", "claim", "commit", "defer", "discard_upload", "findings", "issue_groups",
    "keys", "payload", "rejected_records", "release_claim", "renew_claim", "results", "rounds_behind", "seen_keys",
)
"""What engine and worker need of the store besides looking up current items and reference data."""


class DryRun(msgspec.Struct, frozen=True):
    """The batch as it would end, with its issues, some of the rejected records and some of the items it would write."""

    batch: Batch
    groups: list[IssueGroup]
    rejected: list[Finding]
    items: list[Item]


class Overlay:
    """A scratch store over the real one: items are looked up in both, reference data in the real one alone.

    Everything else that is not listed fails, so that no question is answered by the empty scratch store by mistake.
    """

    def __init__(self, scratch: Store, real: Store, rules: Mapping[str, RecordRule] | None = None) -> None:
        """Take both stores, and the `rules` that count instead of the merchant's own."""
        self._scratch = scratch
        self._real = real
        self._rules = rules
        for name in SCRATCH_METHODS:
            setattr(self, name, getattr(scratch, name))

    def current_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *,
                      documents: bool = False) -> dict[str, CurrentItem]:
        """Return items that the dry run has written, and under other keys the real ones."""
        own = self._scratch.current_items(merchant, kind, collection, keys, documents=documents)
        return self._real.current_items(merchant, kind, collection, keys, documents=documents) | own

    def case_variants(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the case variants of either store."""
        own = self._scratch.case_variants(merchant, kind, collection, keys)
        return self._real.case_variants(merchant, kind, collection, keys) | own

    def keys(self, merchant: str) -> list[Key]:  # noqa: ARG002 - as the store has it
        """Return none: the limits of keys are about batches that stay."""
        return []

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[ReferenceEntry]:
        """Return the real reference data."""
        return self._real.reference(merchant, kind, search=search, after=after, limit=limit)

    def resources(self, merchant: str, type: str, **filters: Any) -> list[Resource]:
        """Return the real resources, among which are the profiles and the rules that the merchant has saved."""
        if type == GUARDS:  # nobody can approve what they would hold here
            return []
        if type == RESOURCE_TYPE and self._rules is not None:
            return rule_resources(merchant, self._rules)
        return self._real.resources(merchant, type, **filters)

    def group_parents(self, merchant: str, collection: str, names: Sequence[str]) -> dict[str, bytes]:
        """Return the parents of groups that real batches have brought."""
        return self._real.group_parents(merchant, collection, names)

    def awaits_parents(self, merchant: str, collection: str) -> bool:  # noqa: ARG002 - as the store has it
        """Return that no record waits: nothing of the dry run is kept."""
        return False

    def reference_version(self, merchant: str) -> int:
        """Return the version of the real reference data and rules."""
        return self._real.reference_version(merchant) or int(self._rules is not None)


class DryRunner:
    """Works submissions without effect."""

    def __init__(self, store: Store, *, open_scratch: Callable[[Path], Store],
                 create_engine: Callable[[Store], Engine],
                 create_worker: Callable[[Store, int | None], Worker]) -> None:
        """Take the real store; `open_scratch` opens an empty store in a folder.

        `create_worker` takes a store and the number of records after which reading ends, None for the usual one.
        """
        self.store = store
        self._open_scratch = open_scratch
        self._create_engine = create_engine
        self._create_worker = create_worker

    def run(self, pieces: Iterable[bytes], *, merchant: str, kind: Kind, collection: str, policy: Policy, format: str,
            content_encoding: str, rejected_max: int = 5, records_max: int | None = None,
            rules: Mapping[str, RecordRule] | None = None, ends_at: float = math.inf) -> DryRun:
        """Work a submission here and now. Raises Refusal as a submission does.

        The deletions of a full feed are not computed: the policy must not ask for them. If the submission has more than
        `records_max` records, reading ends there with `records_too_many`. `rules` count instead of the merchant's own.
        At `ends_at`, in the time of `time.monotonic`, the work ends, and the batch is as it is then.
        """
        with tempfile.TemporaryDirectory(prefix="goodsgate-check-") as folder:
            scratch = self._open_scratch(Path(folder))
            try:
                scratch.migrate()
                scratch.add_merchant(Merchant(id=merchant, name=merchant, created_at=now()))
                overlay = cast(Store, Overlay(scratch, self.store, rules))
                engine = self._create_engine(overlay)
                submission = engine.submit(
                    merchant=merchant, kind=kind, collection=collection,
                    policy=msgspec.structs.replace(policy, hold_if={}), format=format,
                    content_encoding=content_encoding,
                )
                for piece in pieces:
                    submission.write(piece)
                    if time.monotonic() >= ends_at:
                        break
                receipt = submission.finish()
                assert receipt.batch is not None
                batch = self._work(engine, receipt.batch, records_max, ends_at)
                return DryRun(
                    batch, engine.groups(merchant, batch.id, limit=GROUPS_MAX),
                    scratch.rejected_records(merchant, batch.id, limit=rejected_max),
                    scratch.items(merchant, kind, collection, limit=ITEMS_MAX).rows,
                )
            finally:
                scratch.close()

    def _work(self, engine: Engine, batch: Batch, records_max: int | None, ends_at: float) -> Batch:
        worker = self._create_worker(engine.store, records_max)
        timer = None
        if ends_at < math.inf:
            timer = threading.Timer(max(ends_at - time.monotonic(), 0.0), worker.stop)
            timer.daemon = True
            timer.start()
        try:
            while batch.state not in FINAL_STATES and time.monotonic() < ends_at:
                worker.step()
                batch = engine.batch(batch.merchant, batch.id)
        finally:
            if timer is not None:
                timer.cancel()
            worker.close()
        return batch
