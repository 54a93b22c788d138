"""Items found by what stands in them, a stretch of the collection at a time.

No index holds every word: it would cost each write of each merchant. A search looks at items in the order of their
keys for a while, says how far it came, and goes on from there when it is asked again.
"""

import time
from collections.abc import Callable, Iterator

import msgspec
import orjson

from goodsgate.model import fields
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item
from goodsgate.store.contract import Store

ITEMS_AT_ONCE = 1_000
FOUND_MAX = 50
SOUGHT = frozenset({"id", "gtin", "title", "mpn", "item_group_id"})
"""Our fields, under any of their names and at any depth, in which words are looked for."""
DEPTH_MAX = 8

Wanted = Callable[[Item], bool]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a search has come to."""

    items: list[Item]
    looked_at: int
    next: str | None
    """Where to go on; None if everything was seen."""


def search(store: Store, merchant: str, kind: Kind, collection: str, wanted: Wanted, *, after: str | None = None,
           seconds: float) -> Found:
    """Items that are wanted, of those behind `after`: as many as are found in the time, at most FOUND_MAX."""
    ends = time.monotonic() + seconds
    found: list[Item] = []
    looked_at = 0
    while True:
        page = store.items(merchant, kind, collection, after=after, limit=ITEMS_AT_ONCE)
        for item in page.rows:
            looked_at += 1
            if wanted(item):
                found.append(item)
                if len(found) == FOUND_MAX:
                    return Found(items=found, looked_at=looked_at, next=item.key)
        after = page.next
        if after is None or time.monotonic() > ends:
            return Found(items=found, looked_at=looked_at, next=after)


def holding(text: str, kind: Kind) -> Wanted:
    """Items with the text in their key, GTIN, title or part number, whatever the case."""
    folded = text.casefold()
    plain = folded.encode() if folded.isascii() and folded.isalnum() else b""

    def wanted(item: Item) -> bool:
        if folded in item.key.casefold():
            return True
        if plain and b"\\u" not in item.document and plain not in item.document.lower():
            return False
        return any(folded in value.casefold() for value in _sought(_decoded(item.document), kind))

    return wanted


def naming(code: str) -> Wanted:
    """Items that have the code as the whole of some value: those that use an entry of reference data."""
    folded = code.casefold()
    plain = folded.encode() if folded.isascii() and folded.isalnum() else b""

    def wanted(item: Item) -> bool:
        if plain and b"\\u" not in item.document and plain not in item.document.lower():
            return False
        return any(value.casefold() == folded for value in _values(_decoded(item.document)))

    return wanted


def _decoded(document: bytes) -> object:
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError:
        return None


def _sought(node: object, kind: Kind, depth: int = 0) -> Iterator[str]:
    """Texts of the members in which words are looked for."""
    if depth > DEPTH_MAX:
        return
    if isinstance(node, dict):
        for name, value in node.items():
            if fields.resolve(name, kind) in SOUGHT:
                yield from _values(value)
            elif isinstance(value, dict | list):
                yield from _sought(value, kind, depth + 1)
    elif isinstance(node, list):
        for value in node:
            yield from _sought(value, kind, depth + 1)


def _values(node: object, depth: int = 0) -> Iterator[str]:
    """Every text and number below, as text."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield str(node)
    elif isinstance(node, dict | list) and depth <= DEPTH_MAX:
        for value in node.values() if isinstance(node, dict) else node:
            yield from _values(value, depth + 1)
