"""What would become of a submission: the real engine over what is held now, whose effects go to a store that is thrown
away."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from goodsgate.config import Config
from goodsgate.engine.desk import Engine
from goodsgate.engine.secrets import Secrets
from goodsgate.engine.stock import Stock
from goodsgate.engine.worker import Worker
from goodsgate.model.batch import FINAL_STATES, Batch, Finding, IssueGroup, Kind, Policy, now
from goodsgate.model.catalogue import CurrentItem, Merchant, ReferenceEntry
from goodsgate.store.contract import Page, Store

GROUPS = 50
VALID_CACHE_RECORDS = 1_024


class Overlay:
    """Writes to the scratch store; what is held is looked up in both, reference data in the real one alone."""

    def __init__(self, scratch: Store, real: Store) -> None:
        self._scratch = scratch
        self._real = real

    def __getattr__(self, name: str) -> Any:
        """Everything else is the scratch store's."""
        return getattr(self._scratch, name)

    def current_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str], *,
                      documents: bool = False) -> dict[str, CurrentItem]:
        """What the trial itself has written goes before what was there."""
        ours = self._scratch.current_items(merchant, kind, collection, keys, documents=documents)
        return self._real.current_items(merchant, kind, collection, keys, documents=documents) | ours

    def case_variants(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, str]:
        """Of either."""
        ours = self._scratch.case_variants(merchant, kind, collection, keys)
        return self._real.case_variants(merchant, kind, collection, keys) | ours

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[ReferenceEntry]:
        """As it is now."""
        return self._real.reference(merchant, kind, search=search, after=after, limit=limit)

    def reference_version(self, merchant: str) -> int:
        """As it is now."""
        return self._real.reference_version(merchant)


class Foretold:
    """The batch as it would end, with its issues and some of the records that would be rejected."""

    def __init__(self, batch: Batch, groups: list[IssueGroup], rejected: list[Finding]) -> None:
        self.batch = batch
        self.groups = groups
        self.rejected = rejected


def foretell(real: Store, scratch: Store, config: Config, pieces: Iterable[bytes], *, merchant: str, kind: Kind,
             collection: str, policy: Policy, format: str, content_encoding: str, rejected_max: int = 5) -> Foretold:
    """Work the submission here and now; `scratch` is an empty store of its own, `config` its settings.

    Raises Refusal as a submission does. The deletions of a full feed are not among what is foretold.
    """
    scratch.add_merchant(Merchant(id=merchant, name=merchant, created_at=now()))
    store = cast(Store, Overlay(scratch, real))
    engine = Engine(store, config, secrets=Secrets(store, {}), stock=Stock(store))
    submission = engine.submit(
        merchant=merchant, kind=kind, collection=collection, policy=policy, format=format,
        content_encoding=content_encoding
    )
    for piece in pieces:
        submission.write(piece)
    batch = submission.finish().batch
    assert batch is not None
    worker = Worker(engine.store, config)
    try:
        while batch.state not in FINAL_STATES:
            worker.step()
            batch = engine.batch(merchant, batch.id)
    finally:
        worker.close()
    return Foretold(
        batch, engine.groups(merchant, batch.id, limit=GROUPS),
        scratch.rejected_records(merchant, batch.id, limit=rejected_max),
    )
