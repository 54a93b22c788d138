"""Whether it helps to process the rejected records of a batch again as they are, for each group of its issues.

It does not if the records themselves are wrong, it may if they were compared with data that changes, and it does if
what they refer to has arrived since.
"""

from enum import StrEnum

import msgspec

from goodsgate.engine.saved_rules import saved_rules
from goodsgate.model.batch import Batch, Kind
from goodsgate.model.issue import rule_name
from goodsgate.model.issue_group import IssueGroup
from goodsgate.store.contract import Store

REFERENCE_CODES = {
    "brand_unknown": "brand", "category_unknown": "category", "tax_rule_unknown": "tax_rule",
    "location_unknown": "location", "department_unknown": "department", "template_unknown": "template",
}
"""Issue code → the kind of reference data that lacks the value."""
CHANGING_CODES = frozenset({
    "attribute_missing", "attribute_type", "attribute_not_allowed", "attribute_unit", "attribute_out_of_range",
    "reference_overdue", "key_held", "key_unknown", "item_ambiguous", "item_missing", "value_held",
    "item_on_planogram", "entry_unknown", "bylaw_broken", "internal_fault", "trouble_ordered",
})
"""Issues that depend on what the gate holds, or on itself, and not on the record alone."""
VALUES_EXAMINED = 5
"""Most frequent values of a group that are looked up."""
ENTRIES_EXAMINED = 50
"""Entries with the value in their code or name that are compared with it."""


class RetryHint(StrEnum):
    """Whether a retry helps."""

    USELESS = "useless"
    """The records have to be corrected."""
    TOO_EARLY = "too_early"
    """What the records refer to is still missing."""
    POSSIBLE = "possible"
    """It depends on what has changed since."""
    USEFUL = "useful"
    """What the records refer to has arrived, or their rule has changed."""


class GroupRetry(msgspec.Struct, frozen=True):
    """Whether a retry helps the records of a group."""

    hint: RetryHint
    kind: str = ""
    """The kind of reference data that the group's values are looked up in; ``product`` for SKUs, or ``rule``."""
    arrived: str = ""
    """A value that was missing and is there now, or the rule that has changed."""


def retry_hint(store: Store, batch: Batch, group: IssueGroup) -> GroupRetry:
    """Return whether a retry helps the records of a group of issues of a batch that has ended."""
    values = [value for value, _ in group.top[:VALUES_EXAMINED]]
    kind = REFERENCE_CODES.get(group.code)
    if kind is not None:
        arrived = next((value for value in values if _has_entry(store, batch.merchant, kind, value)), None)
        return GroupRetry(RetryHint.USEFUL if arrived is not None else RetryHint.TOO_EARLY, kind, arrived or "")
    if group.code == "sku_unknown":
        keys = store.current_items(batch.merchant, Kind.PRODUCT, batch.collection, values) if values else {}
        arrived = next((value for value in values if value in keys and keys[value].hash is not None), None)
        return GroupRetry(RetryHint.USEFUL if arrived is not None else RetryHint.TOO_EARLY, "product", arrived or "")
    rule = rule_name(group.code)
    if rule is not None:
        saved = saved_rules(store, batch.merchant).get(rule)
        is_changed = saved is None or batch.finished_at is None or saved.versions[0].saved_at > batch.finished_at
        return GroupRetry(RetryHint.USEFUL if is_changed else RetryHint.TOO_EARLY, "rule", rule if is_changed else "")
    if group.code in CHANGING_CODES:
        return GroupRetry(RetryHint.POSSIBLE)
    return GroupRetry(RetryHint.USELESS)


def _has_entry(store: Store, merchant: str, kind: str, value: str) -> bool:
    """Return whether an entry has the value as its code or name; of a path, its last step."""
    name = value.rpartition(">")[2].strip()
    if not name:
        return False
    names = {value.casefold(), name.casefold()}
    entries = store.reference(merchant, kind, search=name, limit=ENTRIES_EXAMINED).rows
    return any(names & {entry.code.casefold(), entry.name.casefold()} for entry in entries)
