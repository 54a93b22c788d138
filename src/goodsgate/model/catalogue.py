"""The catalogue, merchants and their keys, resources of protocols, and reference data."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from enum import StrEnum
from itertools import repeat
from typing import Annotated, overload

import msgspec
import xxhash
from msgspec import Meta

from goodsgate.model.batch import Kind
from goodsgate.model.field_state import Locks, group_versions_in, lock_bytes, locks_in

MerchantId = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}\Z")]
OneLine = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
"""The display name of a merchant or key: one line."""

KEY_SEPARATOR = "\x1f"
"""Separates SKU and location in the key of a price or stock item; SKUs contain no control characters."""


def item_key(sku: str, location: str | None = None, /) -> str:
    """Return the text under which an item is stored: the SKU, or SKU and location of a price or stock."""
    return f"{sku}{KEY_SEPARATOR}{location}" if location else sku


def split_key(key: str, /) -> tuple[str, str | None]:
    """Return SKU and location of a key."""
    sku, _, location = key.partition(KEY_SEPARATOR)
    return sku, location or None


def display_key(key: str | None, /) -> str | None:
    """Return the key as people and responses show it: ``sku`` or ``sku@location``."""
    return key.replace(KEY_SEPARATOR, "@") if key else key


digest_of: Callable[[bytes], bytes] = xxhash.xxh3_128_digest
"""16 bytes by which a document is recognized as the current one; no defence against a merchant who forges its own."""


def item_digest(document: bytes, locks: Locks) -> bytes:
    """Return the hash of an item; with locks it is that of no record, so that every record looks at the locks."""
    return digest_of(document + lock_bytes(locks)) if locks else digest_of(document)


IndexEntry = tuple[str, str]
"""A name and a value by which items of a collection can be found: ``("slug", "trail-runner")``."""


class CurrentItem(msgspec.Struct, frozen=True):
    """What `apply` needs to know about a stored item."""

    hash: bytes | None
    """16 bytes of the document's hash; None for the tombstone of a versioned delete."""
    version: int | None
    """See `versions`."""
    document: bytes | None = None
    """Set only if documents were requested."""
    field_state: str | None = None
    """See `model.field_state`; None for nearly all items."""
    index_entries: tuple[IndexEntry, ...] = ()
    """Set only if documents were requested; sorted."""

    @property
    def group_versions(self) -> str | None:
        """See `versions.read_group_versions`."""
        return group_versions_in(self.field_state)

    @property
    def locks(self) -> Locks:
        """Locks of the fields that a person has edited."""
        return locks_in(self.field_state)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the catalogue."""

    kind: Kind
    collection: str
    key: str
    document: bytes
    """JSON with Goodsgate's field names; unknown members byte for byte as received."""
    version: int | None
    field_state: str | None = None
    """See `model.field_state`."""
    batch: str
    """The batch that last wrote it."""
    written_at: datetime
    index_entries: tuple[IndexEntry, ...] = ()
    """Set only if a single item was requested."""

    @property
    def group_versions(self) -> str | None:
        """See `versions.read_group_versions`."""
        return group_versions_in(self.field_state)

    @property
    def locks(self) -> Locks:
        """Locks of the fields that a person has edited."""
        return locks_in(self.field_state)


class Write(msgspec.Struct, frozen=True):
    """An item to write."""

    key: str
    hash: bytes
    document: bytes
    version: int | None
    index_entries: tuple[IndexEntry, ...] = ()
    """All index entries of the item after the write."""
    field_state: str | None = None
    """See `model.field_state`; group versions only with a version."""

    @property
    def group_versions(self) -> str | None:
        """See `versions.read_group_versions`."""
        return group_versions_in(self.field_state)

    @property
    def locks(self) -> Locks:
        """Locks of the fields that a person has edited."""
        return locks_in(self.field_state)


class Writes(Sequence[Write]):
    """Items to write, each with its own key, without versions and index entries.

    They are stored column by column, so that thousands need no object each.
    """

    def __init__(self, keys: Sequence[str], hashes: Sequence[bytes], documents: Sequence[bytes], *,
                 has_groups: bool = True, has_variants: bool = True) -> None:
        """Take as many keys as hashes and documents, and whether any of these may have a group or variants."""
        self.keys = keys
        self.hashes = hashes
        self.documents = documents
        self.has_groups = has_groups
        self.has_variants = has_variants

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
        """Return the writes in the order of their keys."""
        ordered = sorted(self.keys)
        if ordered == self.keys:
            return self
        places = sorted(range(len(self)), key=self.keys.__getitem__)
        return Writes(ordered, [self.hashes[at] for at in places], [self.documents[at] for at in places])


class Delete(msgspec.Struct, frozen=True):
    """An item to delete; with a version it leaves a tombstone that refuses older writes."""

    key: str
    version: int | None


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant: who submits; every row in the store belongs to exactly one."""

    id: str
    """1 to 64 of ``a-z 0-9 - _``, chosen by the operator."""
    name: str
    created_at: datetime


class Scope(StrEnum):
    """What a key has; `model.permissions` says what each permits."""

    SUBMIT = "submit"
    READ = "read"
    AUDIT = "audit"
    CLERK = "clerk"
    INTEGRATOR = "integrator"
    ADMIN = "admin"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A credential; only the SHA-256 of its secret is stored."""

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
    expires_at: datetime | None = None
    """From then on it is refused; None: never."""
    previous_digest: bytes | None = None
    """Of the secret that the present one replaced."""
    previous_until: datetime | None = None
    """Until then the replaced secret works, too."""
    used_on: date | None = None
    """The last day, in UTC, on which it was used; None: never."""

    def is_valid(self, at: datetime, *, digest: bytes | None = None) -> bool:
        """Return whether the key works at a time, with the secret that has the digest."""
        if self.revoked_at is not None or (self.expires_at is not None and self.expires_at <= at):
            return False
        if digest is None or digest == self.digest:
            return True
        return digest == self.previous_digest and self.previous_until is not None and self.previous_until > at


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that stands for a key for a limited time; only its SHA-256 is stored."""

    digest: bytes
    merchant: str
    key: str
    """Id of the key."""
    created_at: datetime
    expires_at: datetime


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Data that only one protocol has, such as a stream."""

    merchant: str
    type: str
    """The type that the protocol gives it: ``protocol/word``."""
    number: int
    """Counted from 1 for each merchant and type; never reused."""
    version: int
    """Starts at 1 and grows with each change."""
    name: str
    """Unique within its type while the resource exists."""
    body: bytes
    """JSON that only the protocol reads."""
    expires_at: datetime | None = None
    """When it is deleted; until then its name stays reserved. None: never."""


Label = tuple[str, int]
"""A word under which a resource is listed, and its position there: ``("CREATED/BLR-01", microseconds)``."""


class ReferenceEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of reference data."""

    code: str
    """Unique within its kind: the brand's name, the category's path or id, ``category/attribute``, the HS code …"""
    name: str = ""
    parent: str | None = None
    data: dict[str, object] = {}
    """Members of the kind: an attribute's ``type``, ``required``, ``allowed``, ``unit``, ``minimum``, ``maximum``."""

    @property
    def number(self) -> int:
        """A number for other systems: the code if it is a number, otherwise derived from the code."""
        if self.code.isascii() and self.code.isdigit() and len(self.code) <= 15:
            return int(self.code)
        return zlib.crc32(self.code.encode()) + 10**10


REFERENCE_KINDS = ("brand", "category", "attribute", "location", "tax_rule", "hs_code", "department", "template")
"""Kinds that a merchant loads. Currency, country and unit come from libraries and are read-only."""
