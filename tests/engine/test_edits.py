"""Fields that a person edits: they stay until they are unlocked, or until the supplier sends something new."""

from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from goodsgate.engine.stock import StockMovement, StockOperation
from goodsgate.model.batch import Batch, Duplicates, Kind, Verb
from goodsgate.model.catalogue import Item
from tests.engine.model import opened
from tests.shop import Shop, ndjson

Fields = dict[str, object]

FED: Fields = {"id": "A", "title": "Cup", "price": "9.00 EUR", "brand": "Acme"}
EDIT = {"verb": Verb.UPDATE, "edit": "lock"}
UNLOCK = {"verb": Verb.UPDATE, "edit": "unlock"}


def _item(shop: Shop, kind: Kind = Kind.PRODUCT, key: str = "A") -> Item:
    item = shop.store.item("acme", kind, "products", key)
    assert item is not None
    return item


def _locked(shop: Shop) -> list[str]:
    return sorted(_item(shop).locks)


def _issues(shop: Shop, batch: Batch) -> list[tuple[str, str, str | None, str | None]]:
    found = [each for finding in shop.findings(batch.id) for each in finding.issues]
    return [(each.code, each.path, each.value, each.expected) for each in found]


KEPT = ("field_kept", "/title", "Cup", "Mug")
REPLACED = ("edit_replaced", "/title", "Bowl", "Mug")
FEEDS = [
    # what the supplier sends after the title was edited to Mug; how; title; result; issues; locked fields
    ({}, {}, "Mug", "unchanged", [KEPT], ["title"]),
    ({"title": "Bowl"}, {}, "Bowl", "updated", [REPLACED], []),
    ({"title": "Mug"}, {}, "Mug", "unchanged", [], []),
    ({"price": "9 EUR"}, {}, "Mug", "unchanged", [KEPT], ["title"]),
    ({"brand": "Other"}, {}, "Mug", "updated", [KEPT], ["title"]),
    ({}, {"replace": True}, "Mug", "unchanged", [KEPT], ["title"]),
    ({"title": "Bowl"}, {"replace": True}, "Bowl", "updated", [REPLACED], []),
    ({}, {"mode": "full"}, "Mug", "unchanged", [KEPT], ["title"]),
    ({"title": "Bowl", "price": "free"}, {}, "Mug", "rejected", None, ["title"]),
    ({"brand": "Other"}, {"duplicates": Duplicates.LAST}, "Mug", "updated", [KEPT], ["title"]),
    ({"version_number": 7}, {}, "Mug", "unchanged", [KEPT], ["title"]),
]


@pytest.mark.parametrize(("fed", "how", "title", "result", "issues", "locked"), FEEDS)
def test_an_edit_stays_until_the_supplier_sends_something_new(
    shop: Shop, fed: Fields, how: dict[str, Any], title: str, result: str, issues: Any, locked: list[str],
) -> None:
    """The lock compares what comes with what came before the edit, however the record is applied."""
    shop.run([FED])
    assert shop.run([{"id": "A", "title": "Mug"}], **EDIT).counts.updated == 1
    assert _locked(shop) == ["title"]
    batch = shop.run([{**FED, **fed}], **how)
    assert (_item(shop).locks.keys(), shop.items()["A"]["title"]) == (set(locked), title)  # type: ignore[index]
    assert [str(row.result) for row in shop.results(batch.id)] == [result]
    if issues is not None:
        assert _issues(shop, batch) == issues


def test_an_unlocked_field_has_the_value_of_the_supplier_again(shop: Shop) -> None:
    """One field or all; what was added goes, what was removed comes back, and the item is as if nobody had edited."""
    shop.run([FED])
    before = shop.items()
    shop.run([{"id": "A", "title": "Mug", "brand": None, "color": "red", "price": "8 EUR"}], **EDIT)
    edited = {"id": "A", "title": "Mug", "price": "8.00 EUR", "color": "red"}
    assert (shop.items()["A"], _locked(shop)) == (edited, ["brand", "color", "price", "title"])
    assert shop.run([{"id": "A", "color": None}], **UNLOCK).counts.updated == 1
    assert shop.run([{"id": "A", "color": None, "size": None}], **UNLOCK).counts.unchanged == 1
    assert _locked(shop) == ["brand", "price", "title"]
    assert shop.run([{"id": "A"}], **UNLOCK).counts.updated == 1
    assert (shop.items(), _item(shop).field_state) == (before, None)
    assert shop.run([FED]).counts.unchanged == 1


