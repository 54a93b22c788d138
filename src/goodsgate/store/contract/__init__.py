"""The contract of a store: what it does, the values that it takes and returns, and its errors.

`concerns.py` has one small protocol per concern, except for merchants (`merchants.py`), the lookups and commits of a
worker (`processing.py`), jobs of resources (`jobs.py`), messages to other systems (`outbox.py`), the audit log
(`audit.py`) and reports (`reports.py`); `values.py` has the values, `health.py` the results of checks, and `errors.py`
the errors. Import all of them from here. Every implementation keeps the contract, `strict` checks it on every call in
the tests, and one conformance suite over all implementations (`tests/store/`) is the definition of done.
Nothing here knows SQL, HTTP or a protocol.

Each method is one transaction. A store may be used from several threads at once, and from any number of processes that
read and submit; each implementation says how many processes may work.
"""

from goodsgate.store.contract.audit import AuditStore as AuditStore
from goodsgate.store.contract.changes import ChangeListener as ChangeListener
from goodsgate.store.contract.changes import Changes as Changes
from goodsgate.store.contract.changes import ChangeStore as ChangeStore
from goodsgate.store.contract.changes import Revisions as Revisions
from goodsgate.store.contract.concerns import BatchStore as BatchStore
from goodsgate.store.contract.concerns import CatalogueStore as CatalogueStore
from goodsgate.store.contract.concerns import DryRunStore as DryRunStore
from goodsgate.store.contract.concerns import IndexStore as IndexStore
from goodsgate.store.contract.concerns import IntakeStore as IntakeStore
from goodsgate.store.contract.concerns import JournalStore as JournalStore
from goodsgate.store.contract.concerns import MaintenanceStore as MaintenanceStore
from goodsgate.store.contract.concerns import ReferenceStore as ReferenceStore
from goodsgate.store.contract.concerns import ResourceStore as ResourceStore
from goodsgate.store.contract.concerns import SnapshotStore as SnapshotStore
from goodsgate.store.contract.concerns import StockStore as StockStore
from goodsgate.store.contract.concerns import Store as Store
from goodsgate.store.contract.errors import JournalPositionError as JournalPositionError
from goodsgate.store.contract.errors import KeyInUseError as KeyInUseError
from goodsgate.store.contract.errors import LeaseLostError as LeaseLostError
from goodsgate.store.contract.errors import NameTakenError as NameTakenError
from goodsgate.store.contract.errors import QueueFullError as QueueFullError
from goodsgate.store.contract.errors import ResourcesFullError as ResourcesFullError
from goodsgate.store.contract.errors import RoundAddedError as RoundAddedError
from goodsgate.store.contract.errors import RoundOpenError as RoundOpenError
from goodsgate.store.contract.errors import StockChangedError as StockChangedError
from goodsgate.store.contract.errors import StoreBusyError as StoreBusyError
from goodsgate.store.contract.errors import StoreError as StoreError
from goodsgate.store.contract.errors import StoreFullError as StoreFullError
from goodsgate.store.contract.health import Check as Check
from goodsgate.store.contract.health import HealthCheck as HealthCheck
from goodsgate.store.contract.health import HealthLevel as HealthLevel
from goodsgate.store.contract.health import bad as bad
from goodsgate.store.contract.health import ok as ok
from goodsgate.store.contract.health import run_checks as run_checks
from goodsgate.store.contract.health import warn as warn
from goodsgate.store.contract.jobs import JobStore as JobStore
from goodsgate.store.contract.merchants import MerchantStore as MerchantStore
from goodsgate.store.contract.outbox import OutboxStore as OutboxStore
from goodsgate.store.contract.processes import ProcessStore as ProcessStore
from goodsgate.store.contract.processes import QuotaLease as QuotaLease
from goodsgate.store.contract.processing import CommitStore as CommitStore
from goodsgate.store.contract.processing import LookupStore as LookupStore
from goodsgate.store.contract.processing import QueueStore as QueueStore
from goodsgate.store.contract.processing import SupportsPrefetch as SupportsPrefetch
from goodsgate.store.contract.processing import WaitingStore as WaitingStore
from goodsgate.store.contract.reports import ReportStore as ReportStore
from goodsgate.store.contract.search import SEARCH_MATCHES_MAX as SEARCH_MATCHES_MAX
from goodsgate.store.contract.search import ItemSearch as ItemSearch
from goodsgate.store.contract.search import ItemTerms as ItemTerms
from goodsgate.store.contract.search import SearchStore as SearchStore
from goodsgate.store.contract.search import SearchTerm as SearchTerm
from goodsgate.store.contract.values import INDEX_VALUE_MAX as INDEX_VALUE_MAX
from goodsgate.store.contract.values import BatchEnd as BatchEnd
from goodsgate.store.contract.values import BatchFilter as BatchFilter
from goodsgate.store.contract.values import ChunkCommit as ChunkCommit
from goodsgate.store.contract.values import Claim as Claim
from goodsgate.store.contract.values import ClaimedRound as ClaimedRound
from goodsgate.store.contract.values import EndedRound as EndedRound
from goodsgate.store.contract.values import GroupParent as GroupParent
from goodsgate.store.contract.values import Idempotency as Idempotency
from goodsgate.store.contract.values import IdempotentAnswer as IdempotentAnswer
from goodsgate.store.contract.values import IndexFilter as IndexFilter
from goodsgate.store.contract.values import InFront as InFront
from goodsgate.store.contract.values import ItemSnapshot as ItemSnapshot
from goodsgate.store.contract.values import LaneStatus as LaneStatus
from goodsgate.store.contract.values import NewBatch as NewBatch
from goodsgate.store.contract.values import NewRound as NewRound
from goodsgate.store.contract.values import Page as Page
from goodsgate.store.contract.values import RecordResult as RecordResult
from goodsgate.store.contract.values import Renewal as Renewal
from goodsgate.store.contract.values import Retention as Retention
from goodsgate.store.contract.values import StockChange as StockChange
from goodsgate.store.contract.values import StockLevels as StockLevels
from goodsgate.store.contract.values import SweepCounts as SweepCounts
from goodsgate.store.contract.values import WaitingMark as WaitingMark
from goodsgate.store.contract.values import WaitingRecord as WaitingRecord
