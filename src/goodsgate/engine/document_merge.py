"""Merge and cut documents of a schema; whatever is not named stays byte for byte."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import read_json, write_json
from goodsgate.rules import RecordMapping
from goodsgate.rules.record_mapping import ListRule

Members = dict[str, msgspec.Raw]
decode_members = msgspec.json.Decoder(Members).decode
decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
encode = write_json


def decode(document: bytes) -> dict[str, object]:
    """Return the decoded document; empty if it is no object."""
    found = read_json(document)
    return found if isinstance(found, dict) else {}


def merge_mapped(document: bytes, patch: bytes, mapping: RecordMapping) -> bytes:
    """Return a document after an update: named members replace, null removes, and what the schema merges is merged."""
    members = decode_members(document)
    for name, value in decode_members(patch).items():
        raw = bytes(value)
        if raw == b"null":
            members.pop(name, None)
        elif name in mapping.references and name in mapping.immutable and name in members:
            continue  # the same entry, perhaps named in another way
        elif name in mapping.merge and raw[:1] == b"{" and bytes(members.get(name, b""))[:1] == b"{":
            members[name] = msgspec.Raw(_merge_object(bytes(members[name]), raw))
        elif name in mapping.lists and raw[:1] == b"[" and bytes(members.get(name, b""))[:1] == b"[":
            members[name] = msgspec.Raw(_merge_list(bytes(members[name]), raw, mapping.lists[name]))
        else:
            members[name] = value
    return encode(members)


def sent_places(document: bytes, patch: bytes, member: str, rule: ListRule) -> dict[int, int]:
    """Return where the entries of a merged list are in the list of the patch; entries that it does not have are absent.
    """
    merged, sent = decode(document).get(member), decode(patch).get(member)
    if not isinstance(merged, list) or not isinstance(sent, list):
        return {}
    entries = _EntryIndex(merged)
    places: dict[int, int] = {}
    for place, entry in enumerate(sent):
        matches = entries.places(rule.id_of(entry)) or [at for at, each in enumerate(merged) if each == entry]
        places.update(dict.fromkeys(matches[:1], place))
    return places


def remove_entries(document: bytes, named: msgspec.Raw, member: str, rule: ListRule,
                   ) -> tuple[bytes | None, list[Issue]]:
    """Return a document without the named entries of a list, and an issue for each name that is not certain.

    An entry is not certain if the document does not have it, if several have its id, or if its ids contradict each
    other. The document is None if no entry is left.
    """
    members = decode_members(document)
    raws = decode_list(members.get(member, msgspec.Raw(b"[]")))
    entries = _EntryIndex(read_json(bytes(raw)) for raw in raws)
    removed: set[int] = set()
    issues: list[Issue] = []
    wanted = read_json(bytes(named))
    for at, each in enumerate(wanted if isinstance(wanted, list) else []):
        entry_id = rule.id_of(each)
        name, value = entry_id or ("", "")
        matches = entries.places(entry_id)
        if not matches:
            issues.append(issue("entry_unknown", f"/{member}/{at}" + (f"/{name}" if name else ""), value=value))
        elif len(matches) > 1:
            issues.append(issue("item_ambiguous", f"/{member}/{at}/{name}", value=value))
        else:
            issues += _contradictions(each, entries.at(matches[0]), rule, f"/{member}/{at}")
        removed.update(matches)
    left = [raw for index, raw in enumerate(raws) if index not in removed]
    if not left:
        return None, issues
    members[member] = msgspec.Raw(encode(left))
    return encode(members), issues


def _contradictions(named: Mapping[str, object], entry: Mapping[str, object], rule: ListRule, path: str) -> list[Issue]:
    """Return an issue for each identifying member that differs from the entry's."""
    return [
        issue("field_fixed", f"{path}/{name}", value=named[name], expected=str(entry.get(name, "")))
        for name in rule.id if named.get(name) not in (None, "", entry.get(name))
        and str(named[name]) != str(entry.get(name))
    ]


class _EntryIndex:
    """Entries of a list by their ids, which may stand in any member; each member is indexed once."""

    def __init__(self, entries: Iterable[object]) -> None:
        self._entries = [*entries]
        self._places: dict[str, dict[str, list[int]]] = {}

    def places(self, entry_id: tuple[str, str] | None) -> Sequence[int]:
        """Return where the entries with this id (member and value) are."""
        if not entry_id:
            return ()
        name, value = entry_id
        if name not in self._places:
            self._places[name] = {}
            for place, entry in enumerate(self._entries):
                self._add(name, entry, place)
        return self._places[name].get(value, ())

    def at(self, place: int) -> Mapping[str, object]:
        """Return an entry that has an id."""
        entry = self._entries[place]
        assert isinstance(entry, dict)
        return entry

    def append(self, entry: object) -> None:
        """Add an entry."""
        for name in self._places:
            self._add(name, entry, len(self._entries))
        self._entries.append(entry)

    def _add(self, name: str, entry: object, place: int) -> None:
        if isinstance(entry, dict):
            self._places[name].setdefault(str(entry.get(name)), []).append(place)


def _merge_object(current: bytes, patch: bytes) -> bytes:
    """Return an object with the members of the patch in place of its own; null removes."""
    members = decode_members(current)
    for name, value in decode_members(patch).items():
        if bytes(value) == b"null":
            members.pop(name, None)
        else:
            members[name] = value
    return encode(members)


def _merge_list(current: bytes, patch: bytes, rule: ListRule) -> bytes:
    """Return a list in which entries with a known id are merged and others are appended."""
    raws = decode_list(current)
    entries = _EntryIndex(read_json(bytes(raw)) for raw in raws)
    for raw in decode_list(patch):
        entry = read_json(bytes(raw))
        places = entries.places(rule.id_of(entry))
        if not places:
            raws.append(raw)
            entries.append(entry)
        else:
            match = places[0]
            raws[match] = msgspec.Raw(_merge_object(bytes(raws[match]), bytes(raw)))
    return encode(raws)