def test_an_edit_is_checked_and_repeated_without_effect(shop: Shop) -> None:
    """Rules reject it, the same again changes nothing, another one keeps the value of the supplier, which ends it."""
    shop.run([FED])
    for wrong in ({"price": "cheap"}, {"title": None}):
        assert shop.run([{"id": "A", **wrong}], **EDIT).counts.rejected == 1
    assert shop.run([{"id": "B", "title": "Mug"}], **EDIT).counts.rejected == 1
    assert shop.run([{"id": "A", "title": "Cup"}], **EDIT).counts.unchanged == 1
    assert (_locked(shop), _item(shop).field_state) == ([], None)
    for title, result in (("Mug", "updated"), ("Mug", "unchanged"), ("Jug", "updated")):
        assert shop.results(shop.run([{"id": "A", "title": title}], **EDIT).id)[0].result == result
    written = _item(shop)
    shop.run([FED])
    assert _item(shop) == written
    shop.run([{"id": "A", "title": "Cup"}], **EDIT)
    assert (shop.items()["A"], _locked(shop)) == (FED, [])


def test_objects_are_edited_as_a_whole(shop: Shop) -> None:
    """A patch of the supplier is merged into what the supplier has sent, and compared with it."""
    fed = {**FED, "attributes": {"a": "1", "b": "2"}}
    shop.run([fed])
    shop.run([{"id": "A", "attributes": {"a": "3"}}], **EDIT)
    assert shop.items()["A"]["attributes"] == {"a": "3", "b": "2"}  # type: ignore[index]
    shop.run([{"id": "A", "attributes": {"b": "2"}}], verb=Verb.UPDATE)
    assert (shop.items()["A"]["attributes"], _locked(shop)) == ({"a": "3", "b": "2"}, ["attributes"])  # type: ignore[index]
    shop.run([{"id": "A", "attributes": {"b": "4"}}], verb=Verb.UPDATE)
    assert (shop.items()["A"]["attributes"], _locked(shop)) == ({"a": "1", "b": "4"}, [])  # type: ignore[index]


def test_a_deletion_removes_the_locks(shop: Shop) -> None:
    """By a record, with or without a version, and by a full feed without the item: what comes again has none."""
    for version, remove in (
        ({}, lambda: shop.run([{"id": "A"}], verb=Verb.DELETE)),
        ({"version_number": 3}, lambda: shop.run([{"id": "A", "version_number": 4}], verb=Verb.DELETE)),
        ({"version_number": 5}, lambda: shop.run([{**FED, "id": "B"}], mode="full", delete_share_max=1.0)),
    ):
        shop.run([{**FED, **version}])
        shop.run([{"id": "A", "title": "Mug"}], **EDIT)
        assert _locked(shop) == ["title"]
        remove()
        assert "A" not in shop.items()
        shop.run([{**FED, "version_number": 6} if version else FED])
        assert (shop.items()["A"], _item(shop).locks) == (FED, {})


