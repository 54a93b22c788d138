"""What the shop holds, who submits to it, and what rules look up."""

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import repeat
from typing import Annotated, overload

import msgspec
from msgspec import Meta

from goodsgate.model.batch import Kind

MerchantId = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}\Z")]
OneLine = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
"""What people call a merchant or a key: one line."""

KEY_SEPARATOR = "\x1f"
"""Between SKU and location in the key of a price or stock item; SKUs hold no control characters."""


def item_key(sku: str, location: str | None = None, /) -> str:
    """One text under which an item is held: the SKU, or SKU and location of a price or stock."""
    return f"{sku}{KEY_SEPARATOR}{location}" if location else sku


def split_key(key: str, /) -> tuple[str, str | None]:
    """SKU and location of a key."""
    sku, _, location = key.partition(KEY_SEPARATOR)
    return sku, location or None


def display_key(key: str | None, /) -> str | None:
    """The key as people and answers see it: ``sku`` or ``sku@location``."""
    return key.replace(KEY_SEPARATOR, "@") if key else key


IndexEntry = tuple[str, str]
"""A name and a value by which items of a collection can be found: ``("slug", "trail-runner")``."""


class CurrentItem(msgspec.Struct, frozen=True):
    """What apply must know of an item that is held."""

    hash: bytes | None
    """16 bytes of the document's hash; None for a tombstone, the trace of a versioned delete."""
    version: int | None
    document: bytes | None = None
    """Filled in only where the documents were asked for."""
    index_entries: tuple[IndexEntry, ...] = ()
    """Likewise; in order."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the catalogue."""

    kind: Kind
    collection: str
    key: str
    document: bytes
    """JSON, our field names, unknown members byte for byte as they came."""
    version: int | None
    batch: str
    """The batch that last wrote it."""
    written_at: datetime
    index_entries: tuple[IndexEntry, ...] = ()
    """Filled in only where one item was asked for."""


class Write(msgspec.Struct, frozen=True):
    """An item as it is to be held from now on."""

    key: str
    hash: bytes
    document: bytes
    version: int | None
    index_entries: tuple[IndexEntry, ...] = ()
    """All that the item has from now on."""


class Writes(Sequence[Write]):
    """Items as they are to be held from now on, each under a key of its own, without versions and marks: column by
    column, so that thousands come and go without an object for each."""

    def __init__(self, keys: Sequence[str], hashes: Sequence[bytes], documents: Sequence[bytes]) -> None:
        """As many of each."""
        self.keys = keys
        self.hashes = hashes
        self.documents = documents

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Write]:
        return map(Write, self.keys, self.hashes, self.documents, repeat(None))

    @overload
    def __getitem__(self, at: int) -> Write: ...

    @overload
    def __getitem__(self, at: slice) -> "Writes": ...

    def __getitem__(self, at: int | slice) -> "Write | Writes":
        if isinstance(at, slice):
            return Writes(self.keys[at], self.hashes[at], self.documents[at])
        return Write(self.keys[at], self.hashes[at], self.documents[at], None)

    def in_order(self) -> "Writes":
        """The same in the order of their keys."""
        ordered = sorted(self.keys)
        if ordered == self.keys:
            return self
        places = sorted(range(len(self)), key=self.keys.__getitem__)
        return Writes(ordered, [self.hashes[at] for at in places], [self.documents[at] for at in places])


class Delete(msgspec.Struct, frozen=True):
    """An item not to be held any more; with a version it leaves a tombstone that refuses older writes."""

    key: str
    version: int | None


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """Who submits."""

    id: str
    """1 to 64 of ``a-z 0-9 - _``, chosen by the operator."""
    name: str
    created_at: datetime


class Scope(StrEnum):
    """What a key may do. ``admin`` includes the others and may act for every merchant."""

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A credential; only the SHA-256 of its secret is kept."""

    id: str
    """Public part, shown in lists; the secret is ``gg_<id>_<random>``."""
    digest: bytes
    merchant: str
    scopes: frozenset[Scope]
    label: str = ""
    created_at: datetime
    revoked_at: datetime | None = None
    settings: dict[str, str] = {}
    """Settings that a protocol reads, such as ``location``; the engine reads none."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that stands for a key for a time; only its SHA-256 is kept."""

    digest: bytes
    merchant: str
    key: str
    """Id of the key."""
    created_at: datetime
    expires_at: datetime


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that only one protocol has, such as a stream."""

    merchant: str
    type: str
    """The protocol's own: ``protocol/word``."""
    number: int
    """Counted by merchant and sort from 1; never given twice."""
    version: int
    """Grows with each change, from 1."""
    name: str
    """Unique in its sort while it is held."""
    body: bytes
    """JSON that only the protocol reads."""
    expires_at: datetime | None = None
    """When it is forgotten; until then its name stays taken. None: never."""


Label = tuple[str, int]
"""A word under which a resource is listed, and its place there: ``("CREATED/BLR-01", microseconds)``."""


class ReferenceEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of reference data."""

    code: str
    """Unique inside its kind: the brand's name, the category's path or id, ``category/attribute``, the HS code …"""
    name: str = ""
    parent: str | None = None
    data: dict[str, object] = {}
    """Kind's own: an attribute's ``type``, ``required``, ``allowed``, ``unit``, ``minimum``, ``maximum``."""

    @property
    def number(self) -> int:
        """A number by which other systems may know it: the code, if it is one, else one made from the code."""
        if self.code.isascii() and self.code.isdigit() and len(self.code) <= 15:
            return int(self.code)
        return zlib.crc32(self.code.encode()) + 10**10


REFERENCE_KINDS = ("brand", "category", "attribute", "location", "tax_rule", "hs_code", "department", "template")
"""Kinds a merchant loads. Currency, country and unit come from libraries and are read-only."""
