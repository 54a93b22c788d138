"""Any sequence of uploads and archives has the same results as a model that applies them one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Result, Strictness, Verb
from tests import effort, stores
from tests.protocols.justwalkout.client import item
from tests.shop import Shop

SKUS, STORES, NUMBERS = ("A", "B", "C"), ("S-1", "S-2"), (1, 2, 3)
UPLOAD = {"schema": "justwalkout/CatalogItem", "references": Strictness.OFF}
ARCHIVE = {"schema": "justwalkout/Archival", "verb": Verb.UPDATE, "references": Strictness.OFF}
BARCODES = {number: item(number)["external_product_id"] for number in NUMBERS}


class CatalogueModel:
    """For each SKU and store the last barcodes, and whether the item is active."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], tuple[frozenset[int], bool]] = {}

    def upload(self, sku: str, store: str, numbers: list[int]) -> Result:
        """Upload an item; no other SKU may have one of its barcodes."""
        taken = {number for (other, _), (own,
            active) in self.items.items() if other != sku and active for number in own}
        if taken & set(numbers):
            return Result.REJECTED
        now, was = (frozenset(numbers), True), self.items.get((sku, store))
        return self._put((sku, store), was, now)

    def _put(self, key: tuple[str, str], was: object, now: tuple[frozenset[int], bool]) -> Result:
        self.items[key] = now
        return Result.CREATED if was is None else Result.UNCHANGED if was == now else Result.UPDATED

    def archive(self, sku: str) -> Result:
        """Archive a SKU in every store that has it."""
        keys = [key for key in self.items if key[0] == sku]
        if not keys:
            return Result.REJECTED
        changed = any(self.items[key][1] for key in keys)
        for key in keys:
            self.items[key] = (self.items[key][0], False)
        return Result.UPDATED if changed else Result.UNCHANGED


def _item(sku: str, store: str, numbers: list[int]) -> dict[str, object]:
    first, *more = sorted(set(numbers))
    further = [{"external_product_id": BARCODES[number]} for number in more]
    return item(
        first, store, item_sku=sku, item_name="x", additional_external_product_information=further,
        external_product_id_type=None,
    )


SENT = st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=2)
UPLOADS = st.lists(st.tuples(st.sampled_from(SKUS), st.sampled_from(STORES), SENT), min_size=1, max_size=3)
STEPS = st.lists(st.one_of(UPLOADS, st.lists(st.sampled_from(SKUS), min_size=1, max_size=2)), max_size=8)


@pytest.mark.parametrize("together", [True, False], ids=["together", "alone"])
def test_any_sequence_equals_the_model(kind, tmp_path, together):
    """Batches are processed together or one by one; results, items and index entries are equal."""
    number = 0
    with Shop(tmp_path, kind=kind) as shop:
        @settings(deadline=None, max_examples=effort.examples(40) if kind == "sqlite" else effort.examples(10))
        @given(STEPS)
        def hold(steps):
            nonlocal number
            number += 1
            model, collection, wanted, batches = CatalogueModel(), f"c{number}", [], []
            for step in steps:
                uploads = not isinstance(step[0], str)
                records = [_item(*one) for one in step] if uploads else [
                    {"item_sku": sku, "catalogStatus": "ARCHIVED"} for sku in step
                ]
                how = UPLOAD if uploads else ARCHIVE
                batches.append(shop.send(records, collection=collection, **how))
                wanted.append([model.upload(*one) if uploads else model.archive(one) for one in step])
                if not together:
                    shop.work()
            shop.work()
            for batch, results in zip(batches, wanted, strict=True):
                assert [row.result for row in shop.results(batch)] == results, shop.codes(batch)
            _compare(shop, collection, model)

        hold()
    stores.drop(tmp_path)


def _compare(shop: Shop, collection: str, model: CatalogueModel) -> None:
    items = shop.items(collection)
    archived = {tuple(key.split("\x1f")): one.get("catalogStatus") == "ARCHIVED" for key, one in items.items()}
    assert archived == {key: not active for key, (_, active) in model.items.items()}
    _, marks = shop.store.list_index("acme", Kind.PRODUCT, collection, "barcode")
    active = [(key, own) for key, (own, active) in model.items.items() if active]
    assert set(marks) == {(BARCODES[number], "\x1f".join(key)) for key, own in active for number in own}
