"""The protocols of the contract, one per concern; `Store` combines them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from goodsgate.model.batch import Batch, Kind
from goodsgate.model.catalogue import (
    IndexEntry,
    Item,
    Label,
    ReferenceEntry,
    Resource,
)
from goodsgate.model.diff import DiffChange, DiffSummary, DryRunItems
from goodsgate.model.job import JobTime
from goodsgate.model.journal import BatchJournal, ItemChange, ItemHistory, JournalPage, JournalPosition, StoredItem
from goodsgate.model.message import NewMessage
from goodsgate.store.contract.audit import AuditStore
from goodsgate.store.contract.changes import ChangeStore
from goodsgate.store.contract.health import HealthCheck
from goodsgate.store.contract.jobs import JobStore
from goodsgate.store.contract.merchants import MerchantStore
from goodsgate.store.contract.outbox import OutboxStore
from goodsgate.store.contract.processes import ProcessStore
from goodsgate.store.contract.processing import CommitStore, LookupStore, QueueStore, WaitingStore
from goodsgate.store.contract.reports import ReportStore
from goodsgate.store.contract.search import SearchStore
from goodsgate.store.contract.values import (
    BatchFilter,
    ClaimedRound,
    Idempotency,
    IdempotentAnswer,
    IndexFilter,
    ItemSnapshot,
    NewBatch,
    NewRound,
    Page,
    Retention,
    StockChange,
    StockLevels,
    SweepCounts,
)


class ReferenceStore(Protocol):
    """Reference data of a merchant."""

    def put_reference(self, merchant: str, kind: str, entries: Sequence[ReferenceEntry], *,
                      replace: bool = False) -> int:
        """Add or replace entries by code and return the number of entries of the kind.

        With `replace`, entries of the kind that are not given are deleted.
        """

    def reference(self, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
                  limit: int = 100) -> Page[ReferenceEntry]:
        """Return entries in the order of their codes; `search` is a case-insensitive substring of code or name."""

    def reference_version(self, merchant: str) -> int:
        """Return a number that grows with every change of the merchant's reference data or rules; 0 before the first.

        A change of rules is one of a resource with `changes_rules`.
        """


class ResourceStore(Protocol):
    """Documents that belong to one protocol, such as its streams; only the protocol reads their bodies."""

    def add_resource(self, merchant: str, type: str, *, name: str, body: bytes, resources_max: int,
                     labels: Sequence[Label] = (), expires_at: datetime | None = None,
                     messages: Sequence[NewMessage] = (), common_numbers: bool = False,
                     idempotency: Idempotency[Resource] | None = None, changes_rules: bool = False,
                     job: JobTime | None = None) -> Resource:
        """Add a resource with the next number of its type: of the merchant's, or with `common_numbers` of everybody's.

        All resources of a type are added in the same way; `changes_rules` also changes the `reference_version`, and
        `job` gives the resource a job (see JobStore).
        Raises NameTakenError, ResourcesFullError if `resources_max` resources of the type never expire, and
        KeyInUseError as `add_batch` does, for a key of the same merchant.
        """

    def put_resource(self, resource: Resource, *, labels: Sequence[Label] | None = None,
                     messages: Sequence[NewMessage] = (), idempotency: Idempotency[Resource] | None = None,
                     changes_rules: bool = False, job: JobTime | None = None) -> Resource | None:
        """Replace name, body and expiry of a resource, and return it with its new version.

        Returns None if the stored version is another one. `labels` replace those of the resource; None keeps them.
        `changes_rules` also changes the `reference_version` of the merchant, and `job` when its job is due.
        Raises NameTakenError, and KeyInUseError as `add_batch` does.
        """

    def resource(self, merchant: str, type: str, number: int) -> Resource | None:
        """Return a resource, unless it has expired."""

    def resources(self, merchant: str, type: str, *, after: int = 0, limit: int = 100) -> list[Resource]:
        """Return resources that never expire, by number."""

    def labelled(self, type: str, label: str) -> list[tuple[str, int]]:
        """Return merchant and number of each resource of a type that has a label; of all merchants."""

    def list_by_label(self, merchant: str, type: str, label: str, *, since: int | None = None, until: int | None = None,
                      offset: int = 0, limit: int = 100) -> list[Resource]:
        """Return resources with a label by position (`since` to `until`, both included) and number.

        Resources that expire are included until then.
        """


class IntakeStore(Protocol):
    """Submissions on their way in."""

    def reserve_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> IdempotentAnswer | None:
        """Reserve an idempotency key before anything else of its request is looked at.

        Returns the answer if the key was answered before, None if it is now reserved. Raises KeyInUseError while
        another request with the key is in progress, until its lease ends.
        """

    def renew_idempotency_key(self, merchant: str, key: str, *, lease_seconds: float) -> None:
        """Extend the lease of a reserved key; no effect on an answered one."""

    def release_idempotency_key(self, merchant: str, key: str) -> None:
        """Release a reserved key whose submission failed; an answered one stays."""

    def append_upload(self, merchant: str, upload: str, piece: bytes) -> None:
        """Append bytes to an upload (a new id); they are not durable before `add_batch`. Raises StoreFullError."""

    def discard_upload(self, merchant: str, upload: str) -> None:
        """Delete an upload that belongs to no batch."""

    def add_batch(self, batch: NewBatch, *, upload: str, idempotency: Idempotency[Batch] | None = None,
                  open_rounds_max: int) -> Batch:
        """Make an upload durable and queue it as round 0 of a new batch; on return it survives a power cut.

        Raises QueueFullError, StoreFullError, StoreBusyError, and KeyInUseError if the lease of the key ended and
        another submission was answered under it. Then nothing of the batch remains; discard the upload.
        """

    def add_round(self, round: NewRound, *, upload: str | None, idempotency: Idempotency[Batch] | None = None,
                  open_rounds_max: int) -> Batch | None:
        """Queue one more round of a batch that has ended; return None if the merchant has no such batch.

        Raises RoundOpenError, RoundAddedError, QueueFullError, StoreFullError, StoreBusyError, and KeyInUseError as
        `add_batch` does.
        """

    def count_rounds_of_key(self, merchant: str, key: str) -> int:
        """Return how many rounds that the requests of a key have caused are queued or working."""

    def payload(self, merchant: str, batch: str, round: int) -> Iterator[bytes] | None:
        """Return the bytes of a round as received, in pieces of at most 2 MiB; None if there are none any more."""


class CatalogueStore(Protocol):
    """Items, as the shop sees them."""

    def items(self, merchant: str, kind: Kind, collection: str, *, after: str | None = None, limit: int = 100,
              prefix: str | None = None) -> Page[Item]:
        """Return items by key, ignoring ASCII case first; `prefix` is case-sensitive."""

    def item(self, merchant: str, kind: Kind, collection: str, key: str) -> Item | None:
        """Return an item with its index entries; None for a tombstone, too."""

    def collections(self, merchant: str) -> list[tuple[Kind, str, int]]:
        """Return kind, name and number of items of each collection that is not empty."""


class SnapshotStore(Protocol):
    """The state of a collection that changes can be applied to."""

    def item_snapshot(self, merchant: str, kind: Kind, collection: str, *, page_items: int,
                      ) -> AbstractContextManager[ItemSnapshot]:
        """Open the items of a collection at one moment, and the position of the journal at that moment.

        Read fast: a transaction is open until the context ends. Then the position is durable.
        """


class JournalStore(Protocol):
    """The journal: what has changed in the catalogue, written in the transaction that changes it.

    An item whose document stays the same has not changed, whatever its version.
    """

    def journal_position(self, merchant: str) -> JournalPosition:
        """Return the position behind the last change of the merchant."""

    def journal_numbers(self, merchants: Sequence[str]) -> dict[str, int]:
        """Return, by merchant, the number of the last change; it may not be durable yet. 0 is left out."""

    def count_changes(self, merchant: str, *, after: int, until: int) -> list[tuple[Kind, str, int]]:
        """Return kind, collection and number of changes with numbers greater than `after`, up to `until`.

        Both are numbers of `journal_position` or `journal_numbers`. What was removed does not count.
        """

    def changes(self, merchant: str, *, after: JournalPosition | None, kind: Kind | None = None,
                collection: str | None = None, limit: int = 1000) -> JournalPage:
        """Return changes behind a position, in order, perhaps fewer than `limit` though there are more.

        None is before the oldest change that is kept. What is returned is durable. Raises JournalPositionError.
        """

    def batch_changes(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[ItemChange]:
        """Return changes of a batch behind a number, in order, perhaps fewer than `limit`; none at the end."""

    def batch_journal(self, merchant: str, batch: str) -> BatchJournal:
        """Return which part of the journal is about a batch."""

    def stored_items(self, merchant: str, kind: Kind, collection: str, keys: Sequence[str]) -> dict[str, StoredItem]:
        """Return items by key with the time of their last change, tombstones included."""

    def item_history(self, merchant: str, kind: Kind, collection: str, key: str, *, at: int | None = None,
                     limit: int = 50) -> ItemHistory:
        """Return the last changes of an item, the newest first; `at` is the `next` of the page before.

        Of an item whose tombstone was removed nothing is known.
        """


class DryRunStore(Protocol):
    """Diffs of dry runs, and of the trials of guarded batches; they are kept as long as the report."""

    def dry_run_items(self, round: ClaimedRound, keys: Sequence[str]) -> DryRunItems:
        """Return what the committed chunks of a dry run would have left of the items with these keys."""

    def diff(self, merchant: str, batch: str, *, after: int = 0, limit: int = 1000) -> list[DiffChange]:
        """Return changes of a diff whose numbers are greater than `after`, in order.

        Returns fewer than `limit`, but at least one, if their documents are long.
        """

    def diff_summary(self, merchant: str, batch: str) -> DiffSummary:
        """Return a diff in numbers."""


class IndexStore(Protocol):
    """The secondary index of items."""

    def find_by_index(self, merchant: str, kind: Kind, collection: str, entries: Sequence[IndexEntry],
                      ) -> dict[IndexEntry, list[str]]:
        """Return, by index entry, the keys of the items that have it, in order; entries without items are left out."""

    def list_index(self, merchant: str, kind: Kind, collection: str, name: str, *,
                   filters: Sequence[Sequence[IndexFilter]] = (), backwards: bool = False, offset: int = 0,
                   limit: int = 100) -> tuple[int, list[tuple[str, str]]]:
        """Return the number of index entries with a name, and a page of them as (value, key), by value and key.

        Only items count that have, for each list in `filters`, an index entry that one of its filters accepts.
        """


class StockStore(Protocol):
    """Stock that orders reserve and change, beside the feeds."""

    def change_stock(self, merchant: str, collection: str, *, order: str, keys: Sequence[str],
                     change: Callable[[StockLevels], StockChange]) -> None:
        """Pass the stock levels of these keys and the state of the order to `change`, and commit what it returns.

        Nobody else changes any of that during the transaction. Raises what `change` raises, which it must do for an
        empty collection; then nothing changes. Raises StoreBusyError after some seconds, StoreFullError.
        """

    def stock_levels(self, merchant: str, collection: str, keys: Sequence[str]) -> StockLevels:
        """Return the stock items of these keys and their reserved amounts, at one moment."""


class BatchStore(Protocol):
    """Batches as clients see them."""

    def batch(self, merchant: str, batch: str) -> Batch | None:
        """Return a batch, correct at every instant; None if it is unknown or another merchant's."""

    def batches(self, merchant: str, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """Return batches, newest first."""

    def all_batches(self, filters: BatchFilter, *, after: str | None = None, limit: int = 50) -> Page[Batch]:
        """Return batches of all merchants, newest first; for operators only."""


class MaintenanceStore(Protocol):
    """Schema, health, statistics and retention of the store as a whole."""

    def migrate(self) -> list[str]:
        """Create the store or apply missing migrations, forward only, and return their titles.

        Raises StoreError if the parts of the store do not belong together.
        """

    def is_new(self) -> bool:
        """Return whether the store does not exist yet."""

    def require_current(self) -> None:
        """Raise StoreError if the store does not exist, needs a migration, or its parts do not belong together."""

    def quick_checks(self) -> list[HealthCheck]:
        """Check whether the store can be used now; cheap enough for every second. Raises nothing."""

    def health_checks(self) -> list[HealthCheck]:
        """Check for problems that may take seconds to find and do not stop the store now. Raises nothing."""

    def statistics(self) -> dict[str, float]:
        """Return metrics over all merchants.

        These are lanes, rounds queued and working, the age of the oldest queued round in seconds, workers that are
        alive and how long ago one was heard of, bytes on disk, and
        totals ``records.<result>`` and ``rounds_ended.<outcome, cancelled or broken>`` since the store was created.
        """

    def sweep(self, retention: Retention, *, steps_max: int) -> SweepCounts:
        """Remove what is past its retention, at most `steps_max` batches' worth; never what an open round needs."""

    def close(self) -> None:
        """Close every connection of this process."""


class Store(
    MerchantStore, ReferenceStore, ResourceStore, JobStore, OutboxStore, IntakeStore, QueueStore, LookupStore,
    WaitingStore, CommitStore, CatalogueStore, SnapshotStore, JournalStore, DryRunStore, IndexStore, SearchStore,
    StockStore, BatchStore, ReportStore, ProcessStore, AuditStore, MaintenanceStore, ChangeStore, Protocol,
):
    """Everything that a store does."""
