"""Counts of issues by group, and the search columns of a finding."""

from collections.abc import Iterable, Mapping

import msgspec
import orjson

from goodsgate.model.batch import Result
from goodsgate.model.finding import Finding
from goodsgate.model.issue import Issue
from goodsgate.store.contract import ChunkCommit

VALUES_MAX = 64
"""Values of a group that are counted; beyond them the rarest are dropped, so that counts become lower bounds."""

encode_issues = msgspec.json.Encoder().encode
decode_issues = msgspec.json.Decoder(list[Issue]).decode

GroupName = tuple[str, str, str]
"""Code, severity, field."""


class IssueCounts:
    """Issues that one commit adds and removes, by group and value."""

    def __init__(self) -> None:
        self.groups: dict[GroupName, tuple[list[int], dict[str, int]]] = {}
        """Name → the number of issues, alone in its list, and values with theirs."""
        self.columns: dict[GroupName, str | None] = {}
        """Name → the submitter's column of the first issue of the group."""

    def add(self, issues: Iterable[Issue], sign: int) -> None:
        """Count issues; `sign` is 1 for added issues, -1 for removed ones."""
        for issue in issues:
            name = (issue.code, issue.severity, issue.field)
            group = self.groups.get(name)
            if group is None:
                group = self.groups[name] = ([0], {})
                self.columns[name] = issue.column
            group[0][0] += sign
            if issue.value is not None:
                group[1][issue.value] = group[1].get(issue.value, 0) + sign


def merge_values(stored: bytes | None, values: Mapping[str, int]) -> bytes:
    """Merge the stored values of a group (a JSON object, value → count) with new ones; keep the most frequent."""
    counts: dict[str, int] = orjson.loads(stored) if stored is not None else {}
    for value, times in values.items():
        # A value that was dropped cannot be subtracted from; later ones count from zero.
        counts[value] = counts.get(value, 0) + times
    positive = {value: times for value, times in counts.items() if times > 0}
    return orjson.dumps(dict(ranked(positive, VALUES_MAX)))


def ranked(counts: dict[str, int], limit: int) -> list[tuple[str, int]]:
    """Return values with their counts, the most frequent first."""
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:limit]


def search_columns(finding: Finding) -> tuple[bool, str, str]:
    """Return whether a finding is rejected or has an error, its severities and its codes, to filter listings by."""
    severities = {issue.severity for issue in finding.issues}
    has_error = finding.result is Result.REJECTED or "error" in severities
    return has_error, padded(*sorted(severities)), padded(*(issue.code for issue in finding.issues))


def padded(*words: str) -> str:
    """Return words between spaces, so that a whole word can be searched for."""
    return f" {' '.join(words)} "


def replaced_numbers(commit: ChunkCommit, total: int) -> set[int]:
    """Return the record numbers whose stored findings a chunk replaces; `total` records were numbered before it."""
    replaced = set(commit.amended_results)
    replaced.update(finding.number for finding in commit.findings if finding.number <= total)
    if commit.file_issues:
        replaced.add(0)
    return replaced


def with_file_issues(commit: ChunkCommit, stored: bytes | None) -> list[Finding]:
    """Return the findings of a chunk, with its file issues behind those of record number 0.

    `stored` are the issues that number 0 has in the store, if the chunk does not replace them.
    """
    if not commit.file_issues:
        return list(commit.findings)
    before = next((finding.issues for finding in commit.findings if finding.number == 0), None)
    if before is None:
        before = decode_issues(stored) if stored is not None else []
    file = Finding(number=0, source_row=0, key=None, result=None, issues=[*before, *commit.file_issues])
    return [file, *(finding for finding in commit.findings if finding.number)]
