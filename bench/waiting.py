"""What records that waited cost once what they refer to is there: `python -m bench waiting`."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Figure
from goodsgate.app import create_engine, create_worker, open_store
from goodsgate.config import Config
from goodsgate.engine import Engine, Worker
from goodsgate.model.batch import Batch, Kind, Policy, Strictness, now
from goodsgate.model.catalogue import Merchant, ReferenceEntry

RECORDS = 100_000
SECONDS_MAX = 10.0
BRANDS = 50
VARIANTS = 5
"""Variants of a product."""


def parts(short: bool) -> Iterator[Figure]:
    """Products that wait for brands, prices and variants that wait for products, each in a store of their own."""
    yield _references(short)
    yield _variants(short)


def _references(short: bool) -> Figure:
    count = RECORDS // 20 if short else RECORDS
    products = [
        b'{"id":"P-%d","title":"Plate %d","price":"5.00 EUR","brand":"Brand %d"}' % (number, number, number % BRANDS)
        for number in range(count)
    ]
    prices = [b'{"id":"P-%d","price":"4.00 EUR"}' % number for number in range(count)]
    with tempfile.TemporaryDirectory(prefix="goodsgate-bench-") as folder:
        config = Config(store=str(Path(folder) / "store"))
        store = open_store(config)
        store.migrate()
        store.add_merchant(Merchant(id="bench", name="bench", created_at=now()))
        engine, worker = create_engine(store, config), create_worker(store, config, "worker")
        brands = [ReferenceEntry(code=f"Brand {number}") for number in range(BRANDS)]
        waiting = _send(engine, worker, prices, Kind.PRICE)
        assert waiting.counts.waiting == count, waiting.counts
        later = _send(engine, worker, products, Kind.PRODUCT)
        assert later.counts.waiting == count, later.counts
        seconds = _seconds(worker, lambda: store.put_reference("bench", "brand", brands))
        healed = [engine.batch("bench", batch.id).counts for batch in (waiting, later)]
        assert [counts.created for counts in healed] == [count, count], healed
        worker.close()
        store.close()
    detail = f"{2 * count / seconds:,.0f} records/s: products by a load of their brands, and prices by these products"
    what = f"{count:,} products and as many prices that waited, seconds of CPU"
    return Figure(what, seconds, 2 * SECONDS_MAX, False, detail)


def _variants(short: bool) -> Figure:
    count = RECORDS // 20 if short else RECORDS
    products = count // VARIANTS
    header = b"ID,Type,SKU,Name,Regular price,Parent,Description"
    variants = [b"%d,variation,V-%d,,5.00,P-%d," % (RECORDS + at, at, at % products) for at in range(count)]
    parents = [b"%d,variable,P-%d,Plate %d,,,A plate" % (at, at, at) for at in range(products)]
    with tempfile.TemporaryDirectory(prefix="goodsgate-bench-") as folder:
        config = Config(store=str(Path(folder) / "store"))
        store = open_store(config)
        store.migrate()
        store.add_merchant(Merchant(id="bench", name="bench", created_at=now()))
        engine, worker = create_engine(store, config), create_worker(store, config, "worker")
        waiting = _send(engine, worker, [header, *variants], Kind.PRODUCT, format="csv")
        assert waiting.counts.waiting == count, waiting.counts
        seconds = _seconds(worker, lambda: _submit(engine, [header, *parents], Kind.PRODUCT, format="csv"))
        assert engine.batch("bench", waiting.id).counts.created == count
        worker.close()
        store.close()
    detail = f"{count / seconds:,.0f} records/s: by a file of their {products:,} products"
    return Figure(f"{count:,} variants that waited, seconds of CPU", seconds, SECONDS_MAX, False, detail)


def _send(engine: Engine, worker: Worker, lines: list[bytes], kind: Kind, *, format: str = "ndjson") -> Batch:
    batch = _submit(engine, lines, kind, format=format)
    _seconds(worker, lambda: None)
    return engine.batch("bench", batch)


def _submit(engine: Engine, lines: list[bytes], kind: Kind, *, format: str) -> str:
    """Submit records, and return the id of the batch."""
    submission = engine.submit(
        merchant="bench", kind=kind, collection="products", format=format,
        policy=Policy(references=Strictness.WAIT, currency="EUR"),
    )
    submission.write(b"\n".join(lines))
    receipt = submission.finish()
    assert receipt.batch is not None
    return receipt.batch.id


def _seconds(worker: Worker, load: Callable[[], object]) -> float:
    """Return the processor time from the end of a load until nothing that has arrived is left."""
    load()
    while worker.step():
        pass
    begin = time.process_time()
    while worker.step() or worker.watch_references():
        pass
    return time.process_time() - begin
