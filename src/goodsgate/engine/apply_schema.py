"""Records of a schema against what is held: found by marks, merged, kept unique; one after the other, as in `apply`.

The shelf knows who has which mark, and keeps count, so that each record sees what those before it did.
"""

import time
from collections.abc import Iterable, Sequence

import msgspec

from goodsgate.engine.apply import CREATED, DELETED, REJECTED, SUPERSEDED, UNCHANGED, UPDATED, tell_twice
from goodsgate.engine.check import Judged, digest_of
from goodsgate.engine.merging import decode_members, encode, merge_mapped, plain, without_entries
from goodsgate.engine.origin import Origin
from goodsgate.engine.shelf import IndexedView
from goodsgate.model.batch import Policy, Strictness, Verb
from goodsgate.model.catalogue import IndexEntry, ReferenceEntry, display_key
from goodsgate.model.issue import Issue, issue
from goodsgate.rules import Checker, RecordMapping, RecordRefs, SchemaChecker

MADE, CHANGED = "made", "changed"
"""Marks of dated items: 16 digits, microseconds since 1970, no two alike."""


class Moments:
    """Times that grow from record to record."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> str:
        """The time in microseconds, or one more than last time."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return f"{self._last:016d}"


def apply_schema(judged: Judged, shelf: IndexedView, policy: Policy, *, mapping: RecordMapping,
                 whole: Checker | SchemaChecker,
               moments: Moments, earlier: set[str], origin: Origin) -> bytearray:
    """Apply records of a schema; return one result byte a record.

    Issues are added to `judged.issues`; the keys of items that were found replace those in `judged.keys`.

    `whole` are the rules of what an update has merged; `earlier` are keys that portions of this batch before this one
    held; `origin` is that of all records.
    """
    one = _One(judged, shelf, mapping=mapping, whole=whole, moments=moments, origin=origin)
    update = one.update_or_make if policy.update_creates else one.update
    works = {Verb.CREATE: one.create, Verb.UPDATE: update, Verb.DELETE: one.delete, Verb.UPSERT: one.upsert}
    work = works[policy.verb]
    results = bytearray(len(judged.documents))
    track = policy.duplicates is not Strictness.OFF
    mine: set[str] = set()
    versioned = origin.version is not None
    for at, refs in enumerate(judged.refs or ()):
        key = judged.keys[at]
        if track and key is not None:
            if key in mine or key in earlier:
                tell_twice(judged.issues, at, key, policy, path=mapping.path)
            mine.add(key)
        if refs is None:
            results[at] = REJECTED
        else:
            results[at] = SUPERSEDED if versioned and one.superseded(at) else work(at, refs)
    return results


