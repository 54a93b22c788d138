"""Versions of records: numbers that a submitter counts, and times of observation, in one integer.

A number is stored as it is, from 0; a time as microseconds since 1970, moved far below 0. So the two never look alike,
and the versions of one kind are compared as integers.

A product gets its title from one system and its price from another, at different times. So fields are in groups, each
with a version of its own. Nearly all items have one version for all their groups.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TIME_OFFSET = 2**62
"""More than the microseconds from 1970 to the year 9999; a time less this fits into 64 bits."""


def time_version(at: datetime) -> int:
    """Return the version of a record that was observed at a time."""
    return (at - EPOCH) // MICROSECOND - TIME_OFFSET


def is_time(version: int) -> bool:
    """Return whether a version is a time of observation."""
    return version < 0


def is_older(version: int, other: int) -> bool:
    """Return whether a version is older than another one of its kind; versions of two kinds have no order."""
    return version < other and is_time(version) == is_time(other)


def plain_version(version: int) -> int:
    """Return the number of a version, or its time in microseconds since 1970."""
    return version + TIME_OFFSET if is_time(version) else version


def version_text(version: int) -> str:
    """Return a version as a record gives it: a number, or a time as RFC 3339 writes it."""
    if not is_time(version):
        return str(version)
    try:
        at = EPOCH + plain_version(version) * MICROSECOND
    except OverflowError:  # in UTC it is before year 1 or after year 9999
        return str(plain_version(version))
    return at.isoformat().replace("+00:00", "Z")


# -- versions of groups of fields -------------------------------------------------------------------------------------

CONTENT = "content"
FIELD_GROUPS: dict[str, frozenset[str]] = {
    "price": frozenset({
        "price", "sale_price", "sale_price_effective_date", "currency", "prices", "cost_of_goods_sold",
        "maximum_retail_price", "auto_pricing_min_price", "installment", "subscription_cost", "loyalty_program",
    }),
    "availability": frozenset({"availability", "availability_date", "expiration_date", "quantity"}),
}
"""Groups of fields with versions of their own: other systems submit them. All other fields are `CONTENT`."""
GROUPS = (*FIELD_GROUPS, CONTENT)
KEY_FIELDS = frozenset({"id", "location"})
"""Fields that are in no group: they say which item it is."""

GroupVersions = dict[str, int | None]
"""Group → version, of every group; None if it has none."""
EVERY_GROUP = "{}"
"""Stored group versions of an item of which every group has the item's version, also those without a field."""

_GROUP_OF = {name: group for group, names in FIELD_GROUPS.items() for name in names}
_IN_NO_OTHER_GROUP = KEY_FIELDS.union(*FIELD_GROUPS.values())


def group_of(name: str) -> str | None:
    """Return the group of a field; None for a field of the key."""
    return None if name in KEY_FIELDS else _GROUP_OF.get(name, CONTENT)


def groups_of(names: Collection[str]) -> set[str]:
    """Return the groups of the members of a record, be they fields or not."""
    groups = {group for group, fields in FIELD_GROUPS.items() if not fields.isdisjoint(names)}
    if any(name not in _IN_NO_OTHER_GROUP for name in names):
        groups.add(CONTENT)
    return groups


def read_group_versions(version: int | None, stored: str | None, *, held: Collection[str]) -> GroupVersions:
    """Return the versions of the groups of an item.

    `version` is the newest of them. Without `stored` it is that of each group of which the item has a field (`held`),
    and the others have none. With `stored` it is that of each group that the JSON object does not have as a member.
    """
    if stored is None:
        return {group: version if group in held else None for group in GROUPS}
    differing = msgspec.json.decode(stored, type=GroupVersions)
    return {group: differing.get(group, version) for group in GROUPS}


def plain_group_versions(version: int | None, stored: str | None) -> GroupVersions | None:
    """Return the plain versions of the groups of an item; None if they do not differ."""
    if stored in (None, EVERY_GROUP):
        return None
    versions = read_group_versions(version, stored, held=())
    return {group: plain_version(each) if each is not None else None for group, each in versions.items()}


def write_group_versions(versions: GroupVersions, *, held: Collection[str]) -> tuple[int | None, str | None]:
    """Return version and group versions as they are stored; see `read_group_versions`."""
    newest = max((version for version in versions.values() if version is not None), default=None)
    if all(versions[group] == (newest if group in held else None) for group in GROUPS):
        return newest, None
    differing = {group: version for group, version in versions.items() if version != newest}
    return newest, msgspec.json.encode(differing).decode()
