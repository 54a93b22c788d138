"""Rules that a merchant configures for its own records, and that look at other items."""

from pathlib import Path
from typing import Any

import pytest

from goodsgate.app import create_worker
from goodsgate.model.batch import Kind, Policy, Result, Strictness, Verb
from goodsgate.model.catalogue import IndexEntry, Resource
from goodsgate.model.issue import Issue, issue
from goodsgate.rules import Schema
from goodsgate.rules.merchant_rules import CatalogueLookup, Record, RuleInputs, RuleResult
from tests import stores
from tests.shop import Shop

NODE = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "x-record": {"key": ["id"]}}


class Households:
    """Rules of parents and children.

    A child needs an existing parent, no two children of a parent share a place, and a parent with children cannot be
    deleted. The configuration is the place of children that name none.
    """

    resource_type = "test/household"

    def compile(self, _merchant: str, resource: Resource | None) -> "Household":
        """Return the rules for the configured place."""
        return Household(resource.body.decode() if resource is not None else "")


class Household:
    """The rules of one merchant."""

    def __init__(self, place: str) -> None:
        self._place = place

    def _marks(self, record: Record) -> list[IndexEntry]:
        parent = record.get("parent")
        return [("parent", parent), ("seat", f"{parent}/{record.get('place', self._place)}")] if parent else []

    def inputs_for(self, key: str, record: Record, current: Record | None) -> RuleInputs:
        """Name the parent, the owner of the place, and the children."""
        whole = {**(current or {}), **record}
        return RuleInputs([whole["parent"]] if "parent" in whole else [], [("parent", key), *self._marks(whole)])

    def check(self, key: str, record: Record, lookup: CatalogueLookup) -> RuleResult:
        """Check the parent and the place."""
        issues: list[Issue] = []
        if "parent" in record and lookup.document(record["parent"]) is None:
            issues.append(issue("bylaw_broken", "/parent", expected="no such parent"))
        if any(lookup.owners(mark) - {key} for mark in self._marks(record) if mark[0] == "seat"):
            issues.append(issue("bylaw_broken", "/place", expected="place taken"))
        return RuleResult(issues, self._marks(record), {"place": self._place, **record} if self._place else None)

    def check_deletion(self, key: str, lookup: CatalogueLookup) -> list[Issue]:
        """Refuse while there are children."""
        held = lookup.owners(("parent", key))
        return [issue("bylaw_broken", expected="has children")] if held else []


@pytest.fixture(params=stores.KINDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A shop whose worker knows these rules."""
    with Shop(tmp_path, kind=request.param) as shop:
        schemas = {"test/One": Schema(NODE, merchant_rules=Households())}
        shop.worker = create_worker(shop.store, shop.config, "worker-1", schemas=schemas)
        yield shop
    stores.drop(tmp_path)


def _run(shop: Shop, *records: object, verb: Verb = Verb.UPDATE) -> list[str]:
    policy = {"verb": verb, "schema": "test/One", "update_creates": True, "duplicates": Strictness.OFF}
    batch = shop.run(records, kind=Kind.PRODUCT, collection="homes", **policy)
    issues = {finding.number: finding.issues[-1].expected for finding in shop.findings(batch.id)}
    return [issues.get(row.number) or row.result for row in shop.results(batch.id)]


def test_a_record_is_checked_against_those_before_it(shop: Shop) -> None:
    """Whether both are in the same chunk or not."""
    child = {"id": "b", "parent": "a", "place": "1"}
    assert _run(shop, child, {"id": "a"}, child) == ["no such parent", Result.CREATED, Result.CREATED]
    assert _run(shop, {**child, "id": "c"}, {**child, "id": "d", "place": "2"}) == ["place taken", Result.CREATED]
    assert _run(shop, {"id": "b", "place": "3"}, {**child, "id": "c"}) == [Result.UPDATED, Result.CREATED]
    assert _run(shop, {"id": "b", "place": "1"}) == ["place taken"]


def test_entries_that_an_earlier_record_needs_are_looked_up(shop: Shop) -> None:
    """A later record of the same key may name only what changes."""
    _run(shop, {"id": "a"}, {"id": "c", "parent": "a", "place": "2"})
    assert _run(shop, {"id": "b", "parent": "a", "place": "1"}, {"id": "b", "place": "2"}) == [
        Result.CREATED, "place taken",
    ]


def test_an_item_can_be_deleted_when_nothing_refers_to_it(shop: Shop) -> None:
    """Children deleted earlier in the same chunk no longer keep their parent."""
    _run(shop, {"id": "a"}, {"id": "b", "parent": "a"})
    assert _run(shop, {"id": "a"}, verb=Verb.DELETE) == ["has children"]
    assert _run(shop, {"id": "b"}, {"id": "a"}, verb=Verb.DELETE) == [Result.DELETED, Result.DELETED]
    assert shop.items("homes") == {}


def test_the_configuration_at_the_time_a_record_is_processed_counts(shop: Shop) -> None:
    """A record is stored as the rules return it."""
    policy = Policy(verb=Verb.UPDATE, schema="test/One", update_creates=True)
    batch = shop.send([{"id": "a"}], collection="homes", verb=policy.verb, schema=policy.schema, update_creates=True)
    shop.store.add_resource("acme", "test/household", name="place", body=b"9", resources_max=1)
    shop.work()
    assert shop.engine.batch("acme", batch).counts.created == 1
    assert shop.items("homes") == {"a": {"id": "a", "place": "9"}}
    assert _run(shop, {"id": "a"}) == [Result.UNCHANGED]
