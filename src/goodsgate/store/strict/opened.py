"""The life of a store, and its batches over time, watched."""

# ruff: noqa: D102 – the contract says what each method does.
from goodsgate.model.batch import Batch, Kind
from goodsgate.store.contract import Store
from goodsgate.store.demands import check_batch, must


class Opened:
    """What the parts share; see StrictStore."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.commits_remotely = store.commits_remotely
        self._seen: dict[str, Batch] = {}
        self._attempts: dict[tuple[str, Kind], int] = {}
        self._settling: dict[str, set[bytes]] = {}
        """Of batches of which a portion is being settled, its keys without their case."""

    def migrate(self) -> list[str]:
        applied = self.store.migrate()
        must(applied == sorted(set(applied)), "migrations in order, each once", applied)
        must(self.store.migrate() == [], "nothing is left to migrate")
        return applied

    def quick_checks(self) -> list[tuple[str, bool, str]]:
        facts = self.store.quick_checks()
        must(len({name for name, _, _ in facts}) == len(facts) > 0, "facts have names of their own", facts)
        return facts

    def health_checks(self) -> list[tuple[str, bool, str]]:
        facts = self.store.health_checks()
        must(len({name for name, _, _ in facts}) == len(facts), "facts have names of their own", facts)
        return facts

    def change_token(self) -> object:
        return self.store.change_token()

    def close(self) -> None:
        self.store.close()

    # -- a batch over time --------------------------------------------------------------------------------------------

    def _watched_or_none(self, batch: Batch | None, merchant: str, asked: str, before: Batch | None) -> Batch | None:
        return self._watched(batch, merchant, asked, before) if batch is not None else None

    def _watched(self, batch: Batch, merchant: str, asked: str, before: Batch | None) -> Batch:
        """`before` is what was seen of it when the question began: other threads may have seen more by now."""
        must((batch.merchant, batch.id) == (merchant, asked), "a batch of the merchant that asks", batch)
        check_batch(batch)
        if before is not None:
            must(batch.rounds >= before.rounds, "rounds stay", before, batch)
            must(batch.counts.accounted >= before.counts.accounted, "records stay accounted for", before, batch)
            must(before.total is None or (batch.total or 0) >= before.total, "records do not go", before, batch)
        self._seen[batch.id] = batch
        return batch
