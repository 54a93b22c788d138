"""What is stored of the fields of an item beside its document: versions of groups, and locks of edited fields.

A person edits a field: the item has the edited value, and its lock remembers the value of the supplier. Both are in one
text that nearly all items do without. Without locks it is that of `versions.write_group_versions`.
"""

from collections.abc import Mapping

import msgspec

Members = Mapping[str, msgspec.Raw]
"""Members of a document, with their values as they are stored."""


class FieldLock(msgspec.Struct, frozen=True, omit_defaults=True):
    """Lock of a field that a person has edited."""

    supplied: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """Value that the supplier has sent last; unset if there was none."""


Locks = Mapping[str, FieldLock]
"""Name of a field → its lock."""
NO_LOCKS: Locks = {}


class _FieldState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Field state of an item with locks; `locks` comes first, which tells it from mere group versions."""

    locks: dict[str, FieldLock]
    versions: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_BEGIN = '{"locks":'
_decode = msgspec.json.Decoder(_FieldState).decode


def locks_in(state: str | None) -> Locks:
    """Return the locks of a field state."""
    return _decode(state).locks if state is not None and state.startswith(_BEGIN) else NO_LOCKS


def group_versions_in(state: str | None) -> str | None:
    """Return the group versions of a field state, as `versions.read_group_versions` takes them."""
    if state is None or not state.startswith(_BEGIN):
        return state
    versions = _decode(state).versions
    return bytes(versions).decode() if versions is not msgspec.UNSET else None


def field_state(group_versions: str | None, locks: Locks) -> str | None:
    """Return group versions and locks as they are stored; None if there are neither."""
    if not locks:
        return group_versions
    versions = msgspec.Raw(group_versions.encode()) if group_versions is not None else msgspec.UNSET
    return msgspec.json.encode(_FieldState(dict(sorted(locks.items())), versions)).decode()


def lock_bytes(locks: Locks) -> bytes:
    """Return the locks as bytes, which are the same for the same locks; empty without locks."""
    return (field_state(None, locks) or "").encode()


def lock_of(value: msgspec.Raw | None) -> FieldLock:
    """Return the lock of a field of which the supplier has sent this value; None if there was none."""
    return FieldLock(value if value is not None else msgspec.UNSET)


def with_supplied_values(members: Members, locks: Locks) -> dict[str, msgspec.Raw]:
    """Return the members as the supplier has sent them: without what was edited."""
    supplied = dict(members)
    for name, lock in locks.items():
        if lock.supplied is msgspec.UNSET:
            supplied.pop(name, None)
        else:
            supplied[name] = lock.supplied
    return supplied


def with_edited_values(members: Members, edited: Members, locks: Locks) -> dict[str, msgspec.Raw]:
    """Return the members with the values that the locked fields have among the edited members."""
    result = dict(members)
    for name in locks:
        if name in edited:
            result[name] = edited[name]
        else:
            result.pop(name, None)
    return result
