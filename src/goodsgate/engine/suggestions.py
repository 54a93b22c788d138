"""Accept suggestions: rejected records as they were received, with the suggestions of their issues filled in.

The result is a fix. Its members have the submitter's own names, and `_row` names the record that is replaced.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from goodsgate.model.batch import Batch, Finding
from goodsgate.model.issue import Issue
from goodsgate.model.json_text import UNREADABLE_JSON, Members, read_members, read_value, write_json
from goodsgate.store.contract import Store

RECORDS_AT_ONCE = 1_000
COUNTED_RECORDS_MAX = 100_000
"""Rejected records among which suggestions are counted."""
EXAMPLES_MAX = 3


class SuggestionGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Suggestions with the same issue code and field, and how many rejected records they would change."""

    code: str
    field: str
    records: int
    examples: list[tuple[str | None, str]]
    """The first distinct values, each with its suggestion."""


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


def fix_lines(store: Store, batch: Batch, *, code: str, field: str) -> Iterator[bytes]:
    """Yield the lines of a fix that accepts the suggestions of one issue group, for every rejected record with one."""
    after = 0
    while page := store.rejected_records(batch.merchant, batch.id, after=after, limit=RECORDS_AT_ONCE):
        lines = (_corrected_line(finding, batch, code=code, field=field) for finding in page)
        if piece := b"".join(line for line in lines if line):
            yield piece
        after = page[-1].number


def suggestion_groups(store: Store, batch: Batch, *, code: str | None = None, field: str | None = None,
                      ) -> tuple[list[SuggestionGroup], bool]:
    """Return what accepting suggestions would change, the most frequent group first, and whether all were counted.

    With `code` and `field`, only that group. If there are more rejected records than are counted, the numbers are lower
    bounds.
    """
    records: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], dict[tuple[str | None, str], None]] = {}
    after = read = 0
    while page := store.rejected_records(batch.merchant, batch.id, after=after, limit=RECORDS_AT_ONCE):
        for finding in page:
            for group, issues in _suggested(finding, code, field).items():
                if _corrected(finding, batch, issues) is not None:
                    records[group] += 1
                    first = examples.setdefault(group, {})
                    if len(first) < EXAMPLES_MAX:
                        first[issues[0].value, issues[0].suggestion or ""] = None
        after, read = page[-1].number, read + len(page)
        if read >= COUNTED_RECORDS_MAX:
            break
    groups = [
        SuggestionGroup(code=group[0], field=group[1], records=count, examples=[*examples[group]])
        for group, count in sorted(records.items(), key=lambda entry: (-entry[1], entry[0]))
    ]
    return groups, read < COUNTED_RECORDS_MAX


def _suggested(finding: Finding, code: str | None, field: str | None) -> dict[tuple[str, str], list[Issue]]:
    """Return the issues of a record that have a suggestion, by code and field."""
    groups: dict[tuple[str, str], list[Issue]] = {}
    for issue in finding.issues:
        if issue.suggestion and code in (None, issue.code) and field in (None, issue.field):
            groups.setdefault((issue.code, issue.field), []).append(issue)
    return groups


def _corrected_line(finding: Finding, batch: Batch, *, code: str, field: str) -> bytes:
    issues = _suggested(finding, code, field).get((code, field), [])
    corrected = _corrected(finding, batch, issues)
    return fix_line(finding.number, corrected) if corrected is not None else b""


def _corrected(finding: Finding, batch: Batch, issues: Sequence[Issue]) -> Members | None:
    members = members_of(finding.raw or b"", batch.columns) if issues else None
    return with_suggestions(members, issues) if members is not None else None


def fix_line(number: int, members: Members) -> bytes:
    """Return one line of a fix."""
    return write_json({**members, "_row": number}) + b"\n"
