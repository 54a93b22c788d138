"""A merchant's shop in one process: a temporary store, an engine, and a worker that runs on request."""

from collections.abc import Iterable
from pathlib import Path

import orjson

from goodsgate import app
from goodsgate.app import create_engine, create_worker
from goodsgate.config import Config
from goodsgate.model.batch import Batch, Kind, Policy
from goodsgate.model.catalogue import Merchant, ReferenceEntry
from goodsgate.model.finding import Finding
from goodsgate.store.contract import RecordResult, Store
from goodsgate.store.strict import StrictStore
from tests import factories, stores

METRICS_TOKEN = "a token for monitoring".replace(" ", "-")
VALID_CACHE_RECORDS = 2**16
"""Few enough that no test has to wait until 16 MB are allocated."""


class Shop:
    """Store, engine and one worker in this process; `work` runs the worker until the queue is empty.

    The first shop in a folder decides the kind of its store; one on PostgreSQL must be closed.
    """

    def __init__(self, folder: Path, *merchants: str, kind: str | None = None, **settings: object) -> None:
        address = stores.address(folder) if kind is None else stores.create_address(folder, kind)
        usual = {"metrics_token": METRICS_TOKEN, "valid_cache_records": VALID_CACHE_RECORDS}
        self.config = Config(store=address, **{**usual, **settings})  # type: ignore[arg-type]
        self.store: Store = StrictStore(open_store(self.config))
        self.store.migrate()
        for merchant in merchants or ("acme",):
            self.store.add_merchant(Merchant(id=merchant, name=merchant, created_at=factories.NOW))
        self.engine = create_engine(self.store, self.config)
        self.worker = create_worker(self.store, self.config, "worker-1")

    def __enter__(self) -> "Shop":
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def send(self, body: bytes | Iterable[object], *, merchant: str = "acme", kind: Kind = Kind.PRODUCT,
             collection: str = "products", format: str = "ndjson", content_encoding: str = "identity",
             idempotency_key: str | None = None,
             **policy: object) -> str:
        """Submit bytes, or records as NDJSON, and return the batch id."""
        submission = self.engine.submit(
            merchant=merchant, kind=kind, collection=collection, policy=Policy(**policy),  # type: ignore[arg-type]
            format=format, content_encoding=content_encoding, idempotency_key=idempotency_key,
            answer=lambda batch: batch.id.encode(),
        )
        submission.write(body if isinstance(body, bytes) else ndjson(body))
        receipt = submission.finish()
        return receipt.batch.id if receipt.batch is not None else str(receipt.replay and receipt.replay.batch)

    def fix(self, batch: str, body: bytes, *, format: str, merchant: str = "acme", new_records: bool = False) -> None:
        """Submit corrected records."""
        submission = self.engine.fix(merchant, batch, format=format, new_records=new_records)
        submission.write(body)
        submission.finish()

    def work(self) -> None:
        """Work until the queue is empty, and nothing has arrived for records that wait."""
        while self.worker.step() or self.worker.watch_references():
            pass

    def run(self, body: bytes | Iterable[object], **how: object) -> Batch:
        """Submit records, work, and return the ended batch."""
        merchant = str(how.get("merchant", "acme"))
        batch = self.send(body, **how)  # type: ignore[arg-type]
        self.work()
        return self.engine.batch(merchant, batch)

    def reference(self, kind: str, *entries: ReferenceEntry, merchant: str = "acme") -> None:
        """Load reference data."""
        self.store.put_reference(merchant, kind, entries)

    def items(self, collection: str = "products", *, kind: Kind = Kind.PRODUCT, merchant: str = "acme",
              ) -> dict[str, object]:
        """Return all current items by key."""
        held: dict[str, object] = {}
        after = None
        while True:
            page = self.store.items(merchant, kind, collection, after=after, limit=500)
            held.update({item.key: orjson.loads(item.document) for item in page.rows})
            after = page.next
            if after is None:
                return held

    def findings(self, batch: str, *, merchant: str = "acme") -> list[Finding]:
        """Return all findings of a batch."""
        return self.store.findings(merchant, batch, limit=1000)

    def codes(self, batch: str, *, merchant: str = "acme") -> dict[int, list[str]]:
        """Return the issue codes by record number."""
        return {f.number: [issue.code for issue in f.issues] for f in self.findings(batch, merchant=merchant)}

    def results(self, batch: str, *, merchant: str = "acme") -> list[RecordResult]:
        """Return all results of a batch by record number."""
        rows: list[RecordResult] = []
        while page := self.store.results(merchant, batch, after=rows[-1].number if rows else 0, limit=1000):
            rows.extend(page)
        return rows

    def report(self, batch: str, *, only: str = "rejected", format: str | None = None) -> bytes:
        """Return the bytes of a report."""
        return b"".join(self.engine.report("acme", batch, only=only, format=format).pieces)


def open_store(config: Config) -> Store:
    """Open the store as the application does."""
    if config.payloads:
        return app.open_store(config)
    return stores.open_at(
        config.store, small_payload_bytes=config.small_payload_bytes, cache_bytes=config.catalogue_cache_bytes,
        connections_max=config.connections_max,
    )


def ndjson(records: Iterable[object]) -> bytes:
    """Return records as NDJSON."""
    return b"".join(orjson.dumps(record) + b"\n" for record in records)
