"""Accept suggestions: rejected records as they were received, with the suggestions of their issues filled in.

The result is a fix. Its members have the submitter's own names, and `_row` names the record that is replaced.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from goodsgate.model.batch import Batch
from goodsgate.model.finding import Finding, FixMatch
from goodsgate.model.issue import Issue
from goodsgate.model.json_text import UNREADABLE_JSON, Members, read_members, read_value, write_json
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


def members_of(raw: bytes, columns: Sequence[str] | None) -> Members | None:
    """Return the members of a record as received; None if it is no object or row."""
    if columns is None:
        return read_members(raw)
    try:
        row = msgspec.json.decode(raw, type=list[str])
    except UNREADABLE_JSON:
        return None
    cells: Members = {}
    for column, cell in zip(columns, row, strict=False):
        cells.setdefault(column, cell)
    return cells


def member_of(issue: Issue, members: Members) -> str | None:
    """Return the member or column that an issue is about; None if the record has none such."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in issue.path.split("/")[1:]]
    for name in (issue.column, ".".join(steps), *(".".join(steps[:end]) for end in range(len(steps) - 1, 0, -1))):
        if name and name in members:
            return name
    top = (issue.column or "").partition(".")[0]
    return top if top in members else None


def with_suggestions(members: Members, issues: Sequence[Issue]) -> Members | None:
    """Return the record with the suggestions of the issues; None if none of them can be filled in."""
    corrected, is_changed = dict(members), False
    for issue in issues:
        name = member_of(issue, members)
        if issue.suggestion is None or name is None:
            continue
        before = corrected[name]
        value = read_value(before)
        after = _replace(value, issue)
        is_changed = is_changed or after != value
        corrected[name] = after
    return corrected if is_changed else None


def _replace(value: object, issue: Issue) -> object:
    """Return a member with the suggestion in place of the rejected value, at any depth."""
    suggestion, rejected = issue.suggestion, issue.value
    if isinstance(value, dict):
        return {name: _replace_inside(each, issue) for name, each in value.items()}
    if isinstance(value, list):
        return [_replace_inside(each, issue) for each in value]
    if isinstance(value, str) and rejected and value != rejected and value.count(rejected) == 1:
        return value.replace(rejected, suggestion or "")
    return suggestion


def _replace_inside(value: object, issue: Issue) -> object:
    if isinstance(value, dict | list):
        return _replace(value, issue)
    return issue.suggestion if value is not None and str(value) == issue.value else value


class SuggestedFix:
    """Body of a fix that applies the suggestions of an issue code, of one field or of all, in pieces of lines."""

    def __init__(self, store: Store, batch: Batch, *, code: str, field: str | None = None) -> None:
        self._store = store
        self._batch = batch
        self._code = code
        self._field = field
        self.match = FixMatch()
        """How it matches the batch, as far as it was read: every line replaces a record."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines, some at once."""
        batch, records, after = self._batch, 0, 0
        while page := self._store.rejected_records(batch.merchant, batch.id, after=after, limit=RECORDS_AT_ONCE):
            lines = [line for finding in page if (line := self._line(finding))]
            records += len(lines)
            self.match = FixMatch(records=records, replacing=records)
            if lines:
                yield b"".join(lines)
            after = page[-1].number

    def _line(self, finding: Finding) -> bytes:
        """Return the corrected record; empty if no suggestion is for it."""
        groups = _suggested(finding, self._code, self._field)
        corrected = _corrected(finding, self._batch, [issue for issues in groups.values() for issue in issues])
        return fix_line(finding.number, corrected) if corrected is not None else b""


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


def _corrected(finding: Finding, batch: Batch, issues: Sequence[Issue]) -> Members | None:
    members = members_of(finding.raw or b"", batch.columns) if issues else None
    return with_suggestions(members, issues) if members is not None else None


def fix_line(number: int, members: Members) -> bytes:
    """Return one line of a fix."""
    return write_json({**members, "_row": number}) + b"\n"
