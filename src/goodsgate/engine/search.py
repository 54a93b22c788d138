"""Search items by their content, a part of the collection at a time.

A search examines items in the order of their keys for a limited time and returns where the next search continues. It
finds what no index has: any part of a text, or the use of a code. `item_search` searches by words.
"""

import time
from collections.abc import Callable, Iterator

import msgspec
import orjson

from goodsgate.model import fields
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item
from goodsgate.model.json_text import is_number, read_json
from goodsgate.store.contract import Store

ITEMS_AT_ONCE = 1_000
RESULTS_MAX = 50
SEARCHED_FIELDS = frozenset({"id", "gtin", "title", "mpn", "item_group_id"})
"""Fields that are searched, under any of their names and at any depth."""
DEPTH_MAX = 8

Predicate = Callable[[Item], bool]


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one search."""

    items: list[Item]
    examined: int
    """Items that were examined one by one; 0 if an index has answered."""
    next: str | None
    """Where the next search continues; None at the end of the collection."""


def search(store: Store, merchant: str, kind: Kind, collection: str, matches: Predicate, *, after: str | None = None,
           prefix: str | None = None, limit: int | None = None, seconds: float) -> SearchResult:
    """Return items after `after` that match: those found within the time, at most `limit` or else RESULTS_MAX."""
    limit = RESULTS_MAX if limit is None else limit
    ends = time.monotonic() + seconds
    found: list[Item] = []
    examined = 0
    while True:
        page = store.items(merchant, kind, collection, after=after, limit=ITEMS_AT_ONCE, prefix=prefix)
        for item in page.rows:
            examined += 1
            if matches(item):
                found.append(item)
                if len(found) == limit:
                    return SearchResult(items=found, examined=examined, next=item.key)
        after = page.next
        if after is None or time.monotonic() > ends:
            return SearchResult(items=found, examined=examined, next=after)


def contains_text(text: str, kind: Kind) -> Predicate:
    """Return a predicate for items with the text in key, GTIN, title or part number, in any case."""
    folded = text.casefold()
    plain = folded.encode() if folded.isascii() and folded.isalnum() else b""

    def matches(item: Item) -> bool:
        if folded in item.key.casefold():
            return True
        if plain and b"\\u" not in item.document and plain not in item.document.lower():
            return False
        return any(folded in value.casefold() for value in _searched_values(_decode(item.document), kind))

    return matches


def uses_code(code: str) -> Predicate:
    """Return a predicate for items that have the code as a whole value: those that use an entry of reference data."""
    folded = code.casefold()
    plain = folded.encode() if folded.isascii() and folded.isalnum() else b""

    def matches(item: Item) -> bool:
        if plain and b"\\u" not in item.document and plain not in item.document.lower():
            return False
        return any(value.casefold() == folded for value in _values(_decode(item.document)))

    return matches


def _decode(document: bytes) -> object:
    try:
        return read_json(document)
    except orjson.JSONDecodeError:
        return None


def _searched_values(node: object, kind: Kind, depth: int = 0) -> Iterator[str]:
    """Yield the texts of the searched fields."""
    if depth > DEPTH_MAX:
        return
    if isinstance(node, dict):
        for name, value in node.items():
            if fields.resolve(name, kind) in SEARCHED_FIELDS:
                yield from _values(value)
            elif isinstance(value, dict | list):
                yield from _searched_values(value, kind, depth + 1)
    elif isinstance(node, list):
        for value in node:
            yield from _searched_values(value, kind, depth + 1)


def _values(node: object, depth: int = 0) -> Iterator[str]:
    """Yield every text and number inside the node, as text."""
    if isinstance(node, str):
        yield node
    elif is_number(node):
        yield str(node)
    elif isinstance(node, dict | list) and depth <= DEPTH_MAX:
        for value in node.values() if isinstance(node, dict) else node:
            yield from _values(value, depth + 1)
