"""kill -9 of a worker while records that waited are found, queued and worked."""

import time
from pathlib import Path

import pytest

from goodsgate.app import create_worker
from goodsgate.model.batch import Kind, Strictness
from goodsgate.model.catalogue import ReferenceEntry
from tests import forked
from tests.crash.scene import CHUNK_RECORDS, settings_of
from tests.factories import product
from tests.shop import Shop, open_store

POINTS = (
    "claimed", "applied", "commit-written", "commit-synced", "commit-mirrored", "committed", "references-marked",
    "references-queued",
)


def _stage(folder: Path, kind: str) -> tuple[Shop, list[str]]:
    """A store with products, prices, stock and variants of which all, some or none wait, and what they wait for queued.
    """
    shop = Shop(folder, "acme", kind=kind, **CHUNK_RECORDS)
    shop.reference("brand", ReferenceEntry(code="Known"))
    products = [product(n, brand="Known" if n % 3 else "Acme" if n % 2 else "Never") for n in range(90)]
    prices = [{"id": f"SKU-{n:04d}", "price": "1.00 EUR"} for n in range(0, 120, 2)]
    sent = [
        shop.send(products, references=Strictness.WAIT),
        shop.send(prices, kind=Kind.PRICE, references=Strictness.WAIT),
        shop.send(_variants(40), format="csv", collection="caps", currency="EUR", references=Strictness.WAIT),
    ]
    shop.work()
    sent.append(shop.send(_variants(30, title="Cap"), format="csv", collection="caps", currency="EUR"))
    shop.reference("brand", ReferenceEntry(code="Acme"))
    sent.append(shop.send([product(n, title="Newer", brand="Known") for n in (3, 100, 102, 104)]))
    return shop, sent


def _variants(count: int, title: str = "") -> bytes:
    """Rows of caps: products with this title, or variants of products that the file lacks."""
    rows = (f"C-{n},,{title},1.00" if title else f"C-{n}-S,C-{n},,1.00" for n in range(count))
    return "\n".join(("sku,parent,title,price", *rows, "")).encode()


def work(folder: Path) -> None:
    """Work until nothing is queued and nothing has arrived any more."""
    config = settings_of(folder)
    store = open_store(config)
    worker = create_worker(store, config, "worker")
    while worker.step() or worker.watch_references() or store.statistics()["lanes"]:
        time.sleep(0.001)
    store.close()


def _state_after(shop: Shop, sent: list[str]) -> list[object]:
    """Return the items, and counts, results, issues and references of each batch; not how many rounds it took."""
    return [shop.items(), shop.items(kind=Kind.PRICE), shop.items("caps"), [
        (
            batch.state, batch.counts, batch.total,
            [(row.number, row.key, row.result) for row in shop.results(one)],
            [(found.number, found.result, found.issues) for found in shop.findings(one)],
            [(each.kind, each.code, each.records) for each in shop.store.waiting_for("acme", one)],
            [found.raw for found in shop.store.waiting_records("acme", one)],
        )
        for one, batch in ((one, shop.engine.batch("acme", one)) for one in sent)
    ]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The scene, worked in peace; the same on every store."""
    shop, sent = _stage(tmp_path_factory.mktemp("peace"), "sqlite")
    with shop:
        shop.work()
        products, prices, variants, *_ = (shop.engine.batch("acme", one).counts for one in sent)
        assert (products.waiting, products.superseded, products.created) == (15, 1, 74)
        assert (prices.waiting, prices.created) == (27, 33)
        assert (variants.waiting, variants.created) == (10, 30)
        return _state_after(shop, sent)


@pytest.mark.parametrize("point", POINTS)
def test_kill_while_records_that_waited_are_worked(tmp_path: Path, kind: str, undisturbed: list[object],
                                                   point: str) -> None:
    """Killed there, taken over by the next worker: everything is as if nothing had happened."""
    shop, sent = _stage(tmp_path, kind)
    shop.store.close()
    assert forked.run(work, tmp_path, crash_at=f"{point}:1") == -9, f"{point} was never reached"
    assert forked.run(work, tmp_path) == 0
    with Shop(tmp_path, "acme") as after:
        assert _state_after(after, sent) == undisturbed
