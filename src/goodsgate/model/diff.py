"""The diff of a dry run: the changes that the batch would make, one by one and in numbers."""

import math
import re
from collections.abc import Iterable
from itertools import chain

import msgspec

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import CurrentItem
from goodsgate.model.fields import FIELDS
from goodsgate.model.journal import ChangeOperation, ItemContent

FIELDS_MAX = 200
"""Fields that are counted by name; those that come later are counted together under OTHER_FIELDS."""
OTHER_FIELDS = "…"
BUCKETS_PER_E = 200
"""Ratios are counted in buckets of half a percent, so that a median of any number of changes takes little room."""
BUCKET_MAX = 14 * BUCKETS_PER_E
"""Changes by more than a factor of a million are counted with those."""
MEASURED = {
    kind: frozenset(field.name for field in fields.values() if field.type in ("money", "whole"))
    for kind, fields in FIELDS.items()
}
"""Fields whose values rise and fall, by kind."""

PRICES = frozenset({"price", "sale_price", "price_effective", "price_marked", "mrp"})
QUANTITIES = frozenset({"quantity"})
TITLES = frozenset({"title", "name"})
NOTABLE = PRICES | QUANTITIES | TITLES | {"availability"}
"""Fields in which single values are looked at; those of records with a schema are among them."""
ZERO_PRICE = re.compile(rb'"price":"?0(?:\.0*)?["} ,]')
"""A price of zero in a document, which is not decoded to find it."""

Members = dict[str, msgspec.Raw]
decode_members = msgspec.json.Decoder(Members).decode
decode_value = msgspec.json.Decoder().decode


class DiffChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change that a dry run would make; see `ItemChange`."""

    key: str
    operation: ChangeOperation | None
    """None: only its version moves on, which is no change, but later records of the batch are compared with it."""
    before: ItemContent | None
    after: ItemContent | None
    tombstone_version: int | None = None
    """Version of a deletion; older records do not bring the item back."""
    record: int | None = None
    row: int | None = None
    number: int = 0
    """Counted from 1 for each batch, with gaps; the store gives it."""


class DryRunItems(msgspec.Struct, frozen=True):
    """What earlier chunks of a dry run would have left, if they had been applied."""

    items: dict[str, CurrentItem]
    """Items that they would have changed, by key, with documents and index entries; tombstones included."""
    case_variants: dict[str, str]
    """Key → the first key of a live one of these items that differs from it only by ASCII case."""


class Distribution(msgspec.Struct):
    """How many values rise or fall, and by how much."""

    count: int = 0
    buckets: dict[int, int] = {}
    """Logarithm of after / before, in parts of BUCKETS_PER_E → number of changes."""

    def add(self, ratio: float) -> None:
        """Count a change by a ratio; of 0 and infinity only the count is kept."""
        self.count += 1
        if 0 < ratio < math.inf:
            bucket = max(-BUCKET_MAX, min(BUCKET_MAX, round(math.log(ratio) * BUCKETS_PER_E)))
            self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def merge(self, other: "Distribution") -> None:
        """Add the counts of another one."""
        self.count += other.count
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def median(self) -> float | None:
        """Return the median of the relative changes (-0.03: by 3 % less), to half a percent; None if there is none."""
        middle = (sum(self.buckets.values()) + 1) // 2
        for bucket in sorted(self.buckets):
            middle -= self.buckets[bucket]
            if middle <= 0:
                return math.exp(bucket / BUCKETS_PER_E) - 1
        return None


class FieldDiff(msgspec.Struct):
    """What the changes of existing items do to one field."""

    changed: int = 0
    added: int = 0
    removed: int = 0
    falls: Distribution = msgspec.field(default_factory=Distribution)
    rises: Distribution = msgspec.field(default_factory=Distribution)
    falls_by_half: int = 0
    """Falls by more than half; those to zero are among them."""
    falls_to_zero: int = 0
    rises_to_double: int = 0
    """Rises to more than twice the value; those from zero are among them."""

    def merge(self, other: "FieldDiff") -> None:
        """Add the counts of another one."""
        for name in ("changed", "added", "removed", "falls_by_half", "falls_to_zero", "rises_to_double"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.falls.merge(other.falls)
        self.rises.merge(other.rises)

    def measure(self, before: float, after: float) -> None:
        """Count a value that rises or falls."""
        if after < before:
            ratio = after / before if before > 0 else 0.0
            self.falls.add(ratio)
            self.falls_by_half += ratio < 0.5
            self.falls_to_zero += after == 0
        elif after > before:
            ratio = after / before if before > 0 else math.inf
            self.rises.add(ratio)
            self.rises_to_double += ratio > 2


class DiffSummary(msgspec.Struct):
    """A diff in numbers."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    zero_prices: int = 0
    """Prices that become zero, those of new items as well."""
    stock_to_zero: int = 0
    """Items whose quantity falls to zero, or whose availability becomes out of stock."""
    titles_emptied: int = 0
    fields: dict[str, FieldDiff] = {}
    """What updates do to each field."""

    @property
    def changes(self) -> int:
        """Number of changes."""
        return self.created + self.updated + self.deleted

    def add(self, changes: Iterable[DiffChange], kind: Kind) -> None:
        """Count changes of items of one kind."""
        measured = MEASURED[kind]
        for change in changes:
            if change.operation is ChangeOperation.CREATED:
                self.created += 1
                if change.after is not None and ZERO_PRICE.search(change.after.document) is not None:
                    self.zero_prices += 1
            elif change.operation is ChangeOperation.DELETED:
                self.deleted += 1
            elif change.operation is ChangeOperation.UPDATED:
                self.updated += 1
                is_out_of_stock = False
                for name, before, after in field_changes(change):
                    self._count(name, before, after, is_measured=name in measured)
                    if name in NOTABLE:
                        self.zero_prices += name in PRICES and _is_zero(after) and not _is_zero(before)
                        self.titles_emptied += name in TITLES and _is_empty(after) and not _is_empty(before)
                        is_out_of_stock = is_out_of_stock or _ends_stock(name, before, after)
                self.stock_to_zero += is_out_of_stock

    def merge(self, other: "DiffSummary") -> None:
        """Add the counts of another one."""
        for name in ("created", "updated", "deleted", "zero_prices", "stock_to_zero", "titles_emptied"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for field, counts in other.fields.items():
            self._field(field).merge(counts)

    def _field(self, name: str) -> FieldDiff:
        if name not in self.fields and len(self.fields) >= FIELDS_MAX:
            name = OTHER_FIELDS
        return self.fields.setdefault(name, FieldDiff())

    def _count(self, name: str, before: msgspec.Raw | None, after: msgspec.Raw | None, *, is_measured: bool) -> None:
        counts = self._field(name)
        if before is None or after is None:
            counts.added += before is None
            counts.removed += after is None
            return
        counts.changed += 1
        if is_measured:
            (old, old_unit), (new, new_unit) = _amount(before), _amount(after)
            if old is not None and new is not None and old_unit == new_unit:
                counts.measure(old, new)


def field_changes(change: DiffChange) -> list[tuple[str, msgspec.Raw | None, msgspec.Raw | None]]:
    """Return the fields that a change gives another value: name, JSON before and after; None where there is none."""
    before, after = (
        decode_members(content.document) if content is not None else Members()
        for content in (change.before, change.after)
    )
    return [
        (name, before.get(name), after.get(name)) for name in dict.fromkeys(chain(before, after))
        if before.get(name) != after.get(name)
    ]


def _is_zero(value: msgspec.Raw | None) -> bool:
    return value is not None and _amount(value)[0] == 0


def _is_empty(value: msgspec.Raw | None) -> bool:
    return value is None or bytes(value) in (b"null", b'""')


def _ends_stock(name: str, before: msgspec.Raw | None, after: msgspec.Raw | None) -> bool:
    if name in QUANTITIES:
        return _is_zero(after) and not _is_zero(before)
    return name == "availability" and after is not None and bytes(after) == b'"out_of_stock"'


def _amount(value: msgspec.Raw) -> tuple[float | None, str]:
    """Return amount and unit of a canonical value; None if it is no number."""
    text = bytes(value).decode()
    number, _, unit = text.strip('"').partition(" ")
    try:
        amount = float(number)
    except ValueError:
        return None, unit
    return (amount, unit) if math.isfinite(amount) else (None, unit)
