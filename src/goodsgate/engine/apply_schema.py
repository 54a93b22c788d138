"""Apply records of a schema, one after the other: find their items by key or index entry, merge, keep values unique.

The view knows which item has which index entry, so that each record sees the changes of those before it.
"""

import math
import threading
import time
from collections.abc import Iterable, Sequence

import msgspec

from goodsgate.engine.apply import (
    CREATED,
    DELETED,
    REJECTED,
    SUPERSEDED,
    UNCHANGED,
    UPDATED,
    ChunkChanges,
    add_issues,
    chunk_changes,
    first_row,
    report_duplicate,
)
from goodsgate.engine.document_merge import (
    decode,
    decode_members,
    encode,
    merge_mapped,
    remove_entries,
    sent_places,
)
from goodsgate.engine.indexed_view import IndexedView
from goodsgate.engine.provenance import provenance_of
from goodsgate.engine.validator import CheckedChunk
from goodsgate.model.batch import Duplicates, Verb, duplicates_of
from goodsgate.model.catalogue import IndexEntry, ReferenceEntry, digest_of, display_key
from goodsgate.model.issue import Issue, has_error, issue
from goodsgate.rules import RecordRefs, SchemaChecker
from goodsgate.store.contract import ClaimedRound

CREATED_AT, UPDATED_AT = "made", "changed"
"""Names of the index entries of items with timestamps: 16 digits, microseconds since 1970, no two alike."""


