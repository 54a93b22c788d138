"""Suggestions taken: a rejected record as it was received, with what its issues suggest in place of what they refuse.

What comes out is a fix: members under the submitter's own names, and the number of the record that they replace.
"""

from collections.abc import Iterator, Sequence

import msgspec

from goodsgate.model.batch import Batch, Finding
from goodsgate.model.issue import Issue
from goodsgate.store.contract import Store

RECORDS_AT_ONCE = 1_000

Members = dict[str, object]
"""By the submitter's own names: cells of a table as texts, members of JSON as the bytes they came in."""


def members_of(raw: bytes, columns: Sequence[str] | None) -> Members | None:
    """A record as received; None for what is none."""
    try:
        if columns is None:
            return dict(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
        row = msgspec.json.decode(raw, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    cells: Members = {}
    for column, cell in zip(columns, row, strict=False):
        cells.setdefault(column, cell)
    return cells


def place_of(told: Issue, members: Members) -> str | None:
    """The member or column of which an issue speaks; None if it is of the record as a whole, or of one it lacks."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in told.path.split("/")[1:]]
    for name in (told.column, ".".join(steps), *(".".join(steps[:end]) for end in range(len(steps) - 1, 0, -1))):
        if name and name in members:
            return name
    top = (told.column or "").partition(".")[0]
    return top if top in members else None


def mended(members: Members, issues: Sequence[Issue]) -> Members | None:
    """The record with the suggestions of these issues taken; None if none of them can be."""
    found, taken = dict(members), False
    for told in issues:
        name = place_of(told, members)
        if told.suggestion is None or name is None:
            continue
        before = found[name]
        value = msgspec.json.decode(before) if isinstance(before, msgspec.Raw) else before
        after = _replaced(value, told)
        taken = taken or after != value
        found[name] = after
    return found if taken else None


def _replaced(value: object, told: Issue) -> object:
    """The suggestion in place of the value that was refused, wherever in the member that stands."""
    suggestion, refused = told.suggestion, told.value
    if isinstance(value, dict):
        return {name: _inside(each, told) for name, each in value.items()}
    if isinstance(value, list):
        return [_inside(each, told) for each in value]
    if isinstance(value, str) and refused and value != refused and value.count(refused) == 1:
        return value.replace(refused, suggestion or "")
    return suggestion


def _inside(value: object, told: Issue) -> object:
    if isinstance(value, dict | list):
        return _replaced(value, told)
    return told.suggestion if value is not None and str(value) == told.value else value


def alike(store: Store, batch: Batch, *, code: str, field: str) -> Iterator[bytes]:
    """Lines of a fix that takes the suggestions of one group, for every rejected record that has one."""
    after = 0
    while page := store.rejected_records(batch.merchant, batch.id, after=after, limit=RECORDS_AT_ONCE):
        lines = (_line(finding, batch, code=code, field=field) for finding in page)
        if piece := b"".join(line for line in lines if line):
            yield piece
        after = page[-1].number


def _line(finding: Finding, batch: Batch, *, code: str, field: str) -> bytes:
    told = [issue for issue in finding.issues if issue.code == code and issue.field == field and issue.suggestion]
    members = members_of(finding.raw or b"", batch.columns) if told else None
    found = mended(members, told) if members is not None else None
    return fix_line(finding.number, found) if found is not None else b""


def fix_line(number: int, members: Members) -> bytes:
    """One line of a fix."""
    return msgspec.json.encode({**members, "_row": number}) + b"\n"
