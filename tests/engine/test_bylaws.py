"""Bylaws: rules that a merchant has settled for itself, and that look at other items."""

from pathlib import Path
from typing import Any

import pytest

from goodsgate.engine import Worker
from goodsgate.model.batch import Kind, Policy, Result, Treatment, Verb
from goodsgate.model.catalogue import Mark, Resource
from goodsgate.model.issue import Issue, issue
from goodsgate.rules import Schema
from goodsgate.rules.bylaws import Asked, Neighbours, Record, Verdict
from tests import place
from tests.shop import Shop

NODE = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "x-record": {"key": ["id"]}}


class Households:
    """A child needs a parent that is held, and no two children of a parent have one place; a parent with children
    stays. What is settled is the place of children that name none."""

    sort = "test/household"

    def read(self, _merchant: str, settled: Resource | None) -> "Household":
        """The place, or none."""
        return Household(settled.body.decode() if settled is not None else "")


class Household:
    """The law of one merchant."""

    def __init__(self, place: str) -> None:
        self._place = place

    def _marks(self, record: Record) -> list[Mark]:
        parent = record.get("parent")
        return [("parent", parent), ("seat", f"{parent}/{record.get('place', self._place)}")] if parent else []

    def asks(self, key: str, record: Record, held: Record | None) -> Asked:
        """The parent, whoever has the place, and whoever has this one as parent."""
        whole = {**(held or {}), **record}
        return Asked([whole["parent"]] if "parent" in whole else [], [("parent", key), *self._marks(whole)])

    def judge(self, key: str, record: Record, neighbours: Neighbours) -> Verdict:
        """As the class says."""
        told: list[Issue] = []
        if "parent" in record and neighbours.document(record["parent"]) is None:
            told.append(issue("bylaw_broken", "/parent", expected="no such parent"))
        if any(neighbours.owners(mark) - {key} for mark in self._marks(record) if mark[0] == "seat"):
            told.append(issue("bylaw_broken", "/place", expected="place taken"))
        return Verdict(told, self._marks(record), {"place": self._place, **record} if self._place else None)

    def part(self, key: str, neighbours: Neighbours) -> list[Issue]:
        """Not while there are children."""
        held = neighbours.owners(("parent", key))
        return [issue("bylaw_broken", expected="has children")] if held else []


@pytest.fixture(params=place.KINDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """With a worker that knows the bylaws."""
    with Shop(tmp_path, kind=request.param) as shop:
        schemas = {"test/One": Schema(NODE, bylaws=Households())}
        shop.worker = Worker(shop.store, shop.config, "worker-1", schemas=schemas)
        yield shop
    place.drop(tmp_path)


def _run(shop: Shop, *records: object, verb: Verb = Verb.UPDATE) -> list[str]:
    policy = {"verb": verb, "schema": "test/One", "makes": True, "duplicates": Treatment.OFF}
    batch = shop.run(records, kind=Kind.PRODUCT, collection="homes", **policy)
    told = {finding.number: finding.issues[-1].expected for finding in shop.findings(batch.id)}
    return [told.get(row.number) or row.result for row in shop.results(batch.id)]


def test_a_record_is_judged_by_those_before_it(shop: Shop) -> None:
    """In the same portion or in another."""
    child = {"id": "b", "parent": "a", "place": "1"}
    assert _run(shop, child, {"id": "a"}, child) == ["no such parent", Result.CREATED, Result.CREATED]
    assert _run(shop, {**child, "id": "c"}, {**child, "id": "d", "place": "2"}) == ["place taken", Result.CREATED]
    assert _run(shop, {"id": "b", "place": "3"}, {**child, "id": "c"}) == [Result.UPDATED, Result.CREATED]
    assert _run(shop, {"id": "b", "place": "1"}) == ["place taken"]


def test_what_an_earlier_record_brings_is_looked_around_for(shop: Shop) -> None:
    """A later one of the same key says only what changes."""
    _run(shop, {"id": "a"}, {"id": "c", "parent": "a", "place": "2"})
    assert _run(shop, {"id": "b", "parent": "a", "place": "1"}, {"id": "b", "place": "2"}) == [
        Result.CREATED, "place taken",
    ]


def test_an_item_goes_when_nothing_holds_it(shop: Shop) -> None:
    """Children that went before it in the portion hold it no more."""
    _run(shop, {"id": "a"}, {"id": "b", "parent": "a"})
    assert _run(shop, {"id": "a"}, verb=Verb.DELETE) == ["has children"]
    assert _run(shop, {"id": "b"}, {"id": "a"}, verb=Verb.DELETE) == [Result.DELETED, Result.DELETED]
    assert shop.items("homes") == {}


def test_what_is_settled_when_a_record_is_worked_counts(shop: Shop) -> None:
    """And a record is held as the bylaws say."""
    policy = Policy(verb=Verb.UPDATE, schema="test/One", makes=True)
    batch = shop.send([{"id": "a"}], collection="homes", verb=policy.verb, schema=policy.schema, makes=True)
    shop.store.add_resource("acme", "test/household", name="place", body=b"9", resources_max=1)
    shop.work()
    assert shop.engine.batch("acme", batch).counts.created == 1
    assert shop.items("homes") == {"a": {"id": "a", "place": "9"}}
    assert _run(shop, {"id": "a"}) == [Result.UNCHANGED]
