"""Apply checked records, one after the other, to the current items: results, issues and changes.

The effect is that of working the records one by one in order. Several records with one key make one write, the last.
Several small batches of a lane share one view, so that each sees the changes of those before it.
"""

import math
import time
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from goodsgate.engine.catalogue_view import CatalogueView
from goodsgate.engine.field_merge import decode_members
from goodsgate.engine.record_merge import MergedRecord, RecordMerger, version_issue, versions_of
from goodsgate.engine.rule_application import RuleApplication
from goodsgate.engine.unknown_skus import report_unknown_skus
from goodsgate.engine.validator import CheckedChunk
from goodsgate.engine.waiting_references import hold_waiting
from goodsgate.model.batch import RESULT_BYTE, Duplicates, Policy, Result, Strictness, Verb
from goodsgate.model.catalogue import CurrentItem, Delete, Write, Writes, display_key
from goodsgate.model.field_state import NO_LOCKS, field_state
from goodsgate.model.issue import Issue, Severity, has_error, issue
from goodsgate.model.rule_counts import RuleCounts
from goodsgate.model.versions import is_older, is_time, version_text

CREATED = RESULT_BYTE[Result.CREATED]
UPDATED = RESULT_BYTE[Result.UPDATED]
UNCHANGED = RESULT_BYTE[Result.UNCHANGED]
DELETED = RESULT_BYTE[Result.DELETED]
SUPERSEDED = RESULT_BYTE[Result.SUPERSEDED]
REJECTED = RESULT_BYTE[Result.REJECTED]
CANCELLED = RESULT_BYTE[Result.CANCELLED]
MERGED = RESULT_BYTE[Result.MERGED]
WAITING = RESULT_BYTE[Result.WAITING]

T = TypeVar("T")

Issues = dict[int, list[Issue]]
"""Index of a record → its issues; the lists are never changed, they are shared with the checked chunk."""


class ChunkChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the records of a chunk, and what changes in the catalogue.

    If the time did not suffice, it is about the first records only.
    """

    results: bytes
    """One byte for each record: its index in RESULTS."""
    keys: list[str | None]
    """Key of the item of each record."""
    issues: Issues
    writes: Sequence[Write] = ()
    deletes: list[Delete] = []
    rule_counts: dict[str, RuleCounts] = {}
    """What the merchant's rules that only count, or that failed, did, by name."""
    reference_version: int = 0
    """Version of the reference data by which records were checked; only where they may wait for it."""


def apply(checked: CheckedChunk, view: CatalogueView, policy: Policy, *, ends_at: float = math.inf) -> ChunkChanges:
    """Apply the records of a chunk; the view takes part in the changes.

    Merging updates, and rules of the merchant, end early, after at least one record, when the processor time of this
    thread passes `ends_at`.
    """
    view.add_created()
    if checked.sku_severity is not None and (unknown := view.unknown_skus.get(checked.references)):
        checked = report_unknown_skus(checked, unknown, policy)
    rule_application = None
    if checked.rule_set is not None:
        rule_application = RuleApplication(checked.rule_set, checked.keys, ends_at)
        rule_application.prepare(checked.documents, checked.hashes, checked.issues, view.items)
    changes = _apply_uniform(checked, view, policy, rule_application)
    if changes is not None:
        return changes
    application = _Application(checked, view, policy, rule_application)
    results = application.apply_all(ends_at)
    writes, deletes = view.take_changes()
    if policy.references is Strictness.WAIT and not policy.dry_run:  # nothing of a dry run is applied later
        numbers = checked.chunk.replaces or ()
        results = hold_waiting(results, application.issues, numbers, view.waiting_marks, policy)
    changes = chunk_changes(
        results, checked.keys, application.issues, writes=writes, deletes=deletes,
        reference_version=checked.reference_version,
    )
    if rule_application is None:
        return changes
    rule_application.count_severities(changes.issues)
    return msgspec.structs.replace(changes, rule_counts=rule_application.counts)