class UniqueTimestamps:
    """Clock that never gives the same time twice; for any number of threads."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> str:
        """Return the time in microseconds, or one more than the last one given."""
        with self._lock:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            return f"{self._last:016d}"


TIMESTAMPS = UniqueTimestamps()


def apply_schema(checked: CheckedChunk, view: IndexedView, round: ClaimedRound, *,
                 ends_at: float = math.inf) -> ChunkChanges:
    """Apply the records of a chunk; the view takes part in the changes.

    The keys of the changes are those of the items that were found. It ends early, after at least one record, when the
    processor time of this thread passes `ends_at`.
    """
    application = _SchemaApplication(checked, view, round)
    results = application.apply_all(ends_at)
    writes, deletes = view.take_changes()
    return chunk_changes(results, application.keys, application.issues, writes=writes, deletes=deletes)


class _SchemaApplication:
    """The records of one chunk while they are applied."""

    def __init__(self, checked: CheckedChunk, view: IndexedView, round: ClaimedRound) -> None:
        assert checked.schema is not None
        self.issues = {**checked.issues}
        self.keys = [*checked.keys]
        self._checked = checked
        self._view = view
        self._kind = round.kind
        self._policy = round.policy
        self._provenance = provenance_of(round)
        self._mapping = checked.schema.mapping
        rules = checked.schema.merchant_rules
        self._rules = view.rules[rules.resource_type] if rules is not None else None

    def apply_all(self, ends_at: float) -> bytes:
        """Return one result byte for each record, or for the first ones if the time does not suffice."""
        policy, view, keys = self._policy, self._view, self.keys
        update = self._update_or_create if policy.update_creates else self._update
        apply_one = {
            Verb.CREATE: self._create, Verb.UPDATE: update, Verb.DELETE: self._delete, Verb.UPSERT: self._upsert,
        }[policy.verb]
        results = bytearray(len(keys))
        duplicates = duplicates_of(policy, self._kind)
        first_at: dict[str, int] = {}
        is_versioned = self._provenance.version is not None
        for at, refs in enumerate(self._checked.refs or ()):
            key = keys[at]
            if duplicates is not Duplicates.OFF and key is not None:
                first = first_at.setdefault(key, at)
                if first != at or key in view.seen_keys:
                    row = first_row(self._checked, view, key, first)
                    report_duplicate(self.issues, at, key, duplicates, first=row, path=self._mapping.path)
            if refs is None:
                results[at] = REJECTED
            else:
                results[at] = SUPERSEDED if is_versioned and self._is_superseded(at) else apply_one(at, refs)
                if time.thread_time() > ends_at:
                    return bytes(results[: at + 1])
        return bytes(results)

    def _is_superseded(self, at: int) -> bool:
        """Return whether the item under the key is newer, and nothing is wrong with the record."""
        key = self.keys[at]
        item = self._view.items.get(key) if key is not None else None
        return item is not None and self._provenance.is_older_than(item.version) and not self._is_rejected(at)

    def _upsert(self, at: int, refs: RecordRefs) -> int:
        """Replace or create; what the record requires must exist."""
        key = self.keys[at]
        missing = [
            issue("item_missing", path, value=entry[1]) for kind, entry, path in refs.required
            if (kind, entry) not in self._view.required
        ]
        if key is None or self._is_rejected(at, *missing):
            return REJECTED
        return self._put_checked(at, key, self._checked.documents[at], refs.index_entries)

    def _create(self, at: int, refs: RecordRefs) -> int:
        """Create what does not exist; every index entry that must be unique and is not gets an issue."""
        key, document = self.keys[at], self._checked.documents[at]
        found: list[Issue] = []
        if key is not None and self._view.item(key) is not None:
            found.append(issue("key_held", self._mapping.path, value=display_key(key)))
        if self._view.has_owners(refs.unique_entries):
            found += self._collisions(refs.unique_entries, document, own=None)
        if key is None or self._is_rejected(at, *found):
            return REJECTED
        return self._put_checked(at, key, document, refs.index_entries)

    def _update(self, at: int, refs: RecordRefs) -> int:
        """Merge into the item that is found; the merged document must obey the rules."""
        if self._mapping.all_matches:
            return self._update_all(at, refs)
        key = self._find(at, refs)
        if key is None:
            return REJECTED
        document = self._merged(at, key)
        entries = self._mapping.index_entries_of(decode(document))
        found = self._checked.merged_rules.check([document]).issues.get(0, ())
        found = [*found, *self._collisions(self._mapping.unique_among(entries), document, own=key)]
        if found and self._is_rejected(at, *self._at_sent_places(at, found, document)):
            return REJECTED
        return self._put_checked(at, key, document, entries)

    def _update_all(self, at: int, refs: RecordRefs) -> int:
        """Merge into every item that is found, if nothing is wrong with any of them."""
        entries = [entry for alternatives in refs.find_by for entry in alternatives]
        owners = sorted({owner for entry in entries for owner in self._view.owners(entry)})
        record = decode(self._checked.documents[at])
        if self._is_rejected(at, *(self._not_found(record, entry) for entry in entries[:1] if not owners)):
            return REJECTED
        changed: list[tuple[str, bytes, list[IndexEntry]]] = []
        for owner in owners:
            document = self._merged(at, owner)
            checked = self._checked_document(at, owner, document, self._mapping.index_entries_of(decode(document)))
            if checked is None:
                return REJECTED
            changed.append((owner, *checked))
        results = {self._put(at, owner, document, own_entries) for owner, document, own_entries in changed}
        return UPDATED if UPDATED in results else UNCHANGED

    def _update_or_create(self, at: int, refs: RecordRefs) -> int:
        """Merge into the item under the key; a new item gets the members that are not null."""
        key = self.keys[at]
        if self._is_rejected(at):
            return REJECTED
        if key is None or self._view.item(key) is not None:
            return self._update(at, refs)
        document = self._checked.documents[at]
        created = merge_mapped(b"{}", document, self._mapping) if b"null" in document else document
        return self._put_checked(at, key, created, refs.index_entries)

    def _delete(self, at: int, refs: RecordRefs) -> int:
        """Delete the item, or entries of one of its lists; the item goes with the last entry."""
        version = self._provenance.version
        key = self._find(at, refs)
        if key is None:
            own = self.keys[at]
            if own is not None and version is not None and self._view.item(own) is None:
                self._view.delete(own, version=version)  # an older record may still be on its way
            return REJECTED
        if self._rules is not None and self._is_rejected(at, *self._rules.check_deletion(key, self._view)):
            return REJECTED
        member = self._mapping.delete_from
        patch = decode_members(self._checked.documents[at])
        if member is None or member not in patch:
            self._view.delete(key, version=version)
            return DELETED
        if bytes(patch[member]) == b"null":  # it may not mean everything: a delete cannot be undone
            self._is_rejected(at, issue("list_too_short", f"/{member}", expected="at least 1"))
            return REJECTED
        document, found = remove_entries(
            self._view.items[key].document or b"{}", patch[member], member, self._mapping.lists[member]
        )
        if self._is_rejected(at, *found):
            return REJECTED
        if document is None:
            self._view.delete(key, version=version)
            return DELETED
        return self._put(at, key, document, self._mapping.index_entries_of(decode(document)))

    # -- shared by the verbs ------------------------------------------------------------------------------------------

    def _merged(self, at: int, key: str) -> bytes:
        return merge_mapped(self._view.items[key].document or b"{}", self._checked.documents[at], self._mapping)

    def _at_sent_places(self, at: int, found: Iterable[Issue], document: bytes) -> list[Issue]:
        """Return issues of a merged document with their places in the lists of the record that was sent."""
        places = {
            member: sent_places(document, self._checked.documents[at], member, rule)
            for member, rule in self._mapping.lists.items()
        }
        moved: list[Issue] = []
        for each in found:
            member, _, rest = each.path.removeprefix("/").partition("/")
            place, _, inner = rest.partition("/")
            if member in places and place.isdigit():
                sent = places[member].get(int(place))
                path = f"/{member}" if sent is None else f"/{member}/{sent}" + (f"/{inner}" if inner else "")
                each = msgspec.structs.replace(each, path=path)
            moved.append(each)
        return moved

    def _put_checked(self, at: int, key: str, document: bytes, entries: Iterable[IndexEntry]) -> int:
        """Put a document if the merchant's rules accept it, as they return it."""
        if self._rules is None:
            return self._put(at, key, document, entries)
        checked = self._checked_document(at, key, document, entries)
        return REJECTED if checked is None else self._put(at, key, *checked)

    def _checked_document(self, at: int, key: str, document: bytes, entries: Iterable[IndexEntry],
                          ) -> tuple[bytes, list[IndexEntry]] | None:
        """Return document and index entries as the merchant's rules want them; None if they reject the document."""
        if self._rules is None:
            return document, [*entries]
        result = self._rules.check(key, decode(document), self._view)
        if self._is_rejected(at, *result.issues):
            return None
        checked = document if result.record is None else encode(result.record)
        return checked, [*entries, *result.index_entries]

    def _put(self, at: int, key: str, document: bytes, entries: Iterable[IndexEntry]) -> int:
        item, version = self._view.item(key), self._provenance.version
        is_as_sent = document is self._checked.documents[at]
        digest = self._checked.hashes[at] if is_as_sent else digest_of(document)
        if item is not None and item.hash == digest:
            if version not in (None, item.version):  # or an older record that comes later would replace it
                self._view.put(key, item.document or b"", digest, item.index_entries, version=version)
            return UNCHANGED
        timestamps: tuple[IndexEntry, ...] = ()
        if self._mapping.timestamps:
            now = TIMESTAMPS.next()
            created = None
            if item is not None:
                created = next((entry for entry in item.index_entries if entry[0] == CREATED_AT), None)
            timestamps = (created or (CREATED_AT, now), (UPDATED_AT, now))
        if self._mapping.history is not None:
            current = item.document if item is not None else None
            document = self._provenance.add_history(document, current, self._mapping.history)
        self._view.put(key, document, digest, entries, timestamps, version=version)
        return CREATED if item is None else UPDATED

    def _is_rejected(self, at: int, *found: Issue) -> bool:
        """Add issues; return whether the record has an error."""
        if found:
            add_issues(self.issues, at, *found)
        return at in self.issues and has_error(self.issues[at])

    def _collisions(self, unique: Iterable[IndexEntry], document: bytes, *, own: str | None) -> list[Issue]:
        """Return an issue for each unique index entry that another item has."""
        issues = []
        for entry in unique:
            owners = self._view.owners(entry)
            if not owners:
                continue
            within, record = self._mapping.unique_within(entry[0]) or (), decode(document)
            if any(other != own and self._agrees(other, record, within) for other in owners):
                issues.append(issue("value_held", self._mapping.path_of(record, entry), value=entry[1]))
        return issues

    def _agrees(self, key: str, record: dict[str, object], names: Sequence[str]) -> bool:
        """Return whether an item has the record's values in these members."""
        if not names:
            return True
        members = self._view.members(key)
        return all(
            members.get(name) == record.get(name) or record.get(name) in self._spellings(name, members)
            for name in names
        )

    def _spellings(self, name: str, current: dict[str, object]) -> list[str]:
        """Return code and name of the reference entry that a member of the item names; none if that is unknown."""
        rules, kind = self._checked.merged_rules, self._mapping.references.get(name)
        if kind is None or not isinstance(rules, SchemaChecker):
            return []
        entry: ReferenceEntry | None = rules.reference.entry(kind, _text(current.get(name)))
        return [entry.code, entry.name] if entry is not None else []

    def _find(self, at: int, refs: RecordRefs) -> str | None:
        """Return the key of the one item that a record refers to; None if there is none, or the record has errors."""
        has_members = refs.index_entries or refs.find_by
        record = decode(self._checked.documents[at]) if has_members else {}
        key = self.keys[at]
        found: list[Issue] = []
        if key is None or self._view.item(key) is None:
            key = self._find_by_index(refs, record, key, found)
        if key is not None:
            self.keys[at] = key
            found += self._changed_immutables(record, self._view.members(key))
        return None if self._is_rejected(at, *found) else key

    def _find_by_index(self, refs: RecordRefs, record: dict[str, object], key: str | None, found: list[Issue],
                       ) -> str | None:
        first: Issue | None = None
        if key is not None:
            first = issue("item_missing", self._mapping.path, value=display_key(key) or "")
        for entries in refs.find_by:
            owners = {
                owner for entry in entries for owner in self._view.owners(entry)
                if self._agrees(
                    owner, record, [name for name in self._mapping.unique_within(entry[0]) or () if record.get(name)]
                )
            }
            first = first or (self._not_found(record, entries[0]) if entries and not owners else None)
            if len(owners) == 1:
                return owners.pop()
            if owners:
                path = self._mapping.path_of(record, entries[0])
                found.append(issue("item_ambiguous", path, value=entries[0][1]))
                return None
        if first is None:
            names = [*self._mapping.key, *(rule.steps[-1] for rules in self._mapping.find_by for rule in rules)]
            first = issue("item_unnamed", self._mapping.path, expected=" or ".join(dict.fromkeys(names)))
        found.append(first)
        return None

    def _not_found(self, record: dict[str, object], entry: IndexEntry) -> Issue:
        return issue("item_missing", self._mapping.path_of(record, entry), value=entry[1])

    def _changed_immutables(self, record: dict[str, object], current: dict[str, object]) -> list[Issue]:
        """Return an issue for each immutable member that differs from the item's."""
        issues = []
        for name in self._mapping.immutable:
            value = record.get(name)
            allowed = self._allowed_values(name, current)
            if value is not None and allowed and _text(value) not in allowed:
                issues.append(issue("field_fixed", f"/{name}", value=value, expected=allowed[0]))
        for member, rule in self._mapping.lists.items():
            issues += self._changed_entries(member, rule.immutable, record, current)
        return issues

    def _allowed_values(self, name: str, current: dict[str, object]) -> list[str]:
        """Return the values that an immutable member may have; none if that is unknown."""
        reference = self._mapping.reference_ids.get(name)
        rules = self._checked.merged_rules
        if reference is None or not isinstance(rules, SchemaChecker):
            value = current.get(name)
            return [_text(value), *self._spellings(name, current)] if value is not None else []
        entry: ReferenceEntry | None = rules.reference.entry(reference["kind"], _text(current.get(reference["of"])))
        return [str(entry.number), entry.code] if entry is not None else []

    def _changed_entries(self, member: str, immutable: Sequence[str], record: dict[str, object],
                         current: dict[str, object]) -> list[Issue]:
        """Return an issue for each list entry whose immutable index entries differ from those of the item's entry."""
        issues = []
        rule = self._mapping.lists[member]
        by_id = {rule.id_of(each): each for each in _list(current.get(member))}
        for at, each in enumerate(_list(record.get(member))):
            before = by_id.get(rule.id_of(each))
            for name in immutable if before is not None else ():
                index_rule = self._mapping.index[name]
                allowed = [entry[1] for entry, _ in index_rule.entries_with_paths({member: [before]})]
                for entry, path in index_rule.entries_with_paths({member: [each]}):
                    if allowed and entry[1] not in allowed:
                        own_path = path.replace(f"/{member}/0", f"/{member}/{at}", 1)
                        issues.append(issue("field_fixed", own_path, value=entry[1], expected=allowed[0]))
        return issues


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else encode(value).decode()
