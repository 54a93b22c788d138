"""Records of a schema against what is held: any sequence, cut into batches anyhow, leaves what one by one leaves."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Duplicates, Kind, Policy, Result, Verb
from tests import effort, stores
from tests.shop import Shop, ndjson

SCHEMAS = {
    Verb.CREATE: "konnect/NewProduct", Verb.UPDATE: "konnect/ProductChange", Verb.DELETE: "konnect/ProductRemoval",
}
CODES, SLUGS, BRANDS, SKUS = "ab", "st", "XY", "123"


def _product(code: str, slug: str, brand: str, skus: list[str]) -> dict[str, object]:
    return {
        "item_code": code, "slug": slug, "brand": brand, "name": "n", "departments": ["1"], "category": "c",
        "country_of_origin": "IN", "tax_identifier": {"tax_rule_id": "t"}, "hs_code": "6404", "template": "p",
        "trader": [{"type": "Seller", "name": "n", "address": []}], "attributes": {}, "is_dependent": False,
        "sizes": [_size(sku) for sku in skus],
    }


def _size(sku: str) -> dict[str, object]:
    return {"primary_identifier": sku, "size": f"size {sku}", "price": 1, "price_effective": 1}


def _skus(entries: object) -> list[str]:
    return [str(entry["primary_identifier"]) for entry in entries]  # type: ignore[attr-defined]


class Model:
    """What should be held: code → slug, brand, SKUs."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, str, list[str]]] = {}

    def apply(self, verb: Verb, record: dict[str, object]) -> bool:
        """Whether the record is taken."""
        return {Verb.CREATE: self._create, Verb.UPDATE: self._update, Verb.DELETE: self._delete}[verb](record)

    def _taken(self, skus: list[str], own: str | None) -> bool:
        others = [sku for code, (_, _, held) in self.held.items() if code != own for sku in held]
        return len(set(skus)) < len(skus) or bool(set(skus) & set(others))

    def _create(self, record: dict[str, object]) -> bool:
        code, slug, brand = (str(record[name]) for name in ("item_code", "slug", "brand"))
        skus = _skus(record["sizes"])
        same = any((slug, brand) == held[:2] for held in self.held.values())
        if code in self.held or same or self._taken(skus, None):
            return False
        self.held[code] = (slug, brand, skus)
        return True

    def _found(self, record: dict[str, object]) -> str | None:
        """The item that is meant, if what else is said of it is right."""
        code = record.get("item_code")
        slugs = [key for key, held in self.held.items() if held[0] == record.get("slug")]
        found = str(code) if code in self.held else slugs[0] if len(slugs) == 1 else None
        if found is None or record.get("item_code", found) != found:
            return None
        return found if record.get("slug", self.held[found][0]) == self.held[found][0] else None

    def _update(self, record: dict[str, object]) -> bool:
        code = self._found(record)
        if code is None:
            return False
        slug, brand, held = self.held[code]
        sent = _skus(record["sizes"])
        merged = [*held, *dict.fromkeys(sku for sku in sent if sku not in held)]
        if len(set(sent)) < len(sent) or self._taken(merged, code):
            return False
        self.held[code] = (slug, brand, merged)
        return True

    def _delete(self, record: dict[str, object]) -> bool:
        code = self._found(record)
        if code is None:
            return False
        slug, brand, held = self.held[code]
        sent = _skus(record["sizes"]) if "sizes" in record else held
        if len(set(sent)) < len(sent) or not set(sent) <= set(held):
            return False
        left = [sku for sku in held if sku not in sent]
        self.held.pop(code)
        if left:
            self.held[code] = (slug, brand, left)
        return True


SENT = st.lists(st.sampled_from(SKUS), min_size=1, max_size=2)
CREATES = st.builds(_product, st.sampled_from(CODES), st.sampled_from(SLUGS), st.sampled_from(BRANDS), SENT)
NAMED = st.one_of(
    st.fixed_dictionaries({"item_code": st.sampled_from(CODES)}),
    st.fixed_dictionaries({"slug": st.sampled_from(SLUGS)}),
    st.fixed_dictionaries({"item_code": st.sampled_from(CODES), "slug": st.sampled_from(SLUGS)}),
)
CHANGES = st.builds(lambda named, skus: {**named, "sizes": [_size(sku) for sku in skus]}, NAMED, SENT)
REMOVALS = st.one_of(NAMED, CHANGES)
STEPS = st.lists(st.one_of(
    st.tuples(st.just(Verb.CREATE), st.lists(CREATES, min_size=1, max_size=3)),
    st.tuples(st.just(Verb.UPDATE), st.lists(CHANGES, min_size=1, max_size=3)),
    st.tuples(st.just(Verb.DELETE), st.lists(REMOVALS, min_size=1, max_size=3)),
), max_size=8)


@pytest.mark.parametrize("together", [True, False], ids=["together", "alone"])
@pytest.mark.parametrize("store", stores.KINDS)
def test_any_sequence_leaves_what_one_by_one_leaves(tmp_path, store: str, together: bool) -> None:
    """Batches committed together or each alone; results, items and marks against a model."""
    number = 0
    with Shop(tmp_path, kind=store) as shop:
        @settings(deadline=None, max_examples=effort.examples(60) if store == "sqlite" else effort.examples(15))
        @given(STEPS)
        def hold(steps: list[tuple[Verb, list[dict[str, object]]]]) -> None:
            nonlocal number
            number += 1
            model, collection, taken, batches = Model(), f"c{number}", [], []
            for verb, records in steps:
                policy = Policy(verb=verb, schema=SCHEMAS[verb], duplicates=Duplicates.OFF)
                batches.append(_sent(shop, collection, policy, records))
                taken.append([model.apply(verb, record) for record in records])
                if not together:
                    shop.work()
            shop.work()
            for batch, wanted in zip(batches, taken, strict=True):
                assert [row.result is not Result.REJECTED for row in shop.results(batch)] == wanted, shop.codes(batch)
            _compare(shop, collection, model)

        hold()
    stores.drop(tmp_path)


def _sent(shop: Shop, collection: str, policy: Policy, records: list[dict[str, object]]) -> str:
    submission = shop.engine.submit(
        merchant="acme", kind=Kind.PRODUCT, collection=collection, policy=policy, format="ndjson"
    )
    submission.write(ndjson(records))
    batch = submission.finish().batch
    assert batch is not None
    return batch.id


def _compare(shop: Shop, collection: str, model: Model) -> None:
    collection_args = ("acme", Kind.PRODUCT, collection)
    held = shop.items(collection)
    assert {code: (item["slug"], item["brand"], _skus(item["sizes"])) for code, item in held.items()} == model.held
    _, skus = shop.store.list_index(*collection_args, "sku")
    assert skus == sorted((sku, code) for code, (_, _, owned) in model.held.items() for sku in owned)
    made, changed = shop.store.list_index(*collection_args, "made"), shop.store.list_index(*collection_args, "changed")
    assert made[0] == changed[0] == len(model.held)
