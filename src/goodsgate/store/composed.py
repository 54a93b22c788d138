"""A store composed of one part per concern."""

from goodsgate.store.contract import (
    AuditStore,
    BatchStore,
    CatalogueStore,
    ChangeStore,
    CommitStore,
    DryRunStore,
    IndexStore,
    IntakeStore,
    JobStore,
    JournalStore,
    LookupStore,
    MaintenanceStore,
    MerchantStore,
    OutboxStore,
    ProcessStore,
    QueueStore,
    ReferenceStore,
    ReportStore,
    ResourceStore,
    SearchStore,
    SnapshotStore,
    StockStore,
    WaitingStore,
)


class ComposedStore:
    """A store whose methods are those of its parts; it implements Store."""

    def __init__(self, *, merchants: MerchantStore, reference: ReferenceStore, resources: ResourceStore,
                 outbox: OutboxStore, intake: IntakeStore, queue: QueueStore, lookups: LookupStore,
                 waiting: WaitingStore, committer: CommitStore, catalogue: CatalogueStore, snapshots: SnapshotStore,
                 journal: JournalStore, dry_runs: DryRunStore, index: IndexStore, search: SearchStore,
                 stock: StockStore, batches: BatchStore, reports: ReportStore, processes: ProcessStore,
                 audit: AuditStore, maintenance: MaintenanceStore, jobs: JobStore, changes: ChangeStore) -> None:
        self._add_jobs(jobs)
        self._add_administration(merchants, reference, resources, outbox, audit, maintenance)
        self._add_processing(intake, queue, lookups, waiting, committer, stock)
        self._add_dry_runs(dry_runs)
        self._add_processes(processes)
        self._add_changes(changes)
        self._add_reading(catalogue, snapshots, journal, index, search, batches, reports)

    def _add_administration(self, merchants: MerchantStore, reference: ReferenceStore, resources: ResourceStore,
                            outbox: OutboxStore, audit: AuditStore, maintenance: MaintenanceStore) -> None:
        self.add_merchant = merchants.add_merchant
        self.merchants = merchants.merchants
        self.merchant = merchants.merchant
        self.rename_merchant = merchants.rename_merchant
        self.merchant_exists = merchants.merchant_exists
        self.add_key = merchants.add_key
        self.key = merchants.key
        self.keys = merchants.keys
        self.change_key = merchants.change_key
        self.rotate_key = merchants.rotate_key
        self.mark_key_used = merchants.mark_key_used
        self.revoke_key = merchants.revoke_key
        self.add_token = merchants.add_token
        self.token = merchants.token
        self.delete_token = merchants.delete_token
        self.secret = merchants.secret

        self.put_reference = reference.put_reference
        self.reference = reference.reference
        self.reference_version = reference.reference_version

        self.add_resource = resources.add_resource
        self.put_resource = resources.put_resource
        self.resource = resources.resource
        self.resources = resources.resources
        self.labelled = resources.labelled
        self.list_by_label = resources.list_by_label

        self.claim_messages = outbox.claim_messages
        self.listen_for_messages = outbox.listen_for_messages
        self.mark_sent = outbox.mark_sent
        self.postpone_message = outbox.postpone_message
        self.give_up_message = outbox.give_up_message
        self.hold_message = outbox.hold_message
        self.release_messages = outbox.release_messages
        self.messages = outbox.messages
        self.newest_messages = outbox.newest_messages
        self.queue_status = outbox.queue_status
        self.replay = outbox.replay

        self.record_act = audit.record_act
        self.audit_entries = audit.audit_entries

        self.migrate = maintenance.migrate
        self.is_new = maintenance.is_new
        self.require_current = maintenance.require_current
        self.quick_checks = maintenance.quick_checks
        self.health_checks = maintenance.health_checks
        self.statistics = maintenance.statistics
        self.sweep = maintenance.sweep
        self.close = maintenance.close

    def _add_processing(self, intake: IntakeStore, queue: QueueStore, lookups: LookupStore, waiting: WaitingStore,
                        committer: CommitStore, stock: StockStore) -> None:
        self.reserve_idempotency_key = intake.reserve_idempotency_key
        self.renew_idempotency_key = intake.renew_idempotency_key
        self.release_idempotency_key = intake.release_idempotency_key
        self.append_upload = intake.append_upload
        self.discard_upload = intake.discard_upload
        self.add_batch = intake.add_batch
        self.add_round = intake.add_round
        self.count_rounds_of_key = intake.count_rounds_of_key
        self.payload = intake.payload

        self.claim = queue.claim
        self.wait_for_work = queue.wait_for_work
        self.rounds_behind = queue.rounds_behind
        self.start_behind = queue.start_behind
        self.renew_claim = queue.renew_claim
        self.release_claim = queue.release_claim
        self.defer = queue.defer
        self.release_rounds = queue.release_rounds
        self.cancel = queue.cancel
        self.approve = queue.approve
        self.blocking_batch = queue.blocking_batch
        self.in_front = queue.in_front
        self.expired_holds = queue.expired_holds
        self.lanes = queue.lanes

        self.current_items = lookups.current_items
        self.case_variants = lookups.case_variants
        self.seen_keys = lookups.seen_keys
        self.has_open_products = lookups.has_open_products
        self.unknown_skus = lookups.unknown_skus
        self.absent_items = lookups.absent_items

        self.waiting_for = waiting.waiting_for
        self.waiting_records = waiting.waiting_records
        self.waiting_marks = waiting.waiting_marks
        self.waiting_keys = waiting.waiting_keys
        self.group_parents = waiting.group_parents
        self.awaits_parents = waiting.awaits_parents
        self.changed_references = waiting.changed_references
        self.awaited_references = waiting.awaited_references
        self.mark_references = waiting.mark_references
        self.ready_batches = waiting.ready_batches

        self.commit = committer.commit

        self.change_stock = stock.change_stock
        self.stock_levels = stock.stock_levels

    def _add_changes(self, changes: ChangeStore) -> None:
        self.change_token = changes.change_token
        self.listen_for_changes = changes.listen_for_changes
        self.is_notified = changes.is_notified
        self.revisions = changes.revisions

    def _add_processes(self, processes: ProcessStore) -> None:
        self.note_worker = processes.note_worker
        self.forget_worker = processes.forget_worker
        self.lease_quota = processes.lease_quota

    def _add_jobs(self, jobs: JobStore) -> None:
        self.claim_job = jobs.claim_job
        self.renew_job = jobs.renew_job
        self.save_job = jobs.save_job
        self.job = jobs.job
        self.jobs = jobs.jobs
        self.job_runs = jobs.job_runs
        self.job_alerts = jobs.job_alerts

    def _add_dry_runs(self, dry_runs: DryRunStore) -> None:
        self.dry_run_items = dry_runs.dry_run_items
        self.diff = dry_runs.diff
        self.diff_summary = dry_runs.diff_summary

    def _add_reading(self, catalogue: CatalogueStore, snapshots: SnapshotStore, journal: JournalStore,
                     index: IndexStore, search: SearchStore, batches: BatchStore, reports: ReportStore) -> None:
        self.items = catalogue.items
        self.item = catalogue.item
        self.collections = catalogue.collections
        self.item_snapshot = snapshots.item_snapshot

        self.journal_position = journal.journal_position
        self.journal_numbers = journal.journal_numbers
        self.count_changes = journal.count_changes
        self.changes = journal.changes
        self.batch_changes = journal.batch_changes
        self.batch_journal = journal.batch_journal
        self.stored_items = journal.stored_items
        self.item_history = journal.item_history

        self.find_by_index = index.find_by_index
        self.list_index = index.list_index

        self.search_items = search.search_items
        self.fill_search = search.fill_search

        self.batch = batches.batch
        self.batches = batches.batches
        self.all_batches = batches.all_batches

        self.batch_rounds = reports.batch_rounds
        self.feed_days = reports.feed_days
        self.feed_issues = reports.feed_issues
        self.issue_groups = reports.issue_groups
        self.findings = reports.findings
        self.findings_by_key = reports.findings_by_key
        self.results = reports.results
        self.rejected_records = reports.rejected_records
        self.rejected_by_number = reports.rejected_by_number
