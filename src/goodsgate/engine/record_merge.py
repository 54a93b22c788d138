"""Merge records into current items. Groups of fields that an item has in a newer version stay as they are."""

from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

import msgspec

from goodsgate.engine.field_merge import (
    Combined,
    Members,
    Versions,
    combine,
    combine_beneath_locks,
    decode_members,
    edit_fields,
)
from goodsgate.engine.validator import CheckedChunk
from goodsgate.model.batch import Policy, Verb
from goodsgate.model.catalogue import CurrentItem, Write, item_digest
from goodsgate.model.field_state import Locks
from goodsgate.model.issue import Issue, has_error, issue, truncate_value
from goodsgate.model.versions import (
    EVERY_GROUP,
    groups_of,
    is_time,
    read_group_versions,
    version_text,
    write_group_versions,
)

MERGED_RECORDS = 256
"""Records that are merged into items and checked at once."""
MERGED_BYTES = 1024 * 1024
"""Size of the documents from which fewer are."""


class MergedRecord(NamedTuple):
    """A record that was merged into the current item."""

    item: CurrentItem | Write
    members: Members
    document: bytes
    digest: bytes
    issues: list[Issue]
    """Issues of the merged document."""
    versions: Versions
    older_fields: list[str]
    """Fields of the record that were left out: the item has newer values, and other ones."""
    is_superseded: bool
    """Every field of the record was left out."""
    locks: Locks
    """Locks of the item after the record."""
    lock_issues: list[Issue]
    """What became of the edited fields of the item that the record names."""


