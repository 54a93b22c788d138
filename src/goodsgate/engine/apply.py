"""Checked records, one after the other, against what is held: results, and what is to be written.

The effect is that of working the records one by one in order. Several records with one key leave one write, the
last; several small batches of a lane share one `Shelf`, so that each sees what those before it did.
"""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

import msgspec

from goodsgate.engine.check import Judged, digest_of
from goodsgate.model.batch import RESULT_BYTE, Policy, Result, Strictness, Verb
from goodsgate.model.catalogue import CurrentItem, Delete, Write, Writes, display_key
from goodsgate.model.issue import Issue, Severity, issue
from goodsgate.rules import Checker, SchemaChecker

CREATED = RESULT_BYTE[Result.CREATED]
UPDATED = RESULT_BYTE[Result.UPDATED]
UNCHANGED = RESULT_BYTE[Result.UNCHANGED]
DELETED = RESULT_BYTE[Result.DELETED]
SUPERSEDED = RESULT_BYTE[Result.SUPERSEDED]
REJECTED = RESULT_BYTE[Result.REJECTED]
CANCELLED = RESULT_BYTE[Result.CANCELLED]

decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Shelf:
    """What a collection holds under the keys of a portion, and how it changes while records are applied."""

    def __init__(self, held: dict[str, CurrentItem], twins: dict[str, str]) -> None:
        self.held: dict[str, CurrentItem | Write] = {**held}
        """What was written meanwhile, too."""
        self.twins = twins
        self.writes: dict[str, Write] = {}
        self.deletes: dict[str, Delete] = {}
        self._made: Writes | None = None
        """What was made last, as long as nobody has to find it in `held`; mostly that is for good."""
        self._is_taken = False
        """Whether the store has it already."""

    def make(self, writes: Writes) -> None:
        """Hold these, of which nothing was held; the only change since the last was taken."""
        self._made, self._is_taken = writes, False

    def remember(self) -> None:
        """To be said before anything is looked for in `held` again."""
        made, self._made = self._made, None
        if made is not None:
            mine = dict(zip(made.keys, made, strict=True))
            self.held.update(mine)
            if not self._is_taken:
                self.writes.update(mine)

    def taken(self) -> tuple[Sequence[Write], list[Delete]]:
        """The changes since last asked, for the store."""
        if self._made is not None and not self._is_taken:
            self._is_taken = True
            return self._made, []
        writes, deletes = list(self.writes.values()), list(self.deletes.values())
        self.writes, self.deletes = {}, {}
        return writes, deletes


class Merged(NamedTuple):
    """An update, merged into what is held."""

    was: CurrentItem | Write
    document: bytes
    issues: list[Issue] | None


def apply(judged: Judged, shelf: Shelf, policy: Policy, *, whole: Checker | SchemaChecker,
          earlier: set[str]) -> bytearray:
    """One result byte a record; issues found on the way join `judged.issues`.

    `whole` are the rules of a whole record, for what an update has merged; `earlier` are keys that portions of this
    batch before this one held.
    """
    shelf.remember()
    plain = _plain(judged, shelf, policy, earlier)
    if plain is not None:
        return plain
    results = bytearray(len(judged.documents))
    issues, verbs = judged.issues, judged.verbs
    held, writes = shelf.held, shelf.writes
    track = policy.duplicates is not Strictness.OFF
    mine: set[str] = set()
    upsert = policy.verb is Verb.UPSERT and verbs is None
    merges = {} if upsert else _merges(judged, shelf, policy, whole)
    for at, (key, version, digest) in enumerate(zip(judged.keys, judged.versions, judged.hashes, strict=True)):
        if track and key is not None:
            if key in mine or key in earlier:
                tell_twice(issues, at, key, policy)
            mine.add(key)
        if key is None or (at in issues and judged.refuses(at)):
            results[at] = REJECTED
            continue
        was = held.get(key)
        if upsert and version is None and (was is None or (was.version is None and was.hash is not None)):
            if was is not None and was.hash == digest:
                results[at] = UNCHANGED
                continue
            results[at] = CREATED if was is None else UPDATED
            if was is None and key in shelf.twins:
                _twin(issues, at, key, shelf)
            document = judged.documents[at]
            held[key] = writes[key] = Write(key, digest, document, None)
            continue
        verb = (verbs[at] if verbs is not None else None) or policy.verb
        results[at] = _one(judged, at, key, verb=verb, shelf=shelf, whole=whole, merged=merges.get(at))
    return results


def _plain(judged: Judged, shelf: Shelf, policy: Policy, earlier: set[str]) -> bytearray | None:
    """Results of whole records with nothing to be said of them, all new or all held as they are: all at once.

    None if there is anything else among them; then nothing was changed.
    """
    keys, hashes, count = judged.shown.keys, judged.hashes, len(judged.keys)
    if policy.verb is not Verb.UPSERT or judged.verbs is not None or judged.issues or len(keys) != count:
        return None
    if judged.versions.count(None) != count or not earlier.isdisjoint(keys):
        return None
    held = shelf.held
    if held.keys().isdisjoint(keys):
        if not shelf.twins.keys().isdisjoint(keys) or shelf.writes or shelf.deletes:
            return None
        shelf.make(Writes(keys, hashes, judged.documents))
        return bytearray([CREATED]) * count
    try:
        same = [held[key].hash for key in keys] == hashes
    except KeyError:
        return None
    return bytearray([UNCHANGED]) * count if same else None