def test_edits_neither_have_nor_change_versions(shop: Shop) -> None:
    """What is older for its group is left out as without edits, and what is newer is compared with the supplier's."""
    shop.run([{**FED, "version_number": 5}])
    shop.run([{"id": "A", "version_number": 7, "price": "10.00 EUR"}], verb=Verb.UPDATE)
    versions = _item(shop).version, _item(shop).group_versions
    shop.run([{"id": "A", "title": "Mug", "price": "8.00 EUR"}], **EDIT)
    assert (_item(shop).version, _item(shop).group_versions) == versions
    old = shop.run([{**FED, "price": "9.00 EUR", "title": "Bowl", "version_number": 4}])
    assert (old.counts.superseded, _locked(shop)) == (1, ["price", "title"])
    partly = shop.run([{**FED, "title": "Bowl", "version_number": 6}])
    assert [each[:2] for each in _issues(shop, partly)] == [
        ("edit_replaced", "/title"), ("fields_newer", "/version_number")
    ]
    assert (shop.items()["A"], _locked(shop)) == ({**FED, "title": "Bowl", "price": "8.00 EUR"}, ["price"])
    shop.run([{"id": "A"}], **UNLOCK)
    assert shop.items()["A"] == {**FED, "title": "Bowl", "price": "10.00 EUR"}


def test_prices_and_stock_are_edited_in_the_same_way(shop: Shop) -> None:
    """Orders move an edited quantity; a feed with the old quantity does not reset it, a new one does."""
    shop.run([FED])
    shop.run([{"id": "A", "price": "7.00 EUR"}], kind=Kind.PRICE)
    shop.run([{"id": "A", "price": "6.00 EUR"}], kind=Kind.PRICE, **EDIT)
    assert shop.run([{"id": "A", "price": "7.00 EUR"}], kind=Kind.PRICE).counts.unchanged == 1
    assert shop.items(kind=Kind.PRICE)["A"] == {"id": "A", "price": "6.00 EUR"}
    shop.run([{"id": "A", "quantity": 5}], kind=Kind.STOCK)
    shop.run([{"id": "A", "quantity": 9}], kind=Kind.STOCK, **EDIT)
    for operation in (StockOperation.RESERVE, StockOperation.COMMIT):
        shop.engine.stock.move("acme", "products", StockMovement(order="o", verb=operation, lines={"A": 2}))
    for quantity, result, after in ((5, "unchanged", 7), (7, "unchanged", 7), (5, "updated", 5)):
        batch = shop.run([{"id": "A", "quantity": quantity}], kind=Kind.STOCK)
        assert [str(row.result) for row in shop.results(batch.id)] == [result]
        assert shop.items(kind=Kind.STOCK)["A"] == {"id": "A", "quantity": after}
    assert _item(shop, Kind.STOCK).locks == {}


def test_a_revert_brings_edits_and_locks_back(shop: Shop) -> None:
    """Of an edit, it removes the lock; of a feed that has replaced the edit, it restores both, for the next feeds."""
    shop.run([FED])
    shop.run([{"id": "A", "title": "Mug"}], **EDIT)
    replacing = shop.run([{**FED, "title": "Bowl"}])
    assert (shop.items()["A"]["title"], _locked(shop)) == ("Bowl", [])  # type: ignore[index]
    shop.engine.revert("acme", replacing.id)
    shop.work()
    assert (shop.items()["A"]["title"], _locked(shop)) == ("Mug", ["title"])  # type: ignore[index]
    again = shop.run([{**FED, "title": "Mug"}, {"id": "A", "title": "Cup"}], duplicates=Duplicates.MERGE)
    assert (again.counts.unchanged, again.counts.updated, _locked(shop)) == (1, 1, [])
    shop.run([{"id": "A", "title": "Jug"}], **EDIT)
    edit = shop.run([{"id": "A", "brand": "Other"}], **EDIT)
    shop.engine.revert("acme", edit.id)
    shop.work()
    assert (shop.items()["A"], _locked(shop)) == ({**FED, "title": "Jug"}, ["title"])
    kept = shop.run([FED])
    assert (kept.counts.unchanged, _issues(shop, kept)) == (1, [("field_kept", "/title", "Cup", "Jug")])


VALUES: dict[str, list[object]] = {
    "title": ["Cup", "Mug", "Bowl"], "price": ["1.00 EUR", "2.00 EUR", None], "brand": ["Acme", "Other", None],
    "Note": [{"a": 1}, {"a": 2, "b": 3}, None],
}
KEYS = ["K1", "K2", "K3"]


