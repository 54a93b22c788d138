"""Promise 10: strangers see nothing."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from goodsgate.model.batch import Kind, new_id
from goodsgate.model.catalogue import Item, ReferenceEntry
from goodsgate.store.contract import BatchFilter, ItemSearch, Store
from tests.factories import NOW
from tests.store.scene import Record, Scene, rejected_record

LATER = NOW + timedelta(seconds=1)

ASKED: dict[str, Callable[[Store, str, str], object]] = {
    "batch": lambda store, merchant, batch: store.batch(merchant, batch),
    "batches": lambda store, merchant, batch: store.batches(merchant, BatchFilter()).rows,
    "payload": lambda store, merchant, batch: store.payload(merchant, batch, 0),
    "results": lambda store, merchant, batch: store.results(merchant, batch),
    "findings": lambda store, merchant, batch: store.findings(merchant, batch),
    "findings_of": lambda store, merchant, batch: store.findings_by_key(merchant, "sought"),
    "groups": lambda store, merchant, batch: store.issue_groups(merchant, batch),
    "rejected": lambda store, merchant, batch: store.rejected_records(merchant, batch),
    "rejected_among": lambda store, merchant, batch: store.rejected_by_number(merchant, batch, [1, 2]),
    "cancel": lambda store, merchant, batch: store.cancel(merchant, batch),
    "items": lambda store, merchant, batch: store.items(merchant, Kind.PRODUCT, "products").rows,
    "search": lambda store, merchant, batch: (
        page.rows if (page := store.search_items(merchant, Kind.PRODUCT, "products", ItemSearch(since=NOW))) else None
    ),
    "snapshot": lambda store, merchant, batch: _snapshot(store, merchant),
    "changes": lambda store, merchant, batch: store.changes(merchant, after=None).changes,
    "item": lambda store, merchant, batch: store.item(merchant, Kind.PRODUCT, "products", "A"),
    "held": lambda store, merchant, batch: store.current_items(merchant, Kind.PRODUCT, "products", ["A"]),
    "case variants": lambda store, merchant, batch: store.case_variants(merchant, Kind.PRODUCT, "products", ["a"]),
    "unknown SKUs": lambda store, merchant, batch: store.unknown_skus(merchant, "products", ["X"]),
    "open products": lambda store, merchant, batch: store.has_open_products(merchant, "products", before=LATER),
    "collections": lambda store, merchant, batch: store.collections(merchant),
    "reference": lambda store, merchant, batch: store.reference(merchant, "brand").rows,
    "reference_version": lambda store, merchant, batch: store.reference_version(merchant),
    "resource": lambda store, merchant, batch: store.resource(merchant, "tested/stream", 1),
    "resources": lambda store, merchant, batch: store.resources(merchant, "tested/stream"),
    "labelled": lambda store, merchant, batch: store.list_by_label(merchant, "tested/stream", "open"),
}


def _snapshot(store: Store, merchant: str) -> list[Item]:
    with store.item_snapshot(merchant, Kind.PRODUCT, "products", page_items=10) as snapshot:
        return [item for page in snapshot.pages for item in page]


@pytest.mark.parametrize("name", ASKED)
def test_what_one_merchant_sees_no_other_does(scene: Scene, name: str) -> None:
    """Neither another merchant, nor one that does not exist, nor under an id that is none."""
    batch = scene.seal()
    scene.run([Record("A"), rejected_record("sought")])
    scene.seal()
    scene.store.put_reference("acme", "brand", [ReferenceEntry(code="x")])
    scene.store.add_resource("acme", "tested/stream", name="a", body=b"{}", resources_max=9, labels=[("open", 1)])
    ask = ASKED[name]
    assert ask(scene.store, "acme", batch)
    assert not ask(scene.store, "bolt", batch)
    assert not ask(scene.store, "nobody", batch)
    if name in ("batch", "payload", "results", "findings", "groups", "rejected", "rejected_among", "cancel"):
        for unknown in (new_id(), batch.upper(), batch[:-1], "", "x", "'; --"):
            assert not ask(scene.store, "acme", unknown)
