"""What a dry run would change: in groups that people can read, in pages, and as a file."""

import csv
import io
from collections.abc import Callable, Iterator

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.engine.report import Report
from goodsgate.formats import MEDIA_TYPES
from goodsgate.formats.formula_marks import mark_formula
from goodsgate.model.batch import Batch
from goodsgate.model.catalogue import split_key
from goodsgate.model.counting import counted
from goodsgate.model.diff import DiffChange, DiffSummary, FieldDiff, field_changes
from goodsgate.model.journal import ChangeOperation
from goodsgate.store.contract import Store

PAGE_CHANGES = 500
PAGES_SCANNED_MAX = 40
"""Pages of the store that one filtered page is searched in."""
COLUMNS = ("number", "operation", "id", "location", "field", "before", "after", "record", "row")


class DiffGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Changes that are alike."""

    effect: str
    """created, updated, deleted: items. falls, rises, changed, added, removed: what updates do to a field."""
    field: str = ""
    count: int
    median: float | None = None
    """Median of the relative changes of a field that falls or rises: -0.03 is 3 % less."""
    extreme: int = 0
    """Falls by more than half, or rises to more than twice the value."""
    zero: int = 0
    """Falls to zero."""

    @property
    def text(self) -> str:
        """The group in one line for people."""
        items = counted(self.count, "item")
        if not self.field:
            return f"{items} would be {self.effect}"
        one = self.count == 1
        verb = {"changed": "changes", "added": "is added", "removed": "is removed"}.get(self.effect, self.effect)
        if self.effect not in ("falls", "rises"):
            return f"{self.field} {verb} in {items}"
        text = f"{self.field} {verb} in {items}"
        if self.median is not None:
            text += f", {'by' if one else 'median'} {_percent(self.median)}"
        notes = []
        if self.extreme:
            notes.append(f"{self.extreme:,} by more than half" if self.effect == "falls" else
                         f"{self.extreme:,} to more than double")
        if self.zero:
            notes.append(f"{self.zero:,} to zero")
        return "; ".join([text, *notes])


def _percent(change: float) -> str:
    share = abs(change) * 100
    text = f"{share:,.0f}" if share >= 10 else f"{share:.1f}".removesuffix(".0")
    return f"{'−' if change < 0 else '+'}{text} %"


def diff_groups(summary: DiffSummary) -> list[DiffGroup]:
    """Return the changes of a diff in groups: items first, then falls and rises, then the most frequent fields."""
    groups = [
        DiffGroup(effect=operation, count=getattr(summary, operation))
        for operation in ChangeOperation if getattr(summary, operation)
    ]
    moves, others = list[DiffGroup](), list[DiffGroup]()
    for name, field in summary.fields.items():
        moves += _moves(name, field)
        changed = field.changed - field.falls.count - field.rises.count
        for effect, count in (("changed", changed), ("added", field.added), ("removed", field.removed)):
            if count:
                others.append(DiffGroup(effect=effect, field=name, count=count))
    return groups + sorted(moves, key=_frequency) + sorted(others, key=_frequency)


def _moves(name: str, field: FieldDiff) -> Iterator[DiffGroup]:
    if field.falls.count:
        yield DiffGroup(
            effect="falls", field=name, count=field.falls.count, median=field.falls.median(),
            extreme=field.falls_by_half, zero=field.falls_to_zero,
        )
    if field.rises.count:
        yield DiffGroup(
            effect="rises", field=name, count=field.rises.count, median=field.rises.median(),
            extreme=field.rises_to_double,
        )


def _frequency(group: DiffGroup) -> tuple[int, str]:
    return -group.count, group.field


def has_diff(batch: Batch) -> bool:
    """Return whether a batch has a diff: it is a dry run, or guards have looked at it."""
    return batch.policy.dry_run or batch.is_trial or batch.hold is not None


def require_diff(batch: Batch) -> None:
    """Raise Refusal (diff_missing) if a batch has no diff."""
    if not has_diff(batch):
        raise Refusal("diff_missing")


def diff_page(store: Store, batch: Batch, *, after: int, limit: int, operation: str | None = None,
              field: str | None = None) -> tuple[list[DiffChange], int | None]:
    """Return changes behind a number, and the number behind which the next page begins; None on the last one.

    A page of filtered changes may be short, or empty, though there are more. Raises Refusal: diff_missing.
    """
    require_diff(batch)
    found: list[DiffChange] = []
    for _ in range(PAGES_SCANNED_MAX):
        changes = store.diff(batch.merchant, batch.id, after=after, limit=PAGE_CHANGES)
        if not changes:
            return found, None
        for change in changes:
            after = change.number
            if _passes(change, operation, field):
                found.append(change)
                if len(found) == limit:
                    return found, after
    return found, after


def _passes(change: DiffChange, operation: str | None, field: str | None) -> bool:
    if operation is not None and change.operation != operation:
        return False
    return field is None or any(name == field for name, _, _ in field_changes(change))


def diff_report(store: Store, batch: Batch, *, operation: str | None = None, field: str | None = None) -> Report:
    """Return a diff as CSV with a row for each field that a change gives another value. Raises Refusal: diff_missing.

    Cells that a spreadsheet would run are marked.
    """
    require_diff(batch)
    return Report(
        media_type=MEDIA_TYPES["csv"], filename=f"{batch.id}-diff.csv", pieces=_pieces(store, batch, operation, field)
    )


def _pieces(store: Store, batch: Batch, operation: str | None, field: str | None) -> Iterator[bytes]:
    text = io.StringIO()
    write: Callable[[tuple[object, ...]], object] = csv.writer(text).writerow
    write(COLUMNS)
    after: int | None = 0
    while after is not None:
        changes, after = diff_page(
            store, batch, after=after, limit=PAGE_CHANGES, operation=operation, field=field
        )
        for change in changes:
            sku, location = map(mark_formula, (part or "" for part in split_key(change.key)))
            for name, before, value in field_changes(change):
                if field in (None, name):
                    write((
                        change.number, change.operation, sku, location, mark_formula(name), _cell(before),
                        _cell(value), change.record, change.row,
                    ))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _cell(value: msgspec.Raw | None) -> str:
    """Return a value as a cell: a text as it is, anything else as JSON."""
    if value is None:
        return ""
    json = bytes(value).decode()
    return mark_formula(msgspec.json.decode(json) if json.startswith('"') else json)