def chunk_changes(results: bytes, keys: list[str | None], issues: Issues, *, writes: Sequence[Write],
                  deletes: list[Delete], reference_version: int = 0) -> ChunkChanges:
    """Return the changes by the records that have a result."""
    count = len(results)
    if count < len(keys):
        keys, issues = keys[:count], {at: found for at, found in issues.items() if at < count}
    return ChunkChanges(
        results=results, keys=keys, issues=issues, writes=writes, deletes=deletes, reference_version=reference_version
    )


def _apply_uniform(checked: CheckedChunk, view: CatalogueView, policy: Policy, rules: RuleApplication | None,
                   ) -> ChunkChanges | None:
    """Apply complete records without issues that are all new or all unchanged, at once.

    Returns None if there are others among them, or any about which the merchant's rules have to say something.
    """
    keys, hashes, count = checked.distinct_keys.distinct, checked.hashes, len(checked.keys)
    if policy.verb is not Verb.UPSERT or checked.verbs is not None or checked.merged or checked.issues:
        return None
    if len(keys) != count:
        return None
    if checked.versions.count(None) != count or view.newer_keys or view.waiting_marks:
        return None
    if not view.seen_keys.isdisjoint(keys):
        return None
    items = view.items
    if items.keys().isdisjoint(keys):
        if not view.case_variants.keys().isdisjoint(keys):
            return None
        if rules is not None and not rules.allow_all():
            return None
        writes = Writes(
            keys, hashes, checked.documents, has_groups=checked.has_groups, has_variants=checked.has_variants
        )
        view.create_all(writes)
        return ChunkChanges(results=bytes([CREATED]) * count, keys=checked.keys, issues={}, writes=writes)
    try:
        is_same = [items[key].hash for key in keys] == hashes
    except KeyError:
        return None
    if not is_same or (rules is not None and not rules.allow_all()):
        return None
    return ChunkChanges(results=bytes([UNCHANGED]) * count, keys=checked.keys, issues={})


