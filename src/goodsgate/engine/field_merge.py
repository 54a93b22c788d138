"""Merge the members of a record into those of its item: group by group, and beneath the values that a person edited."""

from typing import NamedTuple

import msgspec

from goodsgate.model.catalogue import CurrentItem, Write
from goodsgate.model.field_state import (
    NO_LOCKS,
    FieldLock,
    Locks,
    lock_of,
    with_edited_values,
    with_supplied_values,
)
from goodsgate.model.issue import Issue, issue, truncate_value
from goodsgate.model.json_text import read_json
from goodsgate.model.versions import (
    GROUPS,
    KEY_FIELDS,
    group_of,
    groups_of,
    is_older,
    read_group_versions,
    write_group_versions,
)

Members = dict[str, msgspec.Raw]
decode_members = msgspec.json.Decoder(Members).decode

Versions = tuple[int | None, str | None]
"""Version and group versions of an item, as they are stored."""
NOTHING = msgspec.Raw(b"")
"""Stands for the value of a member that is absent."""
NULL = msgspec.Raw(b"null")


class Combined(NamedTuple):
    """Members and versions of an item after a record; see MergedRecord."""

    members: Members
    versions: Versions
    older_fields: list[str]
    is_superseded: bool = False
    locks: Locks = NO_LOCKS
    lock_issues: list[Issue] = []  # noqa: RUF012 - never changed


def combine(item: CurrentItem | Write, members: Members, patch: Members, version: int | None, *,
             replaces: bool) -> Combined:
    """Merge a record into the members of its item, or replace them, group by group."""
    is_stale = version is not None and item.version is not None and is_older(version, item.version)
    if not is_stale and not replaces:
        merged = merge_members(members, patch)
        if version is None and item.version is None:
            return Combined(merged, (None, None), [])
        if version is not None and item.group_versions is None and merged.keys() == patch.keys():
            return Combined(merged, (version, None), [])  # the record has every field that the item has
    before = read_group_versions(item.version, item.group_versions, held=groups_of(members))
    groups = groups_of(patch)
    covered = GROUPS if replaces else groups
    older = set[str]()
    if is_stale and version is not None:
        older = {group for group in covered if (held := before[group]) is not None and is_older(version, held)}
        if not replaces and groups <= older:
            return Combined(members, (item.version, item.group_versions), [], is_superseded=True)
    newer = {name: raw for name, raw in patch.items() if group_of(name) not in older} if older else patch
    if replaces:
        merged = {name: raw for name, raw in members.items() if name in newer or group_of(name) in older} | newer
    else:
        merged = merge_members(members, newer)
    after = before
    if version is not None:
        after = {**before, **{group: version for group in covered if group not in older}}
    left_out = {name: raw for name, raw in patch.items() if name not in newer} if older else {}
    return Combined(
        merged, write_group_versions(after, held=groups_of(merged)), _differing(members, left_out),
        is_stale and groups <= older,
    )


def _differing(members: Members, patch: Members) -> list[str]:
    """Return the names of the members that would change if a patch were merged into them."""
    if not patch:
        return []
    merged = merge_members(members, patch)
    return [name for name in patch if bytes(merged.get(name, b"")) != bytes(members.get(name, b""))]


def combine_beneath_locks(item: CurrentItem | Write, members: Members, record: Members, version: int | None, *,
                          replaces: bool) -> Combined:
    """Merge a record into what the supplier has sent of an item; the values that a person edited lie above it.

    An edited value stays as long as the record names the same value as the supplier before, or none. So a replacement
    without the field leaves it, and a record that is older leaves it.
    """
    locks = item.locks
    supplied = with_supplied_values(members, locks)
    combined = combine(item, supplied, record, version, replaces=replaces)
    remaining, issues = dict[str, FieldLock](), list[Issue]()
    for name, lock in locks.items():
        is_new = name in record and combined.members.get(name, NOTHING) != supplied.get(name, NOTHING)
        if not is_new:
            remaining[name] = lock
        edited = members.get(name, NOTHING)
        if name in record and name not in combined.older_fields and combined.members.get(name, NOTHING) != edited:
            code = "edit_replaced" if is_new else "field_kept"
            path = f"/{name.replace('~', '~0').replace('/', '~1')}"
            issues.append(issue(
                code, path, value=_text_of(record[name]), expected=truncate_value(_text_of(edited))
            ))
    merged = with_edited_values(combined.members, members, remaining)
    return combined._replace(members=merged, locks=remaining, lock_issues=issues)


def edit_fields(item: CurrentItem | Write, members: Members, record: Members, *, unlocks: bool) -> Combined:
    """Merge the edit of a person and lock its fields, or give the fields back the values of the supplier.

    An edit is compared with no version, and changes none. A field that has the value of the supplier needs no lock. A
    record without a field unlocks all fields.
    """
    locks = item.locks
    supplied = with_supplied_values(members, locks)
    fields = record.keys() - KEY_FIELDS
    if unlocks:
        remaining = {name: lock for name, lock in locks.items() if fields and name not in fields}
        edited = with_edited_values(supplied, members, remaining)
    else:
        edited = merge_members(members, record)
        remaining = {**locks, **{name: lock_of(supplied.get(name)) for name in fields}}
        remaining = {
            name: lock for name, lock in remaining.items()
            if edited.get(name, NOTHING) != supplied.get(name, NOTHING)
        }
    return Combined(edited, (item.version, item.group_versions), [], locks=remaining)


def _text_of(value: msgspec.Raw) -> str:
    """Return a value as an issue shows it."""
    if value in (NOTHING, NULL):
        return "no value"
    decoded: object = read_json(bytes(value))
    return decoded if isinstance(decoded, str) else bytes(value).decode()


def merge(document: bytes, patch: bytes) -> bytes:
    """Return a document after a JSON Merge Patch (RFC 7396); members that the patch does not name stay as they are."""
    return msgspec.json.encode(merge_members(decode_members(document), decode_members(patch)))


def merge_members(document: Members, patch: Members) -> Members:
    """Return the members of a document after a JSON Merge Patch."""
    members = document.copy()
    for name, value in patch.items():
        raw = bytes(value)
        if raw == b"null":
            members.pop(name, None)
        elif raw[:1] == b"{":
            target = bytes(members[name]) if name in members else b"{}"
            members[name] = msgspec.Raw(merge(target if target[:1] == b"{" else b"{}", raw))
        else:
            members[name] = value
    return members
