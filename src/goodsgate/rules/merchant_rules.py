"""Rules that a merchant configures for its own records and that look at other items of the catalogue.

A protocol supplies them beside a schema: it compiles them from the resource in which the merchant's configuration is
stored. Like all rules they are pure. They first name the catalogue entries they need (`inputs_for`), and the engine
looks these up and passes them in (`CatalogueLookup`).
"""

from collections.abc import Set
from typing import Any, Protocol

import msgspec

from goodsgate.model.catalogue import IndexEntry, Resource
from goodsgate.model.issue import Issue

Record = dict[str, Any]


class RuleInputs(msgspec.Struct, frozen=True):
    """Catalogue entries that the check of one record needs."""

    keys: list[str]
    index_entries: list[IndexEntry]


class RuleResult(msgspec.Struct, frozen=True):
    """Outcome of a merchant's rules for one record."""

    issues: list[Issue]
    index_entries: list[IndexEntry]
    """All index entries that the item gets, in addition to those of its schema."""
    record: Record | None = None
    """The record to store; None if the record is stored as it is."""


class CatalogueLookup(Protocol):
    """The part of the current catalogue that the rules have asked for."""

    def document(self, key: str) -> Record | None:
        """Return the item under the key, or None if there is none."""

    def owners(self, entry: IndexEntry) -> Set[str]:
        """Return the keys of the items that have the index entry."""


class CompiledRules(Protocol):
    """The rules of one merchant, compiled from its current configuration."""

    def inputs_for(self, key: str, record: Record, current: Record | None) -> RuleInputs:
        """Name what the check of a record needs.

        ``record`` may be a partial update. ``current`` is what the catalogue holds under the key now, or will hold
        when the record is checked.
        """

    def check(self, key: str, record: Record, lookup: CatalogueLookup) -> RuleResult:
        """Check a complete record before it is stored under the key."""

    def check_deletion(self, key: str, lookup: CatalogueLookup) -> list[Issue]:
        """Return the reasons why an item must not be deleted."""


class MerchantRules(Protocol):
    """Compiler of a protocol's merchant rules."""

    resource_type: str
    """Type of the single resource per merchant that holds the configuration; unique to these rules."""

    def compile(self, merchant: str, resource: Resource | None) -> CompiledRules:
        """Compile the configuration; the resource is None while the merchant has configured nothing."""