class _Application:
    """The records of one chunk while they are applied."""

    def __init__(self, checked: CheckedChunk, view: CatalogueView, policy: Policy, rules: RuleApplication | None,
                 ) -> None:
        self.issues: Issues = {**checked.issues}
        self._checked = checked
        self._view = view
        self._policy = policy
        self._rules = rules
        self._merger = RecordMerger(checked, policy)
        self._first_at: dict[str, int] = {}
        """Key → index of the first record of the chunk that has it."""

    def apply_all(self, ends_at: float) -> bytes:
        """Return one result byte for each record, or for the first ones if the time does not suffice."""
        checked, view, policy, issues = self._checked, self._view, self._policy, self.issues
        results = bytearray(len(checked.documents))
        items, writes, newer_keys, merged = view.items, view.writes, view.newer_keys, checked.merged
        duplicates = checked.duplicates
        first_at = self._first_at
        rules = self._rules
        upserts = policy.verb is Verb.UPSERT and checked.verbs is None and rules is None
        overtaken = view.overtaken_at(checked.chunk.replaces)
        self._merger.expect(items, issues)
        for at, (key, version, digest) in enumerate(zip(checked.keys, checked.versions, checked.hashes, strict=True)):
            if at in merged:
                results[at] = self._apply_merged(at, key)
                continue
            is_repeated = False
            if key is not None and duplicates is not Duplicates.OFF:
                is_repeated = first_at.setdefault(key, at) != at or key in view.seen_keys
            if key is not None and version is None and at in overtaken:
                issues[at] = [issue("item_newer", "/id", value=display_key(key))]
                results[at] = SUPERSEDED
                continue
            if key is None or (at in issues and has_error(issues[at])):
                results[at] = REJECTED
                if is_repeated and key is not None:
                    report_duplicate(issues, at, key, duplicates, first=first_row(checked, view, key, first_at[key]))
                continue
            if newer_keys and version is None and key in newer_keys:
                add_issues(issues, at, issue("item_newer", "/id", value=display_key(key)))
                results[at] = SUPERSEDED
                continue
            item = items.get(key)
            if upserts and version is None and not is_repeated:
                if item is not None and item.hash == digest and item.version is None:
                    results[at] = UNCHANGED
                    continue
                if item is None:
                    results[at] = CREATED
                    if key in view.case_variants:
                        self._report_case_variant(at, key)
                    items[key] = writes[key] = Write(key, digest, checked.documents[at], None)
                    continue
            verb = self._merger.verb_of(at)
            results[at] = self._apply_repeated(at, key, verb) if is_repeated else self._apply_one(at, key, verb)
            takes_long = self._merger.merges(verb) if rules is None else not rules.is_known(at + 1)
            if takes_long and time.thread_time() > ends_at:
                return bytes(results[: at + 1])
        return bytes(results)

    def _apply_repeated(self, at: int, key: str, verb: Verb) -> int:
        """Apply a record whose key an earlier record of the batch has, be that record rejected or not."""
        view, duplicates = self._view, self._checked.duplicates
        before = view.items.get(key), view.writes.get(key), view.deletes.get(key)
        issues = self.issues.get(at)
        result = self._apply_one(at, key, verb, replaces=duplicates is Duplicates.LAST)
        if duplicates is Duplicates.REJECT and result in (CREATED, UPDATED, DELETED):
            _restore(view.items, key, before[0])
            _restore(view.writes, key, before[1])
            _restore(view.deletes, key, before[2])
            self._merger.note(None, {})
            self.issues.pop(at, None)
            if issues:
                self.issues[at] = issues
            result = REJECTED
        report_duplicate(
            self.issues, at, key, duplicates if result == REJECTED else Duplicates.MERGE,
            first=first_row(self._checked, view, key, self._first_at[key]),
        )
        return result

    def _apply_merged(self, at: int, key: str | None) -> int:
        """Apply a row that is no item of its own: it may update one, as a further price does, or none."""
        if has_error(self.issues.get(at, ())):
            return REJECTED
        if key is None:
            return MERGED
        if key in self._view.newer_keys and self._checked.versions[at] is None:
            add_issues(self.issues, at, issue("item_newer", "/id", value=display_key(key)))
            return SUPERSEDED
        own = self.issues.get(at, [])
        result = self._apply_one(at, key, Verb.UPDATE)
        if result not in (UPDATED, UNCHANGED):
            return result
        self.issues[at] = own  # what else is to be said of the item stands at its own row
        return MERGED

    def _apply_one(self, at: int, key: str, verb: Verb, *, replaces: bool = False) -> int:
        """Apply a record whose verb, version or item needs a closer look; an upsert replaces the item or merges."""
        checked, view = self._checked, self._view
        version, item = checked.versions[at], view.items.get(key)
        exists = item is not None and item.hash is not None
        is_stale = False
        if item is not None and version is not None and item.version is not None:
            is_stale = is_older(version, item.version)
            if is_stale and (not exists or verb in (Verb.CREATE, Verb.DELETE)):
                return SUPERSEDED
            if is_time(version) != is_time(item.version) and not (self._policy.replace and verb is Verb.UPSERT):
                name = "version_number" if is_time(version) else "observed_at"
                expected = f"{name} {version_text(item.version)}"
                return self._reject(at, version_issue("version_kind_differs", version, expected=expected))
        if verb is Verb.DELETE:
            return self._delete(at, key, item)
        if verb is Verb.CREATE and exists:
            return self._reject(at, issue("key_held", "/id", value=display_key(key)))
        if verb is Verb.UPDATE and not exists:
            return self._reject(at, issue("key_unknown", "/id", value=display_key(key)))
        document, digest = checked.documents[at], checked.hashes[at]
        replaces = verb is Verb.UPSERT and (replaces or self._policy.replace)
        merged = self._merge(at, item, is_stale=is_stale, replaces=replaces) if exists and item is not None else None
        if merged is not None:
            document, digest, versions = merged.document, merged.digest, merged.versions
            if self._adds_error(at, merged):
                return REJECTED
            if merged.lock_issues:
                add_issues(self.issues, at, *merged.lock_issues)
        else:
            versions = versions_of(item, version, document, replaces=replaces)
        if self._rules is not None and self._breaks_rule(at, document, digest, item, merged):
            return REJECTED
        result = CREATED if not exists else UPDATED
        if exists and item is not None and (item.hash == digest or (merged is not None and document == item.document)):
            result = SUPERSEDED if merged is not None and (merged.is_superseded or merged.older_fields) else UNCHANGED
            if item.hash == digest and (item.version, item.group_versions) == versions:
                return result
        elif merged is not None and merged.older_fields and version is not None:
            expected = ", ".join(merged.older_fields)
            add_issues(self.issues, at, version_issue("fields_newer", version, expected=expected))
        if not exists and key in view.case_variants:
            self._report_case_variant(at, key)
        state = field_state(versions[1], merged.locks if merged is not None else NO_LOCKS)
        write = Write(key, digest, document, versions[0], field_state=state)
        view.items[key] = view.writes[key] = write
        view.deletes.pop(key, None)
        if merged is not None:
            self._merger.note(write, merged.members)
        return result

    def _merge(self, at: int, item: CurrentItem | Write, *, is_stale: bool, replaces: bool) -> MergedRecord | None:
        """Merge a record into its item; None if the record replaces the item as a whole, or has the same content."""
        if replaces:
            return self._merger.replace(at, item) if is_stale or item.locks else None
        is_same = item.hash == self._checked.hashes[at]
        is_simple = self._checked.versions[at] is None or (item.group_versions is None and not is_stale)
        return None if is_same and is_simple else self._merger.merge(at, item)

    def _adds_error(self, at: int, merged: MergedRecord) -> bool:
        """Add the issues of a merged document that concern the record, and say whether there is an error.

        A warning about a field that only the item has was reported when the field was written.
        """
        if not merged.issues:
            return False
        own = self.issues.get(at, [])
        known = {(each.code, each.path) for each in own}
        names = decode_members(self._checked.patch(at)).keys()
        further = [
            each for each in merged.issues if (each.code, each.path) not in known
            and (each.severity == "error" or each.path[1:].split("/", 1)[0] in names)
        ]
        add_issues(self.issues, at, *further)
        return has_error(further)

    def _breaks_rule(self, at: int, document: bytes, digest: bytes, item: CurrentItem | Write | None,
                     merged: MergedRecord | None) -> bool:
        """Add what the merchant's rules say about what the record becomes, and say whether there is an error."""
        assert self._rules is not None
        if merged is not None and merged.is_superseded:
            return False
        held = item.document if item is not None else None
        found = self._rules.check(at, document, digest, held, is_own=merged is None)
        if found:
            add_issues(self.issues, at, *found)
        return has_error(found)

    def _delete(self, at: int, key: str, item: CurrentItem | Write | None) -> int:
        version, view = self._checked.versions[at], self._view
        exists = item is not None and item.hash is not None
        if not exists:
            add_issues(self.issues, at, issue("key_not_held", "/id", value=display_key(key)))
            if version is None or (item is not None and item.version is not None and version <= item.version):
                return UNCHANGED
        view.items[key] = CurrentItem(None, version)
        view.writes.pop(key, None)
        view.deletes[key] = Delete(key, version)
        return DELETED if exists else UNCHANGED

    def _reject(self, at: int, found: Issue) -> int:
        add_issues(self.issues, at, found)
        return REJECTED

    def _report_case_variant(self, at: int, key: str) -> None:
        other = self._view.case_variants[key]
        add_issues(self.issues, at, issue("sku_case_twin", "/id", value=display_key(key), expected=display_key(other)))


def _restore(values: dict[str, T], key: str, value: T | None) -> None:
    """Set a value back to what it was; None if there was none."""
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value


def add_issues(issues: Issues, at: int, *found: Issue) -> None:
    """Add issues of a record; the list that it had stays as it is."""
    issues[at] = [*issues.get(at, ()), *found]


def first_row(checked: CheckedChunk, view: CatalogueView, key: str, first: int) -> str:
    """Return where a repeated key stands first; `first` is the index of the first record of the chunk that has it.

    Of earlier chunks only the keys are known.
    """
    rows = checked.chunk.source_rows
    return f"a row before {rows[0]}" if key in view.seen_keys else f"row {rows[first]}"


def report_duplicate(issues: Issues, at: int, key: str, duplicates: Duplicates, *, first: str,
                     path: str = "/id") -> None:
    """Add the issue of a key that an earlier record of the batch has, be that record rejected or not."""
    severity: Severity = "error" if duplicates is Duplicates.REJECT else "warning"
    add_issues(issues, at, issue("duplicate_in_batch", path, value=display_key(key), expected=first, severity=severity))
