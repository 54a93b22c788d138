"""Commits that do not wait for the disk: a server that crashes may lose them, but not unnoticed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from goodsgate.app import create_engine, create_worker
from goodsgate.config import Config
from goodsgate.model.batch import Kind, Policy, Result, State, new_id
from goodsgate.model.catalogue import Merchant
from goodsgate.store.contract import BatchFilter, ChunkCommit, Claim, Store, StoreBusyError, StoreError
from tests import stores
from tests.factories import NOW
from tests.postgres import Server
from tests.shop import ndjson
from tests.store import child
from tests.store.scene import Record, advanced, chunk_commit

PIECE = b" " * 1024 * 1024
"""Size of one piece; it compresses well, so that the write-ahead log is not flushed early."""


@pytest.fixture(scope="module")
def lazy(own: Server) -> Server:
    """Start a server that flushes its log only when a client waits for it."""
    with own.admin() as db:
        db.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        db.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
    own.stop()
    own.start()
    return own


@pytest.fixture
def store(lazy: Server, address: str) -> Iterator[Store]:
    """Open a store on a new database."""
    opened = stores.open_at(address, small_payload_bytes=1_000)
    yield opened
    opened.close()


def _finish(store: Store, upload: str, pieces: int) -> str:
    for _ in range(pieces):
        store.append_upload("acme", upload, PIECE)
    return _seal(store, upload)


def _seal(store: Store, upload: str) -> str:
    return store.add_batch(child.new_batch("acme"), upload=upload, open_rounds_max=10).id


@pytest.mark.parametrize("after", [0, 1], ids=["then sealed", "then goes on"])
@pytest.mark.parametrize("kept", [0, 2])
def test_a_submission_with_lost_pieces_is_not_acknowledged(lazy: Server, store: Store, kept: int,
                                                           after: int) -> None:
    """It is refused whether all pieces or the last ones are lost, and can be sent again."""
    upload = new_id()
    for _ in range(kept):
        store.append_upload("acme", upload, PIECE)
    # waits for the disk, with all before
    store.add_merchant(Merchant(id=f"other{kept}{after}", name="", created_at=NOW))
    for _ in range(2):
        store.append_upload("acme", upload, PIECE)
    lazy.stop("immediate")
    lazy.start()
    with pytest.raises(StoreBusyError):
        _finish(store, upload, after)
    store.discard_upload("acme", upload)
    assert store.batches("acme", BatchFilter()).rows == []
    batch = _finish(store, new_id(), 3)
    assert b"".join(store.payload("acme", batch, 0) or ()) == PIECE * 3


def test_chunks_that_a_crash_lost_are_processed_again(lazy: Server, store: Store) -> None:
    """The effect is the same: a worker does not rely on changes that are lost."""
    child.submit(store, 1)
    child.work(store)
    batch = child.submit(store, 3)
    claim = store.claim("w", lease_seconds=60, rounds_max=1, bytes_max=100)
    assert claim is not None
    work = claim.rounds[0]
    first = chunk_commit(work, Record("A"), Record("B", Result.UNCHANGED))
    store.commit(claim, [first])
    assert store.seen_keys(advanced(work, first), ["A", "B", "C"]) == {"A", "B"}
    lazy.stop("immediate")
    lazy.start()
    assert [item.key for item in store.items("acme", Kind.PRODUCT, "products").rows if item.key != "K1"] == []
    with pytest.raises(StoreError):
        store.commit(claim, [chunk_commit(advanced(work, first), Record("C"), ends=State.FINISHED)])
    store.release_claim(claim)
    claim = store.claim("w", lease_seconds=60, rounds_max=1, bytes_max=100)
    assert claim is not None
    work = claim.rounds[0]
    assert (work.chunks, store.seen_keys(work, ["A", "B", "C"])) == (0, set())
    first = chunk_commit(work, Record("A"), Record("B"))
    store.commit(claim, [first])
    work = advanced(work, first)
    assert store.seen_keys(work, ["A", "B", "C"]) == {"A", "B"}
    store.commit(claim, [chunk_commit(work, Record("C"), ends=State.FINISHED)])
    lazy.stop("immediate")
    lazy.start()
    found = store.batch("acme", batch)
    assert found is not None
    assert (found.state, found.counts.created) == (State.FINISHED, 3)
    assert [item.key for item in store.items("acme", Kind.PRODUCT, "products").rows] == ["A", "B", "C", "K1"]


class _Falling:
    """A store whose server crashes once, after a number of commits."""

    def __init__(self, store: Store, server: Server, settles: int) -> None:
        self._store = store
        self._server = server
        self._left = settles

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, claim: Claim, commits: Sequence[ChunkCommit], *,
               refresh: Callable[[], Sequence[ChunkCommit]] | None = None) -> None:
        """Crash while the next chunk is prepared."""
        self._store.commit(claim, commits, refresh=refresh)
        self._left -= 1
        if not self._left:
            self._server.stop("immediate")
            self._server.start()


@pytest.mark.parametrize("settles", [2, 4, 7])
def test_prepared_chunks_are_prepared_again_after_a_crash(lazy: Server, store: Store, address: str,
                                                          settles: int) -> None:
    """The chunks have no key in common, and two of them are repeated at the end."""
    config = Config(store=address, chunk_records_max=2, poll_seconds=0.1)
    worker = create_worker(_Falling(store, lazy, settles), config, "w")  # type: ignore[arg-type]
    records = [{"id": f"K{number}", "title": "one" if number % 3 else ""} for number in (*range(18), 0, 1)]
    submission = create_engine(store, config).submit(
        merchant="acme", kind=Kind.PRODUCT, collection="products", policy=Policy(), format="ndjson",
        content_encoding="identity", idempotency_key=None, answer=lambda batch: b"",
    )
    submission.write(ndjson(records))
    receipt = submission.finish()
    assert receipt.batch is not None
    while store.batches("acme", BatchFilter()).rows[0].state is not State.FINISHED:
        with suppress(StoreError):
            worker.step()
    worker.close()
    found = store.findings("acme", receipt.batch.id)
    codes = {one.number: sorted(issue.code for issue in one.issues) for one in found if one.number > 18}
    assert codes == {19: ["duplicate_in_batch", "field_missing"], 20: ["duplicate_in_batch"]}
    assert len(store.items("acme", Kind.PRODUCT, "products", limit=100).rows) == 12
    counts = store.batches("acme", BatchFilter()).rows[0].counts
    assert (counts.created, counts.unchanged, counts.rejected) == (12, 1, 7)
