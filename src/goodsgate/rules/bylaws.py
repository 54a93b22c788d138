"""Rules that a merchant has settled for its own records, and that look at other items than the record's.

A protocol gives them beside a schema: what `read` makes of the resource in which it keeps what the merchant has
settled. They are as pure as other rules: what they may look at is named first (`asks`), and handed to them
(`Neighbours`).
"""

from collections.abc import Set
from typing import Any, Protocol

import msgspec

from goodsgate.model.catalogue import Mark, Resource
from goodsgate.model.issue import Issue

Record = dict[str, Any]


class Asked(msgspec.Struct, frozen=True):
    """What judging one record may look at."""

    keys: list[str]
    marks: list[Mark]


class Verdict(msgspec.Struct, frozen=True):
    """What the bylaws say of one record."""

    issues: list[Issue]
    marks: list[Mark]
    """All that the item is to have, beside those of its schema."""
    record: Record | None = None
    """As it is to be held; None: as it is."""


class Neighbours(Protocol):
    """What is held now, as far as it was asked for."""

    def document(self, key: str) -> Record | None:
        """Of the item under the key, if there is one."""

    def owners(self, mark: Mark) -> Set[str]:
        """Keys of the items that have it."""


class Law(Protocol):
    """The bylaws of one merchant as they are settled now."""

    def asks(self, key: str, record: Record, held: Record | None) -> Asked:
        """For a record, which may be a part of what it will be, and what is, or may be by then, held under its key."""

    def judge(self, key: str, record: Record, neighbours: Neighbours) -> Verdict:
        """A whole record, before it is held under the key."""

    def part(self, key: str, neighbours: Neighbours) -> list[Issue]:
        """Why an item may not go."""


class Bylaws(Protocol):
    """How a protocol's bylaws are read."""

    sort: str
    """Of the one resource of a merchant that holds them; what has other laws has another sort."""

    def read(self, merchant: str, settled: Resource | None) -> Law:
        """What the resource says; None: the merchant has settled nothing yet."""
