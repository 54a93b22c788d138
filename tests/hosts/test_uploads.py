"""Pieces of a body are committed without waiting for the disk: a server that falls may lose them, but not unnoticed."""

from collections.abc import Iterator

import pytest

from goodsgate.model.batch import Kind, Policy, new_id
from goodsgate.model.catalogue import Merchant
from goodsgate.store.contract import Batches, NewBatch, Store, StoreBusy
from tests import place
from tests.make import NOW
from tests.postgres import Server

PIECE = b" " * 512 * 1024
"""As large as what is sent at once; packed it is next to nothing, so that the log is not written before its time."""


@pytest.fixture(scope="module")
def lazy(own: Server) -> Server:
    """It writes its log only when somebody waits for it."""
    with own.admin() as db:
        db.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        db.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
    own.stop()
    own.start()
    return own


@pytest.fixture
def store(lazy: Server, address: str) -> Iterator[Store]:
    """On a fresh database."""
    opened = place.open_at(address, small_payload_bytes=1_000)
    yield opened
    opened.close()


def _finish(store: Store, upload: str, pieces: int) -> str:
    for _ in range(pieces):
        store.receive("acme", upload, PIECE)
    return _seal(store, upload)


def _seal(store: Store, upload: str) -> str:
    sent = NewBatch(
        merchant="acme", id=new_id(), kind=Kind.PRODUCT, collection="products", policy=Policy(), format="ndjson",
        packing="identity",
    )
    return store.seal(sent, upload=upload, open_rounds_max=10).id


@pytest.mark.parametrize("after", [0, 1], ids=["then sealed", "then goes on"])
@pytest.mark.parametrize("kept", [0, 2])
def test_lost_pieces_are_not_acknowledged(lazy: Server, store: Store, kept: int, after: int) -> None:
    """Whether the fall took all pieces or the last ones, the submission is refused, and sent again it is whole."""
    upload = new_id()
    for _ in range(kept):
        store.receive("acme", upload, PIECE)
    store.add_merchant(Merchant(id=f"other{kept}{after}", name="", made_at=NOW))  # waits for the disk, with all before
    for _ in range(2):
        store.receive("acme", upload, PIECE)
    lazy.stop("immediate")
    lazy.start()
    with pytest.raises(StoreBusy):
        _finish(store, upload, after)
    store.discard("acme", upload)
    assert store.batches("acme", Batches()).rows == []
    batch = _finish(store, new_id(), 3)
    assert b"".join(store.payload("acme", batch, 0) or ()) == PIECE * 3
