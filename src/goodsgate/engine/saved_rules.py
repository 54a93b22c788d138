"""Rules that merchants add to those of the gate: saved under a name, with their last versions.

Each is a resource. A change also changes the version of the merchant's reference data, by which workers notice it: a
batch is checked by it from its next chunk on.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import Batch, Kind, now
from goodsgate.model.catalogue import Resource
from goodsgate.model.issue import ADJUSTABLE_CODES, rule_name
from goodsgate.model.issue_group import IssueGroup
from goodsgate.model.record_rule import RecordRule, RuleVersion
from goodsgate.model.rule_counts import RuleCounts, add_rule_counts
from goodsgate.rules import CompiledRule
from goodsgate.store.contract import BatchFilter, NameTakenError, ResourcesFullError, Store

RESOURCE_TYPE = "merchant/rules"
RULES_MAX = 100
VERSIONS_MAX = 20
SCHEMA_BYTES_MAX = 16 * 1024
RECENT_BATCHES = 50
"""Batches whose counts are shown with a rule."""


class SavedRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with its last versions."""

    name: str
    versions: list[RuleVersion]
    """The newest first; at most VERSIONS_MAX."""

    @property
    def rule(self) -> RecordRule:
        """The rule as it is now."""
        return self.versions[0].rule


_decode_versions = msgspec.json.Decoder(list[RuleVersion]).decode


def saved_rules(store: Store, merchant: str) -> dict[str, SavedRule]:
    """Return the rules of a merchant by name."""
    resources = store.resources(merchant, RESOURCE_TYPE, limit=RULES_MAX)
    rules = [SavedRule(name=each.name, versions=_decode_versions(each.body)) for each in resources]
    return {each.name: each for each in sorted(rules, key=lambda rule: rule.name)}


def saved_rule(store: Store, merchant: str, name: str) -> SavedRule:
    """Return a rule. Raises Refusal: rule_unknown."""
    saved = saved_rules(store, merchant).get(name)
    if saved is None:
        raise Refusal("rule_unknown")
    return saved


def save_rule(store: Store, merchant: str, name: str, rule: RecordRule) -> SavedRule:
    """Save a rule, or replace it; one that is the same as before keeps its version.

    Raises Refusal: rule_invalid, rules_full; and StoreError if the merchant is unknown.
    """
    check_rule(rule)
    while True:
        resource = _find(store, merchant, name)
        before = _decode_versions(resource.body) if resource is not None else []
        if before and before[0].rule == rule:
            return SavedRule(name=name, versions=before)
        version = RuleVersion(version=before[0].version + 1 if before else 1, saved_at=now(), rule=rule)
        versions = [version, *before][:VERSIONS_MAX]
        body = msgspec.json.encode(versions)
        try:
            if resource is None:
                store.add_resource(
                    merchant, RESOURCE_TYPE, name=name, body=body, resources_max=RULES_MAX, changes_rules=True
                )
            elif store.put_resource(msgspec.structs.replace(resource, body=body), changes_rules=True) is None:
                continue  # another process has changed it in the meantime
        except NameTakenError:
            continue
        except ResourcesFullError:
            raise Refusal("rules_full", f"A merchant can have {RULES_MAX} rules.", limit=RULES_MAX) from None
        return SavedRule(name=name, versions=versions)


def delete_rule(store: Store, merchant: str, name: str) -> None:
    """Delete a rule with its versions; issues that it has found stay. Raises Refusal: rule_unknown."""
    while True:
        resource = _find(store, merchant, name)
        if resource is None:
            raise Refusal("rule_unknown")
        expired = msgspec.structs.replace(resource, expires_at=now())
        if store.put_resource(expired, changes_rules=True) is not None:
            return


def rule_resources(merchant: str, rules: Mapping[str, RecordRule]) -> list[Resource]:
    """Return rules as they would be if they were saved."""
    return [
        Resource(
            merchant=merchant, type=RESOURCE_TYPE, number=number, version=1, name=name,
            body=msgspec.json.encode([RuleVersion(version=1, saved_at=now(), rule=rule)]),
        )
        for number, (name, rule) in enumerate(rules.items(), 1)
    ]


def check_rule(rule: RecordRule) -> None:
    """Raise Refusal, rule_invalid, for a rule that cannot be used; its detail says what is wrong."""
    given = [name for name in ("expression", "schema", "code") if getattr(rule, name) is not None]
    if len(given) != 1:
        raise Refusal("rule_invalid", "A rule has exactly one of expression, schema and code.", member="expression")
    if rule.code is not None:
        if rule.code not in ADJUSTABLE_CODES:
            detail = f"The severity of {rule.code!r} cannot be set. It can of: {', '.join(sorted(ADJUSTABLE_CODES))}."
            raise Refusal("rule_invalid", detail, member="code")
        for name in ("field", "message", "suggestion"):
            if getattr(rule, name) is not None:
                raise Refusal("rule_invalid", f"A rule with code has no {name}; the gate's own is used.", member=name)
    if rule.category is not None and rule.kind is not Kind.PRODUCT:
        raise Refusal("rule_invalid", "Only products have a category.", member="category")
    if rule.schema is not None and len(msgspec.json.encode(rule.schema)) > SCHEMA_BYTES_MAX:
        raise Refusal("rule_invalid", f"The schema is larger than {SCHEMA_BYTES_MAX:,} bytes.", member="schema")
    fault = CompiledRule("", rule).fault
    if fault is not None:
        raise Refusal("rule_invalid", f"The {given[0]} cannot be used: {fault}.", member=given[0])


def recent_counts(store: Store, merchant: str) -> dict[str, RuleCounts]:
    """Return what rules that only count, or that failed, did to the last batches of a merchant, by name."""
    counts: dict[str, RuleCounts] = {}
    for batch in store.batches(merchant, BatchFilter(), limit=RECENT_BATCHES).rows:
        # From the newest to the oldest: the fault that is shown is the last one.
        counts = add_rule_counts(batch.rule_counts, counts)
    return counts


def rule_document(saved: SavedRule, counts: RuleCounts | None = None) -> dict[str, Any]:
    """Return a rule as the API and the command line show it."""
    newest = saved.versions[0]
    return {
        "name": saved.name, "version": newest.version, "saved_at": newest.saved_at, "rule": newest.rule,
        "recent": counts_document(counts or RuleCounts()),
    }


def counts_document(counts: RuleCounts) -> dict[str, Any]:
    """Return the counts of one rule, with zeros."""
    return {
        "rejected": counts.rejected, "warned": counts.warned, "accepted": counts.accepted, "faults": counts.faults,
        "fault": counts.fault or None, "examples": counts.examples,
    }


def batch_rules_document(batch: Batch) -> dict[str, Any]:
    """Return what rules that only count, or that failed, did to a batch, by name."""
    return {name: counts_document(counts) for name, counts in sorted(batch.rule_counts.items())}


def with_rule_messages(groups: list[IssueGroup], rules: Mapping[str, SavedRule]) -> list[IssueGroup]:
    """Return the groups with what the merchant's rules say now."""
    return [
        msgspec.structs.replace(group, rule_message=saved.rule.message)
        if (saved := rules.get(rule_name(group.code) or "")) is not None else group
        for group in groups
    ]


def _find(store: Store, merchant: str, name: str) -> Resource | None:
    resources = store.resources(merchant, RESOURCE_TYPE, limit=RULES_MAX)
    return next((each for each in resources if each.name == name), None)
