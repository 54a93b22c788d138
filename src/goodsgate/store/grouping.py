"""Issues counted by group, and how a finding is filed so that it can be looked for; the same in every store."""

from collections.abc import Iterable, Mapping

import msgspec
import orjson

from goodsgate.model.batch import Finding, Result
from goodsgate.model.issue import Issue

CANDIDATES_MAX = 64
"""Values of a group that are counted; beyond them the rarest are forgotten, so that counts become lower bounds."""

encode_issues = msgspec.json.Encoder().encode
decode_issues = msgspec.json.Decoder(list[Issue]).decode

GroupName = tuple[str, str, str]
"""Code, severity, field."""


class Tally:
    """Issues that come and go in one settle, by group and value."""

    def __init__(self) -> None:
        self.groups: dict[GroupName, tuple[list[int], dict[str, int]]] = {}
        """Name → the number of issues, alone in its list, and values with theirs."""

    def add(self, issues: Iterable[Issue], sign: int) -> None:
        """`sign` is 1 for issues that come, -1 for those that go."""
        for told in issues:
            name = (told.code, told.severity, told.field)
            group = self.groups.get(name)
            if group is None:
                group = self.groups[name] = ([0], {})
            group[0][0] += sign
            if told.value is not None:
                group[1][told.value] = group[1].get(told.value, 0) + sign


def merged(top: bytes | None, values: Mapping[str, int]) -> bytes:
    """The stored values of a group (a JSON object, value → count) with those of a settle, the most frequent kept."""
    counts: dict[str, int] = orjson.loads(top) if top is not None else {}
    for seen, times in values.items():
        # A value that was forgotten cannot be taken from; what comes later of it counts from nothing.
        counts[seen] = counts.get(seen, 0) + times
    return orjson.dumps(dict(ranked({seen: times for seen, times in counts.items() if times > 0}, CANDIDATES_MAX)))


def ranked(top: dict[str, int], most: int) -> list[tuple[str, int]]:
    """Values with their counts, most frequent first."""
    return sorted(top.items(), key=lambda entry: (-entry[1], entry[0]))[:most]


def filed(finding: Finding) -> tuple[bool, str, str]:
    """Whether it is rejected or has an error, its severities, its codes: what listings filter by."""
    severities = {told.severity for told in finding.issues}
    refused = finding.result is Result.REJECTED or "error" in severities
    return refused, padded(*sorted(severities)), padded(*(told.code for told in finding.issues))


def padded(*words: str) -> str:
    """Words as they can be looked for whole."""
    return f" {' '.join(words)} "