def _fields(draw: Any, *, whole: bool) -> Fields:
    names = VALUES if whole else draw(st.sets(st.sampled_from([*VALUES]), min_size=1))
    fields = {name: draw(st.sampled_from(VALUES[name])) for name in sorted(names)}
    return {name: value for name, value in fields.items() if not whole or value is not None}


@st.composite
def _steps(draw: Any) -> list[tuple[str, str, Fields]]:
    kinds = ["feed", "feed", "replace", "update", "edit", "edit", "unlock", "delete"]
    steps = []
    for _ in range(draw(st.integers(10, 30))):
        step = draw(st.sampled_from(kinds))
        fields = {} if step == "delete" else _fields(draw, whole=step in ("feed", "replace"))
        if step == "unlock":
            fields = dict.fromkeys(fields) if draw(st.booleans()) else {}
        steps.append((step, draw(st.sampled_from(KEYS)), fields))
    return steps


def _merge(target: Fields, patch: Fields) -> Fields:
    merged = dict(target)
    for name, value in patch.items():
        before = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _merge(before if isinstance(before, dict) else {}, value)
        else:
            merged[name] = value
    return merged


class _Layers:
    """The model: what the supplier has sent, and the edited values above it; None is a field without a value."""

    def __init__(self) -> None:
        self.supplied: Fields = {}
        self.edited: Fields = {}

    def apply(self, step: str, fields: Fields) -> None:
        """Apply a step that the rules accept."""
        before = dict(self.supplied)
        if step == "edit":
            merged = _merge(self.item(), fields)
            self.edited.update({name: merged.get(name) for name in fields})
        elif step == "unlock":
            self.edited = {name: each for name, each in self.edited.items() if fields and name not in fields}
        elif step == "replace":
            self.supplied = {**{name: before[name] for name in self.edited if name in before}, **fields}
        else:
            self.supplied = _merge(self.supplied, fields)
        self.edited = {
            name: each for name, each in self.edited.items()
            if self.supplied.get(name) == before.get(name) and self.supplied.get(name) != each
        }

    def item(self) -> Fields:
        """Return the item as everybody sees it."""
        return {name: each for name, each in {**self.supplied, **self.edited}.items() if each is not None}


HOW: dict[str, dict[str, Any]] = {
    "feed": {}, "replace": {"replace": True}, "update": {"verb": Verb.UPDATE}, "edit": EDIT, "unlock": UNLOCK,
    "delete": {"verb": Verb.DELETE},
}


@pytest.mark.parametrize(("store", "examples"), [("sqlite", 12), ("postgres", 4)])
def test_feeds_edits_and_unlocks_in_any_order_equal_two_layers(store: str, examples: int) -> None:
    """What people edit lies above what the supplier sends, and unlocking everything shows what is below."""
    numbers = count()

    @settings(deadline=None, max_examples=examples, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(steps=_steps())
    def check(steps: list[tuple[str, str, Fields]]) -> None:
        collection = f"c{next(numbers)}"
        models: dict[str, _Layers] = {}
        for step, key, fields in steps:
            shop.send(ndjson([{"id": key, **fields}]), collection=collection, **HOW[step])
            model = models.get(key)
            if step == "delete":
                models.pop(key, None)
            elif model is not None or step in ("feed", "replace"):
                changed = _Layers()
                if model is not None:
                    changed.supplied, changed.edited = dict(model.supplied), dict(model.edited)
                changed.apply(step, fields)
                if "title" in changed.item():  # without, the rules reject the record
                    models[key] = changed
        shop.work()
        assert shop.items(collection=collection) == {key: {"id": key, **model.item()} for key, model in models.items()}
        shop.run([{"id": key} for key in KEYS], collection=collection, **UNLOCK)
        for key, model in models.items():
            assert "title" not in model.supplied or shop.items(collection=collection)[key] == {
                "id": key, **model.supplied
            }

    with opened(store, "acme", claim_rounds_max=4) as shop:
        check()
