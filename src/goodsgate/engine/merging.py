"""Documents of a schema merged and cut; whatever is not named stays byte for byte."""

import msgspec
import orjson

from goodsgate.rules import RecordMapping
from goodsgate.rules.record_mapping import ListRule

Members = dict[str, msgspec.Raw]
decode_members = msgspec.json.Decoder(Members).decode
decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
encode = msgspec.json.encode


def plain(document: bytes) -> dict[str, object]:
    """The document, decoded."""
    found = orjson.loads(document)
    return found if isinstance(found, dict) else {}


def merge_mapped(document: bytes, patch: bytes, mapping: RecordMapping) -> bytes:
    """A document after an update: named members replace, null removes, and what the schema merges is merged."""
    members = decode_members(document)
    for name, value in decode_members(patch).items():
        raw = bytes(value)
        if raw == b"null":
            members.pop(name, None)
        elif name in mapping.merge and raw[:1] == b"{" and bytes(members.get(name, b""))[:1] == b"{":
            members[name] = msgspec.Raw(_overlaid(bytes(members[name]), raw))
        elif name in mapping.lists and raw[:1] == b"[" and bytes(members.get(name, b""))[:1] == b"[":
            members[name] = msgspec.Raw(_merged_list(bytes(members[name]), raw, mapping.lists[name]))
        else:
            members[name] = value
    return encode(members)


def without_entries(document: bytes, named: msgspec.Raw, member: str, entries: ListRule,
                    ) -> tuple[bytes | None, list[tuple[str, str]]]:
    """The document without the named entries of a list, None if none is left; and what was named and is not there."""
    members = decode_members(document)
    held = decode_list(members.get(member, msgspec.Raw(b"[]")))
    plains = [_plain(entry) for entry in held]
    gone: set[int] = set()
    unknown: list[tuple[str, str]] = []
    for at, wanted in enumerate(_list(named)):
        name = entries.id_of(wanted)
        places = [place for place, entry in enumerate(plains) if name and _is(entry, name)]
        if not places:
            unknown.append((f"/{member}/{at}" + (f"/{name[0]}" if name else ""), name[1] if name else ""))
        gone.update(places)
    left = [entry for place, entry in enumerate(held) if place not in gone]
    if not left:
        return None, unknown
    members[member] = msgspec.Raw(encode(left))
    return encode(members), unknown


def _plain(raw: msgspec.Raw) -> object:
    return orjson.loads(bytes(raw))


def _list(raw: msgspec.Raw) -> list[object]:
    found = _plain(raw)
    return found if isinstance(found, list) else []


def _is(entry: object, name: tuple[str, str]) -> bool:
    return isinstance(entry, dict) and str(entry.get(name[0])) == name[1]


def _overlaid(held: bytes, patch: bytes) -> bytes:
    """An object with the members of another in place of its own; null removes."""
    members = decode_members(held)
    for name, value in decode_members(patch).items():
        if bytes(value) == b"null":
            members.pop(name, None)
        else:
            members[name] = value
    return encode(members)


def _merged_list(held: bytes, patch: bytes, entries: ListRule) -> bytes:
    """Entries that are known are overlaid, others added behind them."""
    merged = decode_list(held)
    plains = [_plain(entry) for entry in merged]
    for entry in decode_list(patch):
        name = entries.id_of(_plain(entry))
        place = next((at for at, known in enumerate(plains) if name and _is(known, name)), None)
        if place is None:
            merged.append(entry)
            plains.append(_plain(entry))
        else:
            merged[place] = msgspec.Raw(_overlaid(bytes(merged[place]), bytes(entry)))
    return encode(merged)
