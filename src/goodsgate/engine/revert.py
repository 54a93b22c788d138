"""Take back what a batch has changed: a new batch puts the items back as they were before.

Items that something else has changed since stay as they are. A batch that has changed an item several times in a row is
taken back as a whole, and a revert can be reverted like any other batch.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

import msgspec

from goodsgate.engine.apply import CREATED, DELETED, SUPERSEDED, UNCHANGED, UPDATED, ChunkChanges
from goodsgate.engine.chunk_commit import advance, build_commit, empty_commit
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.scheduling import Schedule, WorkerParts
from goodsgate.formats import Chunk
from goodsgate.model.batch import FINAL_STATES, Batch, State
from goodsgate.model.catalogue import Delete, Write, display_key, item_digest
from goodsgate.model.field_state import field_state, group_versions_in, locks_in
from goodsgate.model.issue import Issue, issue
from goodsgate.model.journal import BatchJournal, ItemChange, ItemContent, StoredItem
from goodsgate.store.contract import ChunkCommit, Claim, ClaimedRound, Store

CHANGES_PER_CHUNK = 8_000
CHANGES_PER_PAGE = 1_000
CHUNK_BYTES_MAX = 16 * 1024**2
"""A chunk ends after so many bytes of documents before and after."""
KEPT_ITEMS_MAX = 100
"""Items that stay as they are and that a preview names."""

KeptReason = Literal["changed_since", "stock_moved_since"]


class KeptItem(msgspec.Struct, frozen=True):
    """An item that a revert leaves as it is."""

    key: str
    """As people read it, ``sku`` or ``sku@location``."""
    reason: KeptReason


class RevertPreview(msgspec.Struct, kw_only=True):
    """What a revert would do now."""

    restored: int = 0
    """Items that get back what they had before the batch changed them."""
    removed: int = 0
    """Items that the batch created, and that would be deleted."""
    recreated: int = 0
    """Items that the batch deleted, and that would come back."""
    unchanged: int = 0
    """Items that are already as they were."""
    kept: int = 0
    """Items that were changed since and stay as they are."""
    stock_moved: int = 0
    """Those of them whose stock an order has moved since."""
    kept_items: list[KeptItem] = []
    """The first ones."""


class Reversal(msgspec.Struct, frozen=True):
    """What becomes of one item."""

    change: ItemChange
    """The first of the changes in a row by which the batch has changed the item."""
    result: int
    """Index into RESULTS."""
    write: Write | None = None
    reason: KeptReason | None = None
    """Why the item stays as it is."""


class RevertSource:
    """The changes of a batch that is reverted, and what becomes of their items."""

    def __init__(self, store: Store, batch: Batch, *, skip: int = 0) -> None:
        """Begin behind the first `skip` changes."""
        self._store = store
        self._batch = batch
        self.journal: BatchJournal = store.batch_journal(batch.merchant, batch.id)
        self._changes = islice(self._all_changes(), skip, None)

    def pages(self) -> Iterator[list[ItemChange]]:
        """Yield the changes in pages of bounded size."""
        page: list[ItemChange] = []
        size = 0
        for change in self._changes:
            page.append(change)
            size += sum(len(each.document) for each in (change.before, change.after) if each is not None)
            if len(page) == CHANGES_PER_CHUNK or size > CHUNK_BYTES_MAX:
                yield page
                page, size = [], 0
        if page:
            yield page

    def reversals(self, page: Sequence[ItemChange]) -> list[Reversal]:
        """Return what becomes of the items of a page, one for each row of changes by the batch."""
        batch, times = self._batch, self.journal.written_at
        first = [change for change in page if change.previous not in times]
        keys = list(dict.fromkeys(change.key for change in first))
        # Stock that is looked up in this way is compared once more by the commit.
        self._store.current_items(batch.merchant, batch.kind, batch.collection, keys)
        stored = self._store.stored_items(batch.merchant, batch.kind, batch.collection, keys)
        reversals: list[Reversal] = []
        for change in first:
            item = stored.get(change.key)
            if item is None or not self._is_current(change, item):
                is_moved = item is not None and item.is_moved
                reversals.append(Reversal(
                    change, SUPERSEDED, reason="stock_moved_since" if is_moved else "changed_since"
                ))
            else:
                reversals.append(_reverse(change, item))
        return reversals

    def _all_changes(self) -> Iterator[ItemChange]:
        after = 0
        while page := self._store.batch_changes(
            self._batch.merchant, self._batch.id, after=after, limit=CHANGES_PER_PAGE
        ):
            yield from page
            after = page[-1].number

    def _is_current(self, change: ItemChange, item: StoredItem) -> bool:
        """Return whether nothing but the batch has changed the item since this change."""
        times = self.journal.written_at
        if item.changed_at not in times or item.is_moved:
            return False
        at = item.changed_at
        while at != change.written_at:
            history = self._store.item_history(
                self._batch.merchant, self._batch.kind, self._batch.collection, change.key, at=at, limit=1
            )
            if not history.changes or history.changes[0].previous not in times:
                return False
            at = history.changes[0].previous
        return True


def _reverse(change: ItemChange, item: StoredItem) -> Reversal:
    before = change.before
    if before is None:
        return Reversal(change, DELETED if item.content is not None else UNCHANGED)
    digest = item_digest(before.document, locks_in(before.field_state))
    if item.hash == digest:
        return Reversal(change, UNCHANGED)
    write = _write_back(change, before, item.content, digest)
    return Reversal(change, UPDATED if item.content is not None else CREATED, write)


def _write_back(change: ItemChange, before: ItemContent, current: ItemContent | None, digest: bytes) -> Write:
    """Return the write of what was before, its locks as well, with a version that only has moved on since."""
    version, state = before.version, before.field_state
    after = change.after
    if current is not None and current.version is not None and after is not None and current.version != after.version:
        version = current.version
        state = field_state(group_versions_in(current.field_state), locks_in(before.field_state))
    return Write(change.key, digest, before.document, version, field_state=state)


class Revert(Schedule):
    """Works a batch that takes back another one."""

    def __init__(self, parts: WorkerParts, round: ClaimedRound) -> None:
        super().__init__(parts, round)
        batch = self._store.batch(round.merchant, round.policy.reverts or "")
        self._source = RevertSource(self._store, batch, skip=round.records) if batch is not None else None
        self._pages = self._source.pages() if self._source is not None else iter(())

    def run(self, claim: Claim) -> bool:
        """See Schedule.run."""
        for page in self._pages:
            self._commit_page(claim, page)
            goes_on = self._goes_on(claim)
            if not goes_on:
                return self.cancel(claim) if goes_on is None else False
        self._commit(claim, empty_commit(self.round, State.FINISHED))
        return True

    def _commit_page(self, claim: Claim, page: list[ItemChange]) -> None:
        source, round = self._source, self.round
        assert source is not None
        done = round.bytes_total * (round.records + len(page)) // max(source.journal.changes, 1)

        def build() -> ChunkCommit:
            commit = _build_commit(round, source.reversals(page), bytes_done=min(done, round.bytes_total))
            return msgspec.structs.replace(commit, records=len(page))

        commit = build()
        self._parts.committer.commit(claim, [commit], lambda: [build()])
        self.round = advance(round, commit)


def _build_commit(round: ClaimedRound, reversals: Sequence[Reversal], *, bytes_done: int) -> ChunkCommit:
    issues: dict[int, list[Issue]] = {
        at: [issue(reversal.reason, "/id", value=display_key(reversal.change.key))]
        for at, reversal in enumerate(reversals) if reversal.reason is not None
    }
    chunk = Chunk(
        lines=[], rows=[], source_rows=[reversal.change.row or 0 for reversal in reversals], bytes_done=bytes_done
    )
    return build_commit(round, chunk, ChunkChanges(
        results=bytes(reversal.result for reversal in reversals),
        keys=[reversal.change.key for reversal in reversals], issues=issues,
        writes=[reversal.write for reversal in reversals if reversal.write is not None],
        deletes=[Delete(reversal.change.key, None) for reversal in reversals if reversal.result == DELETED],
    ), None, end_state=None)


def preview_revert(store: Store, batch: Batch) -> RevertPreview:
    """Return what a revert of a batch would do now. Raises Refusal as `check_revertible`."""
    check_revertible(store, batch)
    source, results, preview = RevertSource(store, batch), Counter[int](), RevertPreview()
    for page in source.pages():
        for reversal in source.reversals(page):
            results[reversal.result] += 1
            if reversal.reason is not None:
                preview.stock_moved += reversal.reason == "stock_moved_since"
                if len(preview.kept_items) < KEPT_ITEMS_MAX:
                    key = display_key(reversal.change.key) or ""
                    preview.kept_items = [*preview.kept_items, KeptItem(key, reversal.reason)]
    preview.restored, preview.removed, preview.recreated = results[UPDATED], results[DELETED], results[CREATED]
    preview.unchanged, preview.kept = results[UNCHANGED], results[SUPERSEDED]
    return preview


def check_revertible(store: Store, batch: Batch) -> None:
    """Raise Refusal unless everything that the batch has changed is in the journal.

    batch_dry_run, batch_open, revert_unsupported (records with a schema), nothing_changed, journal_gone.
    """
    if batch.policy.dry_run:
        raise Refusal("batch_dry_run")
    if batch.state not in FINAL_STATES:
        raise Refusal("batch_open")
    if batch.policy.schema:
        raise Refusal("revert_unsupported")
    journal = store.batch_journal(batch.merchant, batch.id)
    if journal.swept_at >= batch.received_at.timestamp() * 1e6:
        raise Refusal("journal_gone")
    if not journal.changes:
        counts = batch.counts
        raise Refusal("journal_gone" if counts.created + counts.updated + counts.deleted else "nothing_changed")


def is_revert(round: ClaimedRound) -> bool:
    """Return whether the records of a round are taken from the journal."""
    return round.policy.reverts is not None and round.number == 0

