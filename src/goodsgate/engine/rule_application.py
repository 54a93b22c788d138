"""Apply the merchant's own rules to what the records of a chunk become."""

import time
from collections.abc import Mapping, Sequence

import msgspec

from goodsgate.model.catalogue import display_key
from goodsgate.model.issue import Issue
from goodsgate.model.rule_counts import EXAMPLES_MAX, RuleCounts
from goodsgate.rules import RuleSet

Issues = list[Issue]
NONE: Issues = []
CLOCK_RECORDS = 16
"""Records after which the clock is looked at."""


class RuleApplication:
    """The rules of one chunk while its records are applied, and what they have counted."""

    def __init__(self, rules: RuleSet, keys: Sequence[str | None], ends_at: float) -> None:
        """Take the rules, the keys of the records, and when this thread has used its time for the chunk."""
        self._rules = rules
        self._keys = keys
        self._ends_at = ends_at
        self.passed = 0
        """First records of the chunk that are known to be in order as they were received."""
        self.counts: dict[str, RuleCounts] = {}

    def allow_all(self, documents: Sequence[bytes], hashes: Sequence[bytes], *, are_new: bool) -> bool:
        """Return whether nothing is to be said about any document; each is new, or the item that is held already."""
        rules = self._rules
        for at, digest in enumerate(hashes):
            if rules.has_passed(digest):  # before the document is needed, which may still have to be made
                continue
            document = documents[at]
            if rules.check(document, digest, None if are_new else document) is not None:
                self.passed = at
                return False
            if not at % CLOCK_RECORDS and time.thread_time() > self._ends_at:
                self.passed = at + 1
                return at + 1 == len(documents)
        return True

    def check(self, at: int, document: bytes, digest: bytes, held: bytes | None) -> Issues:
        """Return the issues of what a record of the chunk becomes, and count the rest."""
        if at < self.passed:
            return NONE
        results = self._rules.check(document, digest, held)
        if results is None:
            return NONE
        self._count(at, results.counts)
        return results.issues

    def count_severities(self, issues: Mapping[int, Sequence[Issue]]) -> None:
        """Count what other severities of the gate's own codes would change, by rules that only count."""
        for at, found in issues.items():
            self._count(at, self._rules.count_severities(found))

    def _count(self, at: int, counts: Sequence[tuple[str, RuleCounts]]) -> None:
        for name, each in counts:
            known = self.counts.get(name, RuleCounts())
            if len(known.examples) < EXAMPLES_MAX and (key := display_key(self._keys[at])) is not None:
                each = msgspec.structs.replace(each, examples=[key])
            self.counts[name] = known.plus(each)