class RecordMerger:
    """Merges the records of a chunk into their items, and checks what becomes of them."""

    def __init__(self, checked: CheckedChunk, policy: Policy) -> None:
        self._checked = checked
        self._policy = policy
        self._waiting: deque[tuple[int, CurrentItem | Write]] = deque()
        """Index and item of the records that are still to be merged, at most one of an item."""
        self._merged: dict[int, MergedRecord] = {}
        """Records that were merged with those before them."""
        self._last: tuple[Write, Members] | None = None
        """The record that was merged last, decoded: often the next one is merged into the same item."""

    def verb_of(self, at: int) -> Verb:
        """Return the verb of a record."""
        verbs = self._checked.verbs
        return (verbs[at] if verbs is not None else None) or self._policy.verb

    def merges(self, verb: Verb) -> bool:
        """Return whether a record with this verb is merged into an existing item."""
        return verb is Verb.UPDATE or (verb is Verb.UPSERT and not self._policy.replace)

    def expect(self, items: dict[str, CurrentItem | Write], issues: dict[int, list[Issue]]) -> None:
        """Take the current items, so that the first records of each are merged and checked together."""
        checked, first = self._checked, {}
        for at, (key, digest, verb) in enumerate(
            zip(checked.keys, checked.hashes, checked.verbs or repeat(None), strict=False)
        ):
            if key is None or key in first or not self.merges(verb or self._policy.verb):
                continue
            item = items.get(key)
            if item is not None and item.hash not in (None, digest) and not has_error(issues.get(at, ())):
                first[key] = at, item
        self._waiting.extend(first.values())

    def merge(self, at: int, item: CurrentItem | Write) -> MergedRecord:
        """Merge and check a record, together with some after it if no record before it has changed the item."""
        waiting = self._waiting
        while waiting and waiting[0][0] < at:
            waiting.popleft()
        if waiting and waiting[0][0] == at:
            some: list[tuple[int, CurrentItem | Write]] = []
            size = 0
            while waiting and len(some) < MERGED_RECORDS and size < MERGED_BYTES:
                some.append(waiting.popleft())
                size += len(some[-1][1].document or b"")
            self._merged = dict(zip((at for at, _ in some), self._merge_and_check(some), strict=True))
        merged = self._merged.pop(at, None)
        if merged is None or merged.item is not item:
            (merged,) = self._merge_and_check([(at, item)])
        return merged

    def replace(self, at: int, item: CurrentItem | Write) -> MergedRecord:
        """Replace the groups of fields that the item does not have in a newer version; check the whole."""
        (merged,) = self._merge_and_check([(at, item)], replaces=True)
        return merged

    def note(self, write: Write | None, members: Members) -> None:
        """Keep the members of the item that was written last; None if it was not written after all."""
        self._last = (write, members) if write is not None else None

    def _merge_and_check(self, updates: Sequence[tuple[int, CurrentItem | Write]], *, replaces: bool = False,
                         ) -> list[MergedRecord]:
        checked = self._checked
        combined = []
        for at, item in updates:
            record = decode_members(checked.documents[at] if replaces else checked.patch(at))
            combined.append(self._combine(item, self._members_of(at, item), record, checked.versions[at], replaces))
        members = [each.members for each in combined]
        documents, digests = [], []
        for (_, item), each in zip(updates, combined, strict=True):
            is_kept = each.is_superseded and not replaces
            documents.append(item.document or b"" if is_kept else msgspec.json.encode(each.members))
            digests.append(item.hash or b"" if is_kept else item_digest(documents[-1], each.locks))
        # What is held is not checked again, nor is a record that has everything that its item has.
        changed = [
            n for n, (at, item) in enumerate(updates)
            if digests[n] != item.hash and (digests[n] != checked.hashes[at] or self.verb_of(at) is Verb.UPDATE)
        ]
        result = checked.merged_rules.check([documents[n] for n in changed])
        issues = {changed[n]: found for n, found in result.issues.items()}
        for n, document in result.canonical.items():
            at = changed[n]
            documents[at], members[at] = document, decode_members(document)
            digests[at] = item_digest(document, combined[at].locks)
        return [
            MergedRecord(
                item, members[n], documents[n], digests[n], issues.get(n, []), each.versions, each.older_fields,
                each.is_superseded, each.locks, each.lock_issues,
            )
            for n, ((_, item), each) in enumerate(zip(updates, combined, strict=True))
        ]

    def _combine(self, item: CurrentItem | Write, members: Members, record: Members, version: int | None,
                 replaces: bool) -> Combined:
        """Merge a record into the members of its item, or replace them; an edit may lock and unlock fields."""
        if self._policy.edit is not None:
            return edit_fields(item, members, record, unlocks=self._policy.edit == "unlock")
        if item.field_state is None or not item.locks:
            return combine(item, members, record, version, replaces=replaces)
        return combine_beneath_locks(item, members, record, version, replaces=replaces)

    def _members_of(self, at: int, item: CurrentItem | Write) -> Members:
        if self._last is not None and self._last[0] is item:
            return self._last[1]
        if item.document is not None:
            return decode_members(item.document)
        # The document of an item that equals the record is not looked up.
        return decode_members(self._checked.documents[at] if item.hash == self._checked.hashes[at] else b"{}")


def versions_of(item: CurrentItem | Write | None, version: int | None, document: bytes, *, replaces: bool) -> Versions:
    """Return the versions of an item after a record that creates it, replaces it, or has the same content."""
    held = item.version if item is not None else None
    if version is not None and replaces:
        return version, EVERY_GROUP
    if item is None or held is None:
        return version, None
    if item.hash is not None and version is not None:
        return version, None
    if item.hash is not None and item.document is None:  # it is not looked up for a record with the same content
        return held, item.group_versions
    stored, members = item.group_versions, decode_members(item.document or b"{}")
    if item.hash is None:
        stored = EVERY_GROUP  # what the record does not have was deleted, too
    before = read_group_versions(held, stored, held=groups_of(members))
    groups = groups_of(decode_members(document))
    after = before if version is None else {**before, **dict.fromkeys(groups, version)}
    return write_group_versions(after, held=groups)


def version_issue(code: str, version: int, *, expected: str) -> Issue:
    """Return an issue of the member that gives a record its version."""
    name = "observed_at" if is_time(version) else "version_number"
    return issue(code, f"/{name}", value=version_text(version), expected=truncate_value(expected))
