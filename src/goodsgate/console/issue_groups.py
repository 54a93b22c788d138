"""The groups of issues on the page of a batch, each with the action that fits it."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import msgspec

from goodsgate.engine import Engine
from goodsgate.engine.retry_hints import GroupRetry, RetryHint, retry_hint
from goodsgate.engine.suggestions import SuggestionGroup, SuggestionPreview
from goodsgate.model.batch import Batch
from goodsgate.model.issue import CODES, base_code
from goodsgate.model.issue_group import IssueGroup

PREVIEW_RECORDS_MAX = 20_000
"""Rejected records among which the page counts suggestions; beyond them, numbers are lower bounds."""
PREVIEWS_KEPT = 100
COMMON_VALUES = 3
"""Values that are shown of a group if they repeat; else one is shown as an example."""


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """A group of issues, and what can be done about it."""

    group: IssueGroup
    suggestion: SuggestionGroup | None = None
    is_complete: bool = True
    """Whether the records of the suggestion are all that there are."""
    retry: GroupRetry | None = None

    @property
    def is_of_file(self) -> bool:
        """Whether the issues are of the file as a whole."""
        return CODES[base_code(self.group.code)].about == "file"

    @property
    def values(self) -> list[tuple[str, int]]:
        """The most frequent values with their counts, or one example if none repeats; all known ones of a file."""
        if self.is_of_file:
            return self.group.top
        repeated = [(value, count) for value, count in self.group.top if count > 1]
        return repeated[:COMMON_VALUES] or self.group.top[:1]


class SuggestionPreviews:
    """What applying the suggestions of a batch would change; it is computed once for each of its rounds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: OrderedDict[tuple[str, str, int], SuggestionPreview] = OrderedDict()
        self._lock = Lock()

    def of(self, batch: Batch) -> SuggestionPreview:
        """Return the preview of a batch that has ended."""
        name = (batch.merchant, batch.id, batch.rounds)
        with self._lock:
            kept = self._kept.get(name)
        if kept is None:
            kept = self._engine.suggestions(batch.merchant, batch.id, records_max=PREVIEW_RECORDS_MAX)
            kept = msgspec.structs.replace(kept, groups=[
                msgspec.structs.replace(group, changes=group.changes[:COMMON_VALUES]) for group in kept.groups
            ])
        with self._lock:
            self._kept[name] = kept
            self._kept.move_to_end(name)
            while len(self._kept) > PREVIEWS_KEPT:
                self._kept.popitem(last=False)
        return kept


def group_views(engine: Engine, previews: SuggestionPreviews, batch: Batch, groups: Sequence[IssueGroup], *,
                can_correct: bool) -> list[GroupView]:
    """Return the groups, with actions if the rejected records of the batch can be corrected."""
    if not can_correct:
        return [GroupView(group=group) for group in groups]
    preview = previews.of(batch)
    suggestions = {(each.code, each.field): each for each in preview.groups}
    return [
        GroupView(
            group=group, suggestion=suggestions.get((group.code, group.field)), is_complete=preview.complete,
            retry=retry_hint(engine.store, batch, group) if group.severity == "error" else None,
        )
        for group in groups
    ]


def best_retry(views: Sequence[GroupView]) -> RetryHint:
    """Return whether a retry helps some records of the batch."""
    hints = {view.retry.hint for view in views if view.retry is not None}
    for hint in (RetryHint.USEFUL, RetryHint.POSSIBLE, RetryHint.TOO_EARLY):
        if hint in hints:
            return hint
    return RetryHint.USELESS