class _One:
    """One record after the other of a stretch."""

    def __init__(self, judged: Judged, shelf: IndexedView, *, mapping: RecordMapping, whole: Checker | SchemaChecker,
                 moments: Moments, origin: Origin) -> None:
        self._judged = judged
        self._origin = origin
        self._shelf = shelf
        self._mapping = mapping
        self._whole = whole
        self._moments = moments
        self._rules = shelf.rules[judged.merchant_rules.resource_type] if judged.merchant_rules is not None else None

    def superseded(self, at: int) -> bool:
        """Whether what is held under the record's key is newer, and nothing is wrong with the record."""
        key = self._judged.keys[at]
        was = self._shelf.held.get(key) if key is not None else None
        return was is not None and self._origin.older_than(was.version) and not self._refused(at, [])

    def upsert(self, at: int, refs: RecordRefs) -> int:
        """Replace or make; what it needs must be held."""
        key = self._judged.keys[at]
        told = [
            issue("item_missing", path, value=mark[1]) for kind, mark, path in refs.required
            if (kind, mark) not in self._shelf.known
        ]
        if key is None or self._refused(at, told):
            return REJECTED
        return self._put_checked(at, key, self._judged.documents[at], refs.index_entries)

    def create(self, at: int, refs: RecordRefs) -> int:
        """Make what is not held; every mark that must be unique and is not gets an issue."""
        key, document = self._judged.keys[at], self._judged.documents[at]
        told: list[Issue] = []
        if key is not None and self._shelf.live(key) is not None:
            told.append(issue("key_held", self._mapping.path, value=display_key(key)))
        if self._shelf.are_owned(refs.unique_entries):
            told += self._collisions(refs.unique_entries, document, own=None)
        if key is None or self._refused(at, told):
            return REJECTED
        return self._put_checked(at, key, document, refs.index_entries)

    def update(self, at: int, refs: RecordRefs) -> int:
        """Merge into what is found; the whole must obey the rules."""
        if self._mapping.all_matches:
            return self._update_every(at, refs)
        found = self._found(at, refs)
        if found is None:
            return REJECTED
        was = self._shelf.held[found]
        document = merge_mapped(was.document or b"{}", self._judged.documents[at], self._mapping)
        told = self._whole.check([document])
        marks = self._mapping.index_entries_of(plain(document))
        issues = [*told.issues.get(0, ()), *self._collisions(self._mapping.unique_among(marks), document, own=found)]
        if self._refused(at, issues):
            return REJECTED
        return self._put_checked(at, found, document, marks)

    def _update_every(self, at: int, refs: RecordRefs) -> int:
        """Merge into all that is found, if nothing is wrong with any of it."""
        asked = [mark for finds in refs.find_by for mark in finds]
        owners = sorted({owner for mark in asked for owner in self._shelf.owners(mark)})
        told = [self._missing(plain(self._judged.documents[at]), mark) for mark in asked[:1] if not owners]
        if self._refused(at, told):
            return REJECTED
        changed: list[tuple[str, bytes, list[IndexEntry]]] = []
        for owner in owners:
            document = merge_mapped(
                self._shelf.held[owner].document or b"{}", self._judged.documents[at], self._mapping
            )
            checked = self._checked_document(at, owner, document, self._mapping.index_entries_of(plain(document)))
            if checked is None:
                return REJECTED
            changed.append((owner, *checked))
        results = {self._put(at, owner, document, marks) for owner, document, marks in changed}
        return UPDATED if UPDATED in results else UNCHANGED

    def update_or_make(self, at: int, refs: RecordRefs) -> int:
        """Merge into what is held under the key; what is not is made, without the members that are null."""
        key = self._judged.keys[at]
        if self._refused(at, []):
            return REJECTED
        if key is None or self._shelf.live(key) is not None:
            return self.update(at, refs)
        document = self._judged.documents[at]
        made = merge_mapped(b"{}", document, self._mapping) if b"null" in document else document
        return self._put_checked(at, key, made, refs.index_entries)

    def delete(self, at: int, refs: RecordRefs) -> int:
        """The item, or entries of one of its lists; the last entry takes the item with it."""
        found = self._found(at, refs)
        if found is None:
            self._forbid_older(self._judged.keys[at])
            return REJECTED
        if self._rules is not None and self._refused(at, self._rules.check_deletion(found, self._shelf)):
            return REJECTED
        member = self._mapping.delete_from
        patch = decode_members(self._judged.documents[at])
        if member is None or bytes(patch.get(member, b"null")) == b"null":
            self._shelf.drop(found, version=self._origin.version)
            return DELETED
        document, unknown = without_entries(
            self._shelf.held[found].document or b"{}", patch[member], member, self._mapping.lists[member]
        )
        if self._refused(at, [issue("entry_unknown", path, value=value) for path, value in unknown]):
            return REJECTED
        if document is None:
            self._shelf.drop(found, version=self._origin.version)
            return DELETED
        return self._put(at, found, document, self._mapping.index_entries_of(plain(document)))

    def _forbid_older(self, key: str | None) -> None:
        """There was nothing to delete, but what was received before may still be on its way."""
        version = self._origin.version
        if key is not None and version is not None and self._shelf.live(key) is None:
            self._shelf.drop(key, version=version)

    # -- what all of them do ------------------------------------------------------------------------------------------

    def _put_checked(self, at: int, key: str, document: bytes, marks: Iterable[IndexEntry]) -> int:
        """Put a document if the merchant's rules accept it, as they return it."""
        if self._rules is None:
            return self._put(at, key, document, marks)
        checked = self._checked_document(at, key, document, marks)
        return REJECTED if checked is None else self._put(at, key, *checked)

    def _checked_document(self, at: int, key: str, document: bytes, marks: Iterable[IndexEntry],
                ) -> tuple[bytes, list[IndexEntry]] | None:
        """Return document and marks as the merchant's rules want them; None if they reject the document."""
        if self._rules is None:
            return document, [*marks]
        result = self._rules.check(key, plain(document), self._shelf)
        if self._refused(at, result.issues):
            return None
        checked = document if result.record is None else encode(result.record)
        return checked, [*marks, *result.index_entries]

    def _put(self, at: int, key: str, document: bytes, marks: Iterable[IndexEntry]) -> int:
        was = self._shelf.live(key)
        untouched = document is self._judged.documents[at]
        digest = self._judged.hashes[at] if untouched else digest_of(document)
        version = self._origin.version
        if was is not None and was.hash == digest:
            if version not in (None, was.version):  # or what is older and comes later would take this for older still
                self._shelf.put(key, was.document or b"", digest, was.index_entries, version=version)
            return UNCHANGED
        dates: tuple[IndexEntry, ...] = ()
        if self._mapping.timestamps:
            now = self._moments.next()
            made = next((mark for mark in was.index_entries if mark[0] == MADE), None) if was is not None else None
            dates = (made or (MADE, now), (CHANGED, now))
        if self._mapping.history is not None:
            before = was.document if was is not None else None
            document = self._origin.with_history(document, before, self._mapping.history)
        self._shelf.put(key, document, digest, marks, dates, version=version)
        return CREATED if was is None else UPDATED

    def _refused(self, at: int, told: list[Issue]) -> bool:
        """Note issues; whether the record has an error."""
        if told:
            self._judged.issues.setdefault(at, []).extend(told)
        return at in self._judged.issues and self._judged.refuses(at)

    def _collisions(self, unique: Iterable[IndexEntry], document: bytes, *, own: str | None) -> list[Issue]:
        """An issue for each unique mark that another item has."""
        told = []
        for mark in unique:
            owners = self._shelf.owners(mark)
            if not owners:
                continue
            within, record = self._mapping.unique_within(mark[0]) or (), plain(document)
            if any(other != own and self._agree(other, record, within) for other in owners):
                told.append(issue("value_held", self._mapping.path_of(record, mark), value=mark[1]))
        return told

    def _agree(self, key: str, record: dict[str, object], within: Sequence[str]) -> bool:
        """Whether an item has what the record has in these members."""
        return not within or all(self._shelf.members(key).get(name) == record.get(name) for name in within)

    def _found(self, at: int, refs: RecordRefs) -> str | None:
        """Key of the one item that the record means, if nothing is wrong with what it says of it."""
        record = plain_or_empty(self._judged.documents[at], refs)
        key = self._judged.keys[at]
        told: list[Issue] = []
        if key is None or self._shelf.live(key) is None:
            key = self._found_by_marks(refs, record, key, told)
        if key is not None:
            self._judged.keys[at] = key
            told += self._fixed(record, self._shelf.members(key))
        return None if self._refused(at, told) else key

    def _found_by_marks(
        self, refs: RecordRefs, record: dict[str, object], key: str | None, told: list[Issue]
    ) -> str | None:
        first: Issue | None = None
        if key is not None:
            first = issue("item_missing", self._mapping.path, value=display_key(key) or "")
        for finds in refs.find_by:
            owners = {
                owner for mark in finds for owner in self._shelf.owners(mark)
                if self._agree(
                    owner, record, [name for name in self._mapping.unique_within(mark[0]) or () if record.get(name)]
                )
            }
            first = first or (self._missing(record, finds[0]) if finds and not owners else None)
            if len(owners) == 1:
                return owners.pop()
            if owners:
                told.append(issue("item_ambiguous", self._mapping.path_of(record, finds[0]), value=finds[0][1]))
                return None
        if first is None:
            names = [*self._mapping.key, *(rule.steps[-1] for rules in self._mapping.find_by for rule in rules)]
            first = issue("item_unnamed", self._mapping.path, expected=" or ".join(dict.fromkeys(names)))
        told.append(first)
        return None

    def _missing(self, record: dict[str, object], mark: IndexEntry) -> Issue:
        return issue("item_missing", self._mapping.path_of(record, mark), value=mark[1])

    def _fixed(self, record: dict[str, object], held: dict[str, object]) -> list[Issue]:
        """An issue for each member that is not what the item has and cannot be another."""
        told = []
        for name in self._mapping.immutable:
            value = record.get(name)
            wanted = self._wanted(name, held)
            if value is not None and wanted and _text(value) not in wanted:
                told.append(issue("field_fixed", f"/{name}", value=value, expected=wanted[0]))
        for member, entries in self._mapping.lists.items():
            told += self._kept(member, entries.immutable, record, held)
        return told

    def _wanted(self, name: str, held: dict[str, object]) -> list[str]:
        """What a fixed member may say; nothing if it cannot be known."""
        numbered = self._mapping.reference_ids.get(name)
        if numbered is None or not isinstance(self._whole, SchemaChecker):
            return [_text(held[name])] if held.get(name) is not None else []
        entry: ReferenceEntry | None = self._whole.reference.entry(numbered["kind"], _text(held.get(numbered["of"])))
        return [str(entry.number), entry.code] if entry is not None else []

    def _kept(self, member: str, keeps: Sequence[str], record: dict[str, object], held: dict[str, object],
              ) -> list[Issue]:
        """An issue for each entry whose marks are not those that the held entry has."""
        told = []
        entries = self._mapping.lists[member]
        by_name = {entries.id_of(entry): entry for entry in _list(held.get(member))}
        for at, entry in enumerate(_list(record.get(member))):
            before = by_name.get(entries.id_of(entry))
            for name in keeps if before is not None else ():
                rule = self._mapping.index[name]
                was = [mark[1] for mark, _ in rule.entries_with_paths({member: [before]})]
                now = [(mark[1], path) for mark, path in rule.entries_with_paths({member: [entry]})]
                for value, path in now:
                    if was and value not in was:
                        own = path.replace(f"/{member}/0", f"/{member}/{at}", 1)
                        told.append(issue("field_fixed", own, value=value, expected=was[0]))
        return told


def plain_or_empty(document: bytes, refs: RecordRefs) -> dict[str, object]:
    """The record, decoded, where anything but its key matters."""
    return plain(document) if refs.index_entries or refs.find_by else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

