"""Members of records, in the two forms that a record has: decoded JSON, and a struct of a schema's types."""

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple

import msgspec

Read = Callable[[Any], Any]
"""A member of an object; None if it is absent."""


@lru_cache(4096)
def attribute_of(member: str) -> str:
    """The attribute of a typed record that is a member: members may have any name, attributes may not."""
    return f"m{member.encode().hex()}"


class Typed(msgspec.Struct, gc=False):
    """An object of a schema, decoded into its types."""

    def get(self, member: str) -> Any:
        """As of decoded JSON; None also for a member that the schema does not name."""
        return getattr(self, attribute_of(member), None)


class Form(NamedTuple):
    """How the members of one form are read."""

    read: Callable[[str], Read]
    """For a member's name."""
    made: type[Any]
    """What objects are."""


PLAIN = Form(lambda member: methodcaller("get", member), dict)
TYPED = Form(lambda member: attrgetter(attribute_of(member)), Typed)
"""Only for members that the schema names."""
