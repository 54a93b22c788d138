"""A connection that is lost with a commit: nothing is acknowledged that is not there, and nothing is done twice."""

from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from goodsgate.model.batch import Kind, RoundKind, State, new_id
from goodsgate.store.contract import Claim, NewRound, Store, StoreBusyError
from goodsgate.store.strict import StrictStore
from tests import stores
from tests.postgres import Server
from tests.store import child
from tests.store.scene import Record, chunk_commit, rejected_record
from tests.store.wire import Wire


@pytest.fixture
def wired(own: Server, address: str, wire: Wire) -> Iterator[Store]:
    """A store at the other end of the wire."""
    yield from _opened(own.address(urlsplit(address).path[1:], port=wire.port))


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """The same store by another way."""
    yield from _opened(address)


def _opened(address: str) -> Iterator[Store]:
    opened = StrictStore(stores.open_at(address, small_payload_bytes=1_000, connections_max=4))
    yield opened
    opened.close()


def _rejected(store: Store) -> str:
    """A batch that has ended with one record rejected."""
    batch = child.submit(store, 1)
    claim = _claim(store)
    store.commit(claim, [chunk_commit(claim.rounds[0], rejected_record("A"), ends=State.FINISHED)])
    store.release_claim(claim)
    return batch


def _claim(store: Store) -> Claim:
    claim = store.claim("w", lease_seconds=60, rounds_max=1, bytes_max=100)
    assert claim is not None
    return claim


@pytest.mark.parametrize("sent", [True, False], ids=["done", "undone"])
@pytest.mark.parametrize("kind", [RoundKind.FIX, RoundKind.RETRY])
def test_a_round_is_acknowledged_if_it_is_stored(wired: Store, wire: Wire, store: Store, kind: RoundKind,
                                                 sent: bool) -> None:
    """A fix is looked up; a change without a payload cannot be identified, so it has to be repeated."""
    batch = _rejected(wired)
    upload = new_id() if kind is RoundKind.FIX else None
    if upload is not None:
        wired.append_upload("acme", upload, b"0123")
    round = NewRound(merchant="acme", batch=batch, kind=kind)
    wire.break_at_commit(b"UPDATE batch b", sent=sent)
    acknowledged = False
    with suppress(StoreBusyError):
        acknowledged = wired.add_round(round, upload=upload, open_rounds_max=10) is not None
    assert wire.broken == 1
    found = store.batch("acme", batch)
    assert found is not None
    assert found.rounds == (2 if sent else 1)
    assert acknowledged == (sent and kind is RoundKind.FIX)
    if sent:
        claim = _claim(store)
        committed = chunk_commit(claim.rounds[0], Record("A"), amends=[1], ends=State.FINISHED)
        store.commit(claim, [committed])
        found = store.batch("acme", batch)
        assert found is not None
        assert found.counts.created == 1


@pytest.mark.parametrize("sent", [True, False], ids=["done", "undone"])
def test_an_unanswered_claim_is_free_when_its_lease_ends(wired: Store, wire: Wire, store: Store, sent: bool) -> None:
    """The next worker processes the round once."""
    batch = child.submit(wired, 3)
    wire.break_at_commit(b"SET holder = ", sent=sent)
    with pytest.raises(StoreBusyError):
        wired.claim("w", lease_seconds=0.3, rounds_max=1, bytes_max=100)
    child.work(store, lease_seconds=5)
    found = store.batch("acme", batch)
    assert found is not None
    assert (found.state, found.counts.accounted) == (State.FINISHED, 3)


@pytest.mark.parametrize("sent", [True, False], ids=["done", "undone"])
def test_a_lost_piece_of_a_body_is_noticed(wired: Store, wire: Wire, store: Store, sent: bool) -> None:
    """The submission is refused, and another one is not affected by its remains."""
    upload, piece = new_id(), b" " * 512 * 1024
    wired.append_upload("acme", upload, piece)
    wire.break_at_commit(b"INSERT INTO payload", sent=sent)
    wired.append_upload("acme", upload, piece)
    with pytest.raises(StoreBusyError):
        wired.add_batch(child.new_batch("acme"), upload=upload, open_rounds_max=10)
    assert wire.broken == 1
    wired.discard_upload("acme", upload)
    assert store.statistics()["rounds.queued"] == 0
    batch = child.submit(wired, 2, padding=2 * len(piece), kind=Kind.STOCK)
    assert sum(map(len, store.payload("acme", batch, 0) or ())) == 2 * len(piece) + 1
