"""The protocol of the contract for the search of items, and the values that it takes."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item
from goodsgate.store.contract.values import Page


class SearchTerm(NamedTuple):
    """A term that an item must have; see `ItemTerms`."""

    text: str
    is_prefix: bool
    """Whether a term that begins with the text is enough."""


class ItemSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched for; an item matches if it meets all of it."""

    start: str | None = None
    """The key begins so, ignoring ASCII case, or the item has `words`; None if neither is searched for."""
    words: Sequence[Sequence[SearchTerm]] = ()
    """For each element, the item has one of its terms."""
    terms: Sequence[Sequence[SearchTerm]] = ()
    """The same, whatever the key."""
    prefix: str | None = None
    """Beginning of the key; case-sensitive."""
    batch: str | None = None
    """The batch that last wrote the item."""
    since: datetime | None = None
    """The item was last written then or later."""


ItemTerms = Callable[[Kind, Sequence[str], Sequence[bytes]], list[str]]
"""Returns, for items of a kind with their keys and documents, the terms by which each is found.

These are distinct texts of letters, digits and ``¦`` without upper case, sorted, with a space between.
"""

SEARCH_MATCHES_MAX = 10_000
"""So many items the search index finds and puts in order; of more it finds none."""


class SearchStore(Protocol):
    """The search index of items, if the store has one: it was opened with a function that gives the terms of items.

    A commit updates it in the transaction of the items. Commits of a process that has it off leave a gap.
    """

    def search_items(self, merchant: str, kind: Kind, collection: str, search: ItemSearch, *, after: str | None = None,
                     limit: int = 100) -> Page[Item] | None:
        """Return items that match, in the order of `items`; None if the index cannot tell which.

        It cannot if it is off or does not have all items of the collection, if more than SEARCH_MATCHES_MAX match, or
        if nothing but a prefix is searched for.
        """

    def fill_search(self, *, limit: int) -> bool:
        """Look at up to `limit` items of one collection and add those that the index lacks.

        Returns False if there is nothing more to do now: the index is off or lacks nothing, or commits are in the way.
        """
