"""Apply the merchant's own rules to what the records of a chunk become."""

import time
from collections.abc import Mapping, Sequence

import msgspec

from goodsgate.model.catalogue import CurrentItem, Write, display_key
from goodsgate.model.issue import Issue, has_error
from goodsgate.model.rule_counts import EXAMPLES_MAX, RuleCounts
from goodsgate.rules import RuleResults, RuleSet

Issues = list[Issue]
NONE: Issues = []
TOGETHER = 16
"""Records that are evaluated at once."""


class RuleApplication:
    """The rules of one chunk while its records are applied, and what they have counted."""

    def __init__(self, rules: RuleSet, keys: Sequence[str | None], ends_at: float) -> None:
        """Take the rules, the keys of the records, and when this thread has used its time for the chunk."""
        self._rules = rules
        self._keys = keys
        self._ends_at = ends_at
        self._known: dict[int, RuleResults | None] = {}
        """Records that were checked as they were received: what is to be said about each."""
        self.counts: dict[str, RuleCounts] = {}

    def prepare(self, documents: Sequence[bytes], hashes: Sequence[bytes], issues: Mapping[int, Sequence[Issue]],
                items: Mapping[str, CurrentItem | Write]) -> None:
        """Check the records that become items as they were received, many at once, as far as the time allows."""
        rules, known = self._rules, self._known
        if rules.reads_current:
            return
        unknown: list[int] = []
        for at, (key, digest) in enumerate(zip(self._keys, hashes, strict=True)):
            item = items.get(key) if key is not None else None
            if key is None or (item is not None and item.hash not in (None, digest)) or has_error(issues.get(at, ())):
                continue
            if rules.has_passed(digest):  # before the document is needed, which may still have to be made
                known[at] = None
            else:
                unknown.append(at)
        for start in range(0, len(unknown), TOGETHER):
            group = unknown[start : start + TOGETHER]
            texts, digests = [documents[at] for at in group], [hashes[at] for at in group]
            if rules.pass_together(texts, digests):
                known.update(dict.fromkeys(group))
            else:
                known.update(zip(group, map(rules.check, texts, digests, [None] * len(group)), strict=True))
            if time.thread_time() > self._ends_at:
                break

    def is_known(self, at: int) -> bool:
        """Return whether a record was checked before."""
        return at in self._known

    def allow_all(self) -> bool:
        """Return whether nothing is to be said about any record of the chunk."""
        return len(self._known) == len(self._keys) and not any(self._known.values())

    def check(self, at: int, document: bytes, digest: bytes, held: bytes | None, *, is_own: bool) -> Issues:
        """Return the issues of what a record of the chunk becomes, and count the rest.

        `is_own` says that it is the record as it was received.
        """
        if is_own and at in self._known:
            results = self._known[at]
        else:
            results = None if self._rules.has_passed(digest) else self._rules.check(document, digest, held)
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