def _merges(judged: Judged, shelf: Shelf, policy: Policy, whole: Checker | SchemaChecker) -> dict[int, Merged]:
    """Updates of what is held before the first record, merged and checked all at once."""
    verbs = judged.verbs or repeat(None)
    updates = [
        (at, was) for at, (key, verb) in enumerate(zip(judged.keys, verbs, strict=False))
        if (verb or policy.verb) is Verb.UPDATE and (was := shelf.held.get(key or "")) is not None
        and was.hash is not None and not judged.refuses(at)
    ]
    merged = _merged([(was, judged.documents[at]) for at, was in updates], whole)
    return {at: one for (at, _), one in zip(updates, merged, strict=True)}


def _merged(updates: Sequence[tuple[CurrentItem | Write, bytes]], whole: Checker | SchemaChecker) -> list[Merged]:
    documents = [merge(was.document or b"{}", patch) for was, patch in updates]
    issues = whole.check(documents).issues if documents else {}
    return [
        Merged(was, document, issues.get(at))
        for at, ((was, _), document) in enumerate(zip(updates, documents, strict=True))
    ]


def _one(judged: Judged, at: int, key: str, *, verb: Verb, shelf: Shelf, whole: Checker | SchemaChecker,
         merged: Merged | None) -> int:
    """A record whose verb or version needs a closer look."""
    version, was = judged.versions[at], shelf.held.get(key)
    exists = was is not None and was.hash is not None
    if was is not None and version is not None and was.version is not None and version < was.version:
        return SUPERSEDED
    if verb is Verb.DELETE:
        return _delete(judged, at, key, exists=exists, shelf=shelf)
    if verb is Verb.CREATE and exists:
        return _reject(judged, at, issue("key_held", "/id", value=display_key(key)))
    if verb is Verb.UPDATE and not exists:
        return _reject(judged, at, issue("key_unknown", "/id", value=display_key(key)))
    document, digest = judged.documents[at], judged.hashes[at]
    if verb is Verb.UPDATE and was is not None:
        if merged is None or merged.was is not was:  # a record before it has changed the item
            (merged,) = _merged([(was, document)], whole)
        document = merged.document
        if merged.issues:
            judged.issues[at] = merged.issues  # of the merged record, so they hold what the patch's own issues said
            if judged.refuses(at):
                return REJECTED
        digest = digest_of(document)
    kept = version if version is not None else (was.version if was is not None else None)
    if exists and was is not None and was.hash == digest and was.version == kept:
        return UNCHANGED
    if not exists and key in shelf.twins:
        _twin(judged.issues, at, key, shelf)
    shelf.held[key] = shelf.writes[key] = Write(key, digest, document, kept)
    shelf.deletes.pop(key, None)
    return UPDATED if exists else CREATED


def _delete(judged: Judged, at: int, key: str, *, exists: bool, shelf: Shelf) -> int:
    version, was = judged.versions[at], shelf.held.get(key)
    if not exists:
        judged.issues.setdefault(at, []).append(issue("key_not_held", "/id", value=display_key(key)))
        if version is None or (was is not None and was.version is not None and version <= was.version):
            return UNCHANGED
    shelf.held[key] = CurrentItem(None, version) if version is not None else CurrentItem(None, None)
    shelf.writes.pop(key, None)
    shelf.deletes[key] = Delete(key, version)
    return DELETED if exists else UNCHANGED


def _reject(judged: Judged, at: int, told: Issue) -> int:
    judged.issues.setdefault(at, []).append(told)
    return REJECTED


def tell_twice(issues: dict[int, list[Issue]], at: int, key: str, policy: Policy, *, path: str = "/id") -> None:
    """Tell of a key that was there before in this batch, be it with a record that was rejected."""
    severity: Severity = "error" if policy.duplicates is Strictness.REFUSE else "warning"
    issues.setdefault(at, []).append(issue("duplicate_in_batch", path, value=display_key(key), severity=severity))


def _twin(issues: dict[int, list[Issue]], at: int, key: str, shelf: Shelf) -> None:
    told = issue("sku_case_twin", "/id", value=display_key(key), expected=display_key(shelf.twins[key]))
    issues.setdefault(at, []).append(told)


def merge(document: bytes, patch: bytes) -> bytes:
    """A document after a JSON Merge Patch (RFC 7396); what the patch does not name stays byte for byte."""
    members = decode_members(document)
    for name, value in decode_members(patch).items():
        raw = bytes(value)
        if raw == b"null":
            members.pop(name, None)
        elif raw[:1] == b"{":
            target = bytes(members[name]) if name in members else b"{}"
            members[name] = msgspec.Raw(merge(target if target[:1] == b"{" else b"{}", raw))
        else:
            members[name] = value
    return msgspec.json.encode(members)


def find_twins(keys: Iterable[str], held_twins: dict[str, str]) -> dict[str, str]:
    """Key → another key that differs only by ASCII case, held or earlier among `keys`."""
    twins = dict(held_twins)
    first: dict[str, str] = {}
    for key in keys:
        other = first.setdefault(key.lower(), key)
        if other != key:
            twins.setdefault(key, other)
    return twins
