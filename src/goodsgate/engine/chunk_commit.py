"""Put together what the store commits for a chunk, and commit it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat

import msgspec

from goodsgate.engine.apply import CREATED, DELETED, MERGED, REJECTED, UPDATED, WAITING, ChunkChanges
from goodsgate.engine.dry_run_items import as_dry_run
from goodsgate.engine.ended_rounds import log_ended
from goodsgate.engine.field_mapping import FieldMapping
from goodsgate.engine.group_index import with_group_entries
from goodsgate.engine.issue_columns import received_records, with_column
from goodsgate.engine.reader import raw_record
from goodsgate.engine.shared_groups import kept_parents
from goodsgate.engine.unknown_skus import have_variants
from goodsgate.engine.waiting_references import waiting_records
from goodsgate.formats import Chunk
from goodsgate.model import crash, tracing
from goodsgate.model.batch import RESULTS, Counts, RoundKind, State, Strictness
from goodsgate.model.catalogue import Delete, Writes
from goodsgate.model.finding import Finding
from goodsgate.model.guard import Hold
from goodsgate.model.issue import Issue, rule_name
from goodsgate.model.roles import count_roles
from goodsgate.store.contract import ChunkCommit, Claim, ClaimedRound, EndedRound, StockChangedError, Store

CHANGED = bytes([CREATED, UPDATED, DELETED, MERGED])
"""Results of records that change an item."""


def build_commit(round: ClaimedRound, chunk: Chunk, changes: ChunkChanges, mapping: FieldMapping | None, *,
                 end_state: State | None) -> ChunkCommit:
    """Return everything that a chunk changes; with `end_state` the round ends with it."""
    results, keys, replaced = changes.results, changes.keys, {}
    counts, first = Counter(results), round.total + 1
    numbers: Sequence[int] = range(first, first + len(results))
    rows: Sequence[int] = chunk.source_rows
    if chunk.replaces is not None:
        rows = [0 if number is None else row for row, number in zip(rows, chunk.replaces, strict=True)]
        added = [at for at, number in enumerate(chunk.replaces) if number is None]
        replaced = {
            number: (RESULTS[results[at]], keys[at]) for at, number in enumerate(chunk.replaces) if number is not None
        }
        new_numbers = iter(numbers)
        numbers = [next(new_numbers) if number is None else number for number in chunk.replaces]
        waited = len(chunk.waited.intersection(replaced))
        counts[REJECTED] -= len(replaced) - waited
        counts[WAITING] -= waited
    findings, warned = [], 0
    roles = chunk.roles or chunk.roles_before
    for at in sorted(changes.issues):
        if changes.issues[at]:
            is_kept = results[at] in (REJECTED, WAITING)
            warned += not is_kept
            fix_round, fix_row = chunk.fix_rows[at] if chunk.fix_rows else (0, 0)
            findings.append(Finding(
                number=numbers[at], source_row=rows[at], fix_round=fix_round, fix_row=fix_row, key=keys[at],
                result=RESULTS[results[at]],
                issues=_with_columns(changes.issues[at], mapping, chunk, at),
                raw=raw_record(chunk, at) if is_kept else None,
                role=roles[at] if roles and is_kept else 0,
            ))
    origins = _origins(changes, numbers, rows) if changes.writes or changes.deletes else {}
    waiting = []
    if round.policy.references is Strictness.WAIT and WAITING in results and not round.is_dry_run:
        waiting = waiting_records(round, results, keys, numbers, changes.issues, version=changes.reference_version)
    parents = kept_parents(round, chunk, results) if not round.is_dry_run else []
    if chunk.replaces is not None:
        results, keys = bytes(results[at] for at in added), [keys[at] for at in added]
    # The mapping is stored with the first chunk of the submission, and again if a fix has more columns.
    has_mapping = mapping is not None and len(chunk) > 0 and (
        mapping.columns != round.columns if round.round_kind.is_fix
        else round.mapping is None and round.round_kind is RoundKind.SUBMISSION
    )
    file_issues: list[Issue] = chunk.file_issues
    if chunk.stopped is not None and end_state not in (None, State.CANCELLED):
        file_issues = [*file_issues, chunk.stopped]
    return ChunkCommit(
        round=round, number=round.chunks, records=chunk.records_read, first=first if results else None, keys=keys,
        results=results, amended_results=replaced, waiting=waiting, parents=parents,
        writes=with_group_entries(changes.writes, round),
        deletes=changes.deletes, origins=origins, has_variants=have_variants(changes.writes, round), findings=findings,
        file_issues=file_issues, counts=Counts(**{RESULTS[byte].value: count for byte, count in counts.items()}),
        warned=warned, bytes_done=chunk.bytes_done if end_state is None else round.bytes_total,
        columns=mapping.columns if mapping is not None and has_mapping else None,
        mapping=mapping.mapping if mapping is not None and has_mapping else None, reading=chunk.reading,
        roles=count_roles(roles, chunk.roles_before) if roles else {}, rule_counts=changes.rule_counts,
        end_state=end_state, hold=_decided_hold(round, end_state),
        cancels_results=round.is_trial and end_state in (State.CANCELLED, State.BROKEN),
    )


def _decided_hold(round: ClaimedRound, end_state: State | None) -> Hold | None:
    """Return what was decided about a held batch, with the first commit that follows from it."""
    follows = not round.chunks if round.is_tried else round.is_trial and end_state is State.CANCELLED
    return round.hold if follows else None


def _origins(changes: ChunkChanges, numbers: Sequence[int], rows: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Return, by key, number and row of the last record that changed the item."""
    places = zip(numbers, rows or repeat(0, len(numbers)), strict=True)
    if isinstance(changes.writes, Writes):  # every record has created its item
        return dict(zip(changes.writes.keys, places, strict=True))
    return {
        key: place for key, result, place in zip(changes.keys, changes.results, places, strict=True)
        if key is not None and result in CHANGED
    }


