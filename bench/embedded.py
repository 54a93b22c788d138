"""Work one batch in a fresh embedded store, in this process."""

import tempfile
import time
from pathlib import Path

from goodsgate.app import create_engine, create_worker, open_store
from goodsgate.config import Config
from goodsgate.model.batch import Kind, Policy, now
from goodsgate.model.catalogue import Merchant


def records_per_second(body: bytes, format: str, policy: Policy) -> float:
    """Return the records per second of processor time, from the claim to the end; no record may be rejected."""
    with tempfile.TemporaryDirectory(prefix="goodsgate-bench-") as folder:
        config = Config(store=str(Path(folder) / "store"))
        store = open_store(config)
        store.migrate()
        store.add_merchant(Merchant(id="bench", name="bench", created_at=now()))
        engine, worker = create_engine(store, config), create_worker(store, config, "worker")
        submission = engine.submit(
            merchant="bench", kind=Kind.PRODUCT, collection="products", policy=policy, format=format,
            content_encoding="identity",
        )
        submission.write(body)
        receipt = submission.finish()
        assert receipt.batch is not None
        begin = time.process_time()
        while worker.step():
            pass
        seconds = time.process_time() - begin
        counts = engine.batch("bench", receipt.batch.id).counts
        assert counts.rejected == 0, counts
        worker.close()
        store.close()
        return counts.accounted / seconds
