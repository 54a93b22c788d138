"""Accept suggestions: rejected records as they were received, with the suggestions of their issues filled in.

The result is a fix. Its values have the submitter's own names, and `_row` names the record that is replaced.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from goodsgate.engine.received_records import ReceivedRecord, fix_format, fix_of_records, received_record
from goodsgate.model.batch import Batch
from goodsgate.model.finding import Finding, FixMatch
from goodsgate.model.issue import Issue
from goodsgate.store.contract import Store

RECORDS_AT_ONCE = 1_000
COUNTED_RECORDS_MAX = 100_000
"""Rejected records among which suggestions are counted."""
CHANGES_COUNTED = 1_000
"""Distinct changes of a group that are counted one by one."""


class SuggestedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A value that suggestions replace, and how many rejected records have it."""

    before: str | None
    after: str
    records: int


class SuggestionGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Suggestions with the same issue code and field, and how many rejected records they would change."""

    code: str
    field: str
    records: int
    changes: list[SuggestedChange]
    """The most frequent first, of the first CHANGES_COUNTED distinct ones; records with others are `records_left`."""
    records_left: int


class SuggestionPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What applying suggestions would change."""

    records: int
    """Rejected records that would be changed; one may be in several groups."""
    complete: bool
    """Whether all rejected records were read; if not, the numbers are lower bounds."""
    groups: list[SuggestionGroup]
    """The most frequent first."""


class SuggestedFix:
    """Body of a fix that applies the suggestions of an issue code, of one field or of all."""

    def __init__(self, store: Store, batch: Batch, *, code: str, field: str | None = None) -> None:
        self._store = store
        self._batch = batch
        self._code = code
        self._field = field
        self.match = FixMatch()
        """How it matches the batch, as far as it was read: every record replaces one."""

    @property
    def format(self) -> str:
        """The format of the body."""
        return fix_format(self._batch.columns)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body in pieces; none if no record has such a suggestion."""
        return fix_of_records(self._records(), self._batch.columns)

    def _records(self) -> Iterator[tuple[int, ReceivedRecord]]:
        batch, records, after = self._batch, 0, 0
        while page := self._store.rejected_records(batch.merchant, batch.id, after=after, limit=RECORDS_AT_ONCE):
            for finding in page:
                groups = _suggested(finding, self._code, self._field)
                corrected = _corrected(finding, batch, [issue for issues in groups.values() for issue in issues])
                if corrected is not None:
                    records += 1
                    self.match = FixMatch(records=records, replacing=records)
                    yield finding.number, corrected
            after = page[-1].number


def preview_suggestions(store: Store, batch: Batch, *, code: str | None = None, field: str | None = None,
                        records_max: int | None = None) -> SuggestionPreview:
    """Return what applying suggestions would change, with `code` and `field` only those.

    About `records_max` rejected records are read, or COUNTED_RECORDS_MAX.
    """
    records_max = COUNTED_RECORDS_MAX if records_max is None else records_max
    counters: dict[tuple[str, str], _GroupCounter] = {}
    after = read = changed = 0
    while page := store.rejected_records(batch.merchant, batch.id, after=after, limit=RECORDS_AT_ONCE):
        for finding in page:
            is_changed = False
            for group, issues in _suggested(finding, code, field).items():
                if _corrected(finding, batch, issues) is not None:
                    counters.setdefault(group, _GroupCounter()).add(issues[0])
                    is_changed = True
            changed += is_changed
        after, read = page[-1].number, read + len(page)
        if read >= records_max:
            break
    groups = [counter.group(*name) for name, counter in counters.items()]
    groups.sort(key=lambda group: (-group.records, group.code, group.field))
    return SuggestionPreview(records=changed, complete=read < records_max, groups=groups)


class _GroupCounter:
    """Counts the records of a group and their distinct changes, in bounded memory."""

    def __init__(self) -> None:
        self._records = 0
        self._changes: Counter[tuple[str | None, str]] = Counter()

    def add(self, issue: Issue) -> None:
        """Count a record by its first issue of the group."""
        self._records += 1
        change = issue.value, issue.suggestion or ""
        if change in self._changes or len(self._changes) < CHANGES_COUNTED:
            self._changes[change] += 1

    def group(self, code: str, field: str) -> SuggestionGroup:
        """Return what was counted."""
        return SuggestionGroup(
            code=code, field=field, records=self._records, records_left=self._records - self._changes.total(),
            changes=[
                SuggestedChange(before=before, after=after, records=count)
                for (before, after), count in self._changes.most_common()
            ],
        )


def _suggested(finding: Finding, code: str | None, field: str | None) -> dict[tuple[str, str], list[Issue]]:
    """Return the issues of a record that have a suggestion, by code and field."""
    groups: dict[tuple[str, str], list[Issue]] = {}
    for issue in finding.issues:
        if issue.suggestion and code in (None, issue.code) and field in (None, issue.field):
            groups.setdefault((issue.code, issue.field), []).append(issue)
    return groups


def _corrected(finding: Finding, batch: Batch, issues: Sequence[Issue]) -> ReceivedRecord | None:
    record = received_record(finding.raw or b"", batch.columns) if issues else None
    return record.with_suggestions(issues) if record is not None else None
