"""Access to the members of a record in its two representations: decoded JSON, and a Struct of a schema's types."""

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple

import msgspec

Getter = Callable[[Any], Any]
"""Returns a member of an object; None if it is absent."""


@lru_cache(4096)
def attribute_of(member: str) -> str:
    """Return the attribute name of a member: members may have any name, attributes may not."""
    return f"m{member.encode().hex()}"


class TypedRecord(msgspec.Struct, gc=False):
    """An object of a schema, decoded into the schema's types."""

    def get(self, member: str) -> Any:
        """Return a member as in decoded JSON; None also for a member that the schema does not name."""
        return getattr(self, attribute_of(member), None)


class MemberAccess(NamedTuple):
    """How the members of one representation are read."""

    getter: Callable[[str], Getter]
    """Makes the getter of a member by its name."""
    object_type: type[Any]
    """Type of the objects."""


JSON_MEMBERS = MemberAccess(lambda member: methodcaller("get", member), dict)
TYPED_MEMBERS = MemberAccess(lambda member: attrgetter(attribute_of(member)), TypedRecord)
"""Only for members that the schema names."""


def members_of(record: object) -> MemberAccess:
    """Return the access that fits a record."""
    return TYPED_MEMBERS if isinstance(record, TypedRecord) else JSON_MEMBERS