def _with_columns(issues: list[Issue], mapping: FieldMapping | None, chunk: Chunk, at: int) -> list[Issue]:
    """Return the issues with the submitter's names of the fields that merchants' rules are about."""
    if mapping is None or not any(each.path and rule_name(each.code) is not None for each in issues):
        return issues
    record = received_records(chunk)[at]
    return [each if rule_name(each.code) is None else with_column(each, mapping, record) for each in issues]


def end_state_of(round: ClaimedRound, chunk: Chunk) -> State:
    """Return the state in which the last chunk of a round leaves the batch."""
    is_broken = chunk.stopped is not None and round.round_kind is RoundKind.SUBMISSION
    return State.BROKEN if is_broken else State.FINISHED


def empty_commit(round: ClaimedRound, end_state: State | None, *, deleted_keys: Sequence[str] = (),
                 file_issues: Sequence[Issue] = ()) -> ChunkCommit:
    """Return a commit without records of the round's source: its end, or deletions of items."""
    chunk = Chunk(lines=[], rows=[], source_rows=[], bytes_done=round.bytes_total, file_issues=[*file_issues])
    changes = ChunkChanges(
        results=bytes([DELETED]) * len(deleted_keys), keys=[*deleted_keys], issues={},
        deletes=[Delete(key, None) for key in deleted_keys],
    )
    return build_commit(round, chunk, changes, None, end_state=end_state)


def advance(round: ClaimedRound, commit: ChunkCommit) -> ClaimedRound:
    """Return the round as it is after a commit."""
    return msgspec.structs.replace(
        round, chunks=round.chunks + 1, records=round.records + commit.records,
        total=round.total + len(commit.results),
        columns=commit.columns if commit.columns is not None else round.columns,
        mapping=commit.mapping if commit.mapping is not None else round.mapping,
        reading=commit.reading if commit.reading is not None else round.reading,
    )


class Committer:
    """A worker's way to commit chunks; in a thread of its own where the worker goes on meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "commit")

    def commit(self, claim: Claim, commits: list[ChunkCommit], refresh: Callable[[], list[ChunkCommit]]) -> None:
        """Commit in one transaction. Raises what the store's commit raises.

        If orders have changed stock since it was looked up, the store locks it and commits what `refresh` returns:
        the same chunks, applied to the current items.
        """
        crash.point("applied")
        commits = self._without_dry_runs(commits)
        try:
            ended = self._commit(claim, commits)
        except StockChangedError:
            ended = self._store.commit(claim, commits, refresh=lambda: self._without_dry_runs(refresh()))
        crash.point("committed")
        log_ended(ended)

    @contextmanager
    def committing(self, claim: Claim, commits: list[ChunkCommit], refresh: Callable[[], list[ChunkCommit]],
                   ) -> Iterator[None]:
        """Commit in another thread while the block runs; see `commit`."""
        crash.point("applied")
        commits = self._without_dry_runs(commits)
        future = self._thread.submit(self._commit, claim, commits)
        try:
            yield
        finally:
            try:
                ended = future.result()
            except StockChangedError:
                ended = self._store.commit(claim, commits, refresh=lambda: self._without_dry_runs(refresh()))
        crash.point("committed")
        log_ended(ended)

    def _commit(self, claim: Claim, commits: list[ChunkCommit]) -> Sequence[EndedRound]:
        with tracing.step("commit", *(commit.round for commit in commits)):
            return self._store.commit(claim, commits)

    def _without_dry_runs(self, commits: list[ChunkCommit]) -> list[ChunkCommit]:
        """Return commits of which those of dry runs have a diff and no changes."""
        return [as_dry_run(self._store, commit) if commit.round.is_dry_run else commit for commit in commits]

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
